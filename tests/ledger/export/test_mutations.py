"""An export that was changed in any way is verified only where the change has no meaning.

It has none if lines, head and proof are the same JSON and the same text as before, however saved.
"""

import json
import shutil
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ledger.export.arithmetic import audit, text
from tests.ledger.export.conftest import command, keys

DRAWN = st.integers(0, 2**32)
ENDS = (
    b"\n",
    b"\r",
    b"\r\n",
    b" ",
    b"\x00",
    b"\xff",
    b"\xc3\xa9",
    b"\xef\xbb\xbf",
    b"\xe2\x80\x94",
)
BITS = (b"0", b"1", b"-", b'"', b"\\", b"a", b"null", b"true", b"[]", b"{}", b"e", b"1.0", b"+")
SNIPPETS = st.sampled_from([*ENDS, *BITS])
VALUES = st.sampled_from([None, True, False, 0, 1, -1, 2**53, "", "0", "a", [], {}, [[]]])


def mutated(content: bytes, number: int, other: int, kind: int, snippet: bytes) -> bytes:
    """Change some bytes at a place that was drawn."""
    place = number % (len(content) + 1)
    end = place + other % 70
    return [
        content[:place] + snippet + content[place:],
        content[:place] + content[place + 1 :],
        content[:place] + content[end:],
        content[:place] + content[place:end] + content[place:],
        content[:place]
        + bytes([b ^ 1 << other % 8 for b in content[place : place + 1]])
        + content[place + 1 :],
        content[:place] + snippet + content[place + len(snippet) :],
    ][kind]


def reshaped(value: Any, number: int, other: Any) -> Any:
    """Change one value within a JSON value: another, none, twice, or in another order."""
    if isinstance(value, dict) and value:
        names = sorted(value)
        name = names[number % len(names)]
        how = number // len(names)
        if how % 4 == 0:
            return {k: v for k, v in value.items() if k != name}
        return {**value, name: reshaped(value[name], how // 4, other)}
    if isinstance(value, list) and value:
        at, how = number % len(value), number // len(value)
        if how % 5 == 0:
            return value[:at] + value[at + 1 :]
        if how % 5 == 1:
            return value[: at + 1] + value[at:]
        if how % 5 == 2:
            return value[:at] + value[at:][::-1]
        return [*value[:at], reshaped(value[at], how // 5, other), *value[at + 1 :]]
    if isinstance(value, str) and value and number % 2:
        at = number // 2 % len(value)
        if value.startswith("{") and number % 3:  # a header
            return json.dumps(reshaped(json.loads(value), number // 3, other))
        return value[:at] + value[at + 1 :]
    return other


def objects(content: bytes) -> list[Any]:
    return [json.loads(line) for line in text(content).read().rstrip("\r\n").split("\n")]


def shows_less(before: Any, after: Any) -> bool:
    """Return whether a line says what another did, or shows less of the payload."""
    if set(after) == {"header"}:  # in a part the person may have been erased later
        return bool(before["header"] == after["header"])
    if "shown" in after and "shown" in before:
        kept = [each for each in before["shown"] if each in after["shown"]]
        before = before | {"shown": kept}
    return canonical(before) == canonical(after)


def canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True)  # where 1 is not true


@pytest.fixture(scope="module")
def part(template: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Export a part once; return its files, the key, and the export of everything."""
    folder = tmp_path_factory.mktemp("mutated")
    shutil.copytree(template.parent, folder / "data" / "acme")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SCIM_DATA_DIR", str(folder / "data"))
        command("export", "--from", "5", "--to", "27", "--output", str(folder / "acme.jsonl"))
        key = keys()[-1]
    names = ("acme.jsonl", "acme.jsonl.tree-head", "acme.jsonl.proof.json")
    return *((folder / name).read_bytes() for name in names), key


@given(DRAWN, DRAWN, st.integers(0, 5), SNIPPETS, st.integers(0, 2))
@settings(max_examples=150, deadline=None)
def test_bytes_that_were_changed_are_verified_only_without_a_meaning(
    part: Any, number: int, other: int, kind: int, snippet: bytes, which: int
) -> None:
    files, key = [*part[:3]], part[3]
    files[which] = mutated(files[which], number, other, kind, snippet)

    found = audit(files[0], files[1], key, files[2])

    if not (found.findings or found.unreadable):
        assert same(part[which], files[which], which)


@given(st.integers(0, 30), DRAWN, VALUES, st.booleans())
@settings(max_examples=150, deadline=None)
def test_values_that_were_changed_are_verified_only_without_a_meaning(
    part: Any, line: int, number: int, other: Any, whole: bool
) -> None:
    files, key, lines = [*part[:3]], part[3], part[0].splitlines(keepends=True)
    if whole:
        files[2] = json.dumps(reshaped(json.loads(part[2]), number, other)).encode()
    else:
        at = line % len(lines)
        lines[at] = json.dumps(reshaped(json.loads(lines[at]), number, other)).encode() + b"\n"
        files[0] = b"".join(lines)

    found = audit(files[0], files[1], key, files[2])

    if not (found.findings or found.unreadable):
        assert same(part[0], files[0], 0)
        assert same(part[2], files[2], 2)


def same(before: bytes, after: bytes, which: int) -> bool:
    """Return whether two files mean the same."""
    if which == 0:
        one, other = objects(before), objects(after)
        return len(one) == len(other) and all(map(shows_less, one, other))
    if which == 1:
        return text(after).read().replace("\r\n", "\n").rstrip("\n") == before.decode().rstrip("\n")
    return canonical(json.loads(text(after).read())) == canonical(json.loads(before))
