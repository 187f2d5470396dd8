"""Writes docs/key-chains.json: small ledgers whose events obey or break the rule of keys.

Run `python -m tests.ledger.signing.key_chains`. What is expected is written here by hand; nothing
of it is computed by the program that is tested. The order of the cases is that of the document.
"""

import base64
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ledger.signing.key_rule import ROTATION, signature, statement
from ledger.signing.note import VerifierKey
from tests.ledger.signing.chain import (
    KEYS,
    LOST_ROOT,
    OTHER,
    A,
    B,
    C,
    Chain,
    head_note,
    lost,
    opened,
    restore,
    rotated_once,
    rotation,
    verifier,
)

FILE = Path(__file__).parents[3] / "docs" / "key-chains.json"

ABOUT = """
Small ledgers for programs that follow the keys of a scim-ledger by the rule in
docs/ledger-format.md, Keys and origins.

`keys` gives each verifier key a short name, which stands for it everywhere else in this file.

Each case is a whole ledger from position 1. Its `lines` are those of an export: `header` is the
text that is hashed. Nothing is wrong in it but events that break the rule of keys and origins:
hashes, positions, versions and times are as they must be.

`origin` and `key` are in force after the last event, null where none is.

`broken` are the positions of events that break the rule: they change nothing, and a reader reports
them.

`spans` are the origins and keys in force, oldest first, each with the position from which it is.

`restored` are the Restored events that count, with `signed`: whether the former key signed. Those
that `changes` lists are not among them.

`trusted` says of a key that somebody trusts which keys that trust reaches, itself included. A key
that is not named there reaches itself only.

`heads` are tree heads. `good_with` names the keys of which each by itself is enough to trust the
head: it is signed by the key in force at its size, for the origin in force there, over these
events.

A program for auditors that is given one key and all heads of a case says VERIFIED if `broken` is
empty, there is a head, and `good_with` of each head has that key.

A witness that trusts a key can follow it to a head if `good_with` has it, even if other events
break the rule.
"""


def paragraphs(text: str) -> list[str]:
    """Return the paragraphs of a text, each on one line."""
    return [" ".join(each.split()) for each in text.split("\n\n")]


def good_chains() -> Iterable[Chain]:
    """Yield ledgers of which every event obeys the rule."""
    yield Chain("opened with a key").opened().user().head("a1").user().head("a1")
    yield Chain("opened without a key").opened(None).user()
    yield (
        Chain("opened without a key, which migrate gave it later")
        .opened(None)
        .user()
        .rotated(None, "a1")
        .head("a1")
    )
    both = {"a1": "a1 a2", "a2": "a1 a2"}
    yield rotated_once("rotated once").trusts(**both)
    yield (
        rotated_once("rotated by an event that follows the last head by several")
        .user(2)
        .rotated("a2", "a3", size=4)
        .head("a3")
        .trusts(a1="a1 a2 a3", a2="a1 a2 a3", a3="a1 a2 a3")
    )
    yield (
        opened("rotated, and size is the position of LedgerOpened")
        .rotated("a1", "a2", size=1)
        .head("a2")
        .trusts(**both)
    )
    yield (
        rotated_once("rotated, and size is the position of the rotation before")
        .rotated("a2", "a3", size=3)
        .head("a3")
        .trusts(a1="a1 a2 a3", a2="a1 a2 a3", a3="a1 a2 a3")
    )
    yield (
        opened("rotated, and size is the position of the restore before")
        .restore(A, "a1", "b1")
        .user()
        .rotated("b1", "b2", size=3)
        .head("b2")
        .trusts(a1="a1 b1 b2", b1="b1 b2", b2="b1 b2")
    )
    yield (
        Chain("the first key of a ledger that was opened without one, and size is 0")
        .opened(None)
        .user()
        .rotated(None, "a1", size=0)
        .head("a1")
    )
    yield (
        rotated_once("back to an earlier key, by the key in force")
        .rotated("a2", "a1")
        .head("a1")
        .rotated("a1", "a3")
        .head("a3")
        .trusts(a1="a1 a2 a3", a2="a1 a2 a3", a3="a1 a2 a3")
    )
    yield (
        opened("restored, the former key signs")
        .restore(A, "a1", "b1", abandoned=head_note("a1", 9, LOST_ROOT))
        .user()
        .head("b1")
        .trusts(a1="a1 b1")
    )
    yield (
        opened("restored, the former key was lost")
        .restore(A, "a1", "b1", by=None)
        .user()
        .head("b1")
    )
    yield (
        opened("restored by the first version: without key, signature, changes, agreed")
        .restore(A, "a1", "b1", key=..., signature=..., changes=..., agreed=...)
        .head("b1")
    )
    yield (Chain("restored before there was a key").opened(None).restore(A, None, "b1").head("b1"))
    yield (
        rotated_once("rotated, restored, rotated")
        .restore(A, "a2", "b1")
        .head("b1")
        .rotated("b1", "b2")
        .head("b2")
        .trusts(a1="a1 a2 b1 b2", a2="a1 a2 b1 b2", b1="b1 b2", b2="b1 b2")
    )
    yield (
        opened("restored three times in a row")
        .restore(A, "a1", "b1")
        .restore(B, "b1", "c1")
        .head("c1")
        .restore(C, "c1", "d1")
        .head("d1")
        .trusts(a1="a1 b1 c1 d1", b1="b1 c1 d1", c1="c1 d1")
    )
    yield (
        opened("restored twice, the second time without a signature")
        .restore(A, "a1", "b1")
        .restore(B, "b1", "c1", by=None)
        .head("c1")
        .trusts(a1="a1 b1")
    )
    yield (
        opened("restored twice, the first time without a signature")
        .restore(A, "a1", "b1", by=None)
        .restore(B, "b1", "c1")
        .head("c1")
        .trusts(b1="b1 c1")
    )
    yield (
        opened("the abandoned head is of a key that the events do not name")
        .restore(A, "a1", "b1", abandoned=head_note("a2", 9, LOST_ROOT))
        .head("b1")
        .trusts(a1="a1 b1")
    )
    yield (
        opened("some of the events that stayed are of another history")
        .restore(A, "a1", "b1", abandoned=head_note("a1", 9, LOST_ROOT), agreed=1)
        .head("b1")
        .trusts(a1="a1 b1")
    )


