"""What a command works on: the ledgers that the settings name, and how its answer is printed."""

import getpass
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

from flask import Flask

from ledger import clock
from ledger.create import must_name_a_ledger
from ledger.events import Metadata
from scim_api import settings as settings_
from scim_api.cli.terminal import (
    note,
    print_json,
    print_json_list,
    print_record,
    print_table,
    printable,
    say,
)
from scim_api.settings import Settings
from scim_api.tenants.tenants import Tenant, ledger_names, ledger_path
from scim_api.wiring import create_ledger, migrate_ledger, open_tenant

VERSION = version("scim-ledger")


class Console:
    """The ledgers of the data directory, and the answer of one command.

    Methods that take a name use the ledger that --ledger names by default.
    """

    def __init__(self, create_app: Callable[[Settings], Flask]) -> None:
        self._create_app = create_app
        self.name = "default"
        self.as_json = False

    # The ledgers

    @cached_property
    def settings(self) -> Settings:
        """The settings; raises SettingsError when one is wrong."""
        return settings_.load(os.environ)

    @property
    def names(self) -> list[str]:
        """The names of the ledgers there are."""
        return list(ledger_names(self.settings.data_dir))

    def path(self, name: str | None = None) -> Path:
        """Return the file of a ledger; raises LedgerMisnamed.

        The name of a folder that an operator made is taken as it is.
        """
        name = name or self.name
        if name not in self.names:
            must_name_a_ledger(name)
        return ledger_path(self.settings.data_dir, name)

    def tenant(self, name: str | None = None) -> Tenant:
        """Open a ledger with its projections; raises LedgerError."""
        return open_tenant(self.path(name), self.settings)

    def metadata(self, via: str = "cli") -> Metadata:
        """Return the metadata of an operator's events; the operator's name can be erased."""
        request = {
            "operator": operator(),
            "client": f"scim-ledger {VERSION}",
            "id": clock.uuid7(),
        }
        return Metadata("operator", via, clock.uuid7(), request)

    def web(self) -> Flask:
        """Return the application; it logs errors only."""
        return self._create_app(replace(self.settings, log_level="error"))

    def create(self, name: str | None = None) -> Tenant:
        """Make a ledger and open it; raises LedgerError when there is one already."""
        software = f"scim-ledger {VERSION}"
        create_ledger(self.path(name), self.settings, software=software, metadata=self.metadata())
        return self.tenant(name)

    def migrate(self, name: str) -> list[str]:
        """Bring a ledger up to date; return what was done."""
        return migrate_ledger(self.path(name), self.settings, self.metadata())

    # The answer

    def rows(self, rows: Iterable[Mapping[str, Any]], nothing: str) -> None:
        """Print rows as a table or as a JSON list; `nothing` is said when there are none."""
        if self.as_json:
            print_json_list(rows)
        elif not print_table(rows):
            note(nothing)

    def record(self, record: Mapping[str, Any]) -> None:
        """Print one record."""
        (print_json if self.as_json else print_record)(record)

    def change(self, changed: bool, now: str, before: str = "") -> None:
        """Say what a command changed, or how it was `before` if it changed nothing."""
        sentence = now if changed else f"nothing changed: {before}"
        if self.as_json:
            print_json({"changed": changed, "says": sentence})
        else:
            note(sentence)

    def document(self, document: Any, *lines: str) -> None:
        """Print a document as JSON, or what it says in lines."""
        if self.as_json:
            print_json(document)
        else:
            for line in lines:
                say(line)


def operator() -> str:
    """Return the name of the user at the terminal: under sudo, of who called sudo."""
    before = os.environ.get("SUDO_USER") if os.geteuid() == 0 else None
    return printable(before or getpass.getuser())
