"""An operator who loses events, and says so, is never accused by a head that was ever signed."""

import hashlib
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import merkle
from ledger.contract import RawEvent
from ledger.signing.identity import Identity, identity_of
from ledger.signing.note import SigningKey, TreeHead
from ledger.signing.standing import Standing, standing_of

ORIGINS = [f"acme/{n:016x}" for n in range(30)]
KEYS = {name: SigningKey(name, hashlib.sha256(name.encode()).digest()) for name in ORIGINS}

Told = tuple[str, str, dict[str, Any]] | None  # of an event: type, origin and payload


class World:
    """A ledger as it is now, all heads that were ever signed of it, and copies of it."""

    def __init__(self) -> None:
        self.origins = iter(ORIGINS)
        first = next(self.origins)
        self.events: list[tuple[bytes, Told]] = []
        self.heads: list[TreeHead] = []
        self.reached: dict[str, int] = {}  # the most events that each origin ever had
        self.story: list[str] = []
        self.origin = first
        self.add(("LedgerOpened", first, {"verifier_key": str(KEYS[first].verifier)}))
        self.sign()

    @property
    def size(self) -> int:
        return len(self.events)

    def __repr__(self) -> str:
        return " ".join(self.story)

    def add(self, told: Told = None) -> None:
        self.story.append("add" if told is None else told[0])
        leaf = hashlib.sha256(f"{len(self.heads)} {self.size} {told}".encode()).digest()
        self.events.append((leaf, told))
        self.reached[self.origin] = max(self.reached.get(self.origin, 0), self.size)

    def root(self, size: int) -> bytes:
        return merkle.tree_hash([leaf for leaf, _ in self.events[:size]])

    def sign(self) -> None:
        self.story.append(f"sign-{self.size}")
        self.heads.append(TreeHead(self.origin, self.size, self.root(self.size)))

    def agrees(self, head: TreeHead) -> bool:
        return head.size <= self.size and self.root(head.size) == head.root

    def identity(self) -> Identity:
        own = []
        for position, (_, told) in enumerate(self.events, 1):
            if told:
                header = {"type": told[0], "ledger": told[1], "stream": "Ledger-1"}
                raw = json.dumps(header).encode(), json.dumps(told[2]).encode()
                own.append(RawEvent(position, raw[0], b"", b"", raw[1]))
        return identity_of(own, "")

    def lose(self, kept: int, forked: int) -> None:
        """Put a copy back, serve it for some events under its old name, and restore it then."""
        ended, origin = list(self.events), self.origin
        self.story.append(f"lose({kept}, {forked})")
        del self.events[kept:]
        self.origin = next(told[1] for _, told in reversed(self.events) if told)
        for _ in range(forked):
            self.add()
            self.sign()
        known = [head for head in self.heads if head.origin == origin]
        known = [h for h in known if merkle.tree_hash([e for e, _ in ended[: h.size]]) == h.root]
        abandoned = max(known, key=lambda head: head.size)
        lost = [(at, told) for at, (_, told) in enumerate(ended, 1) if told and at > kept]
        before = identity_keys(self.origin, [told for _, told in lost])
        new = next(self.origins)
        note = KEYS[abandoned.origin].note(abandoned.text)
        payload = {
            "previous": before,
            "abandoned": str(note),
            "size": self.size,
            "verifier_key": str(KEYS[new].verifier),
            "key": str(KEYS[before].verifier),
            "signature": None,
            "changes": [
                {"type": told[0], "ledger": told[1], "position": at, **told[2]} for at, told in lost
            ],
            "agreed": kept if forked else None,
        }
        self.origin = new
        self.add(("Restored", new, payload))
        self.sign()


def identity_keys(origin: str, lost: list[tuple[str, str, dict[str, Any]]]) -> str:
    """Return the origin that was in force in the end."""
    return lost[-1][1] if lost else origin


@st.composite
def worlds(draw: st.DrawFn) -> World:
    world = World()
    for _ in range(draw(st.integers(1, 5))):
        for _ in range(draw(st.integers(0, 6))):
            world.add()
            if draw(st.booleans()):
                world.sign()
        if draw(st.booleans()):
            world.lose(draw(st.integers(1, world.size)), draw(st.integers(0, 4)))
    return world


@settings(max_examples=300, deadline=None)
@given(worlds())
def test_no_head_that_was_ever_signed_accuses_who_says_what_was_lost(world: World) -> None:
    identity = world.identity()

    assert identity.findings == []
    for head in world.heads:
        standing = standing_of(identity, head, world.size, world.agrees)
        assert standing in (Standing.KEPT, Standing.LOST)
        if standing is Standing.KEPT:
            assert world.agrees(head)


@settings(max_examples=100, deadline=None)
@given(worlds(), st.integers(1, 50))
def test_a_head_over_more_than_is_admitted_is_always_found(world: World, more: int) -> None:
    identity = world.identity()

    for origin, most in world.reached.items():
        beyond = TreeHead(origin, most + more, bytes(32))
        standing = standing_of(identity, beyond, world.size, world.agrees)
        assert standing in (Standing.BEYOND, Standing.OTHER)


@settings(max_examples=100, deadline=None)
@given(worlds())
def test_a_head_over_other_events_than_those_kept_is_always_found(world: World) -> None:
    identity = world.identity()

    for origin in {head.origin for head in world.heads}:
        end = identity.end_of(origin)
        size = world.size if end is None else end
        standing = standing_of(
            identity, TreeHead(origin, size, bytes(32)), world.size, world.agrees
        )
        assert standing is Standing.OTHER


def test_a_head_of_an_origin_that_never_was_is_foreign() -> None:
    world = World()
    strange = TreeHead("acme/x", 1, world.root(1))

    standing = standing_of(world.identity(), strange, world.size, world.agrees)

    assert standing is Standing.FOREIGN