def chains_with_bad_heads() -> Iterable[Chain]:
    """Yield ledgers whose events obey the rule, and heads by keys that are not in force there."""
    both = {"a1": "a1 a2", "a2": "a1 a2"}
    yield (
        rotated_once("a retired key signs a head over later events")
        .head("a1", good=False)
        .trusts(**both)
    )
    yield (
        opened("the next key signs a head from before it was in force")
        .head("a2", good=False)
        .rotated("a1", "a2")
        .head("a2")
        .trusts(**both)
    )
    yield (
        opened("the key of a former origin signs a head over later events")
        .restore(A, "a1", "b1")
        .user()
        .head("b1")
        .head("a1", good=False)
        .trusts(a1="a1 b1")
    )
    yield (
        opened("the key of a former origin signs a head under the new name")
        .restore(A, "a1", "b1")
        .head("b1")
        .head("a1", good=False, origin=B)
        .trusts(a1="a1 b1")
    )
    yield opened("a key that never was signs a head").head("thief", good=False)


def chains_with_lost_changes() -> Iterable[Chain]:
    """Yield ledgers whose Restored event lists changes that stood in events that were lost."""
    rotated = lost("KeyRotated", A, 7, rotation("a1", "a2", 6))
    restored = lost("Restored", B, 8, restore(A, "a2", "b1", 7))
    yield (
        opened("a backup from before a rotation")
        .restore(A, "a2", "b1", changes=[rotated], abandoned=head_note("a2", 9, LOST_ROOT))
        .head("b1")
        .trusts(a1="a1 a2 b1", a2="a1 a2 b1")
    )
    yield (
        opened("a backup from before a rotation, whose key was lost too")
        .restore(A, "a2", "b1", changes=[rotated], by=None)
        .head("b1")
        .trusts(a1="a1 a2", a2="a1 a2")
    )
    yield (
        opened("a backup from before a rotation and a restore")
        .restore(B, "b1", "c1", changes=[rotated, restored])
        .head("c1")
        .trusts(a1="a1 a2 b1 c1", a2="a1 a2 b1 c1", b1="b1 c1")
    )
    unsigned = lost("Restored", B, 7, restore(A, "a1", "b1", 6, by=None))
    yield (
        opened("a backup from before a restore that nobody signed")
        .restore(B, "b1", "c1", changes=[unsigned])
        .head("c1")
        .trusts(b1="b1 c1")
    )
    first_form = restore(A, "a1", "b1", 6, key=..., signature=..., changes=..., agreed=...)
    yield (
        opened("a backup from before a restore by the first version")
        .restore(B, "b1", "c1", changes=[lost("Restored", B, 7, first_form)])
        .head("c1")
        .trusts(b1="b1 c1")
    )
    nested = lost("Restored", B, 4, restore(A, "a2", "b1", 3, changes=[rotated]))
    yield (
        opened("a backup from before a restore from a backup from before a rotation")
        .restore(B, "b1", "c1", changes=[nested])
        .head("c1")
        .trusts(a1="a1 a2 b1 c1", a2="a1 a2 b1 c1", b1="b1 c1")
    )
    back = lost("KeyRotated", A, 9, rotation("a2", "a1", 8))
    yield (
        opened("a backup from before a rotation there and back")
        .restore(A, "a1", "b1", changes=[rotated, back])
        .head("b1")
        .trusts(a1="a1 a2 b1", a2="a1 a2 b1")
    )
    at_bound = lost("KeyRotated", A, 9, rotation("a2", "a3", 7))
    yield (
        opened("a backup from before two rotations, and size is the position of the first")
        .restore(A, "a3", "b1", changes=[rotated, at_bound])
        .head("b1")
        .trusts(a1="a1 a2 a3 b1", a2="a1 a2 a3 b1", a3="a1 a2 a3 b1")
    )
    renewed = lost("KeyRotated", B, 6, rotation("b1", "b2", 4))
    yield (
        opened("a backup from before a restore that lists later positions, and a rotation")
        .restore(B, "b2", "c1", changes=[nested, renewed])
        .head("c1")
        .trusts(a1="a1 a2 b1 b2 c1", a2="a1 a2 b1 b2 c1", b1="b1 b2 c1", b2="b1 b2 c1")
    )
    key = lost("KeyRotated", A, 3, rotation(None, "a1", 2))
    yield (
        Chain("a backup from before the first key")
        .opened(None)
        .user()
        .restore(A, "a1", "b1", changes=[key])
        .head("b1")
        .trusts(a1="a1 b1")
    )


