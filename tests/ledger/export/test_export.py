"""The command export: its files, the values it shows, and that everything verifies."""

import json
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import app
from ledger import events
from ledger.contract import LedgerError
from ledger.events import Event, Metadata, Recorded
from ledger.export import package
from ledger.signing.keys import Keys
from ledger.signing.note import SigningKey, TreeHead
from ledger.sqlite.connection import Connection
from ledger.sqlite.ledger import SQLiteLedger
from tests.ledger.export import arithmetic
from tests.ledger.export.conftest import Export, command, desk_of, keys
from tests.ledger.export.notary import VERIFIER, Desk, Notary

Foreign = Callable[[Path], Connection]


def lines(desk: Desk) -> list[dict[str, Any]]:
    return [json.loads(line) for line in desk.lines]


def paths(line: dict[str, Any]) -> list[str]:
    """Return the paths that a line shows."""
    return list(line["payload"]) if "payload" in line else [e[1] for e in line.get("shown", ())]


def newest(path: Path) -> Recorded:
    ledger = SQLiteLedger(path)
    [found] = ledger.read_chunk(ledger.last_position() - 1, ledger.last_position())
    ledger.close()
    return found


def refused(code: int, *words: str) -> str:
    result = CliRunner().invoke(app.cli, ["export", *words, "--ledger", "acme"])
    assert result.exit_code == code, result.output
    return result.stderr


# What is written


def test_an_export_is_an_event_and_the_last_of_its_lines(export: Export, acme: Path) -> None:
    desk = export()

    last = newest(acme)
    assert (last.type, last.position, last.effects) == ("Exported", 31, {"format": "jsonl"})
    assert last.stream == f"Ledger-{json.loads(lines(desk)[0]['header'])['ledger'][-16:]}"
    assert len(desk.lines) == 31
    assert "operator" in last.request


def test_the_event_says_what_was_exported(export: Export, acme: Path) -> None:
    export("--from", "3", "--to", "17", "--show", "userName,active")

    assert newest(acme).effects == {
        "format": "jsonl",
        "from": 3,
        "to": 17,
        "show": ["active", "userName"],
    }


def test_the_event_says_that_all_was_withheld(export: Export, acme: Path) -> None:
    export("--withhold")

    assert newest(acme).effects == {"format": "jsonl", "withhold": True}


def test_the_files_of_an_export_are_their_owners_alone(export: Export) -> None:
    desk = export("--to", "9")

    modes = {f.name: stat.S_IMODE(f.stat().st_mode) for f in desk.folder.iterdir()}
    names = ("acme.jsonl", "acme.jsonl.tree-head", "acme.jsonl.proof.json", "verify.py")
    assert modes == dict.fromkeys(names, 0o600)


def test_an_export_comes_with_the_verifier(export: Export) -> None:
    assert (export().folder / "verify.py").read_bytes() == VERIFIER.read_bytes()


def test_an_export_of_everything_needs_no_neighbour_hashes(export: Export) -> None:
    assert export().proof is None


def test_the_lines_alone_are_on_stdout(acme: Path) -> None:
    result = command("export", "--to", "30")

    headers = [json.loads(json.loads(line)["header"]) for line in result.stdout.splitlines()]
    assert [header["position"] for header in headers] == [*range(1, 31)]
    assert "scim-ledger tree-head show" in result.stderr


def test_the_same_part_is_the_same_to_the_byte(export: Export) -> None:
    first = export("--to", "30", "--show", "userName,members")
    second = export("--to", "30", "--show", "members,userName", name="again")

    assert first.lines == second.lines


@pytest.mark.parametrize("name", ["acme.jsonl", "acme.jsonl.tree-head", "acme.jsonl.proof.json"])
def test_a_file_in_the_way_is_left_and_nothing_is_recorded(
    acme: Path, tmp_path: Path, name: str
) -> None:
    (tmp_path / name).write_text("mine")

    said = refused(1, "--output", str(tmp_path / "acme.jsonl"))

    assert f"there is a file at {tmp_path / name} already" in said
    assert [f.name for f in tmp_path.iterdir() if f.is_file()] == [name]
    assert (tmp_path / name).read_text() == "mine"
    assert newest(acme).position == 30


