"""A restored ledger: which key signed its new origin, and which events were lost."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

import app
from ledger.events import RESTORED, Event
from ledger.ledger_stream import next_append
from ledger.signing.note import KnownHead, Note, SigningKey, TreeHead
from ledger.verify.report import Options, Report
from ledger.verify.verifier import verify
from scim_api import wiring
from tests.ledger.signed import SIZE, cut, forge_tiles, metadata, renew, rewrite, tamper

Run = Callable[..., Result]

NEW = SigningKey("acme/eeeeeeeeeeeeeeee", bytes(32))
KEPT = 500


def key(path: Path) -> SigningKey:
    return SigningKey.parse((path.parent / "signing.key").read_text())


def own_head(path: Path) -> Note:
    return Note.parse((path.parent / "signing.head").read_text())


def statement(old: SigningKey, size: int) -> bytes:
    lines = ("scim-ledger recovery", old.name, size, old.verifier, NEW.verifier)
    return "".join(f"{line}\n" for line in lines).encode()


def restore(path: Path, *, signer: SigningKey | None = None, **changes: Any) -> None:
    """Cut a ledger at 500 and give it another name; `signer` signs that, if one does."""
    old, head = key(path), own_head(path)
    tamper(path, cut(KEPT), f"DELETE FROM resource WHERE position > {KEPT}")
    (path.parent / "signing.head").unlink()
    tenant = wiring.wire(path)
    raw = signer.sign(statement(old, KEPT)) if signer else None
    effects = {
        "previous": old.name,
        "abandoned": str(head),
        "size": KEPT,
        "verifier_key": str(NEW.verifier),
        "key": str(old.verifier),
        "signature": raw and base64.b64encode(raw).decode(),
        **changes,
    }
    ledger = tenant.ledger
    ledger.rename(NEW.name, next_append(ledger, Event(RESTORED, effects)), metadata())
    root = tenant.heads.tree.root_at(KEPT + 1)
    note = NEW.note(TreeHead(NEW.name, KEPT + 1, root).text)
    tenant.close()
    put = "INSERT INTO tree_head SELECT max(number) + 1, ?, ?, ? FROM tree_head"
    values = (KEPT + 1, "2999-01-01T00:00:00.000000Z", str(note))
    tamper(path, lambda connection: connection.execute(put, values))


def found_by(report: Report) -> str:
    return " | ".join(str(finding) for finding in report.findings)


def test_a_restored_ledger_reports_the_former_origin_and_lost_events(
    signed: Path, run: Run
) -> None:
    old = key(signed)
    restore(signed, signer=old)

    said = json.loads(run("verify", "--events-only", "--json").stdout)

    assert said["findings"] == []
    assert said["incarnations"] == [
        {
            "position": KEPT + 1,
            "previous": old.name,
            "origin": NEW.name,
            "kept": KEPT,
            "abandoned": SIZE,
            "lost": SIZE - KEPT,
            "signed_by_former_key": True,
            "event_lost": False,
        }
    ]


def test_a_recovery_with_the_key_is_signed(signed: Path) -> None:
    old = key(signed).verifier
    tenant = wiring.wire(signed)
    renew(tenant.heads, None, metadata())
    tenant.close()

    report = verify(signed, options=Options(keys=[old]))

    assert (report.findings, [each.signed for each in report.restores]) == ([], [True])


def test_it_is_said_in_words_too(signed: Path, run: Run) -> None:
    restore(signed, signer=key(signed))

    out = run("verify", "--events-only").stdout

    assert f"restored at position {KEPT + 1}: " in out
    assert "100 events were lost; its former key signed that" in out


def test_a_new_origin_without_the_former_keys_signature_is_reported(signed: Path, run: Run) -> None:
    restore(signed, abandoned=None)

    result = run("verify", "--events-only")

    assert result.exit_code == 0
    assert "how many were lost is not known; its former key did not sign that" in result.stdout
    assert "note: at position 501 the ledger took the name" in result.stdout


def test_a_given_key_must_lead_to_the_one_in_force(signed: Path, run: Run) -> None:
    given = str(key(signed).verifier)
    restore(signed, abandoned=None)
    tamper(signed, rewrite(450, {"x": "y"}), forge_tiles)

    result = run("verify", "--events-only", "--key", given, "--json")

    [finding] = [f for f in json.loads(result.stdout)["findings"] if f["what"] == "key in force"]
    assert (result.exit_code, finding["position"]) == (3, KEPT + 1)


def test_a_given_key_leads_on_through_its_signatures(signed: Path) -> None:
    old = key(signed)
    restore(signed, signer=old)

    assert verify(signed, options=Options(keys=[old.verifier])).good
    assert verify(signed, options=Options(keys=[NEW.verifier])).good


def test_the_first_key_leads_on_by_rotations(signed: Path) -> None:
    tenant = app.console().tenant("acme")
    first = tenant.heads.identity().keys[0].key
    tenant.close()

    assert verify(signed, options=Options(keys=[first])).good


def test_a_key_of_another_ledger_vouches_for_nothing(signed: Path) -> None:
    report = verify(signed, options=Options(keys=[NEW.verifier]))

    assert "key in force: expected one that a given key leads to" in found_by(report)


def test_a_false_signature_of_the_former_key_is_found(signed: Path) -> None:
    restore(signed, signer=NEW)

    report = verify(signed)

    assert "signature of the former key" in found_by(report)
    assert report.first_bad_position == KEPT + 1


def test_a_former_key_that_was_not_it_is_found(signed: Path) -> None:
    restore(signed, key=str(NEW.verifier))

    assert "position 501: key before" in found_by(verify(signed))


def test_an_abandoned_head_must_be_one(signed: Path) -> None:
    restore(signed, signer=key(signed), abandoned="x")

    report = verify(signed)

    assert "payload of Restored" in found_by(report)
    assert report.first_bad_position == KEPT + 1


@pytest.mark.parametrize("name", ["", "acme/0000000000000000"])
def test_an_abandoned_head_of_a_lost_key_or_name_is_noted(name: str, signed: Path) -> None:
    lost = SigningKey(name or key(signed).name, bytes(32))
    head = lost.note(TreeHead(lost.name, SIZE, bytes(32)).text)
    restore(signed, signer=key(signed), abandoned=str(head))

    report = verify(signed)

    assert report.good
    [note] = report.notes
    assert f"a tree head of {lost.name} of size {SIZE} was abandoned that no key" in note


def test_an_abandoned_head_of_events_that_were_kept_must_have_their_root(signed: Path) -> None:
    old = key(signed)
    note = old.note(TreeHead(old.name, 450, bytes(32)).text)
    restore(signed, signer=old, abandoned=str(note))

    report = verify(signed)

    assert "root of the tree head that was abandoned, of size 450" in found_by(report)
    assert report.first_bad_position == KEPT + 1


def test_a_missing_entry_is_named(signed: Path) -> None:
    restore(signed)
    tamper(signed, rewrite(KEPT + 1, {"previous": key(signed).name}))

    assert "payload of Restored: expected" in found_by(verify(signed))
    assert "an entry 'size'" in found_by(verify(signed))


# Heads that were taken out of the file


def test_a_ledger_with_a_key_and_no_head_is_found(signed: Path) -> None:
    tamper(signed, "DELETE FROM tree_head")

    assert "tree heads: expected one at least" in found_by(verify(signed))


def test_a_head_that_was_given_out_must_be_among_those_kept(signed: Path, run: Run) -> None:
    tamper(signed, "DELETE FROM tree_head WHERE size > 100")

    result = run("verify", "--events-only")

    assert result.exit_code == 3
    expected = "tree head of size 600: expected that in signing.head among those kept"
    assert expected in result.stdout


def test_a_copy_may_be_of_a_time_before_a_head_was_signed(signed: Path) -> None:
    later = KnownHead("x", own_head(signed))
    tamper(signed, "DELETE FROM tree_head WHERE size = 600")

    assert not verify(signed, options=Options([later])).good
    report = verify(signed, options=Options([later], copy=True))
    assert report.good
    assert "tree head of 600 events in x is not kept in this file" in report.notes[0]


def test_a_copy_too_must_have_a_head_between_two_that_it_kept(signed: Path) -> None:
    tenant = app.console().tenant("acme")
    middle = KnownHead("x", Note.parse(tenant.ledger.heads(5)[0].note))
    tenant.close()
    tamper(signed, f"DELETE FROM tree_head WHERE size = {middle.head.size}")

    report = verify(signed, options=Options([middle], copy=True))

    assert f"tree head of size {middle.head.size}: expected that in x" in found_by(report)


def test_a_head_that_was_there_the_last_time_must_be_there(signed: Path, run: Run) -> None:
    run("verify", "--since-last")
    (signed.parent / "signing.head").unlink()
    tamper(signed, "DELETE FROM tree_head WHERE number = 7")

    result = run("verify", "--since-last")

    assert result.exit_code == 3
    assert "tree head 7: expected as it was at" in result.stdout
