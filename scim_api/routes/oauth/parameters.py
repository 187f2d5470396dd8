"""The parameters of an OAuth request: of its address and of its form, each once (RFC 6749 §3.1)."""

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode

from scim_api.auth.oauth.errors import InvalidRequest
from scim_api.protocol.errors import Quoted

MOST = 100  # parameters

_OF_AUTHORIZATION = (
    *("response_type", "client_id", "redirect_uri", "scope", "state"),
    *("code_challenge", "code_challenge_method"),
)
_OF_SERVICES = ("resource", "audience")
_SECOND_MARK = re.compile(rf"\?(?=(?:{'|'.join(_OF_AUTHORIZATION)})=)")


def merged(*texts: str) -> dict[str, str]:
    """Return the parameters of an authorization request; raises InvalidRequest.

    An address may be configured with a query of its own, to which a client appends what it sends,
    even with a second question mark. So scopes add up, and what says the same twice counts once.
    Bytes that are not UTF-8 stay as they are: `state` goes back as it came.
    """
    found: dict[str, str] = {}
    for name, value in (pair for text in texts for pair in _pairs(_joined(text))):
        before = found.setdefault(name, value)
        if before == value:
            continue
        if name == "scope":
            found[name] = f"{before} {value}"
        elif name in _OF_AUTHORIZATION:
            raise _repeated(name)
    return found


def written(parameters: Mapping[str, str]) -> str:
    """Return what of an authorization request counts, as one text that `merged` reads."""
    own = [(name, parameters[name]) for name in _OF_AUTHORIZATION if name in parameters]
    return urlencode(own, errors="surrogateescape")


def once(form: str) -> dict[str, str]:
    """Return the parameters of a form, none of which may be repeated (RFC 6749 §3.2).

    What names services may be (RFC 8707 §2), and decides nothing here.
    """
    pairs = _pairs(form, errors="replace")
    named = [name for name, _ in pairs if name not in _OF_SERVICES]
    if len(set(named)) < len(named):
        raise _repeated(next(name for name in named if named.count(name) > 1))
    return dict(pairs)


def _joined(query: str) -> str:
    """Return a query in which a second question mark before known names is an ampersand."""
    mark = _SECOND_MARK.search(query)
    if mark is None or "client_id=" in query[: mark.start()]:
        return query
    return f"{query[: mark.start()]}&{query[mark.end() :]}"


def _pairs(text: str, errors: str = "surrogateescape") -> list[tuple[str, str]]:
    """Return names and values; a parameter without a value counts as left out (RFC 6749 §3.1)."""
    try:
        return parse_qsl(text, max_num_fields=MOST, errors=errors)
    except ValueError:
        template = "The request has more than {most} parameters."
        raise InvalidRequest("oauth.parameters", template, most=MOST) from None


def _repeated(name: str) -> InvalidRequest:
    template = "The parameter {name} is given more than once."
    return InvalidRequest("oauth.repeated", template, name=Quoted(name))