def test_another_verify_py_in_the_way_is_left(acme: Path, tmp_path: Path) -> None:
    (tmp_path / "verify.py").write_text("mine")

    assert "there is another" in refused(1, "--output", str(tmp_path / "acme.jsonl"))
    assert newest(acme).position == 30


def test_a_second_export_does_not_replace_the_first(acme: Path, tmp_path: Path) -> None:
    for name in ("first", "second"):
        command("export", "--output", str(tmp_path / name))

    assert desk_of(tmp_path / "second").verify().ok


def test_a_folder_that_is_not_there_is_said(acme: Path, tmp_path: Path) -> None:
    assert "there is no folder" in refused(1, "--output", str(tmp_path / "no" / "acme.jsonl"))
    assert newest(acme).position == 30


@pytest.mark.parametrize("body", ["x'ff'", "x'5b5d'", "body || x'0a'"])
@pytest.mark.parametrize("position", [11, 17])
def test_damage_stops_an_export_and_leaves_no_file(
    acme: Path, tmp_path: Path, foreign: Foreign, position: int, body: str
) -> None:
    connection = foreign(acme)
    connection.execute("DROP TRIGGER payload_is_only_erased")
    connection.execute(
        f"UPDATE payload SET body = CAST({body} AS BLOB) WHERE position = {position}"
    )
    (tmp_path / "out").mkdir()

    said = refused(1, "--output", str(tmp_path / "out" / "acme.jsonl"))

    assert f"the event at position {position} is damaged" in said
    assert list((tmp_path / "out").iterdir()) == []


def test_a_missing_event_stops_an_export(acme: Path, tmp_path: Path, foreign: Foreign) -> None:
    connection = foreign(acme)
    connection.execute("DROP TRIGGER event_is_not_deleted")
    connection.execute("DELETE FROM event WHERE position = 17")

    assert "no event at position 17" in refused(1, "--output", str(tmp_path / "acme.jsonl"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--from", "9", "--to", "8"), "there is no event from --from to --to"),
        (("--to", "99"), "is after the end of the ledger, position 30"),
        (("--from", "99"), "is after the end of the ledger, position 30"),
        (("--from", "soon"), "'soon' is no moment"),
        (("--show", "a", "--withhold"), "exclude each other"),
        (("--show", " , "), "--show names nothing"),
    ],
)
def test_a_refused_export_is_explained_and_not_recorded(
    acme: Path, words: tuple[str, ...], said: str
) -> None:
    assert said in refused(2, *words)
    assert newest(acme).position == 30


# What is shown


def test_everything_is_shown_except_token_hashes(export: Export) -> None:
    desk = export()

    shown = {path for line in lines(desk) for path in paths(line)}
    assert {"userName", "title", "expires_at", "request.method"} <= shown
    assert "sha256" not in shown
    assert b"0000000000000000000000000000000000000000000000000000000000000001" not in b"".join(
        desk.lines
    )


def test_only_named_values_are_shown_and_the_rest_is_proved(export: Export) -> None:
    desk = export("--show", "userName,active")

    assert {path for line in lines(desk) for path in paths(line)} == {"userName", "active"}
    assert all(value not in b"".join(desk.lines) for value in (b"Stra", b"00u1", b"POST"))
    verdict = desk.verify()
    assert verdict.ok, verdict
    assert verdict.found["payloads"] == {"shown": 0, "partly": 30, "withheld": 0, "erased": 1}


def test_a_tokens_hash_is_not_shown_even_if_named(export: Export) -> None:
    desk = export("--show", "sha256,name")

    assert {path for line in lines(desk) for path in paths(line)} == {"name"}


def test_members_are_shown_by_that_word(acme: Path, export: Export, recorder: Any) -> None:
    ledger = SQLiteLedger(acme)
    recorder(ledger)("Group-1", Event(events.MEMBERS_ADDED, {"members:7": {"type": "User"}}))
    ledger.close()

    desk = export("--show", "members")

    assert {path for line in lines(desk) for path in paths(line)} == {"members:7"}


