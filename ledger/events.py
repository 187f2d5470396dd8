"""The events: what can happen, what is recorded of it, and who caused it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

Payload = Mapping[str, Any]

# Type names are stored for ever: a name is never changed and never given another meaning.
CREATED = "Created"
UPDATED = "Updated"
DEACTIVATED = "Deactivated"
REACTIVATED = "Reactivated"
DELETED = "Deleted"
MEMBERS_ADDED = "MembersAdded"
MEMBERS_REMOVED = "MembersRemoved"
ERASED = "Erased"
HOLD_PLACED = "HoldPlaced"
HOLD_RELEASED = "HoldReleased"
LEDGER_OPENED = "LedgerOpened"
CREDENTIAL_ISSUED = "CredentialIssued"
CREDENTIAL_ROTATED = "CredentialRotated"
CREDENTIAL_CHANGED = "CredentialChanged"
CREDENTIAL_REVOKED = "CredentialRevoked"
CLIENT_REGISTERED = "ClientRegistered"
CLIENT_CHANGED = "ClientChanged"
CLIENT_REMOVED = "ClientRemoved"
CONNECT_CODE_ISSUED = "ConnectCodeIssued"
CONNECT_CODE_USED = "ConnectCodeUsed"
CONNECT_CODE_CANCELLED = "ConnectCodeCancelled"
CONSENT_GIVEN = "ConsentGiven"
TOKENS_ISSUED = "TokensIssued"
ACCESS_TOKEN_REVOKED = "AccessTokenRevoked"
CONSENT_WITHDRAWN = "ConsentWithdrawn"
REUSE_DETECTED = "ReuseDetected"
SETTINGS_CHANGED = "SettingsChanged"
KEY_ROTATED = "KeyRotated"
EXPORTED = "Exported"
RESTORED = "Restored"

TYPES = (
    *(CREATED, UPDATED, DEACTIVATED, REACTIVATED, DELETED, MEMBERS_ADDED, MEMBERS_REMOVED),
    *(ERASED, HOLD_PLACED, HOLD_RELEASED, LEDGER_OPENED),
    *(CREDENTIAL_ISSUED, CREDENTIAL_ROTATED, CREDENTIAL_CHANGED, CREDENTIAL_REVOKED),
    *(CLIENT_REGISTERED, CLIENT_CHANGED, CLIENT_REMOVED),
    *(CONNECT_CODE_ISSUED, CONNECT_CODE_USED, CONNECT_CODE_CANCELLED),
    *(CONSENT_GIVEN, TOKENS_ISSUED, ACCESS_TOKEN_REVOKED, CONSENT_WITHDRAWN, REUSE_DETECTED),
    *(SETTINGS_CHANGED, KEY_ROTATED, EXPORTED, RESTORED),
)

# The newest payload revision of each type that this program writes.
REVISIONS: Mapping[str, int] = dict.fromkeys(TYPES, 1) | {
    ERASED: 2,
    LEDGER_OPENED: 2,
    CREDENTIAL_ISSUED: 4,
    RESTORED: 2,
}

# What an export always shows of an event: without it keys cannot be followed.
PROVING: Mapping[str, frozenset[str]] = {
    KEY_ROTATED: frozenset(("old", "new", "size", "signature_old", "signature_new")),
    RESTORED: frozenset(
        "previous abandoned size verifier_key key signature changes agreed".split()
    ),
}

ERASABLE = "User-"  # how the streams begin that may be erased: people are forgotten, nothing else

# The categories of what authenticates requests, and of the code that allows a client to ask for it.
TOKEN, CLIENT, GRANT, CONNECT_CODE = "Credential", "Client", "Grant", "ConnectCode"

# How the streams of a type begin. Types that are not here are about resources of any kind, and
# stand in none of the streams that are about something else.
STREAMS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys((DEACTIVATED, REACTIVATED), ("User-",)),
    **dict.fromkeys((MEMBERS_ADDED, MEMBERS_REMOVED), ("Group-",)),
    **dict.fromkeys((HOLD_PLACED, HOLD_RELEASED), ("Hold-",)),
    **dict.fromkeys((LEDGER_OPENED, KEY_ROTATED, EXPORTED, RESTORED), ("Ledger-",)),
    **dict.fromkeys((CREDENTIAL_ISSUED, CREDENTIAL_REVOKED), ("Credential-",)),
    CREDENTIAL_ROTATED: ("Credential-", "Client-"),
    CREDENTIAL_CHANGED: ("Credential-", "Client-"),
    **dict.fromkeys((CLIENT_REGISTERED, CLIENT_CHANGED, CLIENT_REMOVED), ("Client-",)),
    **dict.fromkeys(
        (CONNECT_CODE_ISSUED, CONNECT_CODE_USED, CONNECT_CODE_CANCELLED), ("ConnectCode-",)
    ),
    **dict.fromkeys((CONSENT_GIVEN, CONSENT_WITHDRAWN, REUSE_DETECTED), ("Grant-",)),
    **dict.fromkeys((TOKENS_ISSUED, ACCESS_TOKEN_REVOKED), ("Grant-", "Client-")),
    SETTINGS_CHANGED: ("Settings-",),
    ERASED: (ERASABLE,),
}
NO_RESOURCES = tuple(
    sorted({each for some in STREAMS.values() for each in some} - {"User-", "Group-"})
)

REQUEST_PREFIX = "request."

# Withheld wherever an event is shown: a secret's hash is of no use to a reader. With the salt of
# the event it could be tried, so that is withheld too.
_HASH = frozenset({"sha256"})
WITHHELD: Mapping[str, frozenset[str]] = {
    CREDENTIAL_ISSUED: _HASH,
    CREDENTIAL_ROTATED: _HASH,
    CLIENT_REGISTERED: _HASH,
    CONNECT_CODE_ISSUED: _HASH,
    CONSENT_GIVEN: _HASH | {"challenge", "salt"},
    ACCESS_TOKEN_REVOKED: _HASH | {"assertion_sha256"},
    CONSENT_WITHDRAWN: frozenset({"assertion_sha256"}),
    REUSE_DETECTED: frozenset({"assertion_sha256"}),
    TOKENS_ISSUED: frozenset("access_sha256 refresh_sha256 redeems salt assertion_sha256".split()),
}


@dataclass(frozen=True, slots=True)
class Event:
    """An event to be recorded: its type and its effects, path -> new value."""

    type: str
    effects: Payload = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Metadata:
    """Who caused a transaction and through what.

    `actor` is an opaque id (a credential's, or `operator` for the command line) and `via` a short
    fixed word; both stand in the header for ever and must not identify a person. `request` is
    recorded in the payload, under `request.<name>`, and can be forgotten with it.
    """

    actor: str
    via: str
    txn: str
    request: Mapping[str, str] = field(default_factory=dict)


class Change(NamedTuple):
    """What an event changed and when, without what caused it: all that its stream is folded from.

    `payload` is None once it is erased.
    """

    position: int
    stream: str
    version: int
    type: str
    at: str
    payload: Payload | None


@dataclass(frozen=True, slots=True)
class Recorded:
    """An event as the ledger keeps it; `payload` is None once it is erased."""

    position: int
    id: str
    stream: str
    version: int
    type: str
    revision: int
    at: str
    txn: str
    actor: str
    via: str
    payload: Payload | None

    @property
    def category(self) -> str:
        """The kind of thing the stream is about: `User` of `User-<id>`."""
        return self.stream.partition("-")[0]

    @property
    def subject(self) -> str:
        """The id of what the stream is about: `<id>` of `User-<id>`."""
        return self.stream.partition("-")[2]

    @property
    def effects(self) -> dict[str, Any]:
        """What the event changed: the payload without the request that caused it."""
        payload = self.payload or {}
        return {k: v for k, v in payload.items() if not k.startswith(REQUEST_PREFIX)}

    @property
    def request(self) -> dict[str, Any]:
        """The request that caused the event, by the names of Metadata.request."""
        payload = self.payload or {}
        size = len(REQUEST_PREFIX)
        return {k[size:]: v for k, v in payload.items() if k.startswith(REQUEST_PREFIX)}
