"""Chains of keys, mutated at random: the fold and a slow restatement of the rule agree on each."""

import copy
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.contract import RawEvent
from ledger.signing.identity import Identity, identity_of
from ledger.signing.key_rule import RECOVERY, ROTATION, signature, statement
from ledger.signing.note import MalformedNote, VerifierKey
from tests.ledger.signing import slow_rule
from tests.ledger.signing.chain import KEYS, LOST_ROOT, A, B, C, D, head_note, restore, rotation

Event = dict[str, Any]

OF = {name: [key for key in KEYS if KEYS[key].name == name] for name in (A, B, C, D)}
BY_TEXT = {str(key.verifier): key for key in KEYS.values()}
OWN = "Ledger-1"
STREAMS = [OWN, "Ledger-2", "User-1"]


def event(type_: str, ledger: str, payload: dict[str, Any]) -> Event:
    return {"type": type_, "ledger": ledger, "stream": OWN, "payload": payload}


class Walk:
    """A good chain that is drawn, event by event; a copy of it goes on where events are lost."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        key = draw(st.sampled_from(["a1", None]))
        first = {"verifier_key": str(KEYS[key].verifier)} if key else {}
        self.events = [event("LedgerOpened", A, first)]
        self.origin, self.key, self.unborne = A, key, [B, C, D]
        self.since = 1 if key else 0

    @property
    def size(self) -> int:
        return len(self.events)

    def step(self, *, lost: bool = True) -> None:
        """Add an event; a restore may have lost some, which it lists."""
        kind = self.draw(st.sampled_from(["user", "rotate", "restore", "rotate"]))
        others = [key for key in OF[self.origin] if key != self.key]
        if kind == "restore" and self.unborne:
            self.restore(lost=lost)
        elif kind == "rotate" and others:
            new = self.draw(st.sampled_from(others))
            size = self.draw(st.integers(self.since, self.size))
            self.events.append(event("KeyRotated", self.origin, rotation(self.key, new, size)))
            self.key, self.since = new, self.size
        else:
            self.events.append(event("Updated", self.origin, {}))

    def restore(self, *, lost: bool) -> None:
        changes = self.lose() if lost and self.draw(st.booleans()) else []
        if not self.unborne:
            return
        new_origin, *self.unborne = self.unborne
        new, size = OF[new_origin][0], self.size
        by = self.draw(st.sampled_from([self.key, None]))
        more = {
            "abandoned": self.draw(st.sampled_from([None, head_note("a1", 9, LOST_ROOT)])),
            "agreed": self.draw(st.none() | st.integers(0, size)),
            "changes": changes,
        }
        payload = restore(self.origin, self.key, new, size, by=by, **more)
        self.events.append(event("Restored", new_origin, payload))
        self.origin, self.key, self.since = new_origin, new, self.size

    def lose(self) -> list[dict[str, Any]]:
        """Go on for a while, and lose that; return the changes that it had."""
        kept = self.size
        for _ in range(self.draw(st.integers(1, 3))):
            self.step(lost=self.draw(st.booleans()))
        gone = list(enumerate(self.events[kept:], kept + 1))
        del self.events[kept:]
        return [
            {"type": e["type"], "ledger": e["ledger"], "position": at, **e["payload"]}
            for at, e in gone
            if e["type"] != "Updated"
        ]


def pool(events: list[Event]) -> list[Any]:
    """Return values to put in the place of others."""
    return [
        *(None, True, False, -1, 0, 1, 2, 3, 99, "", "x", "1", [], {}, [{}]),
        *(A, B, C, D, *BY_TEXT, f"{next(iter(BY_TEXT))}\n"),
        *(str(key.cosigner) for key in list(KEYS.values())[:2]),
        *(value for each in events for value in each["payload"].values()),
    ]


def places(events: list[Event]) -> list[dict[str, Any]]:
    """Return the objects in which something can be changed: payloads, and lost changes."""
    found = [each["payload"] for each in events]
    for each in found:
        changes = each.get("changes")
        found += [c for c in changes if isinstance(c, dict)] if isinstance(changes, list) else []
    return found


def mutate(draw: st.DrawFn, events: list[Event]) -> None:
    """Change something in a chain."""
    kind = draw(st.sampled_from(["put", "put", "drop", "header", "order", "sign", "sign", "list"]))
    at = draw(st.integers(0, len(events) - 1))
    place = draw(st.sampled_from(places(events)))
    if kind == "header":
        name = draw(st.sampled_from(["ledger", "stream", "type"]))
        types = ["LedgerOpened", "KeyRotated", "Restored", "Updated"]
        values = {"ledger": [A, B, C, D, ""], "stream": STREAMS, "type": types}[name]
        events[at][name] = draw(st.sampled_from(values))
    elif kind == "order":
        again = copy.deepcopy(events[at])
        if draw(st.booleans()):
            del events[at]
        events.insert(draw(st.integers(0, len(events))), again)
    elif kind == "list" and isinstance(place.get("changes"), list):
        other = events[at]
        listed = {"type": other["type"], "ledger": other["ledger"], "position": at + 1}
        where = draw(st.integers(0, len(place["changes"])))
        place["changes"].insert(where, {**listed, **copy.deepcopy(other["payload"])})
    elif kind == "sign":
        sign_again(draw, place)
    elif place:
        name = draw(st.sampled_from(sorted(place)))
        if kind == "drop":
            del place[name]
        else:
            place[name] = copy.deepcopy(draw(st.sampled_from(pool(events))))


def sign_again(draw: st.DrawFn, place: dict[str, Any]) -> None:
    """Change who hands over to whom, and sign it by keys that are drawn."""
    texts = st.sampled_from(sorted(BY_TEXT))
    try:
        if "new" in place:
            place[draw(st.sampled_from(["old", "new"]))] = draw(texts)
            old = VerifierKey.parse(place["old"]) if place["old"] else None
            new = VerifierKey.parse(place["new"])
            message = statement(ROTATION, new.name, place["size"], old, new)
            by = draw(st.sampled_from([place["old"], draw(texts)]))
            place["signature_old"] = signature(BY_TEXT[by], message) if by else None
            place["signature_new"] = signature(BY_TEXT[place["new"]], message)
        elif "verifier_key" in place and "previous" in place:
            place["key"] = draw(texts)
            old, new = VerifierKey.parse(place["key"]), VerifierKey.parse(place["verifier_key"])
            message = statement(RECOVERY, place["previous"], place["size"], old, new)
            by = draw(st.sampled_from([place["key"], draw(texts)]))
            place["signature"] = signature(BY_TEXT[by], message)
    except (KeyError, TypeError, AttributeError, MalformedNote):
        return  # it was changed before into something that cannot be signed


@st.composite
def chains(draw: st.DrawFn) -> list[Event]:
    walk = Walk(draw)
    for _ in range(draw(st.integers(1, 6))):
        walk.step()
    events = copy.deepcopy(walk.events)
    for _ in range(draw(st.integers(0, 3))):
        mutate(draw, events)
    return events


def fold(events: list[Event]) -> Identity:
    return identity_of(
        [
            RawEvent(
                position,
                json.dumps({k: each[k] for k in ("type", "ledger", "stream")}).encode(),
                b"",
                b"",
                json.dumps(each["payload"]).encode(),
            )
            for position, each in enumerate(events, 1)
        ],
        "",
    )


@settings(max_examples=250, deadline=None)
@given(chains())
def test_the_fold_and_the_rule_said_once_more_agree(events: list[Event]) -> None:
    identity, expected = fold(events), slow_rule.judge(events)

    assert [each.position for each in identity.findings] == expected.broken
    for position, (origin, key) in enumerate(expected.history, 1):
        assert identity.origin_at(position) == (origin or "")
        assert str(identity.key_at(position)) == str(key)
    for text, key in BY_TEXT.items():
        found = {str(each) for each in identity.trusted([key.verifier])}
        assert found == slow_rule.reached(expected, text)


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_a_chain_that_was_made_by_the_rule_obeys_it(data: st.DataObject) -> None:
    walk = Walk(data.draw)
    for _ in range(4):
        walk.step()

    assert fold(walk.events).findings == []
