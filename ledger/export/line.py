"""Events as lines that prove themselves, with all, some or nothing of their payloads shown.

The forms are those of docs/ledger-format.md, "An export".
"""

from dataclasses import dataclass
from typing import Any

import orjson

from ledger.codec import canonical, entry_leaves, entry_salts
from ledger.contract import LedgerUnavailable, RawEvent
from ledger.events import PROVING, WITHHELD

FORMAT = "jsonl"


@dataclass(frozen=True, slots=True)
class Disclosure:
    """What of the payloads is shown: all but secrets, the paths named in `show`, or nothing."""

    show: frozenset[str] | None = None
    withhold: bool = False

    def shows(self, type_: str, path: str) -> bool:
        """Return whether an entry of a payload is shown; `members` means each `members:<id>`."""
        if self.withhold or path in WITHHELD.get(type_, ()):
            return False
        if path in PROVING.get(type_, ()):
            return True
        kind = path if path.startswith("urn:") else path.partition(":")[0]
        return self.show is None or path in self.show or kind in self.show

    def shows_all(self, type_: str) -> bool:
        """Return whether everything of an event of a type is shown."""
        return not self.withhold and self.show is None and type_ not in WITHHELD


ALL = Disclosure()


def line_of(event: RawEvent, disclosure: Disclosure = ALL) -> bytes:
    """Return an event as a line, the same bytes each time; raises LedgerUnavailable on damage."""
    try:
        type_ = orjson.loads(event.header)["type"]
        start = b'{"header":' + orjson.dumps(event.header.decode())
        if event.body is None or event.salt is None or disclosure.withhold:
            return start + b"}\n"
        payload = orjson.loads(event.body)
        if not isinstance(payload, dict) or canonical(payload) != event.body:
            raise ValueError("the payload is not as it was written")
        if not disclosure.shows_all(type_):
            return start + b"," + _part(type_, payload, event.salt, disclosure)
        return b'%b,"payload":%b,"salt":"%b"}\n' % (start, event.body, event.salt.hex().encode())
    except (ValueError, KeyError, TypeError) as error:
        raise LedgerUnavailable(
            f"the event at position {event.position} is damaged; `scim-ledger verify` says more",
            reason="damaged file",
        ) from error


def _part(type_: str, payload: dict[str, Any], salt: bytes, disclosure: Disclosure) -> bytes:
    """Return the end of a line that shows some entries and proves the others hidden."""
    salts = entry_salts(salt, len(payload))
    shown = [
        [i, path, payload[path], salts[i].hex()]
        for i, path in enumerate(sorted(payload))
        if disclosure.shows(type_, path)
    ]
    leaves = [leaf.hex() for leaf in entry_leaves(payload, salt)]
    return orjson.dumps({"leaves": leaves, "shown": shown})[1:] + b"\n"
