"""The program scim-ledger: its commands, in sections."""

from collections.abc import Callable, Mapping, Sequence

import click
from flask import Flask

from scim_api.cli.attribute import attribute
from scim_api.cli.backup import backup
from scim_api.cli.config import config
from scim_api.cli.console import VERSION, Console, Group, with_examples
from scim_api.cli.credentials.client import client
from scim_api.cli.credentials.connect import connect
from scim_api.cli.credentials.token import token
from scim_api.cli.demo import demo
from scim_api.cli.diff import diff
from scim_api.cli.doctor import doctor
from scim_api.cli.erase import erase
from scim_api.cli.events import events
from scim_api.cli.export import export
from scim_api.cli.hold import hold
from scim_api.cli.init import init
from scim_api.cli.key import key
from scim_api.cli.migrate import migrate
from scim_api.cli.policy import policy
from scim_api.cli.projections import projections
from scim_api.cli.prove import prove
from scim_api.cli.recover import recover
from scim_api.cli.requests import requests
from scim_api.cli.restore import restore
from scim_api.cli.role import entitlement, role
from scim_api.cli.schema import schema
from scim_api.cli.search import search
from scim_api.cli.serve import serve
from scim_api.cli.status import status
from scim_api.cli.tree_head import tree_head
from scim_api.cli.user import group, user
from scim_api.cli.verify import verify
from scim_api.cli.witness import witness
from scim_api.settings import Settings

SECTIONS: Mapping[str, Sequence[click.Command]] = {
    "Serve and set up": (
        serve,
        init,
        token,
        client,
        connect,
        policy,
        schema,
        attribute,
        config,
        demo,
    ),
    "People and groups": (user, group, search, role, entitlement, hold, erase),
    "Audit": (events, diff, requests, export),
    "Proof": (verify, tree_head, prove, key, witness),
    "Operate": (status, doctor, backup, restore, recover, migrate, projections),
}

_HELP = """SCIM provisioning into a ledger that proves itself.

Settings come from the environment: scim-ledger config show lists them.

Exit codes: 0 ok, 1 failed, 2 usage, 3 verification failed, 4 configuration, 5 not found,
6 a tree head that was given cannot be read, 75 busy.
"""


def program(create_app: Callable[[Settings], Flask]) -> Group:
    """Return the command line; `create_app` makes the application that demo talks to."""

    @click.group(
        "ledger",  # as a command of flask
        cls=Group,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
        help=with_examples(_HELP, "scim-ledger serve", "scim-ledger token create okta"),
    )
    @click.version_option(VERSION, prog_name="scim-ledger")
    @click.pass_context
    def scim_ledger(context: click.Context) -> None:
        context.obj = Console(create_app)

    scim_ledger.sections = SECTIONS
    for commands in SECTIONS.values():
        for command in commands:
            scim_ledger.add_command(command)
    return scim_ledger
