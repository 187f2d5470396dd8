"""What the request log keeps of a request: that it was refused, or changed nothing."""

from dataclasses import dataclass
from typing import TypeAlias

from projections.query.model import Stored
from scim_api.protocol.errors import Refusal
from scim_api.protocol.quotations import LEFT_OUT

MOST_PARTS = 100  # operations that are noted of one bulk request
MAX_PATH = 600  # characters of an address that are looked at
MAX_METHOD = 16

_METHODS = frozenset("GET HEAD POST PUT PATCH DELETE OPTIONS TRACE CONNECT".split())


def known_method(method: str) -> str:
    """Return a method that HTTP has, and … for any other: a client can write what it likes."""
    return method if method in _METHODS else LEFT_OUT


@dataclass(frozen=True, slots=True)
class Repetition:
    """A write that changed nothing: the version of the resource it was compared with."""

    type: str
    id: str
    version: int


@dataclass(frozen=True, slots=True)
class Part:
    """One operation of a bulk request, as the client wrote it."""

    method: str
    path: str
    outcome: Refusal | Repetition


Outcome: TypeAlias = Refusal | Repetition | list[Part]


def repetition(row: Stored) -> Repetition:
    """Return what is noted of a write that left a resource as it was."""
    return Repetition(row.type, row.id, row.version)
