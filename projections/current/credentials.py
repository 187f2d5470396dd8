"""Credentials issued and revoked, looked up by the hash of their token."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ledger.contract import Connection
from ledger.events import CREDENTIAL_ISSUED, CREDENTIAL_REVOKED, Recorded
from projections.current.configuration import Configuration
from projections.runner import Projection
from projections.tables import json_list

_COLUMNS = "id, name, issued_at, expires_at, revoked_at, user, policy, scopes"
_WITHOUT_SCOPES = ("provision",)  # what a token may do whose event names no scopes


@dataclass(frozen=True, slots=True)
class Credential:
    """A token as far as it is known: never the token itself."""

    id: str
    name: str
    issued_at: str
    expires_at: str | None
    revoked_at: str | None
    user: str | None = None  # the id of the user whose own it is (/Me)
    policy: str | None = None  # instead of the ledger's
    scopes: frozenset[str] = frozenset()  # what it may do; an unknown one opens nothing

    def state(self, now: str) -> str:
        """Return live, expired or revoked at a moment (a timestamp)."""
        if self.revoked_at:
            return "revoked"
        return "expired" if self.expires_at and self.expires_at <= now else "live"


class Credentials(Projection):
    """The credential projection; reads take a ledger's reading connection."""

    name = "credentials"
    revision = 3
    scripts = ("current/credentials.sql",)
    category = "Credential"
    tables: Mapping[str, str] = {"credential": "id"}

    def project(self, connection: Connection, recorded: Recorded, before: Any = None) -> None:
        if recorded.type == CREDENTIAL_ISSUED:
            effects = recorded.effects
            connection.execute(
                f"INSERT INTO credential{self._suffix} VALUES (?, ?, ?, ?, ?, NULL, ?, ?, ?)",
                (
                    recorded.subject,
                    effects["name"],
                    effects["sha256"],
                    recorded.at,
                    effects.get("expires_at"),
                    effects.get("user"),
                    effects.get("policy"),
                    " ".join(effects.get("scopes", _WITHOUT_SCOPES)),  # RFC 6749 §3.3: no spaces
                ),
            )
        elif recorded.type == CREDENTIAL_REVOKED:
            connection.execute(
                f"UPDATE credential{self._suffix} SET revoked_at = ? WHERE id = ?",
                (recorded.at, recorded.subject),
            )

    def by_hash(
        self, connection: Connection, sha256: str, memory: dict[Any, Any] | None = None
    ) -> tuple[Credential, int] | None:
        """Return the credential whose token has this hash, live or not.

        With it the version of the ledger's settings: a request needs both, and asks once. `memory`
        is what is remembered of the ledger as it is now.
        """
        memory = {} if memory is None else memory
        found: tuple[Credential, int] | None = memory.get(sha256)
        if found is None:
            row = connection.execute(
                f"SELECT {_COLUMNS}, ({Configuration.VERSION}) FROM credential WHERE sha256 = ?",
                (sha256,),
            ).fetchone()
            if row:
                found = memory[sha256] = _credential(row[:-1]), row[-1]
        return found

    def names(self, connection: Connection, ids: Collection[str]) -> dict[str, str]:
        rows = connection.execute(
            "SELECT id, name FROM credential WHERE id IN (SELECT value FROM json_each(?))",
            (json_list(ids),),
        )
        return dict(rows.fetchall())

    def all(self, connection: Connection) -> list[Credential]:
        rows = connection.execute(f"SELECT {_COLUMNS} FROM credential ORDER BY issued_at, id")
        return [_credential(row) for row in rows]


@lru_cache(maxsize=256)
def _credential(row: tuple[Any, ...]) -> Credential:
    """Read a row, cached: the same few come with every request."""
    return Credential(*(*row[:-1], frozenset(row[-1].split())))
