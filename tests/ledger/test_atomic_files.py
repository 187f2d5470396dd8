"""Names of files and folders reach the disk, so a power cut cannot lose them."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.create import create
from ledger.events import Metadata
from ledger.signing.anchors import FolderAnchor
from ledger.signing.keys import Keys
from ledger.signing.tree_heads import TreeHeads
from ledger.sqlite.backup import backup
from ledger.sqlite.ledger import SQLiteLedger
from ledger.witness.state import WitnessFolder

Synced = Callable[[], set[str]]


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> Synced:
    """Return a function that gives the paths that were brought to the disk."""
    seen, fsync = set(), os.fsync

    def note(descriptor: int) -> None:
        seen.add(os.readlink(f"/proc/self/fd/{descriptor}"))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    return lambda: seen


def folders(*paths: Path) -> set[str]:
    return {str(path) for path in paths}


def test_each_folder_made_for_a_ledger_is_synced_in_the_one_above(
    tmp_path: Path, metadata: Metadata, synced: Synced
) -> None:
    path = tmp_path / "var" / "data" / "acme" / "ledger.db"
    keys = Keys(tmp_path / "keys" / "acme")

    create(path, "acme", software="scim-ledger test", metadata=metadata, keys=keys)

    made = folders(tmp_path, tmp_path / "var", tmp_path / "var" / "data", path.parent)
    assert made | folders(tmp_path / "keys", keys.folder) <= synced()


def test_the_folder_of_a_backup_is_synced(
    ledger_path: Path, tmp_path: Path, synced: Synced
) -> None:
    target = tmp_path / "backups"
    target.mkdir()

    backup(ledger_path, target / "backup.db", lambda done, all_: None)

    assert folders(target) <= synced()


def test_the_folder_of_an_anchor_is_synced_and_the_one_above(
    ledger: SQLiteLedger, tmp_path: Path, synced: Synced
) -> None:
    heads = TreeHeads(ledger, Keys(ledger.path.parent))
    root = tmp_path / "worm"
    root.mkdir()
    anchor = FolderAnchor(heads, root)

    anchor.step()

    [file] = anchor.folder.iterdir()
    assert folders(root, anchor.folder, file) <= synced()


def test_a_head_that_lay_in_an_anchor_already_is_synced_before_it_counts(
    ledger: SQLiteLedger, tmp_path: Path, synced: Synced
) -> None:
    heads = TreeHeads(ledger, Keys(ledger.path.parent))
    (tmp_path / "worm").mkdir()
    anchor = FolderAnchor(heads, tmp_path / "worm")
    anchor.step()
    [file] = anchor.folder.iterdir()
    anchor.state_file.unlink()
    synced().clear()

    anchor.step()

    assert folders(anchor.folder, file) <= synced()


def test_each_folder_of_a_witness_is_synced_in_the_one_above(
    tmp_path: Path, synced: Synced
) -> None:
    WitnessFolder(tmp_path / "a" / "witness").key("witness.example")

    assert folders(tmp_path, tmp_path / "a", tmp_path / "a" / "witness") <= synced()
