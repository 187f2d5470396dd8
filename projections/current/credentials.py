"""Credentials, which are tokens, OAuth clients and grants; and their secrets, by their hashes."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import lru_cache
from typing import Any

import orjson

from ledger import events
from ledger.contract import Connection
from ledger.events import CLIENT, CONNECT_CODE, GRANT, TOKEN, Recorded
from projections.current.configuration import Configuration
from projections.runner import Projection
from projections.tables import json_list

_WITHOUT_SCOPES = ("provision",)  # what a token may do whose event names no scopes
_COLUMNS = "id, kind, name, issued_at, revoked_at, user, policy, scopes, networks, allows, client"
_SECRET = "sha256, credential, use, issued_at, expires_at, spent_at, scopes, salt"


class Use(StrEnum):
    """What a secret is for; a hash that is presented for another use proves nothing."""

    BEARER = "bearer"
    CLIENT_SECRET = "client_secret"
    ACCESS = "access"
    REFRESH = "refresh"
    CODE = "code"
    CONNECT = "connect"
    ASSERTION = "assertion"  # one that must not be taken a second time


def use_of(kind: str) -> Use:
    """Return what the secret of a token or a client is for, by the kind of credential."""
    return Use.CLIENT_SECRET if kind == CLIENT else Use.BEARER


NOTHING, READS, ALL = "nothing", "reads", "all"  # what a credential is allowed


# The hashes of the secrets that an event gives to a credential that there is.
_MAKES = {
    events.CREDENTIAL_ROTATED: ("sha256",),
    events.TOKENS_ISSUED: ("access_sha256", "refresh_sha256", "assertion_sha256"),
    events.ACCESS_TOKEN_REVOKED: ("assertion_sha256",),
    events.CONSENT_WITHDRAWN: ("assertion_sha256",),
    events.REUSE_DETECTED: ("assertion_sha256",),
}


@dataclass(frozen=True, slots=True)
class Credential:
    """Whatever authenticates requests, as far as it is known: never a secret itself."""

    id: str
    name: str
    issued_at: str
    expires_at: str | None  # of the secret that it was found by, else of its newest
    revoked_at: str | None
    user: str | None = None  # the id of the user whose own it is (/Me)
    policy: str | None = None  # instead of the ledger's
    scopes: frozenset[str] = frozenset()  # what it may do; an unknown one opens nothing
    kind: str = TOKEN
    networks: tuple[str, ...] = ()  # the only ones that it may be used from; none: any
    allows: str = ALL
    client: str | None = None  # of a grant or a code of `connect`: the client id of the client
    use: str = Use.BEARER  # of the secret that it was found by
    details: Mapping[str, Any] = field(default_factory=dict, compare=False)  # what its kind has
    version: int = 0  # of its stream, where it was not found by a secret
    seal: str = ""  # the hash of its first secret, where it was found by a secret
    replaced_at: str | None = None  # of the secret that it was found by: when another took over
    client_is_gone: bool = False  # of a grant: its client was removed, or is not known in its home

    def state(self, now: str) -> str:
        """Return live, expired or revoked at a moment (a timestamp)."""
        if self.revoked_at:
            return "revoked"
        return "expired" if self.expires_at and self.expires_at <= now else "live"

    @property
    def client_place(self) -> tuple[str, str] | None:
        """The home of its client and the client's id there: a client id is both, with a hyphen."""
        if self.client is None:
            return None
        home, _, id_ = self.client.partition("-")
        return home, id_

    def under(
        self, revoked_at: str | None, policy: str | None, networks: tuple[str, ...], allows: str
    ) -> "Credential":
        """Return a grant as it is in force: allowed what its client is, which these are of."""
        grant = self.without_client(revoked_at) if revoked_at else self
        return replace(grant, policy=policy, networks=networks, allows=allows)

    def without_client(self, since: str) -> "Credential":
        """Return a grant as it is in force without its client: ended, if it had not been before."""
        if self.revoked_at:
            return self
        return replace(self, revoked_at=since, client_is_gone=True)


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret as far as it is known, and whose it is."""

    sha256: str
    credential: str
    use: str
    issued_at: str
    expires_at: str | None
    spent_at: str | None  # when it was redeemed, or replaced by another
    scopes: str | None  # instead of the credential's
    salt: str | None  # of a redeemed one: its successors are derived with it

    def is_live(self, now: str) -> bool:
        """Return whether it has not expired at a moment (a timestamp); it may be spent."""
        return self.expires_at is None or now < self.expires_at


class Credentials(Projection):
    """The credential projection; reads take a ledger's reading connection."""

    name = "credentials"
    revision = 4
    scripts = ("current/credentials.sql",)
    categories = (TOKEN, CLIENT, GRANT, CONNECT_CODE)
    tables: Mapping[str, str] = {"credential": "id", "secret": "sha256"}

    def project(self, connection: Connection, recorded: Recorded, before: Any = None) -> None:
        follow = _FOLLOW.get(recorded.type)
        if follow:
            tables = _Tables(connection, self._suffix)
            follow(tables, recorded, recorded.effects)
            tables.set(recorded, "version", recorded.version)

    def by_hash(self, connection: Connection, sha256: str) -> tuple[Credential, int] | None:
        """Return the credential whose token or access token has this hash, live or not.

        A grant is as its client is, where that is registered in the same ledger; see auth.homes.
        With it the version of the ledger's settings: a request needs both, and asks once.
        """
        row = connection.execute(
            "SELECT s.use, s.expires_at, s.scopes, s.spent_at, p.revoked_at, p.policy, p.networks,"
            f" p.allows, c.seal, ({Configuration.VERSION}), {_of('c')}"
            " FROM secret s JOIN credential c ON c.id = s.credential"
            " LEFT JOIN credential p ON p.id = substr(c.client, 18)"  # see client_place
            f" WHERE s.sha256 = ? AND s.use IN ('{Use.BEARER}', '{Use.ACCESS}')",
            (sha256,),
        ).fetchone()
        return (_presented(row[:9], row[10:]), row[9]) if row else None

    def get(self, connection: Connection, id_: str) -> Credential | None:
        """Return a credential by its id, revoked or not, with the details of its kind."""
        found = self._where(connection, "id = ?", id_)
        return found[0] if found else None

    def secret(self, connection: Connection, sha256: str, use: Use) -> Secret | None:
        """Return the secret of a hash for one use, live or not, spent or not."""
        row = connection.execute(
            f"SELECT {_SECRET} FROM secret WHERE sha256 = ? AND use = ?", (sha256, use)
        ).fetchone()
        return Secret(*row) if row else None

    def secrets(self, connection: Connection, id_: str, use: Use) -> list[Secret]:
        """Return the secrets of a credential for one use, the oldest first."""
        rows = connection.execute(
            f"SELECT {_SECRET} FROM secret WHERE credential = ? AND use = ?"
            " ORDER BY issued_at, sha256",
            (id_, use),
        )
        return [Secret(*row) for row in rows]

    def lacks(self, connection: Connection, recorded: Recorded) -> bool:
        """Return whether an event of another ledger would change a credential that is here.

        It would not where the credential has ended, or has the secrets that the event gave it.
        """
        found = self.get(connection, recorded.subject)
        made = _MAKES.get(recorded.type, ())
        hashes = json_list(recorded.effects[key] for key in made if key in recorded.effects)
        has = connection.execute(
            "SELECT 1 FROM secret WHERE sha256 IN (SELECT value FROM json_each(?))", (hashes,)
        ).fetchone()
        return found is not None and not found.revoked_at and has is None

    def names(self, connection: Connection, ids: Collection[str]) -> dict[str, str]:
        rows = connection.execute(
            "SELECT id, name FROM credential WHERE id IN (SELECT value FROM json_each(?))",
            (json_list(ids),),
        )
        return dict(rows.fetchall())

    def all(self, connection: Connection, *kinds: str) -> list[Credential]:
        """Return every credential of some kinds (by default tokens), revoked ones too."""
        among = json_list(kinds or (TOKEN,))
        return self._where(connection, "kind IN (SELECT value FROM json_each(?))", among)

    def of_client(self, connection: Connection, client: str) -> list[Credential]:
        """Return the grants that a client id was given in this ledger, withdrawn ones too."""
        return self._where(connection, f"kind = '{GRANT}' AND client = ?", client)

    def _where(self, connection: Connection, condition: str, parameter: str) -> list[Credential]:
        rows = connection.execute(
            # by their alphabet, access tokens and assertions come first: these do not count
            "SELECT (SELECT expires_at FROM secret s WHERE s.credential = credential.id"
            f" AND s.use > '{Use.ASSERTION}'"
            " ORDER BY s.use DESC, s.issued_at DESC, s.sha256 DESC LIMIT 1),"
            f" details, version, {_COLUMNS} FROM credential WHERE {condition}"
            " ORDER BY issued_at, id",
            (parameter,),
        )
        return [_listed(row[0], row[1], row[2], row[3:]) for row in rows.fetchall()]


