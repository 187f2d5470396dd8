"""How a file of a head or a key was saved matters to nobody who reads it."""

import shutil
from contextlib import closing
from pathlib import Path

import pytest

from ledger.signing.forks import Histories
from ledger.signing.identity import Identity, identity_of
from ledger.signing.keys import Keys
from ledger.signing.known_heads import HeadSources, newest_trusted
from ledger.signing.note import Note, TreeHead
from ledger.verify.workers import open_rows
from ledger.witness.state import WitnessFolder
from tests.ledger.saved import HARMLESS, Save
from tests.ledger.signed import SIZE


def identity(path: Path) -> Identity:
    with closing(open_rows(path)) as rows:
        return identity_of(rows.own_stream(), rows.origin())


def save(folder: Path, how: Save, pattern: str = "*") -> None:
    """Save files of a folder again."""
    for file in folder.rglob(pattern):
        if file.is_file():
            file.write_bytes(how(file.read_bytes()))


def hold(note: Note, folder: Path) -> None:
    """Hold a head as an anchor and a witness do."""
    folder.mkdir(parents=True)
    (folder / f"0000000007-{SIZE}.tree-head").write_text(str(note), encoding="utf-8")


@pytest.mark.parametrize("form", HARMLESS)
def test_the_key_and_the_head_next_to_it(signed: Path, form: str) -> None:
    keys, names = Keys(signed.parent), identity(signed)
    note, in_force = keys.remembered(), names.key_at(SIZE)
    assert note and in_force
    key = keys.find(in_force)

    save(signed.parent, HARMLESS[form], "signing.*")

    assert keys.remembered() == note
    assert keys.find(in_force) == key
    assert keys.at_hand(names.origin) == keys.search(in_force).verifier == in_force  # type: ignore[union-attr]
    shutil.copy(keys.file, keys.folder / "signing.key.next")
    keys.settle()
    assert keys.find(in_force) == key
    assert not list(keys.folder.glob("signing.key.*"))  # none that was taken for another's


@pytest.mark.parametrize("form", HARMLESS)
@pytest.mark.parametrize("role", ["anchor", "witness"])
def test_the_heads_that_others_hold(signed: Path, tmp_path: Path, form: str, role: str) -> None:
    names, note = identity(signed), Keys(signed.parent).remembered()
    assert note
    held = tmp_path / "held"
    hold(note, held / ("heads" if role == "witness" else names.origin.partition("/")[2]))
    sources = HeadSources(**{role: held})

    save(held, HARMLESS[form])

    found, _, warnings = newest_trusted(sources, names)
    histories = Histories(sources, names, lambda head: False)
    assert [each.note for each in found] == [note]
    assert [each.note for each in histories.differing] == [note]
    assert not warnings


@pytest.mark.parametrize("form", HARMLESS)
def test_an_anchors_answer(signed: Path, form: str) -> None:
    note = Keys(signed.parent).remembered()
    answer = HARMLESS[form](str(note).encode())
    sources = HeadSources(url="http://127.0.0.1:1", ask=lambda url: answer)

    found, *_ = newest_trusted(sources, identity(signed))

    assert [each.note for each in found] == [note]


@pytest.mark.parametrize("form", HARMLESS)
def test_what_a_witness_remembers(signed: Path, tmp_path: Path, form: str) -> None:
    names, note = identity(signed), Keys(signed.parent).remembered()
    in_force = names.key_at(SIZE)
    assert note and in_force
    folder = WitnessFolder(tmp_path / "witness")
    key = folder.key("witness.example.com")
    folder.pin(in_force, "given", [])
    folder.keep(note)
    refused = folder.refuse(note, note, "as a test")

    save(folder.path, HARMLESS[form])

    assert folder.key(None) == key
    assert [pin.key for pin in folder.pins()] == [in_force]
    assert folder.newest() == note
    assert folder.refused(TreeHead.of(note).origin) == refused
