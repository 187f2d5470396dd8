"""Access and refresh tokens: made of chance, or derived of the refresh token that they replace."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ledger import clock
from ledger.events import TOKENS_ISSUED, Event
from scim_api.auth import tokens
from scim_api.auth.tokens import Prefix
from scim_api.settings import Settings


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long tokens live: a refresh token from when it was made, or its predecessor used."""

    access: timedelta = timedelta(hours=1)
    refresh: timedelta = timedelta(days=365)

    @classmethod
    def of(cls, settings: Settings) -> "Lifetimes":
        access = timedelta(minutes=settings.access_token_minutes)
        return cls(access, timedelta(days=settings.refresh_token_days))


@dataclass(frozen=True, slots=True)
class Issued:
    """The tokens of an answer, whose only copy this is, and whose they are."""

    credential: str  # the id of the grant, or of the client
    access: str
    expires_at: str
    scopes: Sequence[str]
    refresh: str | None = None

    def document(self) -> dict[str, Any]:
        """Return the answer of the token endpoint (RFC 6749 §5.1)."""
        left = clock.from_iso(self.expires_at) - clock.now()
        document = {
            "access_token": self.access,
            "token_type": "Bearer",
            "expires_in": max(0, round(left.total_seconds())),
            "refresh_token": self.refresh,
            "scope": " ".join(self.scopes),
        }
        return {name: value for name, value in document.items() if value is not None}


def new_pair(ledger: str, with_refresh: bool) -> tuple[str, str | None]:
    """Return an access token, and a refresh token if wanted."""
    refresh = tokens.issue(ledger, Prefix.REFRESH) if with_refresh else None
    return tokens.issue(ledger, Prefix.ACCESS), refresh


def successors(ledger: str, former: str, salt: str) -> tuple[str, str]:
    """Return the access and refresh token that replace a refresh token: the same ones each time."""
    access, refresh = (
        tokens.derive(ledger, prefix, former, salt) for prefix in (Prefix.ACCESS, Prefix.REFRESH)
    )
    return access, refresh


def new_salt() -> str:
    return secrets.token_hex(16)


def issued_event(
    issued: Issued, lifetimes: Lifetimes, now: datetime, effects: Mapping[str, Any]
) -> Event:
    """Return the event by which tokens are issued; `effects` says why."""
    own: dict[str, Any] = {
        "scopes": list(issued.scopes),
        "access_sha256": tokens.digest(issued.access),
        "access_expires_at": issued.expires_at,
    }
    if issued.refresh:
        own["refresh_sha256"] = tokens.digest(issued.refresh)
        own["refresh_expires_at"] = clock.timestamp(now + lifetimes.refresh)
    return Event(TOKENS_ISSUED, own | {k: v for k, v in effects.items() if v is not None})