def bad_rotations() -> Iterable[Chain]:
    """Yield ledgers in which a KeyRotated event breaks the rule."""
    both = {"a1": "a1 a2", "a2": "a1 a2"}
    three = {"a1": "a1 a2 a3", "a2": "a1 a2 a3", "a3": "a1 a2 a3"}

    def ends(chain: Chain, usurper: str = "thief") -> Chain:
        """End a chain with heads of the key in force, and of who wants to be."""
        return chain.user().head(chain.spans[-1][2] or "", good=True).head(usurper, good=False)

    yield ends(
        rotated_once("a retired key hands over once more")
        .bad_rotation("a1", "thief")
        .trusts(**both)
    )
    yield ends(
        rotated_once("a retired key signs for the key in force")
        .bad_rotation("a2", "thief", by_old="a1")
        .trusts(**both)
    )
    yield (
        rotated_once("a retired key wants to be in force again")
        .bad_rotation("a2", "a1", by_old="a1")
        .user()
        .head("a2")
        .head("a1", good=False)
        .trusts(**both)
    )
    yield (
        ends(
            rotated_once(
                "after an event that breaks the rule the key in force hands over"
            ).bad_rotation("a1", "thief")
        )
        .rotated("a2", "a3")
        .head("a3")
        .trusts(**three)
    )
    yield ends(
        rotated_once("a key of a former origin hands over")
        .restore(A, "a2", "b1")
        .bad_rotation("a2", "thief")
        .trusts(a1="a1 a2 b1", a2="a1 a2 b1")
    )
    yield ends(opened("old is a key that never was").bad_rotation("a3", "thief"))
    yield ends(opened("old is null, and there is a key").bad_rotation(None, "thief"))
    yield ends(opened("old is not there").bad_rotation("a1", "thief", old=...))
    yield (
        Chain("old is a key, and there is none yet")
        .opened(None)
        .bad_rotation("a1", "a2")
        .head("a2", good=False)
    )
    yield (
        Chain("signature_old is there, and there is no key yet")
        .opened(None)
        .bad_rotation(None, "a2", by_old="a1")
        .head("a2", good=False)
    )
    for words, size in {
        "the event's position": 3,
        "beyond the event": 99,
        "negative": -1,
        "a text": "2",
        "true": True,
        "null": None,
    }.items():
        yield ends(opened(f"size is {words}").bad_rotation("a1", "thief", at=size))
    yield ends(opened("size is before LedgerOpened").bad_rotation("a1", "a2", at=0), "a2")
    yield ends(
        rotated_once("size is before the rotation that put the key in force")
        .bad_rotation("a2", "a3", at=2)
        .trusts(**both),
        "a3",
    )
    yield ends(
        opened("size is before the restore that put the key in force")
        .restore(A, "a1", "b1")
        .user()
        .bad_rotation("b1", "b2", origin=B, at=2)
        .trusts(a1="a1 b1"),
        "b2",
    )
    there_and_back = (
        rotated_once("there and back, and the rotation there is recorded once more")
        .rotated("a2", "a1")
        .head("a1")
    )
    yield ends(there_and_back.bad_rotation("a1", "a2", at=2).trusts(**both), "a2")
    yield ends(
        Chain("to a first key and back to it, and the first rotation is recorded once more")
        .opened(None)
        .rotated(None, "a1")
        .rotated("a1", "a2")
        .head("a2")
        .rotated("a2", "a1")
        .bad_rotation("a1", "a2", at=2)
        .trusts(**both),
        "a2",
    )
    yield ends(opened("the same key again").bad_rotation("a1", "a1"))
    yield ends(opened("a key of another name").bad_rotation("a1", "f1", of=A), "f1")
    yield ends(
        opened("a key of another name, and the header has that name").bad_rotation(
            "a1", "f1", origin=OTHER
        ),
        "f1",
    )
    witness = str(KEYS["thief"].cosigner)
    yield ends(opened("new is a witness's key").bad_rotation("a1", "thief", new=witness))
    yield ends(opened("new is no key").bad_rotation("a1", "thief", new="x"))
    text = f"{verifier('thief')}\n"
    yield ends(opened("new ends with a newline").bad_rotation("a1", "thief", new=text))
    yield ends(weak(opened("new is a key of small order, which signs everything")))
    yield ends(opened("signature_old is null").bad_rotation("a1", "thief", by_old=None))
    yield ends(opened("signature_old is not there").bad_rotation("a1", "thief", signature_old=...))
    yield ends(opened("signature_old is the new key's").bad_rotation("a1", "thief", by_old="thief"))
    yield ends(opened("signature_new is null").bad_rotation("a1", "thief", by_new=None))
    yield ends(opened("signature_new is not there").bad_rotation("a1", "thief", signature_new=...))
    yield ends(opened("signature_new is the old key's").bad_rotation("a1", "thief", by_new="a1"))
    open_ = rotation("a1", "thief", 2)["signature_old"].rstrip("=")
    yield ends(
        opened("signature_old is base64 in another form").bad_rotation(
            "a1", "thief", signature_old=open_
        )
    )
    yield ends(opened("in a user's stream").bad_rotation("a1", "thief", stream="User-1"))
    yield ends(opened("in another ledger's stream").bad_rotation("a1", "thief", stream="Ledger-f"))


