"""The published chains of keys as files: what `verify` finds, and when a service signs no head."""

import json
from pathlib import Path
from typing import Any

import pytest

from ledger.findings import Kind
from ledger.signing.keys import KEY_FILE, Keys, KeyUnusable
from ledger.signing.note import KnownHead, Note, TreeHead, VerifierKey
from ledger.signing.tree_heads import TreeHeads
from ledger.sqlite.ledger import SQLiteLedger
from ledger.verify.report import Options
from ledger.verify.verifier import verify
from tests.ledger.signing import chain
from tests.ledger.signing.key_chains import FILE
from tests.ledger.stored import store

PUBLISHED = json.loads(FILE.read_text(encoding="utf-8"))
KEYS = {name: VerifierKey.parse(text) for name, text in PUBLISHED["keys"].items()}
CASES = {case["case"]: case for case in PUBLISHED["cases"]}


def stored(case: dict[str, Any], path: Path) -> Path:
    heads = [each["note"] for each in case["heads"] if each["good_with"]]
    store(path, case["lines"], heads, case["origin"] or chain.A)
    return path


@pytest.mark.parametrize("name", CASES)
def test_verify_finds_what_breaks_the_rule_and_trusts_the_keys_that_it_may(
    name: str, tmp_path: Path
) -> None:
    case = CASES[name]
    path = stored(case, tmp_path / "ledger.db")
    heads = [
        (KnownHead("x", Note.parse(each["note"])), each["good_with"]) for each in case["heads"]
    ]

    alone = verify(path, options=Options(processes=1))

    here = {each.position for each in alone.findings if each.kind in (Kind.IDENTITY, Kind.EVENT)}
    assert here == {*case["broken"]}
    assert alone.good is not bool(case["broken"])
    given = {"a1", *(good[-1] for _, good in heads[-2:] if good)}
    for each in given:
        options = Options([head for head, _ in heads], keys=[KEYS[each]], processes=1)
        verified = verify(path, options=options).good
        every = not case["broken"] and all(each in good for _, good in heads)
        assert verified is bool(every and heads)


@pytest.mark.parametrize("name", list(CASES)[::8])
def test_a_head_is_signed_only_by_the_key_in_force_and_under_the_name_in_force(
    name: str, tmp_path: Path
) -> None:
    case = CASES[name]
    path = stored(case, tmp_path / "ledger.db")
    ledger = SQLiteLedger(path)
    for key in chain.KEYS.values():
        (tmp_path / KEY_FILE).write_text(key.private_text())
        heads = TreeHeads(ledger, Keys(tmp_path))
        if case["key"] and key.verifier == KEYS[case["key"]]:
            head = TreeHead.parse(heads.sign(again=True).note)
            assert head.origin == case["origin"]
        else:
            with pytest.raises(KeyUnusable):
                heads.sign(again=True)
    ledger.close()


def test_no_head_is_signed_under_a_name_that_the_events_do_not_give(tmp_path: Path) -> None:
    case = CASES["a retired key ends the origin"]
    path = tmp_path / "ledger.db"
    store(path, case["lines"], [], chain.B)
    ledger = SQLiteLedger(path)

    for name in ("a2", "b1"):
        (tmp_path / KEY_FILE).write_text(chain.KEYS[name].private_text())
        heads = TreeHeads(ledger, Keys(tmp_path))
        with pytest.raises(KeyUnusable, match=f"bears the name {chain.B}.* it is {chain.A}"):
            heads.sign()
        assert heads.trouble()
    ledger.close()
