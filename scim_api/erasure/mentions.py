"""What a person was called, which events of other streams say so too, and what its traces are."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ledger.codec import canonical
from ledger.events import Recorded
from ledger.sqlite.ledger import SQLiteLedger, read_bodies
from ledger.sqlite.scrub import Traces
from projections.query.comparison import fold

CHUNK = 5000  # events read at once
SHORTEST = 4  # bytes of a mark: shorter ones stand everywhere
FRAGMENT = 5  # bytes: what is left of a copy that was half overwritten, and still tells of somebody
SAMPLE = 1 << 20  # bytes of what others are called: what they share tells of nobody

# What names one person and, as a rule, no other.
DISTINCTIVE = frozenset(
    ("userName", "externalId", "emails", "phoneNumbers", "displayName", "name.formatted")
)

Marks = Mapping[str, frozenset[str]]  # the texts that an attribute ever had


@dataclass(frozen=True, slots=True)
class Mention:
    """An event of another stream that holds what a person was called by, and as what."""

    position: int
    stream: str
    attributes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Survey:
    """What other streams hold of a person's texts: whole ones, and a sample of all they hold."""

    mentions: tuple[Mention, ...]
    shared: frozenset[str]
    sample: bytes = field(repr=False)

    def traces(self, marks: Marks) -> Traces:
        """Return what to look for in files: what is the person's and nobody else's."""
        called = {text for kind in marks.keys() & DISTINCTIVE for text in marks[kind]}
        every = {text for texts in marks.values() for text in texts}
        whole = {form for form in _forms(called - self.shared) if len(form) >= SHORTEST}
        parts = {part for form in _forms(every - self.shared) for part in _parts(form)}
        return Traces(frozenset(whole), frozenset(p for p in parts if p not in self.sample))


def marks_of(events: Iterable[Recorded]) -> Marks:
    """Return every text that a person's attributes ever had, from the events of the stream."""
    found: dict[str, set[str]] = {}
    for recorded in events:
        own = {"request.address": recorded.request.get("address")}  # it may be the person's
        for attribute, value in (recorded.effects | own).items():
            for path, text in _texts(attribute, value):
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


def survey(
    ledger: SQLiteLedger, stream: str, marks: Marks, progress: Callable[[int, int], None]
) -> Survey:
    """Look for a person's texts in the payloads of all other streams."""
    forms = {(kind, each): _written(each) for kind, called in marks.items() for each in called}
    words = {form: re.compile(rf"(?<!\w){re.escape(form)}(?!\w)") for form in forms.values()}
    mentions: list[Mention] = []
    shared: set[str] = set()
    sample = bytearray()
    for position, of, body in _others(ledger, stream, progress):
        text = body.decode().casefold()
        held = [key for key, form in forms.items() if form in text]
        shared |= {value for _, value in held}
        kinds = {kind for kind, value in held if words[forms[kind, value]].search(text)}
        if kinds & DISTINCTIVE:
            mentions.append(Mention(position, of, tuple(sorted(kinds & DISTINCTIVE))))
        if len(sample) < SAMPLE:
            sample += body.lower() + text.encode()
    return Survey(tuple(mentions), frozenset(shared), bytes(sample))


def _written(text: str) -> str:
    """Return a text as it stands within JSON, whatever the case of its letters."""
    return canonical(text)[1:-1].decode().casefold()


def _others(
    ledger: SQLiteLedger, stream: str, progress: Callable[[int, int], None]
) -> Iterator[tuple[int, str, bytes]]:
    after, end = 0, ledger.last_position()
    while after < end:
        with ledger.reading() as connection:
            rows = read_bodies(connection, after, after + CHUNK)
        yield from (row for row in rows if row[1] != stream)
        after += CHUNK
        progress(min(after, end), end)


def _forms(texts: Iterable[str]) -> set[bytes]:
    """Return texts in every form in which files hold them: as they are, in JSON, folded.

    Letters of ASCII are small: files are read so.
    """
    forms = {form for text in texts for form in (text, canonical(text)[1:-1].decode())}
    forms |= {fold(form) for form in forms}
    return {form.encode().lower() for form in forms}


def _parts(form: bytes) -> set[bytes]:
    return {form[i : i + FRAGMENT] for i in range(len(form) - FRAGMENT + 1)}
