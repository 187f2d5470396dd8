"""What a person was called, and which events of other streams say so too."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ledger.codec import canonical, decode
from ledger.contract import Ledger
from ledger.events import Recorded

STEP = 5000  # events between two reports of the progress

# What names one person and, as a rule, no other.
DISTINCTIVE = frozenset(
    ("userName", "externalId", "emails", "phoneNumbers", "displayName", "name.formatted")
)

Marks = Mapping[str, frozenset[str]]  # the texts that an attribute ever had


@dataclass(frozen=True, slots=True)
class Mention:
    """An event of another stream that contains a text of a person's, and of which attributes."""

    position: int
    stream: str
    attributes: tuple[str, ...]


def marks_of(events: Iterable[Recorded]) -> Marks:
    """Return every text that a person's distinctive attributes ever had, from the stream."""
    found: dict[str, set[str]] = {}
    for recorded in events:
        for attribute, value in recorded.effects.items():
            for path, text in _texts(attribute, value):
                if path in DISTINCTIVE:
                    found.setdefault(path, set()).add(text)
    return {attribute: frozenset(values) for attribute, values in found.items()}


def _texts(path: str, value: Any) -> Iterator[tuple[str, str]]:
    """Yield the texts within a value, each under its attribute; `value` is no part of a name."""
    if isinstance(value, str) and value:
        yield path, value
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from _texts(path if key == "value" else f"{path}.{key}", each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(path, each)


def find_mentions(
    ledger: Ledger, stream: str, marks: Marks, progress: Callable[[int, int], None]
) -> Iterator[Mention]:
    """Yield the events of other streams that contain one of a person's texts as a whole word."""
    forms = {kind: [_written(text) for text in texts] for kind, texts in marks.items()}
    words = {
        kind: re.compile("|".join(rf"(?<!\w){re.escape(form)}(?!\w)" for form in forms[kind]))
        for kind in forms
    }
    end = ledger.last_position()
    for raw in ledger.raw_events(1, end):
        text = raw.body.decode().casefold() if raw.body else ""
        kinds = [
            kind
            for kind in sorted(forms)
            if any(form in text for form in forms[kind]) and words[kind].search(text)
        ]
        if kinds and (of := decode(raw.header, None).stream) != stream:
            yield Mention(raw.position, of, tuple(kinds))
        if raw.position % STEP == 0 or raw.position == end:
            progress(raw.position, end)


def _written(text: str) -> str:
    """Return a text as it is written in JSON, whatever the case of its letters."""
    return canonical(text)[1:-1].decode().casefold()
