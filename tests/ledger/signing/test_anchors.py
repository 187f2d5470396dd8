"""Anchors: every head is delivered in order and never rewritten; which heads are trusted."""

import base64
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger import clock
from ledger.events import CREATED, Event
from ledger.http_client import RemoteTrouble
from ledger.signing import anchors, known_heads
from ledger.signing.anchors import AnchorTrouble, FolderAnchor, UrlAnchor
from ledger.signing.keys import Keys
from ledger.signing.note import KnownHead, Note, SigningKey, TreeHead
from ledger.signing.rollback import Superseded, contradictions, must_be_newest
from ledger.signing.tree_heads import TreeHeads
from ledger.sqlite.ledger import SQLiteLedger
from tests.ledger.signed import renew
from tests.scim_api.process import free_port
from tests.scim_api.served import answering, served


@pytest.fixture
def heads(ledger: SQLiteLedger, metadata: Any) -> TreeHeads:
    found = TreeHeads(ledger, Keys(ledger.path.parent))
    found.introduce(metadata)
    found.sign()
    return found


@pytest.fixture
def grow(heads: TreeHeads, record: Any) -> Callable[[int], None]:
    def grow(count: int) -> None:
        for _ in range(count):
            record(f"Note-{clock.uuid7()}", Event(CREATED, {"x": 1}))
            heads.sign()

    return grow


@pytest.fixture
def worm(tmp_path: Path) -> Path:
    folder = tmp_path / "worm"
    folder.mkdir()
    return folder


def deliver(anchor: anchors.Anchor) -> None:
    while anchor.step():
        pass


def names(folder: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in sorted(folder.iterdir())}


# The folder


def test_every_head_becomes_a_file_that_nobody_may_write(heads, grow, worm) -> None:
    grow(3)
    anchor = FolderAnchor(heads, worm)
    assert anchor.pending() == 4

    deliver(anchor)

    assert anchor.pending() == 0
    assert names(worm / heads.ledger.tenant) == {
        f"{each.number:010}-{each.size}.tree-head": each.note for each in heads.every()
    }
    assert {f.stat().st_mode & 0o777 for f in anchor.folder.iterdir()} == {0o444}


def test_more_heads_than_fit_into_a_step_are_delivered_step_by_step(
    heads, grow, worm, monkeypatch
) -> None:
    monkeypatch.setattr(anchors, "AT_ONCE", 2)
    grow(4)
    anchor = FolderAnchor(heads, worm)

    assert anchor.step()
    assert anchor.pending() == 3
    deliver(anchor)
    assert anchor.pending() == 0


def test_a_process_that_begins_again_goes_on_where_the_last_was(heads, grow, worm) -> None:
    deliver(FolderAnchor(heads, worm))
    [first] = (worm / heads.ledger.tenant).iterdir()
    first.unlink()
    grow(1)

    deliver(FolderAnchor(heads, worm))

    assert [f.name[:10] for f in (worm / heads.ledger.tenant).iterdir()] == ["0000000002"]


def test_existing_files_stay_unchanged_when_the_state_is_lost(heads, grow, worm) -> None:
    grow(2)
    anchor = FolderAnchor(heads, worm)
    deliver(anchor)
    before = {f: (f.read_text(), f.stat().st_mtime_ns) for f in anchor.folder.iterdir()}
    anchor.state_file.unlink()

    deliver(anchor)

    assert {f: (f.read_text(), f.stat().st_mtime_ns) for f in anchor.folder.iterdir()} == before


def test_a_file_cut_off_by_a_crash_stays_and_the_head_is_written_under_another_name(
    heads, worm
) -> None:
    anchor = FolderAnchor(heads, worm)
    newest = heads.ledger.newest_head()
    anchor.folder.mkdir()
    torn = anchor.folder / f"{newest.number:010}-{newest.size}.tree-head"
    torn.write_text(newest.note[:20])

    deliver(anchor)

    assert torn.read_text() == newest.note[:20]
    assert torn.with_name(f"{newest.number:010}-{newest.size}.2.tree-head").read_text() == (
        newest.note
    )


