"""docs/auditing.md shows the program's real output."""

from pathlib import Path

import pytest

from tests.handbook.shown import Runner, alike, shown_in
from tests.handbook.story import SETTINGS, Company, tell
from tests.scim_api.process import Server

HANDBOOK = Path(__file__).parents[2] / "docs" / "auditing.md"
SHOWN = shown_in(HANDBOOK.read_text()) if HANDBOOK.exists() else []


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return a runner for the company's ledger, which is made once."""
    folder = tmp_path_factory.mktemp("handbook")
    with pytest.MonkeyPatch.context() as patch:
        company = Company(folder / "data", patch)
        tell(company)
        server = Server(folder, **SETTINGS)
        yield Runner(company, server)
        server.clean_up()


@pytest.mark.parametrize("shown", SHOWN, ids=[shown.command for shown in SHOWN])
def test_the_output_shown_is_the_programs(run, shown):
    assert alike(run(shown)) == alike(shown.output)


def test_the_handbook_answers_twenty_questions():
    questions = [line for line in HANDBOOK.read_text().splitlines() if line.startswith("### ")]

    assert len(questions) >= 20
    assert len(SHOWN) >= 20