def test_a_name_that_shows_nothing_is_pointed_out(acme: Path) -> None:
    said = command("export", "--show", "username,active").stderr

    assert "warning: username is in none of these events" in said
    assert "active is" not in said


def test_an_attribute_of_an_extension_is_named_by_its_urn(export: Export) -> None:
    urn = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department"

    desk = export("--show", urn)

    assert {path for line in lines(desk) for path in paths(line)} == {urn}


def test_headers_alone_verify(export: Export) -> None:
    desk = export("--withhold")

    assert all(set(line) == {"header"} for line in lines(desk))
    verdict = desk.verify()
    assert verdict.ok, verdict
    assert verdict.found["payloads"] == {"shown": 0, "partly": 0, "withheld": 29, "erased": 2}


# Every kind of ledger, every part of one


@pytest.mark.parametrize("words", [("--from", "17"), ("--to", "17"), ("--from", "8", "--to", "9")])
def test_a_part_verifies_with_its_neighbour_hashes(export: Export, words: tuple[str, ...]) -> None:
    desk = export(*words)

    verdict = desk.verify()
    assert verdict.ok, verdict

    desk.proof = None
    (desk.folder / "export.jsonl.proof.json").unlink()
    assert not desk.verify().ok


def test_a_wrong_neighbour_hash_is_found(export: Export) -> None:
    desk = export("--from", "8", "--to", "17")

    for side in ("left", "right"):
        good, desk.proof[side][0] = desk.proof[side][0], "00" * 32
        assert "head of size 31: its root or its origin is not that of these events" in (
            desk.verify().sentences
        )
        desk.proof[side][0] = good
    assert desk.verify().ok


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_missing_or_extra_neighbour_hash_is_found(export: Export, side: str) -> None:
    desk = export("--from", "8", "--to", "17")
    assert desk.proof is not None

    whole = desk.proof[side]
    for hashes in ([*whole, "00" * 32], whole[:-1]):
        desk.proof[side] = hashes
        assert "it has not the hashes that the tree needs" in desk.verify().sentences[0]


def test_a_line_taken_from_either_end_of_a_part_is_found(export: Export) -> None:
    desk = export("--from", "8", "--to", "17")

    whole = desk.lines
    for part in (whole[1:], whole[:-1]):
        desk.lines = part
        assert any("is of the positions from 8 to 17, the" in e for e in desk.verify().sentences)


def test_moments_are_taken_for_positions(export: Export, acme: Path) -> None:
    desk = export("--from", "1d", "--to", newest(acme).at)

    assert len(desk.lines) == 30
    assert desk.verify().ok


def test_a_part_of_a_ledger_of_several_tiles_verifies(
    acme: Path, export: Export, recorder: Any
) -> None:
    ledger = SQLiteLedger(acme)
    for n in range(9):
        recorder(ledger)(f"Note-{n + 9}", *[Event(events.CREATED, {"x": n})] * 70)
    ledger.close()

    for number, (first, last) in enumerate(
        [(1, 256), (2, 600), (257, 512), (300, 301), (513, 661)]
    ):
        desk = export("--from", str(first), "--to", str(last), name=str(number))
        assert len(desk.lines) == last - first + 1
        verdict = desk.verify()
        assert verdict.ok, verdict


def test_an_old_export_verifies_when_persons_were_erased_since(
    export: Export, acme: Path, recorder: Any
) -> None:
    before = export("--to", "30")
    user = before.header(1)["stream"]
    ledger = SQLiteLedger(acme)
    recorder(ledger)(user, Event(events.ERASED))
    ledger.close()

    after = export(name="after")

    assert before.verify().ok
    verdict = after.verify()
    assert verdict.ok, verdict
    assert verdict.found["payloads"]["erased"] == 5
    after.heads += before.heads
    assert after.verify().ok


def hide(desk: Desk, number: int) -> None:
    desk.change(number - 1, payload=None, salt=None, leaves=None, shown=None)


def test_a_payload_that_is_gone_without_an_erasure_is_found(desk: Desk) -> None:
    hide(desk, 17)

    verdict = desk.verify()

    assert verdict.sentences == ["position 17: the payload is gone, and no Erased event says so"]
    assert (verdict.found["first_bad_position"], verdict.found["proved"]) == (17, 31)


