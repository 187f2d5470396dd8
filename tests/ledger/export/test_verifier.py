"""verify.py, run like an auditor runs it, finds and names every change in an export."""

import ast
import base64
import hashlib
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.signing.note import SigningKey
from tests.ledger.export import arithmetic
from tests.ledger.export.conftest import Export, command, keys
from tests.ledger.export.notary import VERIFIER, Desk, Notary, run

STRANGER = Notary.of_seed("acme/stranger", bytes(32))


def recorded(desk: Desk, type_: str) -> int:
    """Return the number of the first line of a type."""
    return next(n for n in range(len(desk.lines)) if desk.header(n)["type"] == type_)


# What it is


def test_it_imports_the_standard_library_only() -> None:
    imports = [n for n in ast.walk(ast.parse(VERIFIER.read_text())) if isinstance(n, ast.Import)]
    others = [n for n in ast.walk(ast.parse(VERIFIER.read_text())) if isinstance(n, ast.ImportFrom)]

    names = {alias.name for each in imports for alias in each.names} | {n.module for n in others}

    assert {str(name).partition(".")[0] for name in names} <= sys.stdlib_module_names


def test_it_is_of_the_syntax_of_python_3_9() -> None:
    ast.parse(VERIFIER.read_text(), feature_version=(3, 9))


def test_it_explains_itself() -> None:
    done = run("-h")

    assert (done.returncode, done.stderr) == (0, "")
    assert "verify.py EXPORT.jsonl --head HEAD --key KEY" in done.stdout


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("export.jsonl",),
        ("export.jsonl", "--key", STRANGER.key),
        ("export.jsonl", "--head", "head", "--key", "nonsense"),
        ("export.jsonl", "--head", "head", "--key", STRANGER.key[:-4] + "AAA="),
        ("not there", "--head", "head", "--key", STRANGER.key),
    ],
)
def test_bad_arguments_end_with_2(words: tuple[str, ...], tmp_path: Any) -> None:
    done = run(*words)

    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def key_text(typed: bytes, name: str = "acme/stranger") -> str:
    """Return what would be a verifier key, with the hash that belongs to it."""
    hash_ = hashlib.sha256(name.encode() + b"\n" + typed).hexdigest()[:8]
    return f"{name}+{hash_}+{base64.b64encode(typed).decode()}"


NO_KEYS = {
    "nothing": "",
    "words": "nonsense",
    "another hash": STRANGER.key.replace(STRANGER.id.hex(), "00000000"),
    "a byte less": key_text(STRANGER.typed[:-1]),
    "a byte more": key_text(STRANGER.typed + b"0"),
    "another algorithm": key_text(b"\x04" + STRANGER.typed[1:]),
    "no name": key_text(STRANGER.typed, ""),
    "no base64": STRANGER.key[:-1] + "!",
}


@pytest.mark.parametrize("name", NO_KEYS)
def test_an_invalid_key_is_refused(name: str) -> None:
    assert arithmetic.program.verifier_key(key_text(STRANGER.typed))[2] == STRANGER.typed[1:]

    with pytest.raises(ValueError):
        arithmetic.program.verifier_key(NO_KEYS[name])


# What is as it must be


def test_an_export_that_nobody_touched_is_verified(desk: Desk) -> None:
    verdict = desk.verify()

    assert verdict.ok, verdict
    assert (verdict.found["first"], verdict.found["position"]) == (1, 31)
    assert (verdict.found["events"], verdict.found["proved"]) == (31, 31)
    assert verdict.found["payloads"] == {"shown": 27, "partly": 3, "withheld": 0, "erased": 1}


def test_the_verdict_is_said_in_plain_words(desk: Desk) -> None:
    desk.verify()
    head, export = desk.folder / "head.0", desk.folder / "export.jsonl"

    done = run(export, "--head", head, "--key", desk.keys[0])

    assert done.returncode == 0
    assert "\nevents             31\n" in done.stdout
    assert "'shown': 27, 'partly': 3, 'withheld': 0, 'erased': 1" in done.stdout
    assert "\nVERIFIED" in done.stdout
    assert "\ncannot_show        that what was recorded is true" in done.stdout


def test_a_signature_by_an_unknown_key_is_ignored(desk: Desk) -> None:
    desk.heads[0] += STRANGER.signature(desk.heads[0].partition("\n\n")[0] + "\n")

    assert desk.verify().ok


@pytest.fixture
def notary(acme: Path) -> Notary:
    """Return the ledger's own key, to sign whatever there is."""
    key = SigningKey.parse((acme.parent / "signing.key").read_text())
    return Notary.of_seed(key.name, key.seed)


def test_an_older_head_is_compared_too(desk: Desk, notary: Notary) -> None:
    desk.heads += [notary.head(desk.lines[:size]) for size in (0, 1, 16, 30)]

    assert desk.verify().ok


