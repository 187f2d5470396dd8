"""Signed assertions of clients (RFC 7523): private_key_jwt, and identities of other services.

Only what a trust names is believed: the algorithm is one of its list, the key one of its key set,
and what the assertion's header says of keys (jku, jwk, x5u, x5c) is not read.
"""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
from joserfc.errors import JoseError
from joserfc.jws import JWSRegistry
from joserfc.util import urlsafe_b64decode

from ledger import clock
from scim_api.auth.oauth.key_sets import Key, KeySets, matching, pasted
from scim_api.auth.oauth.trust import ALGORITHMS, Trust
from scim_api.protocol.errors import Quoted

LEEWAY = 60.0  # seconds by which two clocks may differ
LONGEST = 86400.0  # seconds ahead that an assertion may end which is to be used once
MOST = 16_384  # characters of an assertion
MOST_HEADER = 8_192

_MODELS = {name: JWSRegistry.algorithms[name] for name in ALGORITHMS}


class AssertionRefused(Exception):
    """An assertion that proves nothing: a rule's code, a template and its arguments."""

    def __init__(self, code: str, template: str, /, **arguments: Any) -> None:
        self.code, self.template, self.arguments = code, template, arguments
        super().__init__(template.format(**arguments))


@dataclass(frozen=True, slots=True)
class Verified:
    """What is recorded of an assertion that was believed, so that it is not believed again.

    Both are None for one that may be used again until it expires.
    """

    sha256: str | None = None
    expires_at: str | None = None  # after that it would be refused anyway


def verify(
    text: str, trust: Trust, key_sets: KeySets, folder: Path, now: datetime | None = None
) -> Verified:
    """Return what an assertion is, if the trust covers it.

    Raises AssertionRefused, and KeysUnavailable where that cannot be decided now. Keys are only
    fetched, into the ledger's `folder`, for an assertion whose claims are right.
    """
    assertion = _Assertion.parse(text)
    at = (now or clock.now()).timestamp()
    _must_be_allowed(assertion, trust)
    _must_be_about(assertion.claims, trust)
    _must_be_in_time(assertion.claims, at, LONGEST if trust.once else math.inf)
    if trust.jwks is not None:
        keys = matching(pasted(trust.jwks), assertion.kid)
    else:
        keys = key_sets.find(folder, trust.jwks_uri or "", assertion.kid)
    _must_be_signed(assertion, keys)
    return assertion.for_one_use() if trust.once else Verified()


def subject_of(text: str) -> str | None:
    """Return the subject that an assertion claims; that proves nothing."""
    try:
        subject = _Assertion.parse(text).claims.get("sub")
    except AssertionRefused:
        return None
    return subject if isinstance(subject, str) else None


@dataclass(frozen=True, slots=True)
class _Assertion:
    """A JWT in its compact form (RFC 7519), not yet believed."""

    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    signed: bytes
    signature: bytes

    @classmethod
    def parse(cls, text: str) -> "_Assertion":
        if len(text) > MOST:
            raise AssertionRefused(
                "assertion.size", "The assertion is longer than {most:,} characters.", most=MOST
            )
        try:
            header, claims, signature = text.encode("ascii").split(b".")
            if len(header) > MOST_HEADER:
                raise ValueError
            return cls(
                _object(header),
                _object(claims),
                header + b"." + claims,
                urlsafe_b64decode(signature),
            )
        except ValueError:
            raise AssertionRefused(
                "assertion.form",
                "The assertion is not a signed JWT: three parts in base64url, the first two of"
                " which are JSON objects.",
            ) from None

    @property
    def kid(self) -> str | None:
        kid = self.header.get("kid")
        return kid if isinstance(kid, str) else None

    def for_one_use(self) -> Verified:
        """Return what tells this assertion from all others of its issuer.

        That is its jti, or else all that is signed: a signature could be written differently.
        """
        jti = self.claims.get("jti")
        unique = jti.encode() if isinstance(jti, str) and jti else self.signed
        issuer = hashlib.sha256(self.claims["iss"].encode()).digest()
        # twice: the leeway itself, and for another request that was let in and waits to write
        end = datetime.fromtimestamp(self.claims["exp"], UTC) + timedelta(seconds=2 * LEEWAY)
        return Verified(hashlib.sha256(issuer + unique).hexdigest(), clock.timestamp(end))


