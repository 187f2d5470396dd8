"""The scopes that a client asks for, and those that it is given of them."""

import re
from collections.abc import Collection

from scim_api.auth.oauth.errors import InvalidScope
from scim_api.auth.scopes import Scope

_OURS = frozenset(str(scope) for scope in Scope)
_BETWEEN = re.compile(r"(?:[\s+,]|%20|%2c)+")  # Okta's admins write them into an address


def granted(requested: str, allowed: Collection[str]) -> tuple[str, ...]:
    """Return which of the allowed scopes are given to whoever asks for some; sorted.

    A text that names none of ours asks for all that are allowed: clients add words of their own,
    such as offline_access. Raises InvalidScope.
    """
    ours = _OURS.intersection(_BETWEEN.split(requested.lower()))
    if not ours:
        return tuple(sorted(allowed))
    if given := ours.intersection(allowed):
        return tuple(sorted(given))
    raise InvalidScope(
        "oauth.scope",
        "This client may have the scopes {allowed}, and asks for {requested}. Its operator"
        " registers it with others: scim-ledger client add --scope.",
        allowed=" and ".join(sorted(allowed)) or "none",
        requested=" and ".join(sorted(ours)),
    )