def weak(chain: Chain) -> Chain:
    """Hand over to the key that is the neutral point: it verifies one signature of all texts."""
    new = VerifierKey(A, (1).to_bytes(32, "little"))
    message = statement(ROTATION, A, chain.next - 1, KEYS["a1"].verifier, new)
    base = bytes.fromhex("58" + 31 * "66")
    return chain.bad_rotation(
        "a1",
        "thief",
        new=str(new),
        signature_old=signature(KEYS["a1"], message),
        signature_new=base64.b64encode(base + (1).to_bytes(32, "little")).decode(),
    )


def bad_restores() -> Iterable[Chain]:
    """Yield ledgers in which a Restored event breaks the rule."""
    both = {"a1": "a1 a2", "a2": "a1 a2"}

    def ends(chain: Chain, usurper: str = "b1") -> Chain:
        return chain.user().head(chain.spans[-1][2] or "", good=True).head(usurper, good=False)

    yield ends(
        rotated_once("a retired key ends the origin").bad_restore(A, "a1", "b1").trusts(**both)
    )
    yield ends(
        rotated_once("a retired key ends the origin for the key in force")
        .bad_restore(A, "a2", "b1", by="a1")
        .trusts(**both)
    )
    yield ends(opened("a key that never was ends the origin").bad_restore(A, "thief", "b1"))
    yield ends(
        opened("a key that never was signs for the key in force").bad_restore(
            A, "a1", "b1", by="thief"
        )
    )
    yield ends(opened("the new key signs for the former").bad_restore(A, "a1", "b1", by="b1"))
    yield ends(
        opened("the key of a former origin ends the next")
        .restore(A, "a1", "b1")
        .bad_restore(B, "a1", "c1")
        .trusts(a1="a1 b1"),
        "c1",
    )
    yield ends(
        opened("a former origin is ended once more")
        .restore(A, "a1", "b1")
        .bad_restore(A, "a1", "c1")
        .trusts(a1="a1 b1"),
        "c1",
    )
    yield ends(opened("previous never was").bad_restore(OTHER, "a1", "b1"))
    yield ends(opened("key is null, and there is one").bad_restore(A, None, "b1"))
    yield (
        Chain("key is one, and there is none yet")
        .opened(None)
        .bad_restore(A, "a1", "b1")
        .head("b1", good=False)
    )
    yield (
        Chain("signature is there, and there is no key yet")
        .opened(None)
        .bad_restore(A, None, "b1", by="a1")
        .head("b1", good=False)
    )
    for words, size in {"too small": 1, "too large": 3, "a text": "2", "null": None}.items():
        yield ends(opened(f"size of the restore is {words}").bad_restore(A, "a1", "b1", at=size))
    yield ends(opened("the origin stays the same").bad_restore(A, "a1", "a2"), "a2")
    yield (
        opened("an origin comes back")
        .restore(A, "a1", "b1")
        .bad_restore(B, "b1", "a2")
        .user()
        .head("b1")
        .head("a2", good=False)
        .trusts(a1="a1 b1")
    )
    yield ends(
        opened("the new key has another name than the header").bad_restore(A, "a1", "b1", origin=C)
    )
    yield ends(opened("verifier_key is null").bad_restore(A, "a1", "b1", verifier_key=None))
    witness = str(KEYS["b1"].cosigner)
    yield ends(
        opened("verifier_key is a witness's key").bad_restore(A, "a1", "b1", verifier_key=witness)
    )
    yield ends(opened("abandoned is not a note").bad_restore(A, "a1", "b1", abandoned="x"))
    note = str(KEYS["a1"].note("no tree head\n"))
    yield ends(
        opened("abandoned is a note, but no tree head").bad_restore(A, "a1", "b1", abandoned=note)
    )
    yield ends(opened("abandoned is not there").bad_restore(A, "a1", "b1", abandoned=...))
    for words, agreed in {"beyond size": 3, "negative": -1, "a text": "1", "true": True}.items():
        yield ends(opened(f"agreed is {words}").bad_restore(A, "a1", "b1", agreed=agreed))
    yield ends(opened("restored in a user's stream").bad_restore(A, "a1", "b1", stream="User-1"))


