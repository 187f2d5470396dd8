"""Restored ledgers against all that others hold of them: by this program, and by earlier ones."""

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ledger.contract import Append
from ledger.events import CREATED, RESTORED, Event
from ledger.ledger_stream import next_append
from ledger.signing.key_rule import RECOVERY, signature, statement
from ledger.signing.keys import HEAD_FILE, KEY_FILE, Keys
from ledger.signing.known_heads import HeadSources
from ledger.signing.note import KnownHead, Note, SigningKey, TreeHead
from ledger.signing.rollback import Superseded, must_be_newest
from ledger.signing.tree_heads import TreeHeads
from ledger.sqlite.backup import backup
from ledger.sqlite.ledger import SQLiteLedger
from ledger.verify.report import Options, Report
from ledger.verify.verifier import verify
from tests.ledger.signed import metadata

B, C = (SigningKey(f"acme/{each * 16}", os.urandom(32)) for each in "bc")


@dataclass
class Operator:
    """A ledger, a witness that keeps every head of it, and the ways to lose events."""

    path: Path
    held: Path
    ledger: SQLiteLedger = field(init=False)
    lost: list[Mapping[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        (self.held / "heads").mkdir(parents=True)
        self.open()

    def open(self) -> None:
        self.ledger = SQLiteLedger(self.path)

    @property
    def heads(self) -> TreeHeads:
        return TreeHeads(self.ledger, Keys(self.path.parent))

    @property
    def sources(self) -> HeadSources:
        return HeadSources(witness=self.held)

    def record(self, count: int = 1) -> None:
        for _ in range(count):
            stream = f"Note-{os.urandom(8).hex()}"
            self.ledger.append([Append(stream, 0, [Event(CREATED, {})])], metadata())

    def sign(self) -> TreeHead:
        """Sign a head, which the witness keeps."""
        note = self.heads.sign().note
        head = TreeHead.parse(note)
        self.hold(note)
        return head

    def hold(self, note: str) -> None:
        number = len(list((self.held / "heads").iterdir())) + 1
        size = TreeHead.parse(note).size
        (self.held / "heads" / f"{number:010}-{size}.tree-head").write_text(note)

    def backup(self, name: str) -> Path:
        copy = self.path.with_name(name)
        backup(self.path, copy, lambda done, every: None)
        return copy

    def put_back(self, copy: Path) -> None:
        self.ledger.close()
        for file in self.path.parent.glob("ledger.db*"):
            file.unlink()
        shutil.copy(copy, self.path)
        self.open()

    def key(self) -> SigningKey:
        return SigningKey.parse((self.path.parent / KEY_FILE).read_text())

    def newest(self) -> Note:
        return Note.parse((self.path.parent / HEAD_FILE).read_text())

    def restored(
        self,
        new: SigningKey,
        by: SigningKey | None,
        changes: Sequence[Mapping[str, Any]] | None = None,
        **said: Any,
    ) -> None:
        """Record a Restored event; without `changes` as the first version of the program did."""
        identity, size = self.heads.identity(), self.ledger.last_position()
        previous, key = said.get("previous", identity.origin), identity.key
        if "key" in said:
            key = said["key"]
        message = statement(RECOVERY, previous, size, key, new.verifier)
        effects = {
            "previous": previous,
            "abandoned": str(said.get("abandoned", self.newest())),
            "size": size,
            "verifier_key": str(new.verifier),
            "key": str(key),
            "signature": signature(by, message) if by else None,
        }
        if changes is not None:
            effects |= {"changes": [*changes], "agreed": said.get("agreed")}
        self.ledger.rename(new.name, next_append(self.ledger, Event(RESTORED, effects)), metadata())
        (self.path.parent / KEY_FILE).write_text(new.private_text())

    def last_change(self) -> dict[str, Any]:
        """Return the newest event of the ledger's own stream as `changes` lists it."""
        *_, last = self.ledger.walk_stream(f"Ledger-{self.ledger.tenant}")
        origin = self.ledger.origin
        return {"type": last.type, "ledger": origin, "position": last.position, **last.effects}

    def verify(self, *brought: Note) -> Report:
        own = KnownHead(HEAD_FILE, self.newest())
        heads = [KnownHead("brought", note) for note in brought]
        return verify(self.path, options=Options(heads, own=own, sources=self.sources, processes=1))

    def start(self) -> None:
        """Do what a service does with what others hold; raises Superseded."""
        known = [KnownHead("x", Note.parse(f.read_text())) for f in (self.held / "heads").iterdir()]
        must_be_newest(self.heads, known)


@pytest.fixture
def operator(ledger_path: Path, tmp_path: Path) -> Operator:
    found = Operator(ledger_path, tmp_path / "witness")
    found.record(2)
    found.sign()
    return found


def words(report: Report) -> str:
    return " | ".join(map(str, report.findings))


def test_an_old_restore_of_a_backup_from_before_a_rotation_verifies_with_notes(
    operator: Operator,
) -> None:
    copy = operator.backup("copy.db")
    operator.heads.rotate(metadata())
    operator.record(3)
    lost = operator.sign()
    operator.put_back(copy)

    operator.restored(B, None)
    operator.sign()

    report = operator.verify()
    assert words(report) == ""
    assert any(f"size {lost.size}" in note and "no key named" in note for note in report.notes)
    operator.start()


def test_an_old_restore_of_a_backup_from_before_another_verifies_with_notes(
    operator: Operator,
) -> None:
    copy, key = operator.backup("copy.db"), operator.key()
    operator.restored(B, key)
    operator.record(3)
    operator.sign()
    operator.put_back(copy)

    operator.restored(C, None)
    operator.sign()

    report = operator.verify()
    assert words(report) == ""
    assert any(B.name in note and "no key named" in note for note in report.notes)
    operator.start()


def test_a_lost_rotation_that_is_listed_leads_on_and_its_heads_are_admitted(
    operator: Operator,
) -> None:
    first, copy = operator.key().verifier, operator.backup("copy.db")
    operator.heads.rotate(metadata())
    change, second = operator.last_change(), operator.key()
    operator.record(3)
    lost = operator.sign()
    operator.put_back(copy)

    operator.restored(B, second, [change], key=second.verifier)
    operator.sign()

    report = operator.verify()
    assert (words(report), report.notes) == ("", [])
    assert lost in [each.head for each in report.held]
    for given in (first, second.verifier):
        assert verify(operator.path, options=Options(keys=[given])).good
    operator.start()


def test_a_lost_restore_that_is_listed_leads_on_and_admits_the_heads_of_both_origins(
    operator: Operator,
) -> None:
    first, copy = operator.key(), operator.backup("copy.db")
    operator.record(2)
    operator.sign()
    operator.restored(B, first, [], abandoned=operator.newest())
    change = operator.last_change()
    operator.record(3)
    operator.sign()
    operator.put_back(copy)

    operator.restored(C, B, [change], previous=B.name, key=B.verifier)
    operator.sign()

    report = operator.verify()
    assert (words(report), report.notes) == ("", [])
    assert {each.head.origin for each in report.held} == {first.name, B.name, C.name}
    assert verify(operator.path, options=Options(keys=[first.verifier])).good
    operator.start()


@pytest.mark.parametrize("more", [0, 1])
def test_a_head_of_a_former_origin_may_be_as_large_as_is_admitted(
    more: int, operator: Operator
) -> None:
    copy, key = operator.backup("copy.db"), operator.key()
    operator.record(3)
    admitted = operator.newest() if more else None
    if more:
        operator.sign()
    lost = operator.sign()
    operator.put_back(copy)
    operator.restored(B, key, [], abandoned=admitted or operator.newest())
    operator.sign()

    report = operator.verify()

    assert report.good is not bool(more)
    if more:
        assert f"expected one of {lost.size} events" in words(report)
        with pytest.raises(Superseded):
            operator.start()


def test_two_histories_under_one_name_agree_with_the_heads_of_both(operator: Operator) -> None:
    copy, key, agreed = operator.backup("copy.db"), operator.key(), operator.ledger.last_position()
    operator.record(5)
    lost = operator.newest(), operator.sign()
    abandoned = operator.newest()
    operator.put_back(copy)
    (operator.path.parent / HEAD_FILE).unlink()
    operator.record(2)
    here = operator.sign()
    operator.record(1)
    operator.restored(B, key, [], abandoned=abandoned, agreed=agreed)
    operator.sign()

    report = operator.verify()

    assert words(report) == ""
    [restore] = report.restores
    assert (restore.agreed, restore.missing) == (agreed, lost[1].size - agreed)
    assert here.size < lost[1].size
    operator.start()
    assert not operator.verify(abandoned).good  # an auditor's head covers events that are lost


def test_a_head_over_events_that_are_said_to_be_kept_must_agree(operator: Operator) -> None:
    key, size = operator.key(), operator.ledger.last_position()
    other = key.note(TreeHead(key.name, size, bytes(32)).text)
    operator.restored(B, key, [], abandoned=other)
    operator.sign()
    operator.hold(str(other))

    report = operator.verify()

    assert "root of the tree head that was abandoned" in words(report)
    assert "the tree head in the witness" in words(report)


def test_a_ledger_whose_changed_events_were_accepted_can_sign_again(operator: Operator) -> None:
    copy, key = operator.backup("copy.db"), operator.key()
    operator.record(1)
    size = operator.sign().size
    changed = operator.newest()
    operator.put_back(copy)
    operator.record(1)
    operator.ledger.add_head(size, str(changed))
    operator.restored(B, key, abandoned=changed)  # and cut off before a head was signed

    operator.start()

    assert operator.sign().origin == B.name
    assert "it was changed" in words(operator.verify())


def test_a_retired_key_signs_no_head_that_others_hold(operator: Operator) -> None:
    retired = operator.key()
    operator.heads.rotate(metadata())
    operator.sign()
    forged = retired.note(TreeHead(retired.name, 99, bytes(32)).text)
    operator.hold(str(forged))

    report = operator.verify()

    assert report.good
    assert [each.head.size for each in report.held] == [operator.ledger.last_position()]
    assert not operator.verify(forged).good
