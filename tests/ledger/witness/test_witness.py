"""Following a log's keys: only rotations signed by both keys and in the tree count."""

import base64
import hashlib
from typing import Any

import pytest

from ledger import codec, merkle
from ledger.events import KEY_ROTATED, Event, Metadata, Recorded
from ledger.signing.key_rule import ROTATION, statement
from ledger.signing.note import Note, SigningKey, TreeHead, VerifierKey
from ledger.witness.witness import followed

ORIGIN = "acme/0123456789abcdef"
OLD, NEW, OTHER = (SigningKey(ORIGIN, bytes([n]) * 32) for n in (1, 2, 3))
SALT = bytes(32)


def rotation(**changed: Any) -> dict[str, Any]:
    """Return a KeyRotated event as the API shows it: the first of a log, true to its payload."""
    message = statement(ROTATION, ORIGIN, 0, OLD.verifier, NEW.verifier)
    payload = {
        "old": str(OLD.verifier),
        "new": str(NEW.verifier),
        "size": 0,
        "signature_old": signed(OLD, message),
        "signature_new": signed(NEW, message),
        **changed,
    }
    payload = codec.payload_of(Event(KEY_ROTATED, payload), Metadata("operator", "cli", "t"))
    at = "2026-11-25T10:00:00.000000Z"
    recorded = Recorded(1, "i", "Ledger-1", 1, KEY_ROTATED, 1, at, "t", "operator", "cli", payload)
    bound = codec.commitment(payload, SALT).hex()
    header = codec.header_bytes(ORIGIN, recorded, len(payload), bound)
    return {"header": header.decode(), "payload": payload, "salt": SALT.hex()}


def signed(key: SigningKey, message: bytes) -> str:
    return base64.b64encode(key.sign(message)).decode()


def follow(event: dict[str, Any], by: SigningKey = NEW, leaf: bytes | None = None) -> Any:
    """Follow the old key to the one that signed a head over that event alone."""
    leaf = leaf or merkle.leaf_hash(event["header"].encode())
    note: Note = by.note(TreeHead(ORIGIN, 1, leaf).text)
    return followed(OLD.verifier, note, [event], lambda height, number: leaf)


def test_a_rotation_that_both_keys_signed_leads_to_the_new_key() -> None:
    event = rotation()

    assert follow(event) == (NEW.verifier, [event])


def test_a_head_by_a_third_key_is_not_led_to() -> None:
    assert follow(rotation(), by=OTHER) is None


MESSAGE = statement(ROTATION, ORIGIN, 0, OLD.verifier, NEW.verifier)
ELSEWHERE = VerifierKey("other/0123456789abcdef", NEW.verifier.public)


@pytest.mark.parametrize(
    "changed",
    [
        {"signature_old": signed(OTHER, MESSAGE)},
        {"signature_new": signed(OTHER, MESSAGE)},
        {"signature_old": None},
        {"signature_new": "x"},
        {"size": 1},
        {"size": "a"},
        {"old": str(OTHER.verifier)},
        {"old": None},
        {"new": str(ELSEWHERE)},
        {"new": 1},
    ],
    ids=str,
)
def test_a_rotation_that_says_otherwise_leads_nowhere(changed: dict[str, Any]) -> None:
    assert follow(rotation(**changed)) is None


def test_a_rotation_that_the_tree_does_not_have_leads_nowhere() -> None:
    assert follow(rotation(), leaf=hashlib.sha256(b"x").digest()) is None


@pytest.mark.parametrize("lacking", ["header", "payload", "salt"])
def test_an_event_that_is_not_whole_leads_nowhere(lacking: str) -> None:
    event = rotation()
    del event[lacking]
    leaf = merkle.leaf_hash(rotation()["header"].encode())

    assert follow(event, leaf=leaf) is None
