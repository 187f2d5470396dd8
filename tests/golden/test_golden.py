"""Every event type and revision ever recorded can still be read: one golden file for each.

A file here is never changed and never deleted: ledgers hold such events. A revision adds a file.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from ledger import codec, events
from ledger.events import Recorded
from projections.state import Resource, evolve

FILES = sorted(Path(__file__).parent.glob("*.json"))
GOLDEN = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in FILES}
OF_RESOURCES = [name for name, golden in GOLDEN.items() if "after" in golden]

EVERY_REVISION = [
    f"{type_}-{revision}"
    for type_, newest in events.REVISIONS.items()
    for revision in range(1, newest + 1)
]


def decoded(golden: dict[str, Any]) -> Recorded:
    return codec.decode(golden["header"].encode(), codec.canonical(golden["payload"]))


def resource(stored: dict[str, Any] | None) -> Resource | None:
    return Resource(**stored) if stored else None


@pytest.mark.parametrize("name", EVERY_REVISION)
def test_every_type_and_revision_has_a_golden_file(name: str) -> None:
    assert name in GOLDEN


@pytest.mark.parametrize("name", GOLDEN)
def test_a_golden_file_has_the_type_and_revision_in_its_name(name: str) -> None:
    header = json.loads(GOLDEN[name]["header"])

    assert f"{header['type']}-{header['revision']}" == name


@pytest.mark.parametrize("name", GOLDEN)
def test_a_golden_event_can_still_be_read(name: str) -> None:
    header = json.loads(GOLDEN[name]["header"])

    recorded = decoded(GOLDEN[name])

    fields = "id position stream version type at txn actor via".split()
    assert {f: getattr(recorded, f) for f in fields} == {f: header[f] for f in fields}
    assert recorded.revision == events.REVISIONS[recorded.type]


@pytest.mark.parametrize("name", GOLDEN)
def test_a_golden_payload_reads_as_written_or_as_its_file_says(name: str) -> None:
    golden = GOLDEN[name]  # "read" is for a revision whose upcaster changes the payload

    assert decoded(golden).payload == golden.get("read", golden["payload"])


@pytest.mark.parametrize("name", GOLDEN)
def test_a_golden_commitment_still_holds(name: str) -> None:
    golden = GOLDEN[name]
    header = json.loads(golden["header"])

    commitment = codec.commitment(golden["payload"], bytes.fromhex(golden["salt"]))

    assert (commitment.hex(), len(golden["payload"])) == (
        header["commitment"],
        header["attributes"],
    )


@pytest.mark.parametrize("name", OF_RESOURCES)
def test_a_golden_event_still_changes_a_resource_as_it_did(name: str) -> None:
    golden = GOLDEN[name]

    after = evolve(resource(golden["before"]), decoded(golden))

    assert after == resource(golden["after"])


def test_every_event_about_a_resource_has_a_golden_state() -> None:
    about_resources = {
        f"{type_}-1"
        for type_ in (
            *("Created", "Updated", "Deactivated", "Reactivated", "Deleted"),
            *("MembersAdded", "MembersRemoved"),
        )
    }

    assert about_resources <= set(OF_RESOURCES)
