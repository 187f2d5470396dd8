"""Rewrite the output shown in docs/auditing.md: python -m tests.handbook."""

import tempfile
from pathlib import Path

import pytest

from tests.handbook.shown import Runner, with_output
from tests.handbook.story import SETTINGS, Company, tell
from tests.handbook.test_handbook import HANDBOOK
from tests.scim_api.process import Server


def main():
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        company = Company(Path(folder) / "data", patch)
        tell(company)
        server = Server(Path(folder), **SETTINGS)
        try:
            HANDBOOK.write_text(with_output(HANDBOOK.read_text(), Runner(company, server)))
        finally:
            server.clean_up()


if __name__ == "__main__":
    main()
