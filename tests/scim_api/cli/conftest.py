"""Fixtures of the command line's tests: a runner on a data directory of its own."""

import gc
import json
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


@pytest.fixture
def shell(empty):
    """Return a shell with a new ledger."""
    empty("init")
    return empty


@pytest.fixture
def api(shell):
    """Return a client of the shell's ledger, with a token named okta."""
    site = Site(shell.data_dir)
    yield Api(site, "default", shell("token", "create", "okta").out.strip())
    site.close()
