"""An operator who loses events, and says so, is never accused by a head that was ever signed."""

import hashlib
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import merkle
from ledger.contract import RawEvent
from ledger.signing.identity import Identity, identity_of
from ledger.signing.key_rule import RECOVERY, ROTATION, signature, statement
from ledger.signing.note import SigningKey, TreeHead, VerifierKey
from ledger.signing.standing import Standing, standing_of

Told = tuple[str, str, dict[str, Any]]  # of an event: type, origin and payload


class World:
    """A ledger as it is now, all heads that were ever signed of it, and copies of it."""

    def __init__(self) -> None:
        self.made = 0
        self.events: list[tuple[bytes, Told | None]] = []
        self.heads: list[TreeHead] = []
        self.signers: list[VerifierKey] = []  # of the heads
        self.reached: dict[str, int] = {}  # the most events that each origin ever had
        self.story: list[str] = []
        self.first = self.key = self.new_key()
        text = str(self.key.verifier)
        self.keys = {text: self.key}
        self.add(("LedgerOpened", self.origin, {"verifier_key": text}))
        self.sign()

    @property
    def origin(self) -> str:
        return self.key.name

    def new_key(self, origin: str = "") -> SigningKey:
        self.made += 1
        name = origin or f"acme/{self.made:016x}"
        return SigningKey(name, hashlib.sha256(f"{self.made}".encode()).digest())

    def rotate(self) -> None:
        new, size = self.new_key(self.origin), self.size
        old = self.key.verifier
        message = statement(ROTATION, self.origin, size, old, new.verifier)
        payload = {
            "old": str(old),
            "new": str(new.verifier),
            "size": size,
            "signature_old": signature(self.key, message),
            "signature_new": signature(new, message),
        }
        self.add(("KeyRotated", self.origin, payload))
        self.key = self.keys[str(new.verifier)] = new

    @property
    def size(self) -> int:
        return len(self.events)

    def __repr__(self) -> str:
        return " ".join(self.story)

    def add(self, told: Told | None = None) -> None:
        self.story.append("add" if told is None else told[0])
        leaf = hashlib.sha256(f"{len(self.heads)} {self.size} {told}".encode()).digest()
        self.events.append((leaf, told))
        self.reached[self.origin] = max(self.reached.get(self.origin, 0), self.size)

    def root(self, size: int) -> bytes:
        return merkle.tree_hash([leaf for leaf, _ in self.events[:size]])

    def sign(self) -> None:
        self.story.append(f"sign-{self.size}")
        self.heads.append(TreeHead(self.origin, self.size, self.root(self.size)))
        self.signers.append(self.key.verifier)

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

    def key_in(self, told: list[Told]) -> SigningKey:
        """Return the key that the last event about keys put in force."""
        _, _, payload = told[-1]
        return self.keys[payload.get("new") or payload["verifier_key"]]

    def lose(self, kept: int, forked: int) -> None:
        """Put a copy back, serve it for some events under its old name, and restore it then."""
        self.story.append(f"lose({kept}, {forked})")
        ended, former = list(self.events), self.key
        del self.events[kept:]
        self.key = self.key_in([told for _, told in self.events if told])
        for _ in range(forked):
            self.add()
            self.sign()
        roots = {
            n: merkle.tree_hash([leaf for leaf, _ in ended[:n]]) for n in range(len(ended) + 1)
        }
        known = [h for h in self.heads if h.origin == former.name and roots.get(h.size) == h.root]
        abandoned = max(known, key=lambda head: head.size)
        lost = [(at, told) for at, (_, told) in enumerate(ended, 1) if told and at > kept]
        new = self.new_key()
        message = statement(RECOVERY, former.name, self.size, former.verifier, new.verifier)
        payload = {
            "previous": former.name,
            "abandoned": str(former.note(abandoned.text)),
            "size": self.size,
            "verifier_key": str(new.verifier),
            "key": str(former.verifier),
            "signature": signature(former, message),
            "changes": [
                {"type": told[0], "ledger": told[1], "position": at, **told[2]} for at, told in lost
            ],
            "agreed": kept if forked else None,
        }
        self.key = self.keys[str(new.verifier)] = new
        self.add(("Restored", new.name, payload))
        self.sign()


@st.composite
def worlds(draw: st.DrawFn) -> World:
    world = World()
    for _ in range(draw(st.integers(1, 5))):
        for _ in range(draw(st.integers(0, 6))):
            draw(st.sampled_from([world.add, world.add, world.rotate]))()
            if draw(st.booleans()):
                world.sign()
        if draw(st.booleans()):
            world.lose(draw(st.integers(1, world.size)), draw(st.integers(0, 4)))
    return world


@settings(max_examples=150, deadline=None)
@given(worlds())
def test_no_head_that_was_ever_signed_accuses_who_says_what_was_lost(world: World) -> None:
    identity = world.identity()

    assert identity.findings == []
    for head in world.heads:
        standing = standing_of(identity, head, world.size, world.agrees)
        assert standing in (Standing.KEPT, Standing.LOST)
        if standing is Standing.KEPT:
            assert world.agrees(head)


@settings(max_examples=60, deadline=None)
@given(worlds())
def test_each_head_was_signed_by_a_key_to_which_the_first_one_leads(world: World) -> None:
    identity = world.identity()

    for head, signer in zip(world.heads, world.signers, strict=True):
        assert signer in identity.signers(head.origin, head.size)
    assert {*world.signers} <= {*identity.trusted([world.first.verifier])}


@settings(max_examples=60, deadline=None)
@given(worlds(), st.integers(1, 50))
def test_a_head_over_more_than_is_admitted_is_always_found(world: World, more: int) -> None:
    identity = world.identity()

    for origin, most in world.reached.items():
        beyond = TreeHead(origin, most + more, bytes(32))
        standing = standing_of(identity, beyond, world.size, world.agrees)
        assert standing in (Standing.BEYOND, Standing.OTHER)


@settings(max_examples=60, deadline=None)
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
