"""docs/key-chains.json: what its generator gives, and what the fold over a ledger finds in it."""

import json
from typing import Any

import pytest

from ledger.codec import canonical
from ledger.contract import RawEvent
from ledger.signing.identity import Identity, identity_of
from ledger.signing.note import Note, TreeHead, VerifierKey
from tests.ledger.signing.key_chains import FILE, document

PUBLISHED = json.loads(FILE.read_text(encoding="utf-8"))
KEYS = {name: VerifierKey.parse(text) for name, text in PUBLISHED["keys"].items()}
NAMES = {key: name for name, key in KEYS.items()}
CASES = {case["case"]: case for case in PUBLISHED["cases"]}


def fold(case: dict[str, Any]) -> Identity:
    """Fold all events of a case; those of other types and streams are in it too."""
    return identity_of(
        (
            RawEvent(position, line["header"].encode(), b"", b"", canonical(line["payload"]))
            for position, line in enumerate(case["lines"], 1)
        ),
        "",
    )


def test_the_published_file_is_what_its_generator_gives() -> None:
    assert FILE.read_text(encoding="utf-8") == document()


@pytest.mark.parametrize("name", CASES)
def test_the_events_that_break_the_rule_and_no_others_are_found(name: str) -> None:
    found = fold(CASES[name]).findings

    assert [finding.position for finding in found] == CASES[name]["broken"]


@pytest.mark.parametrize("name", CASES)
def test_origins_and_keys_in_force_are_those_that_are_expected(name: str) -> None:
    identity, spans = fold(CASES[name]), CASES[name]["spans"]

    at = [each["since"] for each in spans]
    assert [identity.origin_at(size) for size in at] == [each["origin"] for each in spans]
    keys = [NAMES.get(key) if (key := identity.key_at(size)) else None for size in at]
    assert keys == [each["key"] for each in spans]
    last = (identity.origin or None, identity.key and NAMES[identity.key])
    assert last == (CASES[name]["origin"], CASES[name]["key"])
    assert {*identity.origins, *identity.keys} == {
        *((each["since"], each["origin"]) for each in spans if begins(each, "origin", spans)),
        *((each["since"], KEYS[each["key"]]) for each in spans if begins(each, "key", spans)),
    } or not spans


def begins(span: dict[str, Any], what: str, spans: list[dict[str, Any]]) -> bool:
    """Return whether an origin or a key begins with a span."""
    before = [each for each in spans if each["since"] < span["since"]]
    return bool(span[what]) and (not before or before[-1][what] != span[what])


@pytest.mark.parametrize("name", CASES)
def test_restores_are_those_that_count(name: str) -> None:
    restores = [each for each in fold(CASES[name]).restores if not each.lost]

    found = [{"position": each.position, "signed": each.signed} for each in restores]
    assert found == CASES[name]["restored"]


@pytest.mark.parametrize("name", CASES)
def test_trust_in_a_key_reaches_those_that_are_expected_and_no_others(name: str) -> None:
    identity, trusted = fold(CASES[name]), CASES[name]["trusted"]

    for given, key in KEYS.items():
        reached = {NAMES[each] for each in identity.trusted([key])}
        assert reached == {*trusted.get(given, [given])}


@pytest.mark.parametrize("name", CASES)
def test_a_head_is_good_with_the_keys_that_are_expected(name: str) -> None:
    identity = fold(CASES[name])

    for each in CASES[name]["heads"]:
        note = Note.parse(each["note"])
        head = TreeHead.of(note)
        here = identity.origin_at(head.size) == head.origin  # it is not of events that were lost
        signers = {k for k in identity.signers(head.origin, head.size) if note.signed_by(k)}
        trusted = {given: {*identity.trusted([key])} for given, key in KEYS.items()}
        good = [given for given in KEYS if here and trusted[given] & signers]
        assert good == each["good_with"]
