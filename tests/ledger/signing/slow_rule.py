"""The rule of keys and origins of docs/ledger-format.md once more: slow, plain, and by itself.

It shares nothing with the program but the library that checks a signature. Everything is judged
from the first event on, each time.
"""

import base64
import hashlib
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

Link = tuple[str, str, str]  # a key, the next one, and "both", "old" or "none" for who signed


@dataclass
class Verdict:
    """What is in force, which events broke the rule, and how the keys hang together."""

    origin: str | None = None
    key: str | None = None
    since: int = 0  # the position of the event that put the key in force
    borne: list[str] = field(default_factory=list)
    broken: list[int] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    history: list[tuple[str | None, str | None]] = field(default_factory=list)

    def copy(self) -> "Verdict":
        return Verdict(self.origin, self.key, self.since, [*self.borne], [], [*self.links], [])


def judge(events: list[dict[str, Any]]) -> Verdict:
    """Judge events, each of `type`, `ledger`, `stream` and `payload`, from position 1 on."""
    now = Verdict()
    for position, event in enumerate(events, 1):
        if event["type"] in ("LedgerOpened", "KeyRotated", "Restored"):
            own = event["stream"] == events[0]["stream"]
            after = own and apply(
                now, event["type"], position, event["ledger"], event["payload"], depth=0
            )
            if after:
                now.origin, now.key, now.borne = after.origin, after.key, after.borne
                now.links, now.since = after.links, after.since
            else:
                now.broken.append(position)
        now.history.append((now.origin, now.key))
    return now


def reached(verdict: Verdict, given: str) -> set[str]:
    """Return the keys that trust in one reaches, by going round until nothing is new."""
    found: set[str] = {given}
    while True:
        more = {new for old, new, by in verdict.links if old in found and by in ("both", "old")}
        more |= {old for old, new, by in verdict.links if new in found and by == "both" and old}
        if more <= found:
            return found
        found |= more


def apply(
    before: Verdict, type_: Any, position: Any, ledger: Any, payload: Any, depth: int
) -> Verdict | None:
    """Return what is in force after an event, None if it breaks the rule; deeper ones were lost."""
    if not isinstance(payload, dict) or not is_int(position):
        return None
    if type_ == "LedgerOpened" and depth == 0:
        return opened(before, position, ledger, payload)
    if before.origin is None:
        return None
    if type_ == "KeyRotated":
        return rotated(before, position, ledger, payload)
    if type_ == "Restored":
        return restored(before, position, ledger, payload, depth)
    return None


def opened(before: Verdict, position: int, ledger: Any, payload: dict[str, Any]) -> Verdict | None:
    if position != 1 or not isinstance(ledger, str) or ledger == "":
        return None
    if "verifier_key" in payload and not is_key(payload["verifier_key"], ledger):
        return None
    after = before.copy()
    after.origin, after.key, after.borne = ledger, payload.get("verifier_key"), [ledger]
    after.since = 1
    return after


def rotated(before: Verdict, position: int, ledger: Any, payload: dict[str, Any]) -> Verdict | None:
    names = ("old", "new", "size", "signature_old", "signature_new")
    if any(name not in payload for name in names):
        return None
    old, new, size, by_old, by_new = (payload[name] for name in names)
    if ledger != before.origin or old != before.key or not is_key(new, before.origin):
        return None
    if new == old or not is_int(size) or size < 0 or size >= position:
        return None
    if old is not None and size < before.since:
        return None
    text = f"scim-ledger key rotation\n{ledger}\n{size}\n{old or '-'}\n{new}\n"
    if not is_signed(new, text, by_new):
        return None
    if (old is None and by_old is not None) or (
        old is not None and not is_signed(old, text, by_old)
    ):
        return None
    after = before.copy()
    after.key, after.since = new, position
    after.links.append((old or "", new, "both" if old else "none"))
    return after


def restored(
    before: Verdict, position: int, ledger: Any, payload: dict[str, Any], depth: int
) -> Verdict | None:
    changes = payload.get("changes", [])
    if not isinstance(changes, list):
        return None
    after = before.copy()
    for change in changes:
        if not isinstance(change, dict):
            return None
        next_ = apply(
            after,
            change.get("type"),
            change.get("position"),
            change.get("ledger"),
            change,
            depth + 1,
        )
        if next_ is None:
            return None
        after = next_
    names = ("previous", "abandoned", "size", "verifier_key")
    if any(name not in payload for name in names):
        return None
    previous, abandoned, size, new = (payload[name] for name in names)
    key, by = payload.get("key", after.key), payload.get("signature")
    if previous != after.origin or not isinstance(ledger, str) or ledger in after.borne:
        return None
    if not is_int(size) or size != position - 1 or key != after.key or not is_key(new, ledger):
        return None
    text = f"scim-ledger recovery\n{previous}\n{size}\n{key or '-'}\n{new}\n"
    if by is not None and (key is None or not is_signed(key, text, by)):
        return None
    agreed = payload.get("agreed")
    if agreed is not None and not (is_int(agreed) and 0 <= agreed <= size):
        return None
    if abandoned is not None and not is_head(abandoned):
        return None
    after.links.append((key or "", new, "old" if by else "none"))
    after.origin, after.key, after.borne = ledger, new, [*after.borne, ledger]
    after.since = position
    return after


def is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def is_key(text: Any, name: Any) -> bool:
    """Return whether a text is a verifier key of a name: name+id+base64 of 1 and 32 bytes."""
    if not isinstance(text, str) or not isinstance(name, str):
        return False
    start = f"{name}+"
    raw = unbase64(text[len(start) + 9 :])
    if not text.startswith(start) or raw is None or len(raw) != 33 or raw[0] != 1:
        return False
    id_ = hashlib.sha256(name.encode() + b"\n" + raw).hexdigest()[:8]
    return text[len(start) : len(start) + 9] == f"{id_}+"


def is_signed(key: str, text: str, signature: Any) -> bool:
    raw = unbase64(signature) if isinstance(signature, str) else None
    public = unbase64(key.split("+", 2)[2])
    if raw is None or public is None:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(public[1:]).verify(raw, text.encode())
    except (InvalidSignature, ValueError):
        return False
    return True


def is_head(note: Any) -> bool:
    """Return whether a text is a signed tree head; those of the tests are of one form."""
    if not isinstance(note, str):
        return False
    lines = note.split("\n")
    return (
        len(lines) == 6
        and lines[1].isdigit()
        and len(unbase64(lines[2]) or b"") == 32
        and lines[3] == lines[5] == ""
        and lines[4].startswith("— ")
    )


def unbase64(text: str) -> bytes | None:
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError:
        return None
    return raw if base64.b64encode(raw).decode() == text else None
