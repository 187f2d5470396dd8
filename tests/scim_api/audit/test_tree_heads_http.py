"""Tree heads of a service process: on clean shutdown, and a ledger behind one."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.scim_api.process import PROGRAM, Server, environment


@pytest.fixture
def server(tmp_path):
    server = Server(tmp_path, WEB_CONCURRENCY=2)
    yield server
    server.clean_up()


def command(server, *words):
    return subprocess.run(
        [*PROGRAM, *words],
        env=environment(server.data_dir),
        capture_output=True,
        text=True,
        check=False,
    )


def create(server, name):
    body = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": name}
    return server.ask("POST", "/Users", body)


def test_a_head_over_everything_is_signed_on_a_clean_shutdown(server):
    for n in range(3):
        assert create(server, f"user{n}").status == 201

    assert server.stop() == 0

    newest = json.loads(command(server, "tree-head", "show", "--json").stdout)
    assert newest["size"] == len(json.loads(command(server, "events", "list", "--json").stdout))


def test_a_ledger_behind_a_head_is_not_served_until_recover(server, tmp_path):
    copy = tmp_path / "backup.db"
    command(server, "backup", str(copy))
    assert create(server, "lost").status == 201
    server.stop()
    folder = Path(server.data_dir) / "default"
    for file in folder.glob("ledger.db*"):
        file.unlink()
    shutil.copy(copy, folder / "ledger.db")
    os.chmod(folder / "ledger.db", 0o600)

    server.start()

    refused = server.ask("GET", "/Users")
    assert refused.status == 503
    assert "behind a signed tree head" in refused.json["detail"]
    assert server.ask("GET", "/readyz", base="").status == 503
    assert "recover --new-incarnation" in server.stderr.read_text()
    server.stop()

    assert command(server, "recover", "--new-incarnation").returncode == 0

    server.start()
    assert create(server, "lost").status == 201
