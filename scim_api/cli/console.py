"""What the commands work on: ledgers opened, created and migrated as the settings say."""

import getpass
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property, partial
from importlib.metadata import version
from pathlib import Path

from flask import Flask

from ledger import clock
from ledger.contract import Ledger, NotMigrated
from ledger.create import create, migrate, must_name_a_ledger
from ledger.events import Metadata
from ledger.signing.key_rotation import introduce
from ledger.signing.keys import Keys
from ledger.signing.known_heads import HeadSources
from ledger.signing.note import KnownHead
from ledger.signing.rollback import must_be_newest
from ledger.signing.tree_heads import TreeHeads
from ledger.verify.report import Compared
from projections import runner
from projections.compare import compare
from projections.runner import StoredProjection
from scim_api import settings as settings_
from scim_api.cli.terminal import printable
from scim_api.settings import Settings
from scim_api.tenants.tenants import Tenant, ledger_names, ledger_path
from scim_api.wiring import (
    keys_of,
    known_heads,
    open_tenant,
    projections_of,
    stored_projections,
    wire,
)

VERSION = version("scim-ledger")


class Console:
    """The ledgers of the data directory that the environment names, and their web application."""

    def __init__(self, create_app: Callable[[Settings], Flask]) -> None:
        self._create_app = create_app

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

    def ledger(self, name: str) -> Ledger:
        """Open a ledger."""
        return self.tenant(name).ledger

    def heads(self, name: str) -> TreeHeads:
        """Return the tree heads of a ledger."""
        return self.tenant(name).heads

    def heads_and_known(self, name: str) -> tuple[TreeHeads, list[KnownHead]]:
        """Return them, also of a ledger that is behind, and the heads known to others."""
        tenant = wire(self.path(name), self.settings)
        return tenant.heads, known_heads(tenant, self.settings)

    def keys(self, name: str) -> Keys:
        """Return where the key of a ledger's tree heads is."""
        return keys_of(self.path(name), self.settings)

    def places(self, name: str) -> HeadSources:
        """Return where others hold tree heads of a ledger."""
        chosen = self.settings
        return HeadSources(
            chosen.anchor_dir, chosen.witness_dir, chosen.anchor_url, self.keys(name)
        )

    def projections(self, name: str) -> Sequence[StoredProjection]:
        """Return a ledger's projections, whatever their state, to look at or rebuild them."""
        return stored_projections(self.path(name), self.settings)

    def compare_projections(self, name: str, progress: Callable[[int, int], None]) -> Compared:
        """Compare a ledger's projections with a rebuild; the files stay as they are."""
        tenant = wire(self.path(name), read_only=True)
        if runner.outdated(tenant.ledger, projections_of(tenant)):
            raise NotMigrated(name)
        opened = partial(stored_projections, self.path(name), None, read_only=True)
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
        return self._create_app(replace(self.settings, log_level="error"))

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
            StoredProjection(tenant.ledger, projection).rebuild()
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
