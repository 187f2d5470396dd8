"""Small ledgers with keys and origins, made event by event; what is expected is said by hand."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ledger import codec, merkle
from ledger.events import Recorded
from ledger.signing.key_rule import RECOVERY, ROTATION, signature, statement
from ledger.signing.note import SigningKey, TreeHead

A, B, C, D, OTHER = (f"acme/{each * 16}" for each in "abcdf")
STREAM = f"Ledger-{'a' * 16}"


def _key(name: str, origin: str) -> SigningKey:
    return SigningKey(origin, hashlib.sha256(f"key chains: {name}".encode()).digest())


KEYS = {
    "a1": _key("a1", A),
    "a2": _key("a2", A),
    "a3": _key("a3", A),
    "thief": _key("thief", A),  # a key of the first origin that the ledger never had
    "b1": _key("b1", B),
    "b2": _key("b2", B),
    "c1": _key("c1", C),
    "d1": _key("d1", D),
    "f1": _key("f1", OTHER),
}


def verifier(name: str | None) -> str | None:
    return str(KEYS[name].verifier) if name else None


def rotation(old: str | None, new: str, size: Any, /, **changes: Any) -> dict[str, Any]:
    """Return the entries of a KeyRotated event; `by_old` and `by_new` sign in place of the keys."""
    by_old, by_new = changes.pop("by_old", old), changes.pop("by_new", new)
    origin = changes.pop("of", KEYS[new].name)
    former = KEYS[old].verifier if old else None
    message = statement(ROTATION, origin, size, former, KEYS[new].verifier)
    payload = {
        "old": verifier(old),
        "new": verifier(new),
        "size": size,
        "signature_old": signature(KEYS[by_old], message) if by_old else None,
        "signature_new": signature(KEYS[by_new], message) if by_new else None,
    }
    return _changed(payload, changes)


def restore(
    previous: str, key: str | None, new: str, size: Any, /, **changes: Any
) -> dict[str, Any]:
    """Return the entries of a Restored event; `by` signs in place of the key, None if none does."""
    by = changes.pop("by", key)
    former = KEYS[key].verifier if key else None
    message = statement(RECOVERY, previous, size, former, KEYS[new].verifier)
    payload = {
        "previous": previous,
        "abandoned": None,
        "size": size,
        "verifier_key": verifier(new),
        "key": verifier(key),
        "signature": signature(KEYS[by], message) if by else None,
        "changes": [],
        "agreed": None,
    }
    return _changed(payload, changes)


def _changed(payload: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in {**payload, **changes}.items() if v is not ...}  # ... leaves it out


def lost(type_: str, origin: str, position: int, payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return an event that was lost, as `changes` lists it."""
    return {"type": type_, "ledger": origin, "position": position, **payload}


def head_note(key: str, size: int, root: bytes, origin: str | None = None) -> str:
    return str(KEYS[key].note(TreeHead(origin or KEYS[key].name, size, root).text))


LOST_ROOT = hashlib.sha256(b"key chains: a tree that was lost").digest()


