"""Whose assertions a client is known by: issuer, subject, audiences and keys of a registration."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scim_api.auth.oauth.key_sets import must_be_key_set, must_be_key_set_url

ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA", "Ed25519")  # the last is RFC 9864's EdDSA
MOST_AUDIENCES = 10
LONGEST = 500  # characters of a value


class TrustUnfit(Exception):
    """What a client would be registered with is no trust; the message says what is needed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Whose assertions a client is known by, as the client's registration says."""

    issuer: str
    subject: str
    audiences: tuple[str, ...]  # any one of them, exactly
    algorithms: tuple[str, ...] = ALGORITHMS
    tenant: str | None = None  # the claim `tid` of Microsoft
    jwks: Mapping[str, Any] | None = None  # else fetched from
    jwks_uri: str | None = None
    once: bool = False  # each assertion is for one request only

    @classmethod
    def of(
        cls, recorded: Mapping[str, Any], *, client_id: str, endpoints: Iterable[str]
    ) -> "Trust":
        """Return the trust of a client's registration.

        Without an issuer it is private_key_jwt: the client says who it is itself, to one of our
        `endpoints` (issuer and token endpoint), and never twice with the same assertion.
        """
        own = "issuer" not in recorded
        return cls(
            issuer=client_id if own else recorded["issuer"],
            subject=client_id if own else recorded["subject"],
            audiences=tuple(endpoints if own else recorded["audiences"]),
            algorithms=tuple(recorded.get("algorithms", ALGORITHMS)),
            tenant=recorded.get("tenant"),
            jwks=recorded.get("jwks"),
            jwks_uri=recorded.get("jwks_uri"),
            once=own,
        )


def to_record(
    *,
    hosts: Collection[str],
    issuer: str | None = None,
    subject: str | None = None,
    audiences: Sequence[str] = (),
    tenant: str | None = None,
    jwks: Any = None,
    jwks_uri: str | None = None,
    algorithms: Sequence[str] = (),
) -> dict[str, Any]:
    """Return what a registration records; raises TrustUnfit or KeySetUnfit.

    Without issuer, subject and audience the client signs its assertions itself. `hosts` are those
    from which keys may be fetched.
    """
    if (jwks is None) == (jwks_uri is None):
        raise TrustUnfit("give either the URL of a key set or the key set itself")
    _must_be_identity(issuer, subject, audiences, tenant)
    if unknown := [each for each in algorithms if each not in ALGORITHMS]:
        raise TrustUnfit(f"{unknown[0]} is not one of {', '.join(ALGORITHMS)}")
    recorded: dict[str, Any] = {
        "issuer": issuer,
        "subject": subject,
        "audiences": list(dict.fromkeys(audiences)),
        "tenant": tenant,
        "algorithms": list(algorithms),
        "jwks": None if jwks is None else must_be_key_set(jwks),
        "jwks_uri": None if jwks_uri is None else must_be_key_set_url(jwks_uri, hosts),
    }
    return {name: value for name, value in recorded.items() if value}


def _must_be_identity(
    issuer: str | None, subject: str | None, audiences: Sequence[str], tenant: str | None
) -> None:
    """Raise TrustUnfit unless it is all of somebody's identity, or none."""
    identity = (issuer, subject, *audiences)
    if any(identity) and not (issuer and subject and audiences):
        raise TrustUnfit("an issuer, a subject and an audience are needed together")
    if tenant and not issuer:
        raise TrustUnfit("a tenant needs an issuer")
    if len(audiences) > MOST_AUDIENCES:
        raise TrustUnfit(f"at most {MOST_AUDIENCES} audiences can be given")
    for value in filter(None, (*identity, tenant)):
        if len(value) > LONGEST or not value.isprintable() or value != value.strip():
            raise TrustUnfit(f"{value[:80]!r} is too long, or has blanks around it")
