"""Verification compares a ledger with the heads of anchors and witnesses."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from ledger.signing.note import Note, SigningKey, TreeHead
from scim_api import wiring
from tests.ledger.signed import SIZE, cut, forge_tiles, metadata, renew, rewrite, tamper
from tests.scim_api.served import answering, served

Run = Callable[..., Result]


def origin(path: Path) -> str:
    note = Note.parse((path.parent / "signing.head").read_text())
    return TreeHead.of(note).origin


@pytest.fixture
def anchor(signed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Hold the newest head in an anchor's folder, as the anchor does; return the file."""
    folder = tmp_path / "anchor" / origin(signed).partition("/")[2]
    folder.mkdir(parents=True)
    monkeypatch.setenv("SCIM_ANCHOR_DIR", str(tmp_path / "anchor"))
    file = folder / f"0000000007-{SIZE}.tree-head"
    shutil.copy(signed.parent / "signing.head", file)
    return file


@pytest.fixture
def witness(signed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "witness" / "heads"
    folder.mkdir(parents=True)
    monkeypatch.setenv("SCIM_WITNESS_DIR", str(tmp_path / "witness"))
    shutil.copy(signed.parent / "signing.head", folder / f"0000000001-{SIZE}.tree-head")
    return folder


def told(result: Result) -> str:
    return " | ".join(
        f"{f['position']} {f['expected']}" for f in json.loads(result.stdout)["findings"]
    )


def test_an_anchors_heads_are_compared(signed: Path, anchor: Path, run: Run) -> None:
    result = run("verify", "--events-only")

    assert result.exit_code == 0
    assert f"compared with the anchor {anchor.parent.parent}: size 600, " in result.stdout


def test_a_tail_that_was_cut_off_is_found_by_an_anchor(
    signed: Path, anchor: Path, run: Run
) -> None:
    tamper(signed, cut(500))
    (signed.parent / "signing.head").unlink()

    result = run("verify", "--events-only", "--json")

    assert result.exit_code == 3
    assert "403 600, for the tree head in the anchor" in told(result)


def test_a_tail_that_was_cut_off_is_found_by_a_witness(
    signed: Path, witness: Path, run: Run
) -> None:
    tamper(signed, cut(500))
    (signed.parent / "signing.head").unlink()

    result = run("verify", "--events-only", "--json")

    assert result.exit_code == 3
    assert "403 600, for the tree head in the witness" in told(result)


def test_a_cut_off_tail_is_found_by_the_anchors_url(
    signed: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = (signed.parent / "signing.head").read_bytes()
    tamper(signed, cut(500))
    (signed.parent / "signing.head").unlink()

    with served(answering(200, head)) as url:
        monkeypatch.setenv("SCIM_ANCHOR_URL", url)
        result = run("verify", "--events-only", "--json")

    assert result.exit_code == 3
    assert "403 600, for the tree head in the anchor http://127.0.0.1" in told(result)


def test_a_tail_that_held_a_rotation_is_only_said_to_be_missing(
    signed: Path, anchor: Path, run: Run
) -> None:
    tamper(signed, cut(300))

    findings = json.loads(run("verify", "--events-only", "--json").stdout)["findings"]

    said = "300: the ledger is shorter; nothing proves those from 101 on"
    assert {finding["found"] for finding in findings} == {said}


def test_a_file_of_heads_beyond_the_end_is_not_said_to_be_badly_signed(
    signed: Path, run: Run
) -> None:
    tamper(
        signed,
        "DELETE FROM payload WHERE position > 300",
        "DELETE FROM event WHERE position > 300",
        forge_tiles,
    )

    findings = json.loads(run("verify", "--events-only", "--json").stdout)["findings"]

    assert not [finding for finding in findings if "signature" in finding["what"]]


def test_heads_that_no_key_of_the_ledger_signed_are_a_note(
    signed: Path, anchor: Path, run: Run
) -> None:
    stranger = SigningKey(origin(signed), bytes(32))
    anchor.write_text(str(stranger.note(TreeHead(stranger.name, SIZE, bytes(32)).text)))

    result = run("verify", "--events-only")

    assert result.exit_code == 0
    assert "that no key of it signed" in result.stdout


def test_places_that_cannot_be_asked_are_a_note(
    signed: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCIM_ANCHOR_DIR", str(tmp_path / "none"))
    monkeypatch.setenv("SCIM_ANCHOR_URL", "http://127.0.0.1:9/")

    result = run("verify", "--events-only")

    assert result.exit_code == 0
    assert result.stdout.count("cannot be asked for tree heads") == 2


def renewed(path: Path, *, kept: int, abandoned: Note | None = None) -> None:
    """Restore so many events, and tell what was lost."""
    if kept < SIZE:
        tamper(path, cut(kept), f"DELETE FROM resource WHERE position > {kept}")
    tenant = wiring.wire(path)
    renew(tenant.heads, abandoned, metadata())
    tenant.close()


def test_heads_of_a_former_origin_are_compared(signed: Path, anchor: Path, run: Run) -> None:
    renewed(signed, kept=SIZE)
    tamper(signed, rewrite(550, {"x": "y"}), forge_tiles)

    assert "root of the tree head in the anchor" in run("verify", "--events-only").stdout


def test_heads_over_events_reported_lost_are_no_fault(signed: Path, anchor: Path, run: Run) -> None:
    renewed(signed, kept=500, abandoned=Note.parse(anchor.read_text()))

    result = run("verify", "--events-only")

    assert result.exit_code == 0
    assert "compared with the anchor" not in result.stdout


def test_heads_over_unreported_lost_events_are_found(signed: Path, anchor: Path, run: Run) -> None:
    renewed(signed, kept=500)

    result = run("verify", "--events-only", "--json")

    assert result.exit_code == 3
    assert "501 one of 600 events, as the anchor" in told(result)


def test_a_backups_file_is_compared_only_with_given_heads(
    signed: Path, anchor: Path, run: Run
) -> None:
    tamper(signed, cut(500))

    assert run("verify", "--file", str(signed)).exit_code == 0