@dataclass
class Chain:
    """A case: its events, its heads, and what is expected of them."""

    name: str
    lines: list[dict[str, Any]] = field(default_factory=list)
    heads: list[tuple[str, str | None]] = field(default_factory=list)  # and who signed, if good
    broken: list[int] = field(default_factory=list)
    spans: list[tuple[int, str, str | None]] = field(default_factory=list)
    restored: list[tuple[int, bool]] = field(default_factory=list)
    trust: dict[str, str] = field(default_factory=dict)
    _versions: dict[str, int] = field(default_factory=dict)

    @property
    def next(self) -> int:
        """The position of the next event."""
        return len(self.lines) + 1

    def add(
        self,
        type_: str,
        origin: str,
        payload: Mapping[str, Any],
        *,
        stream: str = STREAM,
        revision: int = 1,
        good: bool = True,
    ) -> "Chain":
        """Add an event; one that is not `good` is expected to break the rule."""
        position = self.next
        if not good:
            self.broken.append(position)
        version = self._versions[stream] = self._versions.get(stream, 0) + 1
        digest = hashlib.sha256(f"{self.name} {position}".encode()).hexdigest()
        at = f"2026-11-28T10:00:{position:02}.000000Z"
        id_ = f"01a20b63-0000-7000-8000-{digest[:12]}"
        recorded = Recorded(
            *(position, id_, stream, version, type_, revision, at, id_, "operator", "cli", None)
        )
        bound = codec.commitment(payload, bytes.fromhex(digest)).hex()
        header = codec.header_bytes(origin, recorded, len(payload), bound).decode()
        self.lines.append({"header": header, "payload": payload, "salt": digest})
        return self

    def opened(self, key: str | None = "a1", **changes: Any) -> "Chain":
        first = {"verifier_key": verifier(key)} if key else {}
        self.spans.append((1, A, key))
        payload = _changed({"format": 1, "software": "test", **first}, changes)
        return self.add("LedgerOpened", A, payload, revision=2 if key else 1)

    def user(self, count: int = 1, *, origin: str | None = None) -> "Chain":
        for _ in range(count):
            stream = f"User-{self.next:032x}"
            self.add("Created", origin or self.spans[-1][1], {"active": True}, stream=stream)
        return self

    def rotated(
        self, old: str | None, new: str, *, size: int | None = None, **changes: Any
    ) -> "Chain":
        """Hand over from one key to another."""
        payload = rotation(old, new, self.next - 1 if size is None else size, **changes)
        self.spans.append((self.next, self.spans[-1][1], new))
        return self.add("KeyRotated", self.spans[-1][1], payload)

    def restore(self, previous: str, key: str | None, new: str, /, **changes: Any) -> "Chain":
        """Continue under another origin."""
        signed = bool(changes.get("by", key)) and changes.get("signature") is not ...
        revision = 1 if changes.get("changes") is ... else 2
        payload = restore(previous, key, new, self.next - 1, **changes)
        self.spans.append((self.next, KEYS[new].name, new))
        self.restored.append((self.next, signed))
        return self.add("Restored", KEYS[new].name, payload, revision=revision)

    def bad_rotation(
        self, old: str | None, new: str, /, *, origin: str = A, stream: str = STREAM, **changes: Any
    ) -> "Chain":
        """Try to hand over in a way that breaks the rule."""
        size = changes.pop("at", self.next - 1)
        payload = rotation(old, new, size, **changes)
        return self.add("KeyRotated", origin, payload, stream=stream, good=False)

    def bad_restore(
        self,
        previous: str,
        key: str | None,
        new: str,
        /,
        *,
        origin: str | None = None,
        stream: str = STREAM,
        **changes: Any,
    ) -> "Chain":
        """Try to continue under another origin in a way that breaks the rule."""
        size = changes.pop("at", self.next - 1)
        payload = restore(previous, key, new, size, **changes)
        name = origin or KEYS[new].name
        return self.add("Restored", name, payload, stream=stream, revision=2, good=False)

    def head(self, key: str, *, good: bool = True, origin: str | None = None) -> "Chain":
        """Sign a head over the events so far; one that is not `good` is nobody's to trust."""
        note = head_note(key, len(self.lines), self.root(), origin)
        self.heads.append((note, key if good else None))
        return self

    def root(self) -> bytes:
        return merkle.tree_hash([merkle.leaf_hash(e["header"].encode()) for e in self.lines])

    def trusts(self, **reached: str) -> "Chain":
        """Say which keys, by their names, are reached from a key that is trusted."""
        self.trust.update(reached)
        return self

    def good_with(self, signer: str | None) -> list[str]:
        return [each for each in KEYS if signer and signer in self.trust.get(each, each).split()]

    def as_object(self) -> dict[str, Any]:
        _, origin, key = self.spans[-1] if self.spans else (0, None, None)
        return {
            "case": self.name,
            "origin": origin,
            "key": key,
            "broken": self.broken,
            "spans": [{"since": s, "origin": o, "key": k} for s, o, k in self.spans],
            "restored": [{"position": at, "signed": signed} for at, signed in self.restored],
            "trusted": {name: reached.split() for name, reached in self.trust.items()},
            "heads": [
                {"note": note, "good_with": self.good_with(signer)} for note, signer in self.heads
            ],
            "lines": self.lines,
        }


def opened(name: str) -> Chain:
    return Chain(name).opened().user().head("a1")


def rotated_once(name: str) -> Chain:
    return opened(name).rotated("a1", "a2").user().head("a2")
