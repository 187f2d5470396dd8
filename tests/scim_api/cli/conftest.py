"""Fixtures of the command line's tests: a runner on a data directory of its own."""

import gc
import json
import shutil
from dataclasses import dataclass

import pytest
from click.testing import CliRunner

import app
from tests.scim_api.client import Api, Site
from tests.scim_api.conftest import disk, made, start, start_made

__all__ = ["disk", "made", "start", "start_made"]


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


class Shell:
    """Runs commands within this process on one data directory."""

    def __init__(self, data_dir, monkeypatch):
        self.data_dir = data_dir
        monkeypatch.setenv("SCIM_DATA_DIR", str(data_dir))

    def __call__(self, *words, code=0):
        if "restore" in words:
            gc.collect()  # commands that ran in this process leave connections open
        result = CliRunner().invoke(app.cli, list(words), prog_name="scim-ledger")
        ended = Ended(result.exit_code, result.stdout, result.stderr)
        assert ended.code == code, ended
        assert "Traceback" not in ended.err
        return ended


@pytest.fixture
def empty(tmp_path, monkeypatch):
    """Return a shell where nothing is there yet."""
    return Shell(tmp_path / "data", monkeypatch)


@pytest.fixture(scope="session")
def initialised(tmp_path_factory):
    """Return a data directory with a new ledger, to be copied."""
    with pytest.MonkeyPatch.context() as patch:
        shell = Shell(tmp_path_factory.mktemp("initialised") / "data", patch)
        shell("init")
    gc.collect()
    return shell.data_dir


@pytest.fixture
def shell(empty, initialised):
    """Return a shell with a new ledger."""
    shutil.copytree(initialised, empty.data_dir)
    return empty


@pytest.fixture
def api(shell):
    """Return a client of the shell's ledger, with a token named okta."""
    site = Site(shell.data_dir)
    token = shell("token", "create", "okta", "--expires", "never").out.strip()
    yield Api(site, "default", token)
    site.close()
