"""What the judges excuse is written down, and nothing else is."""

import re
from pathlib import Path

from tests.judges.excuses import EXCUSES
from tests.judges.pair import ADJUSTED

DOCUMENT = Path(__file__).parents[2] / "docs" / "disagreements.md"
ENTRY = re.compile(r"^### `([a-z-]+)`\n(.*?)(?=^##|\Z)", re.MULTILINE | re.DOTALL)
PARTS = ["- Request:", "- Ours", "RFC", "- Decision:"]


def entries():
    return dict(ENTRY.findall(DOCUMENT.read_text()))


def test_every_disagreement_the_tests_excuse_is_documented_and_no_other():
    assert entries().keys() == EXCUSES.keys() | ADJUSTED


def test_every_disagreement_has_its_request_both_answers_the_rfc_and_a_decision():
    incomplete = [
        name
        for name, text in entries().items()
        if not all(part in text for part in PARTS) or "heirs" not in text
    ]

    assert incomplete == []