def _object(part: bytes) -> Mapping[str, Any]:
    found = orjson.loads(urlsafe_b64decode(part))
    if not isinstance(found, dict):
        raise ValueError
    return found


def _must_be_allowed(assertion: _Assertion, trust: Trust) -> None:
    algorithm = assertion.header.get("alg")
    if algorithm not in trust.algorithms or algorithm not in _MODELS:
        raise AssertionRefused(
            "assertion.algorithm",
            "The assertion must be signed with {allowed}, not with {algorithm}.",
            allowed=" or ".join(trust.algorithms),
            algorithm=_shown(algorithm),
        )
    if "crit" in assertion.header:
        raise AssertionRefused(
            "assertion.critical", "The assertion's header has crit, which is not supported."
        )


def _must_be_about(claims: Mapping[str, Any], trust: Trust) -> None:
    """Check who says what about whom, to whom."""
    audience = claims.get("aud")
    named = audience if isinstance(audience, list) else [audience]
    rules: tuple[tuple[str, str, bool], ...] = (
        ("iss", "issuer", claims.get("iss") == trust.issuer),
        ("sub", "subject", claims.get("sub") == trust.subject),
        ("aud", "audience", any(each in trust.audiences for each in named)),
        ("tid", "tenant", trust.tenant is None or claims.get("tid") == trust.tenant),
    )
    for claim, what, fits in rules:
        if not fits:
            raise AssertionRefused(
                f"assertion.{what}",
                "The assertion's {what} ({claim}) is {value}, for which this client is not"
                " registered. Compare it: scim-ledger client list. Change it: client set.",
                what=what,
                claim=claim,
                value=_shown(claims.get(claim)),
            )


def _must_be_in_time(claims: Mapping[str, Any], at: float, longest: float) -> None:
    """Check the times, which are seconds since 1970 (RFC 7519 §2)."""
    times = [claims[name] for name in ("exp", "nbf", "iat") if name in claims]
    if "exp" not in claims or not all(map(_is_time, times)):
        raise AssertionRefused(
            "assertion.times",
            "The assertion needs exp, in seconds since 1970; nbf and iat are the same if they are"
            " there.",
        )
    ends, begins = times[0], max(times[1:], default=at)
    if ends + LEEWAY <= at:
        raise AssertionRefused(
            "assertion.expired",
            "The assertion expired {seconds} s ago by the clock of this service.",
            seconds=_seconds(at - ends),
        )
    if begins - LEEWAY > at:
        raise AssertionRefused(
            "assertion.early",
            "The assertion is valid in {seconds} s only, by the clock of this service.",
            seconds=_seconds(begins - at),
        )
    if ends - at > longest:
        raise AssertionRefused(
            "assertion.long",
            "The assertion must expire within {hours} h.",
            hours=int(longest / 3600),
        )


def _must_be_signed(assertion: _Assertion, keys: tuple[Key, ...]) -> None:
    if not keys:
        raise AssertionRefused(
            "assertion.key",
            "The assertion's key ({kid}) is not in the key set of this client's registration.",
            kid=_shown(assertion.kid),
        )
    model = _MODELS[assertion.header["alg"]]
    for key in keys:
        try:
            model.check_key(key)
            if model.verify(assertion.signed, assertion.signature, key):
                return
        except (JoseError, ValueError):
            continue  # a key for another algorithm
    raise AssertionRefused("assertion.signature", "The assertion's signature is wrong.")


def _is_time(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _seconds(value: float) -> str:
    return f"{value:,.0f}"


def _shown(value: Any) -> Quoted:
    """Return a claim as an error shows it."""
    return Quoted("missing" if value is None else value if isinstance(value, str) else "no text")