def test_it_is_said_from_where_on_nothing_is_proved(desk: Desk, notary: Notary) -> None:
    desk.heads.append(notary.head(desk.lines[:12]))
    desk.change_header(19, actor="somebody")
    desk.lines.pop()

    assert desk.verify().sentences == [
        "head of size 31: the events after position 30 are missing, up to 31",
        "position 13: nothing is proved from position 13 on",
    ]


def test_where_no_head_is_proved_the_first_event_is_bad(export: Export) -> None:
    for words, first in ((), 1), (("--from", "10", "--to", "20"), 10):
        desk = export(*words, name=f"from {first}")
        desk.keys = [STRANGER.key]

        found = desk.verify().found

        assert found["first_bad_position"] == first
        assert f"nothing is proved from position {first} on" in found["findings"]


# What was changed. A change names the position that is bad first, and what is wrong.

Change = Callable[[Desk], object]


def at(number: int, **changes: Any) -> Change:
    return lambda desk: desk.change_header(number - 1, **changes)


def payload(number: int, **changes: Any) -> Change:
    def change(desk: Desk) -> None:
        desk.change(number - 1, payload=json.loads(desk.lines[number - 1])["payload"] | changes)

    return change


def shown(number: int, index: int, value: Any) -> Change:
    def change(desk: Desk) -> None:
        entries = json.loads(desk.lines[number - 1])["shown"]
        entries[0][index] = value
        desk.change(number - 1, shown=entries)

    return change


def leaf_swapped(desk: Desk) -> None:
    leaves = json.loads(desk.lines[10])["leaves"]
    desk.change(10, leaves=[*leaves[:-1], "00" * 32])


def raw(number: int, old: bytes, new: bytes) -> Change:
    def change(desk: Desk) -> None:
        assert old in desk.lines[number - 1]
        desk.lines[number - 1] = desk.lines[number - 1].replace(old, new, 1)

    return change


def swap(desk: Desk) -> None:
    desk.lines[16:18] = desk.lines[17:15:-1]


def head(old: str, new: str) -> Change:
    def change(desk: Desk) -> None:
        assert old in desk.heads[0]
        desk.heads[0] = desk.heads[0].replace(old, new, 1)

    return change


