"""asOf: a position of the ledger or an instant, and the past that it stands for."""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from flask import Request

from ledger import clock
from ledger.contract import Ledger
from projections.query.comparison import instant
from scim_api.auth.scopes import Scope, require
from scim_api.protocol.errors import InvalidValue
from scim_api.protocol.literals import time_as_meant
from scim_api.web.context import Exchange

PARAMETER = "asOf"
UNSETTLED = timedelta(seconds=90)  # a worker with an older transaction would have been ended

_POSITION = re.compile(r"[0-9]{1,100}", re.ASCII)
_INSTANT = re.compile(r".*(Z|[+-]\d\d:\d\d)", re.ASCII | re.IGNORECASE)


def asked(request: Request) -> str | None:
    """Return the asOf of a request's address; raises InvalidValue where it can mean nothing.

    The name is read in any case: whoever mistypes it must not get the present.
    """
    if b"asof" not in request.query_string.lower():
        return None
    texts = [t for name, t in request.args.items(multi=True) if name.lower() == PARAMETER.lower()]
    if texts and request.method not in ("GET", "HEAD") and not request.path.endswith("/.search"):
        raise _wrong("as_of.write", "The past cannot be changed: asOf is for reading only.")
    return _only(texts)


def asked_in(body: Any) -> str | None:
    """Return the asOf of a SearchRequest message; raises InvalidValue."""
    if not isinstance(body, Mapping):
        return None
    given = [value for name, value in body.items() if name.lower() == PARAMETER.lower()]
    if any(isinstance(value, bool) or not isinstance(value, int | str) for value in given):
        raise _malformed(PARAMETER)
    return _only([str(value) for value in given])


def _only(texts: list[str]) -> str | None:
    if len(set(texts)) > 1:
        raise _wrong("as_of.twice", "asOf is given more than once.")
    return texts[0] if texts else None


def enter(exchange: Exchange, text: str) -> None:
    """Answer a request as of a moment; raises Forbidden, InvalidValue or HistoryBehind.

    The rules are those of the moment too: schemas, and the policy unless the token has its own.
    """
    principal = exchange.principal
    require(principal, Scope.AUDIT)
    tenant = principal.tenant
    position = position_of(tenant.ledger, text)
    if exchange.past and exchange.past.position != position:
        raise _wrong("as_of.two", "asOf in the address differs from asOf in the body.")
    exchange.authenticated = principal.under(tenant.catalogue_at(position))
    exchange.past = tenant.history.past(position)


def position_of(ledger: Ledger, text: str, name: str = PARAMETER) -> int:
    """Read an asOf, or the parameter of another name, as a position; raises InvalidValue."""
    text = time_as_meant(text)
    if _POSITION.fullmatch(text):
        return position_at(ledger, int(text), name)
    moment = instant(text) if _INSTANT.fullmatch(text) else None
    if moment is None:
        raise _malformed(name)
    return position_at(ledger, moment, name)


def position_at(ledger: Ledger, moment: int | str, name: str) -> int:
    """Return the position that a moment stands for; raises InvalidValue.

    A timestamp stands for the last event recorded then or before.
    """
    end, last_at = ledger.end()
    if isinstance(moment, int):
        if moment < 1:
            raise _wrong("as_of.zero", "Positions of the ledger count from 1.", name)
        if moment > end:
            sentence = "{name} is after the end of the ledger, position {end} ({at})."
            raise _wrong("as_of.end", sentence, name, end=end, at=last_at)
        return moment
    now = clock.now()
    if moment > max(clock.timestamp(now), last_at):
        sentence = "{name} is in the future. The ledger's last event was at {at}."
        raise _wrong("as_of.future", sentence, name, at=last_at)
    if moment >= last_at and moment > clock.timestamp(now - UNSETTLED):
        ledger.settle()  # then the same instant stands for the same position ever after
    position = ledger.position_at(moment)
    if position == 0:
        began = next(ledger.read_all(upto=1)).at
        sentence = "{name} is before the ledger began, at {began}."
        raise _wrong("as_of.beginning", sentence, name, began=began)
    return position


def _malformed(name: str) -> InvalidValue:
    return _wrong(
        "as_of.form",
        "{name} must be an instant with its offset, such as 2026-10-01T00:00:00Z, or a position of"
        " the ledger, such as 42.",
        name,
    )


def _wrong(code: str, template: str, name: str = PARAMETER, /, **arguments: Any) -> InvalidValue:
    return InvalidValue(code, template, name=name, attributes=(name,), **arguments)
