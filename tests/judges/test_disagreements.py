"""docs/disagreements.md lists exactly what the judges excuse."""

import re
from pathlib import Path

from tests.judges.excuses import EXCUSES
from tests.judges.pair import ADJUSTED

DOCUMENT = Path(__file__).parents[2] / "docs" / "disagreements.md"
ENTRY = re.compile(r"^### `([a-z-]+)`\n(.*?)(?=^##|\Z)", re.MULTILINE | re.DOTALL)
PARTS = ["- Request:", "- Ours", "RFC", "- Decision:"]


def entries():
    return dict(ENTRY.findall(DOCUMENT.read_text()))


def test_exactly_the_excused_disagreements_are_documented():
    assert entries().keys() == EXCUSES.keys() | ADJUSTED


def test_every_disagreement_states_request_answers_rfc_and_decision():
    incomplete = [
        name
        for name, text in entries().items()
        if not all(part in text for part in PARTS) or "heirs" not in text
    ]

    assert incomplete == []