DEEP = b"[" * 100_000
CHANGES: dict[str, tuple[Change, int, str]] = {
    "another actor": (at(17, actor="nobody"), 1, "its root or its origin is not that"),
    "another type": (at(17, type="Created"), 1, "its root or its origin is not that"),
    "another commitment": (at(17, commitment="0" * 64), 17, "commitment"),
    "another count": (at(17, attributes=9), 17, "commitment"),
    "another position": (at(17, position=19), 17, "position 19 stands where 17 is due"),
    "another version": (at(17, version=9), 17, "version 9 stands where 2 is due"),
    "an older time": (
        at(17, at="2020-01-01T00:00:00.000000Z"),
        17,
        "at '2020-01-01T00:00:00.000000Z' stands where",
    ),
    "another ledger": (at(17, ledger="evil/0"), 17, "ledger 'evil/0' stands where"),
    "another format": (at(17, v=2), 17, "the header is not of format 1"),
    "one name more": (at(17, more=1), 17, "the header is not of format 1"),
    "a text for a number": (at(17, position="17"), 17, "the header is not of format 1"),
    "true for a number": (at(17, revision=True), 17, "the header is not of format 1"),
    "a float": (at(17, revision=1.0), 17, "bad line: invalid literal"),
    "another first event": (at(1, type="Created"), 1, "LedgerOpened is the first event"),
    "spaces in the header": (raw(17, b'{\\"actor', b'{ \\"actor'), 17, "canonical form"),
    "another value": (payload(17, title="Boss"), 17, "commitment"),
    "a value more": (payload(17, boss=True), 17, "commitment"),
    "another salt": (lambda d: d.change(16, salt="00" * 32), 17, "commitment"),
    "no salt": (lambda d: d.change(16, salt=None), 17, "it is no line of an export"),
    "a salt in capitals": (
        lambda d: d.change(16, salt=json.loads(d.lines[16])["salt"].upper()),
        17,
        "not in its only form",
    ),
    "a short salt": (lambda d: d.change(16, salt="00"), 17, "not in its only form"),
    "a payload that is none": (lambda d: d.change(16, payload=[]), 17, "bad line: 'list'"),
    "a field more": (lambda d: d.change(16, more=1), 17, "it is no line of an export"),
    "another hidden value": (leaf_swapped, 11, "commitment"),
    "another shown value": (shown(11, 2, "evil"), 11, "what is shown of 'expires_at' was not"),
    "another shown path": (shown(11, 1, "userName"), 11, "what is shown of 'userName' was not"),
    "another shown salt": (shown(11, 3, "00" * 16), 11, "what is shown of 'expires_at' was not"),
    "another index": (shown(11, 0, 1), 11, "was not recorded"),
    "a negative index": (shown(11, 0, -1), 11, "not in order"),
    "a great index": (shown(11, 0, 99), 11, "not in order"),
    "an index that is none": (shown(11, 0, "0"), 11, "bad line: '<' not supported"),
    "nothing for a list": (lambda d: d.change(10, shown=7), 11, "bad line: 'int'"),
    "a number for leaves": (lambda d: d.change(10, leaves=7), 11, "bad line: 'int'"),
    "a leaf that is none": (
        lambda d: d.change(10, leaves=[7]),
        11,
        "bad line: fromhex() argument must be str",
    ),
    "a line dropped": (lambda d: d.lines.pop(16), 17, "position 18 stands where 17 is due"),
    "the first dropped": (
        lambda d: d.lines.pop(0),
        1,
        "the events before 2 are missing; if this is a part of a ledger, ",
    ),
    "a line doubled": (
        lambda d: d.lines.insert(16, d.lines[16]),
        17,
        "position 17 stands where 18 is due",
    ),
    "lines swapped": (swap, 17, "position 18 stands where 17 is due"),
    "a line inserted": (
        lambda d: d.lines.insert(16, d.lines[2]),
        3,
        "position 3 stands where 17 is due",
    ),
    "the tail cut": (
        lambda d: d.lines.pop(),
        1,
        "events after position 30 are missing, up to 31",
    ),
    "a line added": (
        lambda d: d.lines.append(d.lines[30]) or at(32, position=32, version=4)(d),
        32,
        "nothing is proved from position 32 on",
    ),
    "an empty line": (lambda d: d.lines.insert(16, b"\n"), 17, "position 17: bad line: "),
    "no JSON": (lambda d: d.lines.insert(16, b"{\n"), 17, "position 17: bad line: "),
    "a list": (lambda d: d.lines.insert(16, b"[]\n"), 17, "it is no line of an export"),
    "depth": (lambda d: d.lines.insert(16, DEEP + b"\n"), 17, "position 17: bad line: "),
    "a deep payload": (
        lambda d: d.lines.insert(16, d.lines[16].replace(b'"title":', b'"title":' + DEEP)),
        17,
        "bad line: maximum recursion depth",
    ),
    "a name twice": (raw(17, b'"salt":', b'"salt":"","salt":'), 17, "a name stands twice"),
    "a name twice in the header": (raw(17, b'{\\"actor', b'{\\"v\\":1,\\"actor'), 17, "twice"),
    "a great number": (payload(17, title=2**53), 17, "commitment"),
    "a number without end": (
        raw(17, b'"title":', b'"title":' + b"9" * 9999),
        17,
        "bad line: Exceeds the limit",
    ),
    "NaN": (payload(17, title=float("nan")), 17, "position 17: bad line: "),
    "a lone surrogate": (raw(17, b'"title":"', b'"title":"\\ud800'), 17, "position 17: bad line: "),
    "another size": (head("\n31\n", "\n30\n"), 1, "is false"),
    "another origin": (head("acme/", "acmf/"), 1, "is false"),
    "garbage for a signature": (head("— acme", "— !acme"), 1, "no key that you gave"),
    "the wrong key": (lambda d: d.keys.__setitem__(0, STRANGER.key), 1, "no key that you gave"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_found_and_named(desk: Desk, name: str) -> None:
    change, position, words = CHANGES[name]
    change(desk)

    verdict = desk.verify()

    assert not verdict.ok
    assert any(words in sentence for sentence in verdict.sentences), verdict.sentences
    assert verdict.found["first_bad_position"] == position


def test_a_fork_is_found(desk: Desk, notary: Notary) -> None:
    desk.heads += [notary.head(desk.lines[:30], size=31)]

    assert "head of size 31: a fork: there are two of this size, with different roots" in (
        desk.verify().sentences
    )


def test_a_head_under_another_name_proves_nothing(desk: Desk) -> None:
    desk.heads, desk.keys = [STRANGER.head(desk.lines)], [STRANGER.key]

    assert not desk.verify().ok


def test_a_known_key_signs_for_its_own_name_only(desk: Desk) -> None:
    desk.heads = [STRANGER.head(desk.lines, origin=desk.header(0)["ledger"])]
    desk.keys = [STRANGER.key]

    assert "no key that you gave" in desk.verify().sentences[0]


def test_a_signature_of_a_known_key_that_is_false_spoils_a_head(desk: Desk) -> None:
    desk.heads[0] += STRANGER.signature("another text\n")
    desk.keys.append(STRANGER.key)

    assert "the signature of 'acme/stranger' is false" in desk.verify().sentences[0]


@pytest.mark.slow
def test_a_bit_flipped_anywhere_in_an_export_is_found(exported: Desk, tmp_path: Any) -> None:
    content = b"".join(exported.lines)
    step = 97  # a prime: every column of a line has its turn
    for place in range(0, len(content), step):
        changed = bytearray(content)
        changed[place] ^= 1
        audit = arithmetic.audit(bytes(changed), exported.heads[0].encode(), exported.keys[0])
        assert audit.findings or audit.unreadable, (place, content[place - 20 : place + 20])


# Whatever is given for a line, a head, a key, a proof

ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["payload", "salt", "leaves", "shown", "a"]), inner)
    ),
    max_leaves=8,
)
FIELDS = st.dictionaries(st.sampled_from(["header", "payload", "salt", "leaves", "shown"]), ODD)