class _Tables:
    """The statements that events are followed with."""

    def __init__(self, connection: Connection, suffix: str) -> None:
        self._execute = connection.execute
        self._credential, self._secret = f"credential{suffix}", f"secret{suffix}"

    def add(self, recorded: Recorded, **columns: Any) -> None:
        """Add a credential."""
        effects = recorded.effects
        usual = _WITHOUT_SCOPES if recorded.category == TOKEN else ()
        self._execute(
            f"INSERT INTO {self._credential}"
            " VALUES (?, ?, ?, ?, NULL, ?, ?, ?, ?, ?, ?, ?, 0, NULL)",
            (
                recorded.subject,
                recorded.category,
                columns.get("name") or effects["name"],
                recorded.at,
                effects.get("user"),
                effects.get("policy"),
                " ".join(effects.get("scopes", usual)),  # RFC 6749 §3.3: no spaces
                " ".join(effects.get("networks", ())),
                ALL,
                effects.get("client"),
                _json(columns.get("details", {})),
            ),
        )

    def set(self, recorded: Recorded, column: str, value: str | int) -> None:
        """Set a column of a credential."""
        self._execute(
            f"UPDATE {self._credential} SET {column} = ? WHERE id = ?", (value, recorded.subject)
        )

    def change_details(self, recorded: Recorded, changes: Mapping[str, Any]) -> None:
        """Set or, with None, remove details of a credential."""
        [[details]] = self._execute(
            f"SELECT details FROM {self._credential} WHERE id = ?", (recorded.subject,)
        )
        details = orjson.loads(details) | changes
        self.set(recorded, "details", _json({k: v for k, v in details.items() if v is not None}))

    def end(self, recorded: Recorded) -> None:
        """End a credential for good; of its secrets those stay that were not spent yet."""
        self.set(recorded, "revoked_at", recorded.at)
        self._execute(
            f"DELETE FROM {self._secret} WHERE credential = ? AND spent_at IS NOT NULL",
            (recorded.subject,),
        )

    def add_secret(
        self,
        recorded: Recorded,
        use: Use,
        sha256: str,
        expires_at: str | None = None,
        scopes: str | None = None,
    ) -> None:
        """Add a secret to a credential."""
        self._execute(
            f"INSERT INTO {self._secret} VALUES (?, ?, ?, ?, ?, NULL, ?, NULL)",
            (sha256, recorded.subject, use, recorded.at, expires_at, scopes),
        )
        self._execute(
            f"UPDATE {self._credential} SET seal = ? WHERE id = ? AND seal IS NULL",
            (sha256, recorded.subject),
        )

    def spend(self, at: str, sha256: str, salt: str | None = None) -> None:
        """Note that a secret was redeemed."""
        self._execute(
            f"UPDATE {self._secret} SET spent_at = ?, salt = ? WHERE sha256 = ?", (at, salt, sha256)
        )

    def replace_secrets(self, recorded: Recorded, use: Use, until: str) -> None:
        """Let a credential's present secret end, and what was replaced before at once."""
        self._execute(
            f"UPDATE {self._secret} SET spent_at = coalesce(spent_at, ?1), expires_at ="
            " min(coalesce(expires_at, '9999'), CASE WHEN spent_at IS NULL THEN ?2 ELSE ?1 END)"
            " WHERE credential = ?3 AND use = ?4",
            (recorded.at, until, recorded.subject, use),
        )

    def spend_all(self, recorded: Recorded, use: Use) -> None:
        """Note that the secret of a credential was redeemed."""
        self._execute(
            f"UPDATE {self._secret} SET spent_at = ? WHERE credential = ? AND use = ?",
            (recorded.at, recorded.subject, use),
        )

    def drop_secret(self, sha256: str) -> None:
        """Remove a secret."""
        self._execute(f"DELETE FROM {self._secret} WHERE sha256 = ?", (sha256,))

    def forget_expired(self, recorded: Recorded) -> None:
        """Remove what of a credential's tokens and assertions has expired: their number is bounded.

        A code stays: if it is used again, that ends its grant.
        """
        self._execute(
            f"DELETE FROM {self._secret} WHERE credential = ? AND expires_at <= ?"
            f" AND use IN ('{Use.ACCESS}', '{Use.ASSERTION}', '{Use.REFRESH}')",
            (recorded.subject, recorded.at),
        )


