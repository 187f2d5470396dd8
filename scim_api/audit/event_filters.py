"""Filters over events: the attributes of an event, words in any case, credentials by name."""

from collections.abc import Mapping
from dataclasses import replace

from ledger.events import NO_RESOURCES, REVISIONS
from ledger.user_agents import FAMILIES, UNKNOWN
from projections.query.matching import matches
from projections.query.model import Compare, Filter, Leaf, Not, Operator, Or, Present, Type, mapped
from scim_api.protocol.errors import InvalidFilter, Quoted
from scim_api.protocol.filter import parse_filter
from scim_api.protocol.schema.attributes import Attribute, Records
from scim_api.protocol.schema.resource_types import KINDS

_CATEGORIES = (*KINDS, *(stream.removesuffix("-") for stream in NO_RESOURCES))
EVENT = Records.of(
    "Event",
    "Something that happened, as the ledger recorded it.",
    Attribute("position", "Its place in the ledger, counted from 1.", Type.INTEGER),
    Attribute("at", "When it was recorded.", Type.DATE_TIME, case_exact=True),
    Attribute("type", "What happened, such as Deactivated.", case_exact=True),
    Attribute("stream", "What it happened to, such as User-<id>.", case_exact=True),
    Attribute("resourceType", f"The kind of that: {', '.join(_CATEGORIES)}.", case_exact=True),
    Attribute("userName", "The name, then, of the user it happened to."),
    Attribute("actor", "The id of the credential that caused it, or operator.", case_exact=True),
    Attribute("credential", "The name of that credential, as it was given to it."),
    Attribute("via", "The way it came, such as scim.patch or cli.", case_exact=True),
    Attribute("txn", "The id that the events of one request share.", case_exact=True),
    Attribute("client", "The family of the client, such as Okta.", case_exact=True),
    Attribute("requestId", "The id of the request that caused it.", case_exact=True),
    Attribute("operator", "The name of who typed the command that caused it.", case_exact=True),
)
CREDENTIAL = "credential"

# The words that exist; a comparison with any other would find nothing, and look like an answer.
_WORDS: Mapping[str, Mapping[str, str]] = {
    key: {word.lower(): word for word in words}
    for key, words in {
        "type": (*REVISIONS,),
        "resourceType": _CATEGORIES,
        "client": (*FAMILIES, UNKNOWN),
    }.items()
}
_ACTOR = EVENT.declared["actor"].path()
_NEVER = Compare(EVENT.declared["position"].path(), Operator.EQ, 0)


def event_filter(text: str, credentials: Mapping[str, str]) -> Filter:
    """Read a filter over events; `credentials` are names by id. Raises InvalidFilter."""
    return mapped(parse_filter(text, EVENT), lambda leaf: resolved(leaf, credentials))


def resolved(leaf: Leaf, credentials: Mapping[str, str]) -> Filter:
    """Put recorded spellings for words, and ids for credentials' names; raises InvalidFilter."""
    match leaf:
        case Compare(path, Operator.NE, value) if path.key == CREDENTIAL or (
            path.key in _WORDS and value is not None
        ):
            return Not(resolved(replace(leaf, operator=Operator.EQ), credentials))
        case Compare(path) | Present(path) if path.key == CREDENTIAL:
            return _by_actor(leaf, credentials)
        case Compare(path, Operator.EQ, str(value)) if path.key in _WORDS:
            word = _spelled(path.key, value)
            return replace(leaf, value=None if word == UNKNOWN else word)
    return leaf


def _by_actor(leaf: Compare | Present, credentials: Mapping[str, str]) -> Filter:
    """Return a filter by the ids of the credentials whose names satisfy one by name."""
    if isinstance(leaf, Compare) and leaf.value is None:
        return Not(_by_actor(Present(leaf.path), credentials))
    ids = [id_ for id_, name in credentials.items() if matches(leaf, {CREDENTIAL: name})]
    return Or(tuple(Compare(_ACTOR, Operator.EQ, id_) for id_ in ids)) if ids else _NEVER


def _spelled(key: str, value: str) -> str:
    """Return a word as the ledger spells it; raises InvalidFilter if it does not exist."""
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