@given(number=st.integers(0, 30), odd=FIELDS, header=ODD)
def test_no_line_however_odd_stops_the_verifier(
    exported: Desk, number: int, odd: Any, header: Any
) -> None:
    line = json.loads(exported.lines[number])
    for changed in (line | odd, {"header": line["header"], **odd}, {"header": json.dumps(header)}):
        audit = arithmetic.program.Audit([])
        audit.line(json.dumps(changed))
        assert audit.events == 1


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_odd_bytes_are_bad_in_words(data: bytes) -> None:
    program = arithmetic.program
    audit = program.Audit([])
    audit.line(data.decode("utf-8", "replace"))
    assert audit.findings
    for parse in (program.head_of, program.proof_of, program.verifier_key, program.part_of):
        with pytest.raises(ValueError):
            parse(data.decode("utf-8", "replace"))


# One event under a proof


def test_one_event_is_verified_by_its_proof(acme: Any, tmp_path: Any, desk: Desk) -> None:
    proof, line = tmp_path / "17.tlog-proof", tmp_path / "line"
    command("prove", "17", "--output", str(proof))
    line.write_bytes(desk.lines[16])

    assert run("--proof", proof, "--key", keys()[0]).returncode == 0
    assert run("--proof", proof, "--key", keys()[0], "--line", line).returncode == 0

    line.write_bytes(desk.lines[17])
    other = run("--proof", proof, "--key", keys()[0], "--line", line)
    assert other.returncode == 3
    assert "it is of position 17, the event is at 18" in other.stdout


PROOFS: dict[str, tuple[Callable[[str], str], str]] = {
    "another index": (
        lambda p: p.replace("index 16", "index 15"),
        "it is of position 16, the event is at 17",
    ),
    "a hash less": (
        lambda p: p.replace(p.split("\n")[3] + "\n", "", 1),
        "it has fewer hashes than the tree needs",
    ),
    "no hash": (
        lambda p: re.sub("(index 16\n)[^—]*?\n\n", "\\1\n", p, count=1),
        "it has fewer hashes than the tree needs",
    ),
    "hashes swapped": (
        lambda p: p.replace(p.split("\n")[3], p.split("\n")[4], 1),
        "its root or its origin is not that",
    ),
    "a hash more": (
        lambda p: p.replace("\n\n", f"\n{base64.b64encode(bytes(32)).decode()}\n\n", 1),
        "it has more hashes than the tree needs",
    ),
    "a hash before": (
        lambda p: p.replace("index 16\n", f"index 16\n{base64.b64encode(bytes(32)).decode()}\n", 1),
        "it has more hashes than the tree needs",
    ),
    "another head": (lambda p: p.replace("\n30\n", "\n29\n"), "is false"),
}


@pytest.mark.parametrize("name", PROOFS)
def test_a_proof_that_was_changed_is_refused(acme: Any, tmp_path: Any, name: str) -> None:
    change, words = PROOFS[name]
    proof = tmp_path / "17.tlog-proof"
    command("prove", "17", "--output", str(proof))
    proof.write_text(change(proof.read_text(encoding="utf-8")), encoding="utf-8")

    done = run("--proof", proof, "--key", keys()[0])

    assert done.returncode == 3
    assert words in done.stdout


def test_a_proof_of_an_event_after_its_tree_is_refused(
    desk: Desk, notary: Notary, tmp_path: Any
) -> None:
    head = notary.head(desk.lines[:16])
    (tmp_path / "proof").write_text(f"c2sp.org/tlog-proof@v1\nindex 16\n\n{head}", encoding="utf-8")
    (tmp_path / "line").write_bytes(desk.lines[16])

    done = run("--proof", tmp_path / "proof", "--line", tmp_path / "line", "--key", notary.key)

    assert done.returncode == 3
    assert "it is of position 17, its tree has 16" in done.stdout
