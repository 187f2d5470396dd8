"""The quick look accepts nothing that the close one would find fault with."""

import json
import os
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from ledger.codec import canonical, commitment
from ledger.merkle import leaf_hash, tree_hash
from ledger.verify.bytes import commitment_of, header_is_right, root_of
from ledger.verify.event import Reader, Row

SALT = bytes(range(32))
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
PATHS = st.text("abz:.-_019AZ", min_size=1, max_size=8)
SCALARS = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | TEXTS
NESTED = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(PATHS, inner, max_size=3)
)
PAYLOADS = st.dictionaries(PATHS, NESTED, max_size=6)
ODD = st.binary(max_size=3) | st.sampled_from(
    [b" ", b",", b'"', b"\\", b"\\u0041", b"1.0", b"01", b"-0", b"{", b"}", b'","x":"', b"\x7f"]
)


def stdlib(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode(
        errors="surrogatepass"
    )


def accepted(body: bytes) -> tuple[int, str] | None:
    try:
        return commitment_of(body, SALT)
    except ValueError:  # not UTF-8: looked at closely
        return None


@given(PAYLOADS)
def test_a_payload_is_hashed_as_it_was_when_it_was_written(payload: dict[str, Any]) -> None:
    expected = (len(payload), commitment(payload, SALT).hex())

    assert accepted(canonical(payload)) in (None, expected)


@given(st.dictionaries(PATHS, SCALARS | st.lists(st.dictionaries(PATHS, SCALARS)), max_size=6))
def test_a_payload_as_events_have_them_needs_no_closer_look(payload: dict[str, Any]) -> None:
    assert accepted(canonical(payload)) is not None


@given(PAYLOADS, st.integers(0, 200), st.integers(0, 3), ODD)
@example({"a": "b"}, 5, 0, b'","c":"')
@example({"a": 1, "b": 2}, 6, 1, b"{")
@example({"a": {"b": 1}}, 5, 0, b" ")
def test_a_payload_that_was_changed_is_accepted_only_in_canonical_form(
    payload: dict[str, Any], at: int, cut: int, odd: bytes
) -> None:
    body = canonical(payload)
    body = body[:at] + odd + body[at + cut :]

    found = accepted(body)

    if found is not None:
        read = json.loads(body)
        assert stdlib(read) == body
        assert found == (len(read), commitment(read, SALT).hex())


HEADER = {
    "actor": "operator",
    "at": "2026-11-22T20:15:30.123456Z",
    "attributes": 1,
    "commitment": "ab" * 32,
    "id": "0199",
    "ledger": "acme/0123456789abcdef",
    "position": 1,
    "revision": 1,
    "stream": "User-1",
    "txn": "0198",
    "type": "Updated",
    "v": 1,
    "version": 1,
    "via": "scim.patch",
}
COLUMNS = ("position", "id", "stream", "version", "type", "revision", "at", "txn", "actor")
VALUES = st.sampled_from(
    ['x","at":"y', "a\\u0041", "ü", "x\n", '"', "", 1, 1.0, True, None, b"User-1", "operator"]
)


def row_of(header: bytes, **columns: Any) -> tuple[Any, ...]:
    return (*({**HEADER, **columns}[name] for name in COLUMNS), header)


def is_accepted(row: tuple[Any, ...]) -> bool:
    try:
        return header_is_right(row, HEADER["ledger"], 1, "ab" * 32)  # type: ignore[arg-type]
    except (TypeError, ValueError, AttributeError):
        return False


def faults(row: tuple[Any, ...]) -> list[str]:
    """Return what the close look finds wrong with the header of a row, not with what it says."""
    whole = Row(*row, leaf_hash(row[9]), 1, None, None, None)
    read = Reader(HEADER["ledger"]).read(whole, _Nothing())  # type: ignore[arg-type]
    found = [finding.what for finding in read]
    return [what for what in found if what not in ("payload", "time", "event type")]


class _Nothing:
    """A database in which nothing is found."""

    def execute(self, *_: object) -> "_Nothing":
        return self

    def fetchone(self) -> None:
        return None


def test_a_header_as_it_was_written_needs_no_closer_look() -> None:
    assert is_accepted(row_of(canonical(HEADER)))


@given(st.sampled_from(COLUMNS[1:]), VALUES, st.booleans())
def test_a_header_and_a_column_that_were_changed_are_accepted_only_if_nothing_is_wrong(
    name: str, value: Any, both: bool
) -> None:
    fields = {**HEADER, name: value} if both and not isinstance(value, bytes) else HEADER
    row = row_of(stdlib(fields), **{name: value})

    if is_accepted(row):
        assert faults(row) == []


@given(st.integers(0, 450), st.integers(0, 3), ODD)
def test_a_header_that_was_changed_is_accepted_only_if_nothing_is_wrong(
    at: int, cut: int, odd: bytes
) -> None:
    header = canonical(HEADER)
    row = row_of(header[:at] + odd + header[at + cut :])

    if is_accepted(row):
        assert faults(row) == []


@given(st.integers(1, 70))
def test_level_by_level_gives_the_root_that_splitting_gives(size: int) -> None:
    leaves = [os.urandom(32) for _ in range(size)]

    assert root_of(leaves) == tree_hash(leaves)