_Effects = Mapping[str, Any]
_Follow = Callable[[_Tables, Recorded, _Effects], None]


def _issued(tables: _Tables, recorded: Recorded, effects: _Effects) -> None:
    tables.add(recorded)
    tables.add_secret(recorded, Use.BEARER, effects["sha256"], effects.get("expires_at"))


def _rotated(tables: _Tables, recorded: Recorded, effects: _Effects) -> None:
    use = use_of(recorded.category)
    tables.replace_secrets(recorded, use, effects["former_until"])
    tables.add_secret(recorded, use, effects["sha256"], effects.get("expires_at"))


def _changed(tables: _Tables, recorded: Recorded, effects: _Effects) -> None:
    if "allows" in effects:
        tables.set(recorded, "allows", effects["allows"])
    if "networks" in effects:
        tables.set(recorded, "networks", " ".join(effects["networks"]))


def _ended(tables: _Tables, recorded: Recorded, effects: _Effects) -> None:
    tables.end(recorded)
    _assertion_used(tables, recorded, effects)


_OF_CLIENTS = "grants", "redirect_uris", "trust"


def _registered(tables: _Tables, recorded: Recorded, effects: _Effects) -> None:
    tables.add(recorded, details={key: effects[key] for key in _OF_CLIENTS if key in effects})
    if "sha256" in effects:
        expires_at = effects.get("expires_at")
        tables.add_secret(recorded, Use.CLIENT_SECRET, effects["sha256"], expires_at)