def bad_lost_changes() -> Iterable[Chain]:
    """Yield ledgers in which what a Restored event lists breaks the rule."""
    rotated = lost("KeyRotated", A, 7, rotation("a1", "a2", 6))

    def case(name: str, changes: Any, last: tuple[str, str | None, str]) -> Chain:
        chain = opened(f"changes: {name}").bad_restore(*last, changes=changes)
        return chain.user().head("a1").head(last[2], good=False)

    after, renewed = (A, "a2", "b1"), (B, "b1", "c1")
    yield case("null", None, (A, "a1", "b1"))
    yield case("an object", {}, (A, "a1", "b1"))
    yield case("a text in the list", ["x"], (A, "a1", "b1"))
    yield case("another type", [lost("Updated", A, 7, {})], (A, "a1", "b1"))
    opening = lost("LedgerOpened", B, 1, {"verifier_key": verifier("b1")})
    yield case("a LedgerOpened", [opening], renewed)
    yield case("not applied to what previous and key are", [rotated], (A, "a1", "b1"))
    yield case("a key that the list does not lead to", [rotated], (A, "a3", "b1"))
    for name in ("type", "ledger", "position", "old", "new", "size", "signature_old"):
        part = {key: value for key, value in rotated.items() if key != name}
        yield case(f"a KeyRotated without {name}", [part], after)
    late = lost("KeyRotated", A, 6, rotation("a1", "a2", 6))
    yield case("a KeyRotated with a size beyond it", [late], after)
    yield case("a KeyRotated whose position is a text", [{**rotated, "position": "7"}], after)
    foreign = lost("KeyRotated", B, 7, rotation("a1", "a2", 6))
    yield case("a KeyRotated of another origin", [foreign], after)
    thief = lost("KeyRotated", A, 7, rotation("a3", "a2", 6))
    yield case("a KeyRotated by a key that never was", [thief], after)
    false = lost("KeyRotated", A, 7, rotation("a1", "a2", 6, by_old="a2"))
    yield case("a KeyRotated with a false signature", [false], after)
    yield case("a KeyRotated twice", [rotated, rotated], after)
    retired = lost("KeyRotated", A, 8, rotation("a1", "thief", 7))
    early = lost("KeyRotated", A, 7, rotation("a1", "a2", 0))
    yield case("a KeyRotated with a size before LedgerOpened", [early], after)
    back = lost("KeyRotated", A, 8, rotation("a2", "a1", 7))
    again = {**rotated, "position": 9}
    yield case("a KeyRotated once more after the way back", [rotated, back, again], after)
    below = lost("KeyRotated", A, 8, rotation("a2", "a3", 6))
    yield case("a KeyRotated with a size before the one before", [rotated, below], (A, "a3", "b1"))
    ended = lost("Restored", B, 8, restore(A, "a2", "b1", 7))
    renewal = lost("KeyRotated", B, 10, rotation("b1", "b2", 7))
    yield case(
        "a KeyRotated with a size before the Restored", [rotated, ended, renewal], (B, "b2", "c1")
    )
    yield case("a retired key hands over", [rotated, retired], (A, "thief", "b1"))
    by_retired = lost("Restored", B, 8, restore(A, "a1", "b1", 7))
    yield case("a retired key ends the origin", [rotated, by_retired], renewed)
    signed = lost("Restored", B, 8, restore(A, "a2", "b1", 7, by="a1"))
    yield case("a Restored with a false signature", [rotated, signed], renewed)
    sized = lost("Restored", B, 9, restore(A, "a2", "b1", 7))
    yield case("a Restored whose size is not its position", [rotated, sized], renewed)
    same = lost("Restored", A, 8, restore(A, "a2", "a3", 7))
    yield case("a Restored that keeps the origin", [rotated, same], (A, "a3", "b1"))
    wrong = lost("Restored", B, 4, restore(A, "a2", "b1", 3, changes=[retired]))
    yield case("a Restored whose own changes break the rule", [wrong], renewed)
    restored = lost("Restored", B, 7, restore(A, "a1", "b1", 6))
    yield case("the new origin was borne in lost events", [restored], (B, "b1", "b2"))
    yield (
        rotated_once("changes: a KeyRotated of the kept events once more, after the way back")
        .rotated("a2", "a1")
        .head("a1")
        .bad_restore(A, "a2", "b1", changes=[lost("KeyRotated", A, 9, rotation("a1", "a2", 2))])
        .user()
        .head("a1")
        .head("b1", good=False)
        .trusts(a1="a1 a2", a2="a1 a2")
    )
    yield (
        rotated_once("changes: a retired key of the kept events hands over")
        .bad_restore(
            A, "thief", "b1", changes=[lost("KeyRotated", A, 9, rotation("a1", "thief", 8))]
        )
        .user()
        .head("a2")
        .head("b1", good=False)
        .trusts(a1="a1 a2", a2="a1 a2")
    )