def test_a_payload_that_is_gone_in_a_part_may_be_of_a_person_erased_later(
    export: Export, acme: Path, recorder: Any
) -> None:
    user = export("--to", "30").header(16)["stream"]
    ledger = SQLiteLedger(acme)
    recorder(ledger)(user, Event(events.ERASED))
    ledger.close()

    desk = export("--to", "30", name="part")

    verdict = desk.verify()
    assert verdict.ok, verdict
    [note] = verdict.found["notes"]
    assert note.startswith("payloads are gone at ")
    assert note.endswith("an Erased event after position 30 must say so")


@pytest.mark.parametrize("stream", ["Settings-1", "Group-1", "Note-1"])
def test_only_users_are_erased(acme: Path, desk: Desk, stream: str) -> None:
    key = SigningKey.parse((acme.parent / "signing.key").read_text())
    desk.change_header(16, stream=stream, version=1)
    desk.change_header(17, stream=stream, version=2, type="Erased")
    hide(desk, 17)
    desk.heads = [Notary.of_seed(key.name, key.seed).head(desk.lines)]

    found = desk.verify().found["findings"]

    assert "position 18: Erased hides nothing: only users are erased" in found
    assert "position 17: the payload is gone, and no Erased event says so" in found


def test_a_users_stream_has_events_of_users_only(desk: Desk) -> None:
    """Any other could be recorded there, take effect, and be erased."""
    found = set()
    for type_ in (*events.TYPES, "Unknown"):
        desk.change_header(16, stream="User-1", version=1, type=type_)
        audit = arithmetic.audit(b"".join(desk.lines), desk.heads[0].encode(), desk.keys[0])
        words = f"{type_} does not belong in the stream of a user, which can be erased"
        found |= {type_} if (17, words) in audit.findings else set()

    of_users = "Created Updated Deactivated Reactivated Deleted Erased".split()
    assert found == {*events.TYPES, "Unknown"} - {*of_users}


def test_a_payload_of_which_only_hashes_are_shown_is_noted(desk: Desk) -> None:
    for at in (7, 17):
        line = json.loads(desk.lines[at - 1])
        leaves = [each.hex() for each in arithmetic.program.payload_of(line)[1]]
        desk.change(at - 1, payload=None, salt=None, leaves=leaves, shown=[])

    verdict = desk.verify()

    assert verdict.ok, verdict
    assert verdict.found["notes"] == ["of 2 payloads nothing but hashes is shown: at 7, 17"]


def test_nothing_follows_an_erasure_in_its_stream(desk: Desk) -> None:
    erased = next(n for n in range(len(desk.lines)) if desk.header(n)["type"] == "Erased")
    version = desk.header(erased)["version"] + 1
    desk.change_header(29, stream=desk.header(erased)["stream"], version=version)

    assert "position 30: it follows the Erased event of its stream" in desk.verify().sentences


def test_the_old_key_leads_to_the_new_one(export: Export) -> None:
    before = export()
    command("key", "rotate")
    after = export(name="after")
    assert after.keys != before.keys

    after.keys = before.keys
    after.heads += before.heads
    verdict = after.verify()

    assert verdict.ok, verdict
    assert any("the key was rotated to" in note for note in verdict.found["notes"])


def test_the_new_key_leads_back_to_an_older_head(export: Export) -> None:
    before = export()
    command("key", "rotate")
    after = export(name="after")

    after.heads += before.heads

    assert after.verify().ok


def test_a_key_signs_nothing_beyond_its_rotation(export: Export, acme: Path) -> None:
    old = SigningKey.parse((acme.parent / "signing.key").read_text())
    command("key", "rotate")
    desk = export()
    desk.heads = [Notary.of_seed(old.name, old.seed).head(desk.lines)]

    assert any("in force then" in each for each in desk.verify().sentences)


@pytest.mark.parametrize("name", ["signature_old", "signature_new"])
def test_a_rotation_that_a_key_did_not_sign_is_found(export: Export, name: str) -> None:
    command("key", "rotate")
    desk = export()
    number = next(n for n in range(len(desk.lines)) if desk.header(n)["type"] == "KeyRotated")
    line = lines(desk)[number]

    desk.change(number, payload=line["payload"] | {name: "A" * 86 + "=="})

    assert not desk.verify().ok
    assert not any("the key was rotated to" in note for note in desk.verify().found["notes"])


