"""Filters over events as they are asked: words in any case, credentials by their name."""

from collections.abc import Mapping
from dataclasses import replace

from ledger.events import REVISIONS
from ledger.user_agents import FAMILIES, UNKNOWN
from projections.query.matching import matches
from projections.query.model import Compare, Filter, Leaf, Not, Operator, Or, Present, mapped
from scim_api.audit.event_type import EVENT
from scim_api.protocol.errors import InvalidFilter, Quoted
from scim_api.protocol.filter import parse_filter
from scim_api.protocol.schema.resource_types import KINDS

CREDENTIAL = "credential"

# The words that there are; any other would be equal to none, and be taken for an answer.
_WORDS: Mapping[str, Mapping[str, str]] = {
    key: {word.lower(): word for word in words}
    for key, words in {
        "type": (*REVISIONS,),
        "resourceType": (*KINDS, "Credential", "Settings", "Ledger"),
        "client": (*FAMILIES, UNKNOWN),
    }.items()
}
_ACTOR = EVENT.declared["actor"].path()
_NEVER = Compare(EVENT.declared["position"].path(), Operator.EQ, 0)


def event_filter(text: str, credentials: Mapping[str, str]) -> Filter:
    """Read a filter over events; `credentials` are names by id. Raises InvalidFilter."""
    return mapped(parse_filter(text, EVENT), lambda leaf: _known(leaf, credentials))


def _known(filter_: Leaf, credentials: Mapping[str, str]) -> Filter:
    match filter_:
        case Compare(path, Operator.NE, value) if value is not None and path.key in _WORDS:
            return Not(_known(replace(filter_, operator=Operator.EQ), credentials))
        case Compare(path, Operator.NE, value) if path.key == CREDENTIAL:
            return Not(_by_actor(Compare(path, Operator.EQ, value), credentials))
        case Compare(path) | Present(path) if path.key == CREDENTIAL:
            return _by_actor(filter_, credentials)
        case Compare(path, Operator.EQ, str(value)) if path.key in _WORDS:
            word = _spelled(path.key, value)
            return replace(filter_, value=None if word == UNKNOWN else word)
    return filter_


def _by_actor(filter_: Compare | Present, credentials: Mapping[str, str]) -> Filter:
    """Put the ids of the credentials whose names satisfy a filter in place of it."""
    ids = [id_ for id_, name in credentials.items() if matches(filter_, {CREDENTIAL: name})]
    found = Or(tuple(Compare(_ACTOR, Operator.EQ, id_) for id_ in ids)) if ids else _NEVER
    absent = isinstance(filter_, Compare) and filter_.value is None
    return Not(_by_actor(Present(filter_.path), credentials)) if absent else found


def _spelled(key: str, value: str) -> str:
    """Return a word as the ledger spells it; raises InvalidFilter for one that there is not."""
    words = _WORDS[key]
    word = words.get(value.lower())
    if word is None:
        raise InvalidFilter(
            "filter.word",
            "There is no {key} {value}. Known are: {words}.",
            key=key,
            value=Quoted(value),
            words=", ".join(words.values()),
        )
    return word