def _client_changed(tables: _Tables, recorded: Recorded, effects: _Effects) -> None:
    tables.change_details(recorded, {k: v for k, v in effects.items() if k in _OF_CLIENTS})


def _connect_code_issued(tables: _Tables, recorded: Recorded, effects: _Effects) -> None:
    tables.add(recorded, name="connect")
    tables.add_secret(recorded, Use.CONNECT, effects["sha256"], effects["expires_at"])


def _connect_code_used(tables: _Tables, recorded: Recorded, effects: _Effects) -> None:
    tables.spend_all(recorded, Use.CONNECT)
    tables.change_details(recorded, {"grant": effects["grant"]})


def _consented(tables: _Tables, recorded: Recorded, effects: _Effects) -> None:
    keys = "redirect_uri", "challenge", "connect_code", "salt", "arrived"
    tables.add(recorded, details={key: effects[key] for key in keys if key in effects})
    tables.add_secret(recorded, Use.CODE, effects["sha256"], effects["expires_at"])


def _tokens_issued(tables: _Tables, recorded: Recorded, effects: _Effects) -> None:
    tables.forget_expired(recorded)
    if "redeems" in effects:
        tables.spend(recorded.at, effects["redeems"], effects.get("salt"))
    scopes = " ".join(effects["scopes"])
    access = effects["access_sha256"], effects["access_expires_at"]
    tables.add_secret(recorded, Use.ACCESS, *access, scopes)
    if "refresh_sha256" in effects:
        refresh = effects["refresh_sha256"], effects["refresh_expires_at"]
        tables.add_secret(recorded, Use.REFRESH, *refresh)
    _assertion_used(tables, recorded, effects)


