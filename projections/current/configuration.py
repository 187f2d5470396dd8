"""What a ledger's operator configured: the newest value of every setting, by its path."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from ledger.contract import Connection
from ledger.events import SETTINGS_CHANGED, Recorded
from projections.runner import Projection

SETTINGS = "Settings"  # the category of their stream


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings in force at one version of their stream; version 0: none was ever made."""

    version: int = 0
    values: Mapping[str, Any] = field(default_factory=dict)


def stream_of(tenant: str) -> str:
    """Return the stream of a ledger's settings; `tenant` is the ledger's own id."""
    return f"{SETTINGS}-{tenant}"


def settings_of(changes: Iterable[Recorded]) -> Settings:
    """Return what changes of settings, in their order, add up to."""
    version, values = 0, dict[str, Any]()
    for recorded in changes:
        version = recorded.version
        values |= recorded.effects
    return Settings(version, {key: value for key, value in values.items() if value is not None})


class Configuration(Projection):
    """The configuration projection; reads take a ledger's reading connection."""

    name = "configuration"
    revision = 1
    scripts = ("current/configuration.sql",)
    categories = (SETTINGS,)
    tables: Mapping[str, str] = {"configuration": "key"}

    # As a part of another statement: the version of the settings in force.
    VERSION = "SELECT coalesce(max(version), 0) FROM configuration"

    def project(self, connection: Connection, recorded: Recorded, before: Any = None) -> None:
        if recorded.type != SETTINGS_CHANGED:
            return
        connection.executemany(
            f"INSERT INTO configuration{self._suffix} VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET"
            " value = excluded.value, version = excluded.version",
            [(key, _text(value), recorded.version) for key, value in recorded.effects.items()],
        )

    def version(self, connection: Connection) -> int:
        """Return the version of the settings in force, without reading them."""
        return int(connection.execute(self.VERSION).fetchone()[0])

    def read(self, connection: Connection) -> Settings:
        rows = connection.execute("SELECT key, value, version FROM configuration").fetchall()
        version = max((row[2] for row in rows), default=0)
        return Settings(
            version, {key: orjson.loads(value) for key, value, _ in rows if value is not None}
        )


def _text(value: Any) -> str | None:
    return None if value is None else orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