def test_a_rotation_that_is_hidden_is_said(export: Export) -> None:
    before = keys()
    command("key", "rotate")
    desk = export("--show", "userName")

    assert desk.verify().ok
    desk.keys = before
    assert desk.verify().ok  # a rotation is shown all the same

    withheld = export("--withhold", name="withheld")
    withheld.keys = before
    verdict = withheld.verify()
    assert not verdict.ok
    assert any("give the new one with --key" in note for note in verdict.found["notes"])


def test_a_restored_ledger_verifies_and_the_restoration_is_said(export: Export, acme: Path) -> None:
    (acme.parent / "signing.key").unlink()
    command("recover", "--new-incarnation")

    desk = export()

    verdict = desk.verify()
    assert verdict.ok, verdict
    assert any("restored, and now" in note for note in verdict.found["notes"])


def lose(acme: Path, events: int) -> None:
    """Store a head that the key signed over more events than there are."""
    keys_ = Keys(acme.parent)
    key = SigningKey.parse(keys_.file.read_text())
    keys_.remember(key.note(TreeHead(key.name, events, bytes(32)).text))


def test_the_former_key_leads_to_the_one_after_a_restoration(export: Export, acme: Path) -> None:
    before = keys()
    lose(acme, 99)
    command("recover", "--new-incarnation")
    desk = export()
    desk.keys = before

    verdict = desk.verify()

    assert verdict.ok, verdict
    assert any("its former key signed that" in note for note in verdict.found["notes"])


def test_a_restoration_that_the_former_key_did_not_sign_leads_nowhere(
    export: Export, acme: Path
) -> None:
    before = keys()
    (acme.parent / "signing.key").unlink()
    command("recover", "--new-incarnation")
    desk = export()
    desk.keys = before

    verdict = desk.verify()

    assert not verdict.ok
    assert any("you need the new one" in note for note in verdict.found["notes"])


def test_heads_of_before_and_after_a_restoration_are_compared(export: Export, acme: Path) -> None:
    before = export()
    (acme.parent / "signing.key").unlink()
    command("recover", "--new-incarnation")
    after = export(name="after")
    assert after.keys != before.keys

    after.heads += before.heads
    after.keys += before.keys

    assert after.verify().ok


def test_a_head_that_a_restoration_abandoned_is_named(
    export: Export, acme: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(acme.parent, tmp_path / "lost" / "acme")
    with monkeypatch.context() as patch:
        patch.setenv("SCIM_DATA_DIR", str(tmp_path / "lost"))
        lost = export(name="export of what was lost")
    shutil.copy(tmp_path / "lost" / "acme" / "signing.head", acme.parent)
    command("recover", "--new-incarnation")
    after = export(name="after")
    assert after.verify().ok

    after.heads += lost.heads
    after.keys += lost.keys

    assert after.verify().sentences == [
        "head of size 31: it is of events that were lost: see position 31"
    ]


def test_an_erasure_during_an_export_of_everything_stops_it(
    acme: Path, tmp_path: Path, recorder: Any
) -> None:
    """It would look like a payload that was removed without one."""
    tenant = app.console().tenant("acme")
    whole = package.Export(
        tenant.heads, 1, None, package.Disclosure(), Metadata("operator", "cli", "1")
    )
    [user] = tenant.ledger.read_chunk(1, 2)
    recorder(tenant.ledger)(user.stream, Event(events.ERASED))

    with pytest.raises(LedgerError, match="a person was erased while this was being exported"):
        whole.write(tmp_path / "acme.jsonl", lambda *_: None)

    assert not (tmp_path / "acme.jsonl").exists()
    tenant.close()


def test_nothing_is_recorded_where_no_head_can_be_signed(acme: Path, tmp_path: Path) -> None:
    (acme.parent / "signing.key").unlink()

    assert "signing key" in refused(1, "--output", str(tmp_path / "acme.jsonl"))
    assert newest(acme).position == 30
