"""The fold over a ledger's own stream: who it was, with which keys, and which links are broken."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from ledger.contract import RawEvent
from ledger.events import EXPORTED, KEY_ROTATED, LEDGER_OPENED, RESTORED
from ledger.signing.identity import Identity, identity_of, in_force
from ledger.signing.key_rule import RECOVERY, ROTATION, signature, statement
from ledger.signing.note import SigningKey, TreeHead

FIRST, SECOND = "acme/0123456789abcdef", "acme/fedcba9876543210"
OLD, NEW, STRANGER = (SigningKey(FIRST, bytes([n]) * 32) for n in (1, 2, 3))
RESTORED_KEY = SigningKey(SECOND, bytes([4]) * 32)
ABANDONED = NEW.note(TreeHead(FIRST, 70, bytes(32)).text)


def event(position: int, type_: str, origin: str, payload: Mapping[str, Any] | None) -> RawEvent:
    header = json.dumps({"type": type_, "ledger": origin, "stream": "Ledger-1"}).encode()
    body = None if payload is None else json.dumps(payload).encode()
    return RawEvent(position, header, b"", b"", body)


def opened(**changes: Any) -> RawEvent:
    return event(1, LEDGER_OPENED, FIRST, {"verifier_key": str(OLD.verifier), **changes})


def rotated(**changes: Any) -> RawEvent:
    message = statement(ROTATION, FIRST, 40, OLD.verifier, NEW.verifier)
    payload = {
        "old": str(OLD.verifier),
        "new": str(NEW.verifier),
        "size": 40,
        "signature_old": signature(OLD, message),
        "signature_new": signature(NEW, message),
    }
    return event(41, KEY_ROTATED, FIRST, payload | changes)


def restored(**changes: Any) -> RawEvent:
    message = statement(RECOVERY, FIRST, 60, NEW.verifier, RESTORED_KEY.verifier)
    payload = {
        "previous": FIRST,
        "abandoned": str(ABANDONED),
        "size": 60,
        "verifier_key": str(RESTORED_KEY.verifier),
        "key": str(NEW.verifier),
        "signature": signature(NEW, message),
    }
    return event(61, RESTORED, SECOND, payload | changes)


def whole() -> Identity:
    return identity_of([opened(), event(5, EXPORTED, FIRST, {}), rotated(), restored()], SECOND)


def test_origins_and_keys_are_in_force_from_the_event_that_names_them() -> None:
    identity = whole()

    assert identity.findings == []
    assert [identity.origin_at(size) for size in (1, 60, 61)] == [FIRST, FIRST, SECOND]
    keys = [identity.key_at(size) for size in (1, 40, 41, 60, 61)]
    expected = [OLD, OLD, NEW, NEW, RESTORED_KEY]
    assert keys == [key.verifier for key in expected]
    assert (identity.origin, identity.key) == (SECOND, RESTORED_KEY.verifier)


def test_a_restore_says_what_was_kept_and_what_is_admitted_to_be_lost() -> None:
    restore = whole().restore_of(FIRST)

    assert restore is not None
    assert (restore.agreed, restore.admitted, restore.missing, restore.signed) == (60, 70, 10, True)
    assert whole().end_of(FIRST) == 60
    assert whole().end_of(SECOND) is None


def test_trust_passes_from_key_to_key_where_the_old_one_signed() -> None:
    unsigned = identity_of([opened(), rotated(), restored(signature=None)], SECOND)

    assert whole().trusted([OLD.verifier])[-1] == RESTORED_KEY.verifier
    assert whole().trusted([NEW.verifier])[-1] == OLD.verifier
    assert whole().trusted([RESTORED_KEY.verifier]) == [RESTORED_KEY.verifier]
    assert whole().trusted([STRANGER.verifier]) == [STRANGER.verifier]
    assert unsigned.trusted([OLD.verifier]) == [OLD.verifier, NEW.verifier]


@pytest.mark.parametrize(
    ("broken", "what"),
    [
        (rotated(old=str(STRANGER.verifier)), "key before"),
        (rotated(old=None), "key before"),
        (rotated(size=41), "size at the rotation"),
        (rotated(size="40"), "size at the rotation"),
        (rotated(signature_old=signature(STRANGER, b"x")), "signature of the old key"),
        (rotated(signature_new="no base64"), "signature of the new key"),
        (rotated(new="no key"), "payload of KeyRotated"),
        (event(41, KEY_ROTATED, FIRST, None), "event"),
        (restored(previous=SECOND), "origin before"),
        (restored(size=59), "events that were kept"),
        (restored(key=None), "key before"),
        (restored(signature=signature(OLD, b"x")), "signature of the former key"),
        (restored(verifier_key=str(STRANGER.verifier)), "name of the verifier key"),
        (restored(abandoned="no note"), "payload of Restored"),
    ],
    ids=map(str, range(14)),
)
def test_an_event_that_breaks_the_rule_is_found_and_hands_over_nothing(
    broken: RawEvent, what: str
) -> None:
    before = [opened()] if broken.position == 41 else [opened(), rotated()]

    identity = identity_of([*before, broken], FIRST)

    assert [(each.position, each.what) for each in identity.findings] == [(broken.position, what)]
    assert (identity.origin, identity.key) == (FIRST, identity_of(before, FIRST).key)


def test_an_origin_was_restored_without_its_key_if_that_did_not_sign() -> None:
    identity = identity_of([opened(), rotated(), restored(signature=None)], SECOND)

    assert identity.findings == []
    assert [restore.signed for restore in identity.restores] == [False]


def test_an_event_that_is_no_json_is_found_and_the_rest_is_read() -> None:
    torn = RawEvent(5, b"\xff", b"", b"", None)

    identity = identity_of([opened(), torn, rotated()], FIRST)

    assert [finding.position for finding in identity.findings] == [5]
    assert identity.key == NEW.verifier


def test_a_ledger_without_events_has_the_origin_of_its_store_and_no_key() -> None:
    identity = identity_of([], FIRST)

    assert (identity.origin, identity.key, identity.key_at(1)) == (FIRST, None, None)


def test_nothing_is_in_force_before_the_first_span() -> None:
    assert in_force([(5, "a"), (9, "b")], 4) is None
    assert in_force([(5, "a"), (9, "b")], 9) == "b"
