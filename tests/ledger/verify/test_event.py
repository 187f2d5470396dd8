"""An event is correct only if its bytes follow from its columns and its payload."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ledger.codec import canonical, commitment
from ledger.contract import StoredEvent
from ledger.events import TYPES
from ledger.findings import Finding
from ledger.merkle import leaf_hash
from ledger.verify.event import EventCheck

SALT = bytes(range(32))
ORIGIN = "acme/0123456789abcdef"
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


class NoRows:
    """A ledger in which no other event is found."""

    def type_and_stream(self, position: int | None) -> None:
        return None


def event(payload: dict[str, Any], **columns: Any) -> StoredEvent:
    fields = {
        "actor": "operator",
        "at": "2026-11-22T20:15:30.123456Z",
        "attributes": len(payload),
        "commitment": commitment(payload, SALT).hex(),
        "id": "0199",
        "ledger": ORIGIN,
        "position": 1,
        "revision": 1,
        "stream": "User-1",
        "txn": "0198",
        "type": "Updated",
        "v": 1,
        "version": 1,
        "via": "scim.patch",
    }
    header = canonical(fields)
    columns = {
        "header": header,
        "leaf_hash": leaf_hash(header),
        "payload_position": 1,
        "salt": SALT,
        "body": canonical(payload),
        "erased_by": None,
        **columns,
    }
    return StoredEvent(**{name: {**fields, **columns}[name] for name in StoredEvent._fields})


def happened(type_: str, stream: str) -> StoredEvent:
    """Return an event of a type in a stream."""
    row = event({})
    header = canonical({**json.loads(row.header), "type": type_, "stream": stream})
    return with_header(row._replace(type=type_, stream=stream), header)


def with_header(row: StoredEvent, header: bytes) -> StoredEvent:
    return row._replace(header=header, leaf_hash=leaf_hash(header))


def found_in(row: StoredEvent) -> list[Finding]:
    _, findings = EventCheck(NoRows(), ORIGIN).check(row)  # type: ignore[arg-type]
    return findings


def faults(row: StoredEvent) -> list[str]:
    return [finding.what for finding in found_in(row)]


def stdlib(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


@given(PAYLOADS)
def test_an_event_as_it_is_written_is_correct(payload: dict[str, Any]) -> None:
    assert faults(event(payload)) == []


@given(PAYLOADS, st.integers(0, 200), st.integers(0, 3), ODD)
@example({"a": "b"}, 5, 0, b'","c":"')
@example({"a": 1, "b": 2}, 6, 1, b"{")
@example({"a": {"b": 1}}, 5, 0, b" ")
def test_a_payload_with_any_byte_changed_is_found(
    payload: dict[str, Any], at: int, cut: int, odd: bytes
) -> None:
    row, body = event(payload), canonical(payload)
    changed = body[:at] + odd + body[at + cut :]

    assert bool(faults(row._replace(body=changed))) == (changed != body)


@given(st.integers(0, 450), st.integers(0, 3), ODD)
def test_a_header_with_any_byte_changed_is_found_though_its_leaf_fits(
    at: int, cut: int, odd: bytes
) -> None:
    row = event({"a": 1})
    changed = row.header[:at] + odd + row.header[at + cut :]
    in_via = (
        b'"via":"' in changed
        and stdlib(
            {
                **json.loads(row.header),
                "via": changed.rpartition(b'"via":"')[2][:-2].decode("latin-1"),
            }
        )
        == changed
    )  # no column has it

    assert bool(faults(with_header(row, changed))) == (changed != row.header and not in_via)


COLUMNS = ("id", "stream", "version", "type", "revision", "at", "txn", "actor")
VALUES = st.sampled_from(
    ['x","at":"y', "a\\u0041", "ü", "x\n", '"', "", 1, 1.0, True, None, b"User-1", "operator"]
)


@given(st.sampled_from(COLUMNS), VALUES)
def test_a_column_that_the_header_does_not_have_is_found(name: str, value: Any) -> None:
    row = event({"a": 1})
    changed = row._replace(**{name: value})

    same = value == getattr(row, name) and type(value) is type(getattr(row, name))
    assert bool(faults(changed)) != same


@pytest.mark.parametrize("name", [*COLUMNS, "position", "ledger", "v", "attributes", "commitment"])
def test_the_wrong_field_of_a_header_is_named(name: str) -> None:
    row = event({"a": 1})
    header = canonical({**json.loads(row.header), name: "another"})

    what = {"attributes": "payload entries", "commitment": "commitment"}
    what |= {name: f"header's {name}" for name in ("ledger", "v")}
    assert faults(with_header(row, header)) == [what.get(name, f"column {name}")]


def test_where_a_header_is_not_as_it_was_hashed_the_column_is_expected() -> None:
    row = event({"a": 1})
    header = canonical({**json.loads(row.header), "actor": "another"})

    changed = row._replace(header=header)
    assert faults(changed) == ["leaf hash", "header's actor"]
    assert found_in(changed)[0].expected == row.leaf_hash.hex()
    assert found_in(row._replace(leaf_hash=bytes(32)))[0].found == bytes(32).hex()


@pytest.mark.parametrize(("name", "value"), [("attributes", True), ("v", 1.0), ("version", True)])
def test_a_number_in_another_form_is_found(name: str, value: object) -> None:
    row = event({"a": 1})
    header = canonical({**json.loads(row.header), name: value})

    assert faults(with_header(row, header)) != []


def test_a_name_too_many_and_one_too_few_are_found() -> None:
    row = event({"a": 1})
    fields = json.loads(row.header)
    more = canonical({**fields, "more": 1})
    less = canonical({name: value for name, value in fields.items() if name != "via"})

    assert faults(with_header(row, more)) == ["header names"]
    assert faults(with_header(row, less)) == ["header names"]


RESOURCES = ("User", "Group", "Role", "Entitlement")
STREAMS = {
    **dict.fromkeys(("Created", "Updated", "Deleted"), RESOURCES),
    **dict.fromkeys(("Deactivated", "Reactivated", "Erased"), ("User",)),
    **dict.fromkeys(("MembersAdded", "MembersRemoved"), ("Group",)),
    **dict.fromkeys(("HoldPlaced", "HoldReleased"), ("Hold",)),
    **dict.fromkeys(("LedgerOpened", "KeyRotated", "Exported", "Restored"), ("Ledger",)),
    **dict.fromkeys(("CredentialIssued", "CredentialRevoked"), ("Credential",)),
    "CredentialRotated": ("Credential", "Client"),
    "CredentialChanged": ("Credential", "Client"),
    **dict.fromkeys(("ClientRegistered", "ClientChanged", "ClientRemoved"), ("Client",)),
    **dict.fromkeys(
        ("ConnectCodeIssued", "ConnectCodeUsed", "ConnectCodeCancelled"), ("ConnectCode",)
    ),
    **dict.fromkeys(("ConsentGiven", "ConsentWithdrawn", "ReuseDetected"), ("Grant",)),
    **dict.fromkeys(("TokensIssued", "AccessTokenRevoked"), ("Grant", "Client")),
    "SettingsChanged": ("Settings",),
}
OTHERS = ("Hold", "Ledger", "Credential", "Client", "Grant", "ConnectCode", "Settings")


@pytest.mark.parametrize("type_", TYPES)
def test_an_event_stands_in_a_stream_of_what_its_type_is_about(type_: str) -> None:
    for kind in (*RESOURCES, *OTHERS):
        wrong = [] if kind in STREAMS[type_] else [f"stream of {type_}"]

        assert faults(happened(type_, f"{kind}-1")) == wrong, kind


def test_a_stream_is_of_a_kind_by_the_name_before_its_hyphen() -> None:
    for stream in ("Users-1", "user-1", "User", "XUser-1", ""):
        assert faults(happened("Erased", stream)) == ["stream of Erased"], stream
