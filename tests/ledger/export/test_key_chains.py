"""verify.py against docs/key-chains.json: the rule of keys and origins, in examples."""

import copy
import io
import json
from functools import cache
from typing import Any

import pytest

from tests.ledger.export.arithmetic import program
from tests.ledger.signing.key_chains import FILE

PUBLISHED = json.loads(FILE.read_text(encoding="utf-8"))
KEYS: dict[str, str] = PUBLISHED["keys"]
CASES = {case["case"]: case for case in PUBLISHED["cases"]}


@cache
def audit(name: str) -> Any:
    """Read a case as an export of a whole ledger, for all its heads; nothing is given yet."""
    found = program.Audit([])
    found.heads = [program.head_of(each["note"]) for each in CASES[name]["heads"]]
    found.judge = lambda _: None
    found.export(io.StringIO("".join(json.dumps(line) + "\n" for line in CASES[name]["lines"])))
    del found.judge
    return found


@pytest.mark.parametrize("name", CASES)
def test_a_case_is_judged_as_expected(name: str) -> None:
    found, trusted = audit(name), CASES[name]["trusted"]

    assert sorted({at for at, _ in found.findings}) == CASES[name]["broken"], found.findings
    for given, key in KEYS.items():
        reached = {name for name, each in KEYS.items() if each in found.chain.trusted([key])}
        assert reached == {*trusted.get(given, [given])}, given
    for number, each in enumerate(CASES[name]["heads"]):
        good = [given for given in KEYS if is_good(found, number, given)]
        assert good == each["good_with"], each["note"]


@pytest.mark.parametrize(
    ("name", "note"),
    [
        ("restored, the former key signs", "signed that"),
        ("restored, the former key was lost", "is not seen to have signed that: you need the new"),
        ("a backup from before a rotation", "signed that"),
        ("a backup from before the first key", "signed that"),
        (
            "a backup from before a restore that nobody signed",
            "signed that, but a change in the events that were lost is not signed: you need the"
            " new one",
        ),
    ],
)
def test_the_new_key_is_asked_for_where_trust_does_not_reach_it(name: str, note: str) -> None:
    [found] = [each for each in audit(name).notes if "restored" in each]

    _, _, said = found.partition("its former key ")
    assert said.startswith(note) and ("new one" in said) == ("new" in note), found


def is_good(found: Any, number: int, given: str) -> bool:
    """Return whether one key is enough to trust a head."""
    alone = copy.deepcopy(found)
    alone.given, alone.heads, alone.findings = [KEYS[given]], [alone.heads[number]], []
    alone.judge(alone.position)
    return not any(words.startswith("head of size") for _, words in alone.findings)
