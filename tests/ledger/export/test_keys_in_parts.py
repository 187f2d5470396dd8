"""Which keys verify.py trusts in a part of a ledger, where not all changes of the key are seen."""

import io
import json
from typing import Any

import pytest

from ledger import merkle
from tests.ledger.export.arithmetic import program
from tests.ledger.signing.chain import Chain, opened, rotated_once, verifier


def sentences(
    chain: Chain, first: int, last: int, *given: str, heads: list[int] | None = None
) -> list[str]:
    """Check a part of a ledger under some of its heads, by default all; return what is found."""
    audit = program.Audit([verifier(name) for name in given])
    notes = [note for note, _ in chain.heads]
    audit.heads = [program.head_of(notes[n]) for n in heads or range(len(notes))]
    leaves = [merkle.leaf_hash(each["header"].encode()) for each in chain.lines]

    def hashes(begin: int, end: int) -> list[str]:
        parts = [(h, n << h) for h, n in merkle.cover(begin, end)]
        return [merkle.tree_hash(leaves[at : at + (1 << h)]).hex() for h, at in parts]

    left, right = hashes(0, first - 1), hashes(last, len(leaves))
    part = {"from": first, "to": last, "size": len(leaves), "left": left, "right": right}
    lines = "".join(json.dumps(each) + "\n" for each in chain.lines[first - 1 : last])
    audit.export(io.StringIO(lines), part)
    return [words for _, words in audit.findings]


def hide(chain: Chain, position: int) -> Chain:
    chain.lines[position - 1] = {"header": chain.lines[position - 1]["header"]}
    return chain


def forged(name: str = "forged") -> Chain:
    """Return a ledger in which a key that was replaced at 3 signs a handover at 5: 6 events."""
    chain = rotated_once(name)
    return chain.bad_rotation("a1", "thief").user().head("thief")


def test_a_key_whose_replacement_is_before_the_part_counts_unless_something_shows_it() -> None:
    """What a part cannot show: nobody could tell from these events alone."""
    assert sentences(forged(), 5, 6, "a1", heads=[2]) == []


def test_a_key_that_a_head_within_the_part_shows_to_be_replaced_hands_nothing_over() -> None:
    assert "head of size 4: no key that you gave" in sentences(forged(), 5, 6, "a1", "a2")[0]


def test_a_key_that_heads_show_to_be_replaced_before_the_part_hands_nothing_over() -> None:
    chain = rotated_once("replaced before").user(2).bad_rotation("a1", "thief").user()

    assert "head of size 8: its key had been replaced before" in sentences(
        chain.head("a1"), 8, 8, "a1", "a2"
    )


def test_a_key_that_the_part_shows_to_be_replaced_hands_nothing_over() -> None:
    said = sentences(forged(), 3, 6, "a1")

    assert "bad line: KeyRotated: the key it ends was not in force" in said
    assert any("size 6: no key that you gave, in force then" in each for each in said)


def test_a_rotation_within_a_part_is_followed_forward_and_back() -> None:
    chain = opened("a part").user(3).rotated("a1", "a2").user().head("a2")

    for given in ("a1", "a2"):
        assert sentences(chain, 5, 7, given, heads=[1]) == []
        assert sentences(chain, 2, 7, given) == []


def test_after_a_change_that_is_not_shown_the_key_before_it_signs_nothing() -> None:
    chain = hide(opened("hidden").rotated("a1", "a2").user().head("a1").head("a2"), 3)

    assert "no key that you gave" in sentences(chain, 1, 4, "a1", "a2", heads=[0, 1])[0]
    assert not any("no key" in each for each in sentences(chain, 1, 4, "a1", "a2", heads=[0, 2]))


def test_after_the_part_a_key_that_it_shows_to_be_replaced_signs_nothing() -> None:
    chain = rotated_once("after").user(2)

    for key, found in ("a1", True), ("a2", False):
        signed = Chain(chain.name, chain.lines).head(key)
        said = sentences(signed, 2, 4, "a1")
        assert any("no key that you gave, in force then" in each for each in said) == found


@pytest.mark.parametrize("shows", [("a1", "a2"), ("a2", "a1")])
def test_between_two_changes_one_key_signs(shows: tuple[str, str]) -> None:
    chain = opened("one key")
    for key in shows:
        chain = chain.user().head(key)

    said: Any = sentences(chain, 3, 4, "a1", "a2", heads=[1, 2])
    assert any("size 4: no key that you gave, in force then" in each for each in said)
