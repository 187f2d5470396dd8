"""Ledgers with tree heads, for the tests of verification."""

import shutil
from pathlib import Path

import pytest

from tests.ledger import signed as ledgers


@pytest.fixture(scope="session")
def signed_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ledgers.make(tmp_path_factory.mktemp("signed"))


@pytest.fixture
def signed(signed_template: Path, data_dir: Path) -> Path:
    """Copy the ledger with its key, the head that was signed last, and its heads."""
    shutil.copytree(signed_template.parent, data_dir / "acme")
    return data_dir / "acme" / "ledger.db"


@pytest.fixture(scope="session")
def long_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ledgers.make_long(tmp_path_factory.mktemp("long"))


@pytest.fixture
def long(long_template: Path, tmp_path: Path) -> Path:
    """Copy a ledger of three ranges."""
    shutil.copytree(long_template.parent, tmp_path / "acme")
    return tmp_path / "acme" / "ledger.db"
