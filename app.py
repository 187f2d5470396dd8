"""The only module that knows all three rooms: opens ledgers, wires projections, serves."""

import getpass
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
from flask import Flask

import ledger.commands
import projections.commands
from ledger import clock
from ledger.events import Metadata
from ledger.files import create, migrate, must_name_a_ledger
from ledger.sqlite import SQLiteLedger
from ledger.store import LedgerUnavailable, NotMigrated, Projector
from ledger.terminal import HELP, SITE, Group, examples, printable, take_any_character
from projections import runner
from projections.configuration import Configuration
from projections.credentials import Credentials
from projections.follower import Follower
from projections.history import History
from projections.kept import Inline, Kept
from projections.resources import Resources
from scim_api import logs
from scim_api import settings as settings_
from scim_api.commands import (
    configuration,
    demo,
    differences,
    events,
    looks,
    policies,
    requests,
    roles,
    service,
    tokens,
)
from scim_api.commands import resources as resource_commands
from scim_api.request_log.log import REQUESTS_FILE, Bounds, RequestLog
from scim_api.resource_types import KINDS
from scim_api.settings import Settings
from scim_api.tenants import Tenant, Tenants, ledger_names, ledger_path
from scim_api.usage import USAGE_FILE, Usage
from scim_api.web import application

VERSION = version("scim-ledger")


def create_app(settings: Settings | None = None) -> Flask:
    """Return the WSGI application; the settings are read from the environment unless given."""
    settings = settings or settings_.load(os.environ)
    logs.configure(settings.log_level)
    tenants = open_tenants(settings)
    app = application(settings, tenants)
    follower = Follower(lambda: [tenant.history for tenant in tenants.opened()])

    def close() -> None:
        app.feeds.lookout.close()  # type: ignore[attr-defined]
        follower.end()
        tenants.close()

    app.tenants = tenants  # type: ignore[attr-defined]
    app.start_following = follower.start  # type: ignore[attr-defined]
    app.close_ledgers = close  # type: ignore[attr-defined]
    app.cli.add_command(cli)
    return app


def open_tenants(settings: Settings) -> Tenants:
    """Return the ledgers of the data directory, opened as they are asked for."""

    def open_one(path: Path) -> Tenant:
        return open_tenant(path, settings.write_patience, bounds_of(settings))

    return Tenants(settings.data_dir, open_one)


def bounds_of(settings: Settings) -> Bounds:
    """Return how much of the requests is kept."""
    return Bounds(settings.request_log_rows, settings.request_log_days)


def open_tenant(path: Path, patience: float = 10.0, bounds: Bounds | None = None) -> Tenant:
    """Open one ledger with its projections; raises LedgerUnavailable."""
    tenant = wire(path, patience, bounds=bounds)
    missing = runner.outdated(tenant.ledger, projections_of(tenant))
    if missing:
        tenant.ledger.close()
        raise LedgerUnavailable(
            f"{path} has projections to be built; run `scim-ledger migrate`",
            reason="not migrated",
        )
    return tenant


def wire(
    path: Path, patience: float = 10.0, *, read_only: bool = False, bounds: Bounds | None = None
) -> Tenant:
    """Open one ledger, whatever the state of its projections."""
    resources, credentials, configuration = Resources(KINDS), Credentials(), Configuration()
    projectors: list[Projector] = [credentials, configuration, resources]
    ledger = SQLiteLedger(path, projectors, patience=patience, read_only=read_only)
    usage = Usage(path.with_name(USAGE_FILE))
    history = History(ledger, KINDS, read_only=read_only)
    log = RequestLog(path.with_name(REQUESTS_FILE), path, bounds)
    return Tenant(
        path.parent.name, ledger, resources, credentials, configuration, history, usage, log
    )


def projections_of(tenant: Tenant) -> Sequence[runner.Projection]:
    """Return a ledger's projections, in the order in which they are built."""
    return [tenant.credentials, tenant.configuration, tenant.resources]


def kept(tenant: Tenant) -> Sequence[Kept]:
    """Return a ledger's projections where they are kept, the history too."""
    inline = (Inline(tenant.ledger, each) for each in projections_of(tenant))
    return [*inline, tenant.history]


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
        settings = self.settings
        return open_tenant(self.path(name), settings.write_patience, bounds_of(settings))

    def ledger(self, name: str) -> SQLiteLedger:
        """Open a ledger."""
        return self.tenant(name).ledger

    def projections(self, name: str) -> Sequence[Kept]:
        """Return a ledger's projections, whatever their state, to look at or rebuild them."""
        return kept(wire(self.path(name), self.settings.write_patience))

    def projection_faults(self, name: str, progress: Callable[[int, int], None]) -> list[str]:
        """Return how a ledger's projections differ from a rebuild; the files stay as they are."""
        tenant = wire(self.path(name), read_only=True)
        if runner.outdated(tenant.ledger, projections_of(tenant)):
            raise NotMigrated(name)
        found = [each.check(progress) for each in kept(tenant)]
        return [str(difference) for difference in found if difference]

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
        create(path, name, software=software, metadata=self.metadata("cli"))
        self.migrate(name)
        return self.tenant(name)

    def migrate(self, name: str) -> list[str]:
        """Bring a ledger's tables and projections up to date; return what was done."""
        path = self.path(name)
        steps = migrate(path)
        tenant = wire(path, self.settings.write_patience)
        for projection in runner.outdated(tenant.ledger, projections_of(tenant)):
            runner.rebuild(tenant.ledger, projection)
            steps.append(f"built projection {projection.name}")
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
    *projections.commands.COMMANDS,
    *events.COMMANDS,
    *resource_commands.COMMANDS,
    *differences.COMMANDS,
    *service.COMMANDS,
    *looks.COMMANDS,
    *requests.COMMANDS,
    *tokens.COMMANDS,
    *policies.COMMANDS,
    *configuration.COMMANDS,
    *roles.COMMANDS,
    *demo.COMMANDS,
):
    cli.add_command(_command)


def main() -> None:
    """Run the command line."""
    take_any_character()
    cli(prog_name="scim-ledger")


def __getattr__(name: str) -> Any:
    """Make `gunicorn app:app` and `flask run` work without opening a ledger at import."""
    if name == "app":
        return create_app()
    raise AttributeError(name)