def _token_revoked(tables: _Tables, recorded: Recorded, effects: _Effects) -> None:
    tables.drop_secret(effects["sha256"])
    _assertion_used(tables, recorded, effects)


def _assertion_used(tables: _Tables, recorded: Recorded, effects: _Effects) -> None:
    if "assertion_sha256" in effects:
        used = effects["assertion_sha256"], effects["assertion_expires_at"]
        tables.add_secret(recorded, Use.ASSERTION, *used)


_FOLLOW: Mapping[str, _Follow] = {
    events.CREDENTIAL_ISSUED: _issued,
    events.CREDENTIAL_ROTATED: _rotated,
    events.CREDENTIAL_CHANGED: _changed,
    events.CREDENTIAL_REVOKED: _ended,
    events.CLIENT_REGISTERED: _registered,
    events.CLIENT_CHANGED: _client_changed,
    events.CLIENT_REMOVED: _ended,
    events.CONNECT_CODE_ISSUED: _connect_code_issued,
    events.CONNECT_CODE_USED: _connect_code_used,
    events.CONNECT_CODE_CANCELLED: _ended,
    events.CONSENT_GIVEN: _consented,
    events.TOKENS_ISSUED: _tokens_issued,
    events.ACCESS_TOKEN_REVOKED: _token_revoked,
    events.CONSENT_WITHDRAWN: _ended,
    events.REUSE_DETECTED: _ended,
}


def _of(alias: str) -> str:
    return ", ".join(f"{alias}.{column}" for column in _COLUMNS.split(", "))


def _json(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


@lru_cache(maxsize=256)
def _presented(secret_and_client: tuple[Any, ...], row: tuple[Any, ...]) -> Credential:
    """Read the row of a credential found by a secret, cached: the same few come all the time."""
    use, expires_at, scopes, spent_at, revoked_at, policy, networks, allows, seal = (
        secret_and_client
    )
    id_, kind, name, issued_at, own_revoked_at, user, own_policy, *rest = row
    own_scopes, own_networks, own_allows, client = rest
    found = Credential(
        id_,
        name,
        issued_at,
        expires_at,
        own_revoked_at,
        user,
        own_policy,
        frozenset((own_scopes if scopes is None else scopes).split()),
        kind,
        tuple(own_networks.split()),
        own_allows,
        client,
        use,
        seal=seal,
        replaced_at=spent_at,
    )
    if allows is None:  # it has no client here
        return found
    return found.under(revoked_at, policy, tuple(networks.split()), allows)


def _listed(expires_at: str | None, details: str, version: int, row: tuple[Any, ...]) -> Credential:
    id_, kind, name, issued_at, revoked_at, user, policy, scopes, networks, allows, client = row
    return Credential(
        id_,
        name,
        issued_at,
        expires_at,
        revoked_at,
        user,
        policy,
        frozenset(scopes.split()),
        kind,
        tuple(networks.split()),
        allows,
        client,
        details=orjson.loads(details),
        version=version,
    )
