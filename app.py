"""Puts the three rooms together: the WSGI application and the command line."""

import os

import click
from flask import Flask

import scim_api.cli.backup
import scim_api.cli.projections
import scim_api.cli.tree_head
import scim_api.cli.witness
from projections.query import effort
from scim_api import logs
from scim_api import settings as settings_
from scim_api.application import application
from scim_api.audit.feeds import Feeds
from scim_api.cli import (
    demo,
    diff,
    erase,
    events,
    export,
    policy,
    requests,
    role,
    schema,
    serve,
    status,
    token,
)
from scim_api.cli import user as resource_commands
from scim_api.cli.console import VERSION, Console
from scim_api.cli.terminal import HELP, SITE, Group, examples, take_any_character
from scim_api.server.runtime import EXTENSION, Runtime
from scim_api.settings import Settings
from scim_api.wiring import open_tenants


def create_app(settings: Settings | None = None) -> Flask:
    """Return the WSGI application; the settings are read from the environment unless given."""
    settings = settings or settings_.load(os.environ)
    logs.configure(settings.log_level)
    effort.allow(settings.threads)
    tenants, feeds = open_tenants(settings), Feeds(settings.feeds)
    app = application(settings, tenants, feeds)
    app.extensions[EXTENSION] = Runtime(settings, tenants, feeds)
    app.cli.add_command(cli)
    return app


def console() -> Console:
    """Return what the commands work on."""
    return Console(create_app)


@click.group("ledger", cls=Group, context_settings=HELP)
@click.version_option(VERSION, prog_name="scim-ledger")
@click.pass_context
@examples("scim-ledger serve", "scim-ledger token create okta", "scim-ledger events tail -f")
def cli(ctx: click.Context) -> None:
    """SCIM provisioning into a ledger that proves itself.

    Settings come from the environment: scim-ledger config show lists them.

    Exit codes: 0 ok, 1 failed, 2 usage, 3 verification failed, 4 configuration, 5 not found,
    75 busy.
    """
    ctx.meta[SITE] = console()


for _command in (
    *scim_api.cli.backup.COMMANDS,
    *scim_api.cli.tree_head.COMMANDS,
    *scim_api.cli.witness.COMMANDS,
    *scim_api.cli.projections.COMMANDS,
    *events.COMMANDS,
    *resource_commands.COMMANDS,
    *diff.COMMANDS,
    *export.COMMANDS,
    *serve.COMMANDS,
    *status.COMMANDS,
    *requests.COMMANDS,
    *token.COMMANDS,
    *policy.COMMANDS,
    *schema.COMMANDS,
    *role.COMMANDS,
    *erase.COMMANDS,
    *demo.COMMANDS,
):
    cli.add_command(_command)


def main() -> None:
    """Run the command line."""
    take_any_character()
    cli(prog_name="scim-ledger")


def __getattr__(name: str) -> Flask:
    """Make `gunicorn app:app` and `flask run` work without opening a ledger at import."""
    if name == "app":
        return create_app()
    raise AttributeError(name)
