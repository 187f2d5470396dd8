"""Findings: what is not as it must be in a ledger, each with its kind."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a finding is about. Code decides by this, never by the words of a finding."""

    EVENT = "event"  # its header, leaf, payload or place among the others
    MISSING = "missing events"  # that a head was signed over, or that were verified before
    LOST = "lost events"  # that a head was signed over, and of whose loss the ledger itself tells
    TILES = "tiles"  # kept hashes of the tree that are not those of the events
    HEAD = "tree head"  # a signed head: its note, number, time, name or signature
    ROOT = "root"  # other events than those that a head was signed over
    IDENTITY = "identity"  # the origins and keys that the ledger says it had
    STORE = "store"  # the tables, or what keeps them
    PROJECTION = "projection"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it must be; position is None when it concerns the whole file.

    With `last` it is somewhere from one position to another, or the same.
    """

    kind: Kind
    position: int | None
    what: str
    expected: str
    found: str
    last: int | None = None

    @property
    def is_stretch(self) -> bool:
        """Return whether it is about several positions."""
        return self.last is not None and self.last != self.position

    def __str__(self) -> str:
        place = "the file" if self.position is None else f"position {self.position}"
        place += f" to {self.last}" if self.is_stretch else ""
        return f"{place}: {self.what}: expected {self.expected}, found {self.found}"


def short(value: object) -> str:
    """Return a value as text that fits on a line."""
    text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    return text if len(text) <= 80 else text[:77] + "..."