def test_a_head_that_another_process_is_writing_is_not_written_again(heads, grow, worm) -> None:
    newest = heads.ledger.newest_head()
    assert newest
    file = FolderAnchor(heads, worm).folder / f"{newest.number:010}-{newest.size}.tree-head"
    file.parent.mkdir()
    delivery = threading.Thread(target=deliver, args=(FolderAnchor(heads, worm),))
    with anchors.only_writer(heads.ledger.path.parent):
        file.write_text(newest.note[:10])
        delivery.start()
        delivery.join(0.3)
        file.write_text(newest.note)
    delivery.join()

    assert names(file.parent)[file.name] == newest.note
    assert not any(".2." in name for name in names(file.parent))


def test_another_folder_gets_every_head(heads, grow, worm, tmp_path) -> None:
    grow(2)
    deliver(FolderAnchor(heads, worm))
    other = tmp_path / "other"
    other.mkdir()

    deliver(FolderAnchor(heads, other))

    assert names(other / heads.ledger.tenant) == names(worm / heads.ledger.tenant)


def test_a_mount_that_is_not_there_is_no_folder_to_be_made(heads, tmp_path) -> None:
    anchor = FolderAnchor(heads, tmp_path / "not-mounted")

    with pytest.raises(AnchorTrouble, match="is not there"):
        anchor.step()
    assert not (tmp_path / "not-mounted").exists()


# The URL


def test_every_head_is_posted_in_order(heads, grow) -> None:
    grow(3)
    sink = answering(201)
    with served(sink) as url:
        anchor = UrlAnchor(heads, f"{url}/heads?key=1")
        deliver(anchor)

    assert [asked[:2] for asked in sink.asked] == [("POST", h.note.encode()) for h in heads.every()]
    assert anchor.pending() == 0


def test_any_answer_but_2xx_is_retried_and_no_head_is_skipped(heads, grow, monkeypatch) -> None:
    grow(2)
    down = answering(500)
    now = 1000.0
    monkeypatch.setattr(anchors.time, "monotonic", lambda: now)
    with served(down) as url:
        anchor = UrlAnchor(heads, url)
        for _ in range(3):
            with pytest.raises(RemoteTrouble, match="answered 500"):
                anchor.step()
        assert len(down.asked) == 1  # the others came too early
        now += 2.5
        with pytest.raises(RemoteTrouble):
            anchor.step()
        assert len(down.asked) == 2
    grow(1)
    up = answering(204)
    with served(up) as url:
        anchor._url = url
        now += 3600
        deliver(anchor)
    assert [asked[1] for asked in up.asked] == [h.note.encode() for h in heads.every()]


def test_how_far_it_is_survives_the_process(heads, grow) -> None:
    sink = answering(200)
    with served(sink) as url:
        deliver(UrlAnchor(heads, url))
        grow(1)
        deliver(UrlAnchor(heads, url))

    assert [asked[1] for asked in sink.asked] == [h.note.encode() for h in heads.every()]


def test_an_error_tells_of_a_url_no_more_than_its_host(heads) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    anchor = UrlAnchor(heads, f"{url}/hook/secret?token=secret")

    with pytest.raises(RemoteTrouble) as raised:
        anchor.step()

    assert url in str(raised.value)
    assert "secret" not in f"{raised.value}{anchor.display_name}"


# Another incarnation


def test_heads_of_a_new_origin_are_stored_next_to_the_old_ones(heads, grow, worm, metadata) -> None:
    grow(2)
    anchor = FolderAnchor(heads, worm)
    deliver(anchor)
    before = names(anchor.folder)
    origin = renew(heads, None, metadata)

    deliver(anchor)

    newest = heads.ledger.newest_head()
    added = f"{newest.number:010}-{newest.size}-{origin.rpartition('/')[2]}.tree-head"
    assert names(anchor.folder) == {**before, added: newest.note}


