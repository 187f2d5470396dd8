"""What a token may do: the scopes, what opens each address, and the refusal of what does not."""

from enum import StrEnum

from ledger.events import TOKEN
from scim_api.auth.authenticate import Principal
from scim_api.protocol.errors import Forbidden
from scim_api.settings import HEADER


class Scope(StrEnum):
    """A part of the service that a token opens; the names stand in events for ever."""

    PROVISION = "provision"  # every SCIM operation, in the present
    READ = "read"  # SCIM GET and .search, in the present
    AUDIT = "audit"  # the same at any time, and the ledger's own API; nothing is changed by it
    OPERATE = "operate"  # the ledger's status and its log of requests


DEFAULT = (Scope.PROVISION,)

# Any one of these opens an address, and the least of them comes first. None: any live token does.
RequiredScopes = tuple[Scope, ...] | None

_READING: RequiredScopes = (Scope.READ, Scope.AUDIT, Scope.PROVISION)
_WRITING: RequiredScopes = (Scope.PROVISION,)
_OPERATING: RequiredScopes = (Scope.OPERATE, Scope.AUDIT)
_AUDITING: RequiredScopes = (Scope.AUDIT,)

_DISCOVERY = frozenset(("ServiceProviderConfig", "ResourceTypes", "Schemas"))


def scopes_for_scim(method: str, path: str) -> RequiredScopes:
    """Return the scopes for a route under the SCIM base; `path` is its pattern below that.

    A route this function has never heard of is taken for a change, unless it is a GET.
    """
    if not reads(method, path):
        return _WRITING
    return None if method != "POST" and _first(path) in _DISCOVERY else _READING


def reads(method: str, path: str) -> bool:
    """Return whether a request changes nothing; `path` is the pattern of its route."""
    if method == "POST":
        return path.endswith("/.search")  # RFC 7644 §3.4.3: a GET in POST
    return method in ("GET", "HEAD")


def needs_no_token(method: str, path: str) -> bool:
    """Return whether a route under the SCIM base needs no token, if a setting allows it.

    What the service can do, and how to authenticate, is to be found out before (RFC 7643 §5,
    RFC 7644 §4).
    """
    return method in ("GET", "HEAD") and path == "/ServiceProviderConfig"


def scopes_for_ledger(_method: str, path: str) -> RequiredScopes:
    """Return the scopes for a route of the ledger's own API; `path` is its pattern below the base.

    A route this function has never heard of is an auditor's alone.
    """
    return _OPERATING if _first(path) in ("", "requests") else _AUDITING


def _first(path: str) -> str:
    return path.removeprefix("/").partition("/")[0]


def require(principal: Principal, least: Scope, *others: Scope) -> None:
    """Raise Forbidden unless a credential has one of the scopes."""
    held = principal.credential.scopes
    if not held.isdisjoint((least, *others)):
        return
    known = [scope for scope in Scope if scope in held]
    of_token = principal.credential.kind == TOKEN
    raise Forbidden(
        "scope.missing",
        "This request needs {a_token} with the scope {needed}; this one has {held}. {do}",
        a_token="a token" if of_token else "an access token",
        needed=" or ".join([least, *others]),
        held=" and ".join(known) or "none",
        do=(_ANOTHER_TOKEN if of_token else _ANOTHER_ACCESS_TOKEN).format(least=least),
        headers=_insufficient(least) if principal.scheme == HEADER else None,
    )


_ANOTHER_TOKEN = "Make another: scim-ledger token create NAME --scope {least}."
_ANOTHER_ACCESS_TOKEN = (
    "A client that was registered with the scope {least} can request one that has it."
)


def _insufficient(least: Scope) -> dict[str, str]:
    """Return the challenge of RFC 6750 §3.1."""
    return {"WWW-Authenticate": f'Bearer realm="SCIM", error="insufficient_scope", scope="{least}"'}
