"""Following a log's keys: by the rule only, and only by events that the tree under the head has."""

import copy
import hashlib
import json
from typing import Any

import pytest

from ledger import merkle
from ledger.signing.note import Note, TreeHead, VerifierKey
from ledger.witness.history import history_under
from ledger.witness.remote_log import RemoteLog
from tests.ledger.signing.key_chains import FILE

PUBLISHED = json.loads(FILE.read_text(encoding="utf-8"))
KEYS = {name: VerifierKey.parse(text) for name, text in PUBLISHED["keys"].items()}
CASES = {case["case"]: case for case in PUBLISHED["cases"]}
ROTATED = CASES["rotated once"]


class Told(RemoteLog):
    """A log that shows some lines, with the tree that belongs to them."""

    def __init__(self, lines: list[dict[str, Any]]) -> None:
        super().__init__("http://127.0.0.1:1")
        self.lines = copy.deepcopy(lines)
        self.leaves = [merkle.leaf_hash(each["header"].encode()) for each in lines]

    def events(self, type_: str) -> list[Any]:
        return [each for each in self.lines if f'"type":"{type_}"' in each.get("header", "")]

    def node(self, size: int) -> merkle.Node:
        def node(height: int, number: int) -> bytes:
            start = number << height
            return merkle.tree_hash(self.leaves[start : start + (1 << height)])

        return node


def newest(case: dict[str, Any]) -> list[tuple[Note, list[str]]]:
    """Return the heads over all events of a case, and the keys that are enough to trust each."""
    notes = ((Note.parse(each["note"]), each["good_with"]) for each in case["heads"])
    return [(note, good) for note, good in notes if TreeHead.of(note).size == len(case["lines"])]


def follows(log: RemoteLog, note: Note, given: VerifierKey) -> bool:
    history = history_under(note, log)
    return history is not None and history.way(given) is not None


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if newest(case)])
def test_a_key_is_followed_to_the_heads_that_it_is_enough_to_trust(name: str) -> None:
    log = Told(CASES[name]["lines"])

    for note, good in newest(CASES[name]):
        assert [given for given, key in KEYS.items() if follows(log, note, key)] == good


def rotated() -> tuple[Told, Note]:
    log, heads = Told(ROTATED["lines"]), newest(ROTATED)
    note = next(note for note, good in heads if "a1" in good)
    assert follows(log, note, KEYS["a1"])
    return log, note


def test_an_event_that_the_tree_does_not_have_leads_nowhere() -> None:
    log, note = rotated()
    log.leaves = [hashlib.sha256(each).digest() for each in log.leaves]

    assert not follows(log, note, KEYS["a1"])


@pytest.mark.parametrize("lacking", ["header", "payload", "salt"])
def test_an_event_that_is_not_whole_leads_nowhere(lacking: str) -> None:
    log, note = rotated()
    for each in log.lines:
        del each[lacking]

    assert not follows(log, note, KEYS["a1"])


def test_an_event_with_another_payload_leads_nowhere() -> None:
    log, note = rotated()
    for each in log.lines:
        each["payload"]["more"] = 1

    assert not follows(log, note, KEYS["a1"])


def test_nothing_of_the_tree_is_asked_for_a_head_that_no_key_of_the_log_signed() -> None:
    log, note = rotated()
    del log.leaves

    assert history_under(Note(note.text, ()), log) is None