@pytest.mark.parametrize("later", [0, 6])
def test_numbers_that_a_lost_ledger_had_used_are_delivered_again(
    heads, grow, recorder, metadata, tmp_path, later
) -> None:
    path = heads.ledger.path
    heads.ledger.close()
    shutil.copy(path, tmp_path / "backup.db")
    grow(4)
    sink = answering(200)
    with served(sink) as url:
        anchor = UrlAnchor(heads, url)
        deliver(anchor)
        heads.ledger.close()
        put_back(tmp_path / "backup.db", path)
        restored = TreeHeads(SQLiteLedger(path), heads.keys)
        renew(restored, None, metadata)
        before = restored.ledger.newest_head().number - 1
        for n in range(later):
            recorder(restored.ledger)(f"Later-{n}", Event(CREATED, {"x": 1}))
            restored.sign()
        del sink.asked[:]

        deliver(UrlAnchor(restored, url))

    assert [asked[1].decode() for asked in sink.asked] == [
        h.note for h in restored.ledger.heads(before)
    ]
    restored.ledger.close()


def put_back(backup: Path, path: Path) -> None:
    for ending in ("-wal", "-shm"):
        path.with_name(path.name + ending).unlink(missing_ok=True)
    shutil.copy(backup, path)
    os.chmod(path, 0o600)


# What is believed


@pytest.fixture
def warned() -> list[str]:
    return []


@pytest.fixture
def behind(heads, grow, worm, tmp_path) -> Iterator[TreeHeads]:
    """Return a restored ledger whose newest heads an anchor has."""
    path = heads.ledger.path
    heads.ledger.close()
    shutil.copy(path, tmp_path / "backup.db")
    grow(3)
    deliver(FolderAnchor(heads, worm))
    heads.ledger.close()
    put_back(tmp_path / "backup.db", path)
    (path.parent / "signing.head").unlink()
    opened = TreeHeads(SQLiteLedger(path), heads.keys)
    yield opened
    opened.ledger.close()


def known(heads: TreeHeads, warned: list[str], **where: Any) -> list[Any]:
    """Return what others hold; the head that lies with the key is not theirs."""
    (heads.keys.folder / "signing.head").unlink(missing_ok=True)
    return known_heads.known(
        heads, known_heads.HeadSources(keys=heads.keys, **where), warned.append
    )


def test_a_ledger_behind_an_anchors_head_is_detected(behind, worm, warned) -> None:
    found = known(behind, warned, anchor=worm)

    assert warned == []
    with pytest.raises(Superseded, match="the anchor"):
        must_be_newest(behind, found)


def test_a_head_at_the_anchors_url_counts_too(behind, worm, warned) -> None:
    newest = max((worm / behind.ledger.tenant).iterdir()).read_bytes()
    with served(answering(200, newest)) as url, pytest.raises(Superseded, match=url):
        must_be_newest(behind, known(behind, warned, url=url))


@pytest.mark.parametrize(("status", "body"), [(405, b""), (404, b""), (200, b"<html>"), (200, b"")])
def test_a_url_that_is_for_posting_only_says_nothing(heads, warned, status, body) -> None:
    with served(answering(status, body)) as url:
        assert known(heads, warned, url=url) == []
    assert warned == []


def test_a_missing_source_causes_a_warning_only(heads, tmp_path, warned) -> None:
    away = tmp_path / "away"

    url = f"http://127.0.0.1:{free_port()}"
    assert known(heads, warned, anchor=away, witness=away, url=url) == []
    assert len(warned) == 3


def test_a_forged_head_is_warned_about_and_not_believed(behind, worm, warned) -> None:
    stranger = SigningKey(behind.ledger.origin, bytes(32))
    folder = worm / behind.ledger.tenant
    for file in folder.iterdir():
        text = Note.parse(file.read_text()).text
        file.unlink()
        file.write_text(str(stranger.note(text)))
    (folder / "0000000099-999.tree-head").write_text("torn")

    assert known(behind, warned, anchor=worm) == []
    assert "no key of it signed" in warned[0]
    assert len(warned) == 1


