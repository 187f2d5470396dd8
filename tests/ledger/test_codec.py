"""Events as bytes: canonical JSON, headers, commitments, leaves, test vectors, upcasting."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from ledger import codec, events, merkle
from ledger.codec import UnknownEvent
from ledger.events import Event, Metadata, Recorded

DOCS = Path(__file__).parents[2] / "docs"
VECTORS = json.loads((DOCS / "test-vectors.json").read_text())["vectors"]

HEADER_NAMES = {
    *("actor", "at", "attributes", "commitment", "id", "ledger", "position"),
    *("revision", "stream", "txn", "type", "v", "version", "via"),
}
RECORDED = Recorded(
    position=42,
    id="01a20b63-a5ba-75ab-a2b5-0dfef08b84f4",
    stream="User-01a20b63-a529-7bb0-8e6c-980d08c3f8cd",
    version=3,
    type=events.UPDATED,
    revision=1,
    at="2026-11-22T20:15:30.123456Z",
    txn="01a20b63-a5b9-7000-8000-00000000000a",
    actor="01a20b63-0000-7000-8000-00000000000b",
    via="scim.patch",
    payload={},
)

texts = st.text(st.characters(exclude_categories=["Cs"]))
paths = st.text(st.characters(max_codepoint=0x7F))
leaves = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | texts
values = st.recursive(
    leaves,
    lambda v: st.lists(v, max_size=4) | st.dictionaries(paths, v, max_size=4),
    max_leaves=12,
)
simple = st.none() | st.booleans() | st.integers(-9, 9) | st.text('aé"', max_size=2)
payloads = st.dictionaries(st.text("ab:.", max_size=3), simple | st.lists(simple, max_size=2))
salts = st.binary(min_size=32, max_size=32)


# Canonical JSON


@given(values)
def test_canonical_json_equals_rfc_8785(value: Any) -> None:
    assert codec.canonical(value) == rfc8785.dumps(value)


@given(values)
def test_canonical_json_equals_sorted_compact_json_dumps(value: Any) -> None:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    assert codec.canonical(value) == text.encode()


def test_a_lone_surrogate_has_no_canonical_form() -> None:
    with pytest.raises(TypeError):
        codec.canonical({"userName": "\ud800"})


# Headers


def test_a_header_has_exactly_the_documented_names() -> None:
    header = codec.header_bytes("acme/00112233445566aa", RECORDED, 2, "00" * 32)

    assert json.loads(header).keys() == HEADER_NAMES


def test_the_document_lists_exactly_the_names_of_a_header() -> None:
    _, _, section = (DOCS / "ledger-format.md").read_text().partition("## The header")
    table = section.partition("\n## ")[0]

    named = {line.split("`")[1] for line in table.splitlines() if line.startswith("| `")}
    assert named == HEADER_NAMES


@given(texts, texts, st.integers(1, 2**53 - 1))
def test_a_header_is_canonical_json(actor: str, via: str, position: int) -> None:
    recorded = replace(RECORDED, actor=actor, via=via, position=position)

    header = codec.header_bytes("acme/00112233445566aa", recorded, 2, "00" * 32)

    assert header == rfc8785.dumps(json.loads(header))


def test_a_header_reveals_only_size_and_commitment_of_the_payload() -> None:
    payload = {"userName": "jane@example.com", "request.address": "203.0.113.7"}
    recorded = replace(RECORDED, payload=payload)

    header = codec.header_bytes("acme/00112233445566aa", recorded, 2, "00" * 32)

    assert b"jane" not in header
    assert b"203.0.113.7" not in header
    assert json.loads(header)["attributes"] == 2


def test_a_leaf_is_the_hash_of_a_zero_byte_and_the_header() -> None:
    assert merkle.leaf_hash(b"{}") == hashlib.sha256(b"\x00{}").digest()


# Commitments


def commitment_by_hand(payload: dict[str, Any], event_salt: bytes) -> bytes:
    """Hash neighbours in pairs until one hash is left; an odd one moves up unchanged."""
    stream = hashlib.shake_256(event_salt).digest(16 * len(payload))
    level = []
    for path in sorted(payload, key=str.encode):
        salt, stream = stream[:16], stream[16:]
        level.append(hashlib.sha256(b"\x00" + salt + rfc8785.dumps([path, payload[path]])).digest())
    if not level:
        return hashlib.sha256(b"").digest()
    while len(level) > 1:
        pairs = [level[i : i + 2] for i in range(0, len(level), 2)]
        level = [
            hashlib.sha256(b"\x01" + b"".join(pair)).digest() if len(pair) == 2 else pair[0]
            for pair in pairs
        ]
    return level[0]


@given(payloads, salts)
def test_a_commitment_is_the_tree_hash_of_the_salted_entries(
    payload: dict[str, Any], salt: bytes
) -> None:
    assert codec.commitment(payload, salt) == commitment_by_hand(payload, salt)


def test_the_commitment_to_an_empty_payload_is_the_hash_of_no_bytes() -> None:
    assert codec.commitment({}, b"\x07" * 32) == hashlib.sha256(b"").digest()


@given(payloads.filter(bool), salts, salts)
def test_another_salt_gives_another_commitment(
    payload: dict[str, Any], salt: bytes, other: bytes
) -> None:
    same = codec.commitment(payload, salt) == codec.commitment(payload, other)

    assert same == (salt == other)


@given(payloads, salts, st.data())
def test_a_commitment_does_not_depend_on_the_order_of_entries(
    payload: dict[str, Any], salt: bytes, data: st.DataObject
) -> None:
    shuffled = dict(data.draw(st.permutations(list(payload.items()))))

    assert codec.commitment(shuffled, salt) == codec.commitment(payload, salt)


@given(payloads.filter(bool), salts, st.data())
def test_a_commitment_distinguishes_a_null_from_an_absent_entry(
    payload: dict[str, Any], salt: bytes, data: st.DataObject
) -> None:
    path = data.draw(st.sampled_from(sorted(payload)))
    without = {key: value for key, value in payload.items() if key != path}

    with_null = codec.commitment({**payload, path: None}, salt)

    assert with_null != codec.commitment(without, salt)


# The published vectors


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["about"])
def test_the_program_computes_each_published_vector(vector: dict[str, Any]) -> None:
    payload, salt = vector["payload"], bytes.fromhex(vector["salt"])
    fields = json.loads(vector["header"])
    decoded = codec.decode(vector["header"].encode(), codec.canonical(payload))
    recorded = replace(decoded, revision=fields["revision"])  # as it was written

    commitment = codec.commitment(payload, salt)
    header = codec.header_bytes(fields["ledger"], recorded, len(payload), commitment.hex())

    assert codec.canonical(payload).decode() == vector["body"]
    assert commitment.hex() == vector["commitment"]
    assert header.decode() == vector["header"]
    assert merkle.leaf_hash(header).hex() == vector["leaf"]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["about"])
def test_each_published_vector_follows_the_document(vector: dict[str, Any]) -> None:
    payload, salt = vector["payload"], bytes.fromhex(vector["salt"])
    header = vector["header"].encode()

    assert rfc8785.dumps(payload).decode() == vector["body"]
    assert commitment_by_hand(payload, salt).hex() == vector["commitment"]
    assert rfc8785.dumps(json.loads(header)) == header
    assert json.loads(header)["commitment"] == vector["commitment"]
    assert json.loads(header)["attributes"] == len(payload)
    assert hashlib.sha256(b"\x00" + header).hexdigest() == vector["leaf"]


# Back from bytes


@given(payloads, texts, st.integers(1, 2**53 - 1))
def test_decoding_reverses_encoding(payload: dict[str, Any], actor: str, position: int) -> None:
    recorded = replace(RECORDED, payload=payload, actor=actor, position=position)
    header = codec.header_bytes("acme/00112233445566aa", recorded, len(payload), "00" * 32)

    assert codec.decode(header, codec.canonical(payload)) == recorded


def test_an_erased_payload_decodes_as_none() -> None:
    header = codec.header_bytes("acme/00112233445566aa", RECORDED, 2, "00" * 32)

    assert codec.decode(header, None).payload is None


def test_a_payload_contains_effects_and_request() -> None:
    event = Event(events.UPDATED, {"title": "Chief"})
    metadata = Metadata("a", "scim.put", "t", {"method": "PUT", "address": "203.0.113.7"})

    payload = codec.payload_of(event, metadata)

    assert payload == {
        "title": "Chief",
        "request.method": "PUT",
        "request.address": "203.0.113.7",
    }


def test_a_recorded_event_splits_its_payload_into_effects_and_request() -> None:
    recorded = replace(RECORDED, payload={"title": "Chief", "request.method": "PUT"})

    assert recorded.effects == {"title": "Chief"}
    assert recorded.request == {"method": "PUT"}


def test_an_erased_event_has_no_effects_and_no_request() -> None:
    recorded = replace(RECORDED, payload=None)

    assert recorded.effects == {}
    assert recorded.request == {}


# Types and revisions


def header_of(type_: str, revision: int) -> bytes:
    recorded = replace(RECORDED, type=type_, revision=revision)
    return codec.header_bytes("acme/00112233445566aa", recorded, 0, "00" * 32)


def test_an_unknown_type_stops_the_reader() -> None:
    with pytest.raises(UnknownEvent, match="'Levitated' revision 1"):
        codec.decode(header_of("Levitated", 1), b"{}")


@pytest.mark.parametrize("type_", sorted(events.REVISIONS))
def test_a_newer_revision_stops_the_reader(type_: str) -> None:
    newer = events.REVISIONS[type_] + 1

    with pytest.raises(UnknownEvent, match=f"'{type_}' revision {newer}"):
        codec.decode(header_of(type_, newer), b"{}")


def test_an_unknown_event_stops_the_reader_even_when_it_is_erased() -> None:
    with pytest.raises(UnknownEvent):
        codec.decode(header_of("Levitated", 1), None)


@pytest.fixture
def three_revisions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make `Updated` look as if it had three revisions."""
    upcasters = {
        (events.UPDATED, 1): lambda payload: {**payload, "steps": ["1 to 2"]},
        (events.UPDATED, 2): lambda payload: {"steps": [*payload["steps"], "2 to 3"]},
    }
    monkeypatch.setattr(codec, "REVISIONS", {**events.REVISIONS, events.UPDATED: 3})
    monkeypatch.setattr(codec, "UPCASTERS", upcasters)


@pytest.mark.usefixtures("three_revisions")
def test_upcasting_applies_every_step_in_order() -> None:
    recorded = codec.decode(header_of(events.UPDATED, 1), b'{"title":"Chief"}')

    assert recorded.revision == 3
    assert recorded.payload == {"steps": ["1 to 2", "2 to 3"]}


@pytest.mark.usefixtures("three_revisions")
def test_upcasting_starts_at_the_revision_of_the_event() -> None:
    recorded = codec.decode(header_of(events.UPDATED, 2), b'{"steps":[]}')

    assert recorded.payload == {"steps": ["2 to 3"]}


@pytest.mark.usefixtures("three_revisions")
def test_an_erased_payload_stays_none_when_upcast() -> None:
    recorded = codec.decode(header_of(events.UPDATED, 1), None)

    assert (recorded.revision, recorded.payload) == (3, None)


@pytest.mark.parametrize("type_", sorted(events.REVISIONS))
def test_every_revision_has_an_upcaster_to_the_next(type_: str) -> None:
    steps = [(type_, revision) for revision in range(1, events.REVISIONS[type_])]

    assert [step for step in steps if step not in codec.UPCASTERS] == []
