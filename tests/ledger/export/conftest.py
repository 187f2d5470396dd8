"""Exports of the ledgers that the tests of every room know."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import app
from tests.ledger.export.notary import Desk

Export = Callable[..., Desk]


def command(*words: str) -> Result:
    result = CliRunner().invoke(app.cli, [*words, "--ledger", "acme"])
    assert result.exit_code == 0, result.stderr
    return result


@pytest.fixture
def acme(template: Path, data_dir: Path) -> Path:
    """Copy the template with its signing key to where the commands find the ledger acme."""
    shutil.copytree(template.parent, data_dir / "acme")
    return data_dir / "acme" / "ledger.db"


@pytest.fixture
def export(acme: Path, tmp_path: Path) -> Export:
    """Export acme by the command, and lay the files on an auditor's desk."""

    def run(*words: str, name: str = "acme") -> Desk:
        folder = tmp_path / name
        folder.mkdir()
        file = folder / "acme.jsonl"
        command("export", "--output", str(file), *words)
        return desk_of(file)

    return run


def desk_of(file: Path) -> Desk:
    proof = file.with_name(f"{file.name}.proof.json")
    return Desk(
        file.parent,
        file.read_bytes().splitlines(keepends=True),
        [file.with_name(f"{file.name}.tree-head").read_text(encoding="utf-8")],
        [keys()[-1]],
        json.loads(proof.read_text()) if proof.exists() else None,
    )


def keys() -> list[str]:
    return [row["verifier_key"] for row in json.loads(command("key", "show", "--json").stdout)]


@pytest.fixture(scope="session")
def exported(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """Export the template once: 31 events, the last of which is that of the export."""
    folder = tmp_path_factory.mktemp("exported")
    shutil.copytree(template.parent, folder / "data" / "acme")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SCIM_DATA_DIR", str(folder / "data"))
        command("export", "--output", str(folder / "acme.jsonl"))
        return desk_of(folder / "acme.jsonl")


@pytest.fixture
def desk(exported: Desk, tmp_path: Path) -> Desk:
    """Return a copy of that export, to be changed."""
    return Desk(tmp_path, [*exported.lines], [*exported.heads], [*exported.keys])