def bad_openings() -> Iterable[Chain]:
    """Yield ledgers that are opened twice, or not at all."""
    again = {"format": 1, "software": "test", "verifier_key": verifier("thief")}
    yield (
        opened("opened once more")
        .add("LedgerOpened", A, again, revision=2, good=False)
        .user()
        .head("a1")
        .head("thief", good=False)
    )
    other = {**again, "verifier_key": verifier("f1")}
    yield (
        opened("opened once more, in another stream, under another name")
        .add("LedgerOpened", OTHER, other, revision=2, stream="Ledger-f", good=False)
        .user()
        .head("a1")
        .head("f1", good=False)
    )
    yield (
        Chain("opened with a key of another name")
        .add("LedgerOpened", A, other, revision=2, good=False)
        .user(origin=A)
        .head("f1", good=False)
    )


def every() -> list[Chain]:
    kinds = (
        good_chains,
        chains_with_bad_heads,
        chains_with_lost_changes,
        bad_rotations,
        bad_restores,
        bad_lost_changes,
    )
    return [chain for kind in (*kinds, bad_openings) for chain in kind()]


def document() -> str:
    """Return the text of the file."""
    found = {
        "about": paragraphs(ABOUT),
        "keys": {name: str(key.verifier) for name, key in KEYS.items()},
        "cases": [chain.as_object() for chain in every()],
    }
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(document(), encoding="utf-8")
