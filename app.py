"""The only module that knows all three rooms: opens ledgers, wires projections, serves."""

import getpass
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property, partial
from importlib.metadata import version
from pathlib import Path

import click
from flask import Flask

import ledger.commands
import ledger.proof_commands
import ledger.witness_commands
import projections.commands
from ledger import clock
from ledger.anchors import LOCK_FILE as ANCHORS_LOCK
from ledger.background import Background
from ledger.events import Metadata
from ledger.files import create, migrate, must_name_a_ledger
from ledger.incarnations import must_be_newest
from ledger.keys import Keys
from ledger.notes import KnownHead
from ledger.rotation import introduce
from ledger.sqlite import SQLiteLedger
from ledger.store import NotMigrated
from ledger.terminal import HELP, SITE, Group, examples, printable, take_any_character
from ledger.tree_head import TreeHeads
from ledger.verify_held import Places
from ledger.verify_report import Compared
from projections import effort, runner
from projections.kept import Kept
from projections.side_by_side import compare
from scim_api import logs
from scim_api import settings as settings_
from scim_api.commands import (
    configuration,
    demo,
    differences,
    events,
    export,
    forgetting,
    looks,
    policies,
    requests,
    roles,
    service,
    tokens,
)
from scim_api.commands import resources as resource_commands
from scim_api.settings import Settings
from scim_api.tenants import Tenant, ledger_names, ledger_path
from scim_api.web import application
from scim_api.wiring import (
    anchors_of,
    chores_of,
    kept,
    keys_of,
    known_heads,
    open_tenant,
    open_tenants,
    projections_of,
    wire,
)

VERSION = version("scim-ledger")


def create_app(settings: Settings | None = None) -> Flask:
    """Return the WSGI application; the settings are read from the environment unless given."""
    settings = settings or settings_.load(os.environ)
    logs.configure(settings.log_level)
    effort.allow(settings.threads)
    tenants = open_tenants(settings)
    app = application(settings, tenants)
    background = Background(lambda: chores_of(tenants.opened()), logs.ChoreLog())
    anchoring = Background(lambda: anchors_of(tenants), logs.ChoreLog(), ANCHORS_LOCK)

    def start() -> None:
        if settings.anchor_url:
            tenants.open_apart()
        background.start()
        if settings.anchor_dir or settings.anchor_url:
            anchoring.start()

    def close() -> None:
        app.feeds.lookout.close()  # type: ignore[attr-defined]
        background.end()
        anchoring.end()
        tenants.close()

    app.tenants = tenants  # type: ignore[attr-defined]
    app.start_background = start  # type: ignore[attr-defined]
    app.close_ledgers = close  # type: ignore[attr-defined]
    app.cli.add_command(cli)
    return app


class Console:
    """What the commands work on: the ledgers of the data directory that the environment names."""

    @cached_property
    def settings(self) -> Settings:
        """The settings; raises SettingsError when one is wrong."""
        return settings_.load(os.environ)

    def path(self, name: str) -> Path:
        """Return where the ledger of a name is kept; raises LedgerMisnamed.

        A folder that an operator named otherwise is taken as it is called.
        """
        if name not in ledger_names(self.settings.data_dir):
            must_name_a_ledger(name)
        return ledger_path(self.settings.data_dir, name)

    def tenant(self, name: str) -> Tenant:
        """Open a ledger with its projections."""
        return open_tenant(self.path(name), self.settings)

    def ledger(self, name: str) -> SQLiteLedger:
        """Open a ledger."""
        return self.tenant(name).ledger

    def heads(self, name: str) -> TreeHeads:
        """Return the tree heads of a ledger."""
        return self.tenant(name).heads

    def heads_and_known(self, name: str) -> tuple[TreeHeads, list[KnownHead]]:
        """Return them, also of a ledger that is behind, and the heads known to others."""
        tenant = wire(self.path(name), self.settings)
        return tenant.heads, list(known_heads(tenant, self.settings))

    def keys(self, name: str) -> Keys:
        """Return where the key of a ledger's tree heads is."""
        return keys_of(self.path(name), self.settings)

    def places(self, name: str) -> Places:
        """Return where others hold tree heads of a ledger."""
        chosen = self.settings
        return Places(chosen.anchor_dir, chosen.witness_dir, chosen.anchor_url, self.keys(name))

    def projections(self, name: str) -> Sequence[Kept]:
        """Return a ledger's projections, whatever their state, to look at or rebuild them."""
        return kept(self.path(name), self.settings)

    def compare_projections(self, name: str, progress: Callable[[int, int], None]) -> Compared:
        """Compare a ledger's projections with a rebuild; the files stay as they are."""
        tenant = wire(self.path(name), read_only=True)
        if runner.outdated(tenant.ledger, projections_of(tenant)):
            raise NotMigrated(name)
        opened = partial(kept, self.path(name), None, read_only=True)
        return compare(opened, tenant.ledger.last_position(), progress)

    def metadata(self, via: str) -> Metadata:
        """Say that an operator did it; their name goes where it can be forgotten."""
        request = {
            "operator": operator(),
            "client": f"scim-ledger {VERSION}",
            "id": clock.uuid7(),
        }
        return Metadata("operator", via, clock.uuid7(), request)

    def web(self) -> Flask:
        """Return the application, quiet but for errors."""
        return create_app(replace(self.settings, log_level="error"))

    def create(self, name: str) -> Tenant:
        """Make a ledger with its projections; raises LedgerError when there is one already."""
        path = self.path(name)
        software = f"scim-ledger {VERSION}"
        keys = keys_of(path, self.settings)
        create(path, name, software=software, metadata=self.metadata("cli"), keys=keys)
        self.migrate(name)
        return self.tenant(name)

    def migrate(self, name: str) -> list[str]:
        """Bring a ledger's tables and projections up to date; return what was done."""
        path = self.path(name)
        steps = migrate(path)
        tenant = wire(path, self.settings)
        for projection in runner.outdated(tenant.ledger, projections_of(tenant)):
            runner.rebuild(tenant.ledger, projection)
            steps.append(f"built projection {projection.name}")
        must_be_newest(tenant.heads, known_heads(tenant, self.settings, ask=False))
        if introduce(tenant.heads, self.metadata("cli")):
            steps.append("made the key that signs tree heads")
        if tenant.heads.newest() is None:
            tenant.heads.sign()
        tenant.ledger.close()
        return steps


def operator() -> str:
    """Return who typed the command: under sudo, who they were before."""
    before = os.environ.get("SUDO_USER") if os.geteuid() == 0 else None
    return printable(before or getpass.getuser())


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
    ctx.meta[SITE] = Console()


for _command in (
    *ledger.commands.COMMANDS,
    *ledger.proof_commands.COMMANDS,
    *ledger.witness_commands.COMMANDS,
    *projections.commands.COMMANDS,
    *events.COMMANDS,
    *resource_commands.COMMANDS,
    *differences.COMMANDS,
    *export.COMMANDS,
    *service.COMMANDS,
    *looks.COMMANDS,
    *requests.COMMANDS,
    *tokens.COMMANDS,
    *policies.COMMANDS,
    *configuration.COMMANDS,
    *roles.COMMANDS,
    *forgetting.COMMANDS,
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