def test_a_genuine_head_among_forged_ones_is_trusted(behind, worm, warned) -> None:
    root = base64.b64encode(bytes(32)).decode()
    forged = SigningKey(behind.ledger.origin, bytes(32)).note(
        f"{behind.ledger.origin}\n9999\n{root}\n"
    )
    (worm / behind.ledger.tenant / "0000009999-9999.tree-head").write_text(str(forged))

    with pytest.raises(Superseded):
        must_be_newest(behind, known(behind, warned, anchor=worm))


def test_a_head_in_a_file_named_after_another_size_is_passed_over(behind, worm, warned) -> None:
    folder = worm / behind.ledger.tenant
    [newest] = known(behind, warned, anchor=worm)
    small = min(folder.iterdir())
    (folder / "0000000099-999.tree-head").write_text(small.read_text())

    assert known(behind, warned, anchor=worm) == [newest]
    assert warned == []


def test_heads_by_a_key_that_was_put_in_place_since_the_backup_are_believed(
    heads, grow, worm, metadata, tmp_path, warned
) -> None:
    path = heads.ledger.path
    heads.ledger.close()
    shutil.copy(path, tmp_path / "backup.db")
    heads.rotate(metadata)
    grow(1)
    folder = worm / heads.ledger.tenant
    folder.mkdir()
    newest = heads.ledger.newest_head()
    (folder / f"0000000009-{newest.size}.tree-head").write_text(newest.note)
    heads.ledger.close()
    put_back(tmp_path / "backup.db", path)
    restored = TreeHeads(SQLiteLedger(path), heads.keys)

    with pytest.raises(Superseded):
        must_be_newest(restored, known(restored, warned, anchor=worm))
    restored.ledger.close()


def test_heads_of_other_ledgers_are_passed_over(behind, worm, warned) -> None:
    before = known(behind, warned, anchor=worm)
    (worm / behind.ledger.tenant / "0000000050-50.tree-head").write_text(
        str(SigningKey("other/0123456789abcdef", bytes(32)).note("other/0123456789abcdef\n50\nx\n"))
    )

    assert known(behind, warned, anchor=worm) == before
    assert warned == []


@pytest.mark.parametrize("place", ["anchor", "witness", "url"])
def test_heads_of_other_ledgers_alone_are_no_heads_and_no_reason_to_warn(
    heads, worm, warned, place
) -> None:
    other = "other/0123456789abcdef"
    note = str(SigningKey(other, bytes(32)).note(TreeHead(other, 50, bytes(32)).text))
    for folder in (worm / heads.ledger.tenant, worm / "heads", worm / "another" / "heads"):
        folder.mkdir(parents=True)
        (folder / "0000000050-50.tree-head").write_text(note)

    with served(answering(200, note.encode())) as url:
        found = known(heads, warned, **{place: url if place == "url" else worm})

    assert found == []
    assert warned == []


def test_a_former_origin_accounts_for_heads_that_others_hold(
    behind, worm, warned, metadata
) -> None:
    [lost] = known(behind, warned, anchor=worm)
    renew(behind, lost.note, metadata)

    [kept, still_held] = known(behind, warned, anchor=worm)

    assert still_held == lost
    assert list(contradictions(behind, [kept, still_held])) == []


def test_a_restored_event_owns_up_to_no_head_larger_than_the_one_it_names(
    behind, worm, warned, metadata
) -> None:
    [lost] = known(behind, warned, anchor=worm)
    key, former = behind.key(), behind.ledger.origin
    renew(behind, lost.note, metadata)

    larger = key.note(TreeHead(former, lost.head.size + 1, bytes(32)).text)

    with pytest.raises(Superseded, match="neither keeps them nor says that they are lost"):
        must_be_newest(behind, [KnownHead("a friend", larger)])


def test_a_restored_event_that_keeps_silent_about_a_head_is_of_no_avail(
    behind, worm, warned, metadata
) -> None:
    renew(behind, None, metadata)  # as somebody can forge it who has the file alone

    with pytest.raises(Superseded, match="neither keeps them nor says that they are lost"):
        must_be_newest(behind, known(behind, warned, anchor=worm))
