"""Anchors and witnesses of a service: deliveries, and how a copy is detected."""

import json
import shutil
import time
from contextlib import ExitStack

import pytest

from ledger import clock
from scim_api.auth.tokens import issue
from tests.scim_api.client import Api, Site, user
from tests.scim_api.process import wait_until
from tests.scim_api.served import answering, served

BEHIND = "behind a signed tree head"


@pytest.fixture
def worm(tmp_path):
    made = tmp_path / "worm"
    made.mkdir()
    return made


def anchored(worm):
    """Return what the files of the only ledger in an anchor's folder hold, by name."""
    return {file.name: file.read_text() for file in sorted(worm.glob("*/*"))}


def reached(server):
    """Return the numbers of the heads up to which a service's anchors are."""
    states = server.data_dir.glob("default/anchor-*.json")
    return [json.loads(state.read_text())["number"] for state in states]


def grow(shell, events=1):
    """Record so many events and sign a head over them."""
    for _ in range(events):
        shell("role", "add", clock.uuid7())
    return shell("tree-head", "create", "--json").json


def put_back(shell, backup):
    """Put a backup in the place of the ledger, without the newest head that its key signed."""
    ledger = shell.data_dir / "default"
    for name in ("ledger.db", "ledger.db-wal", "ledger.db-shm", "signing.head"):
        (ledger / name).unlink(missing_ok=True)
    shutil.copy(backup, ledger / "ledger.db")


def ready(ask):
    answer = ask("GET", "/readyz", base="").json
    return [answer["status"], *answer["problems"]]


@pytest.fixture
def service(start, worm, monkeypatch, empty):
    """Return a function that starts services with anchors; the operator is the shell."""

    def make(**anchors):
        server = start(**anchors)
        for name, value in {"SCIM_DATA_DIR": server.data_dir, **anchors}.items():
            monkeypatch.setenv(name, str(value))
        empty.data_dir = server.data_dir
        return server, empty

    return make


def test_a_service_delivers_every_head_and_heals_where_a_backup_was_put_back(
    service, worm, tmp_path
):
    sink = answering(200)
    with served(sink) as url:
        server, shell = service(SCIM_ANCHOR_DIR=worm, SCIM_ANCHOR_URL=f"{url}/x")
        shell("backup", str(tmp_path / "backup.db"))
        head = grow(shell, 2)
        posted = head["note"].encode()  # a worker that opens the ledger now asks after that
        assert wait_until(lambda: posted in [body for _, body, _ in sink.asked])
        assert wait_until(lambda: head["note"] in anchored(worm).values())
        assert wait_until(lambda: reached(server) == [head["number"]] * 2)
        assert "has every tree head" in shell("doctor").out
        assert server.ask("POST", "/Users", user("last@example.com")).status == 201
        server.stop()
    numbers = [each["number"] for each in shell("tree-head", "list", "--json").json]
    assert [int(name[:10]) for name in anchored(worm)] == numbers  # the last one signed too
    assert "tree heads behind" in shell("doctor", code=1).out  # the URL

    put_back(shell, tmp_path / "backup.db")
    server.start()
    assert ready(server.ask) == ["not ready", BEHIND]
    assert server.ask("GET", "/Users").status == 503
    server.stop()
    made = shell("recover", "--new-incarnation", "--json").json
    server.start()
    assert ready(server.ask) == ["ready"]
    head = grow(shell)
    assert head["origin"] == made["origin"] != made["previous"]
    assert wait_until(lambda: head["note"] in anchored(worm).values())


def test_an_anchor_that_is_away_is_in_nobodys_way_and_made_up_for(service, tmp_path):
    with served(answering(503)) as url:
        away = tmp_path / "away"
        server, shell = service(SCIM_ANCHOR_DIR=away, SCIM_ANCHOR_URL=url)

        def said():
            lines = server.stderr.read_text().splitlines()
            found = [json.loads(line) for line in lines if line.startswith("{")]
            return [each["chore"] for each in found if "chore" in each]

        assert wait_until(lambda: {"FolderAnchor", "UrlAnchor"} <= set(said()))
        assert ready(server.ask) == ["ready"]
        away.mkdir()
        head = grow(shell)
        assert wait_until(lambda: head["note"] in anchored(away).values())
        assert said().count("FolderAnchor") == 1  # tried every two seconds, said once


def test_no_request_waits_for_an_anchor_that_drips(start_made, dripping):
    server = start_made(SCIM_ANCHOR_URL=f"http://{dripping(b'HTTP/1.1 200 OK')}/x")
    other = server.data_dir / "other"
    shutil.copytree(server.data_dir / "default", other)  # a copy is never served: opened again
    unknown = {"Authorization": f"Bearer {issue('0' * 16)}"}
    took, statuses = [], []

    for number in range(40):
        for path, headers in (("/Users", None), ("/Users", unknown)):
            began = time.monotonic()
            body = user(f"u{number}@example.com")
            statuses.append(server.ask("POST", path, body, headers=headers).status)
            took.append(time.monotonic() - began)
        server.ask("GET", "/readyz", base="")

    assert set(statuses[::2]) == {201}
    assert set(statuses[1::2]) <= {401, 503}
    assert max(took) < 1.5  # one exchange with the anchor takes 2 s
    copy = {"other": "two files hold one ledger"}
    assert wait_until(lambda: server.ask("GET", "/readyz", base="").json.get("ledgers") == copy)


@pytest.mark.parametrize("holder", ["SCIM_ANCHOR_URL", "SCIM_WITNESS_DIR"])
def test_a_restored_backup_is_refused_because_of_an_anchors_heads(
    shell, tmp_path, monkeypatch, holder
):
    with ExitStack() as stack:
        shell("backup", str(tmp_path / "backup.db"))
        head = grow(shell, 3)
        if holder == "SCIM_WITNESS_DIR":
            told = str(tmp_path / "seen")
            witnessed(shell, told, tmp_path / "token")
        else:
            told = stack.enter_context(served(answering(200, head["note"].encode())))
        put_back(shell, tmp_path / "backup.db")
        monkeypatch.setenv(holder, told)
        site = Site(shell.data_dir, **{holder: told})
        stack.callback(site.close)
        client = Api(site, "default", "")

        assert ready(client.ask) == ["not ready", BEHIND]
        shell("recover", "--new-incarnation")
        assert ready(client.ask) == ["ready"]


def witnessed(shell, folder, token):
    """Run a witness on the newest head."""
    token.write_text(shell("token", "create", "auditor", "--scope", "audit").out)
    shell("tree-head", "create")
    site = Site(shell.data_dir)
    with served(site.app) as url:
        shell("witness", url, "--state", folder, "--token-file", str(token))
    site.close()


def test_a_command_is_refused_on_a_copy_too_and_strays_stop_nothing(
    shell, worm, tmp_path, monkeypatch
):
    shell("backup", str(tmp_path / "backup.db"))
    head = grow(shell)
    ledger = worm / head["origin"].partition("/")[2]
    ledger.mkdir()
    monkeypatch.setenv("SCIM_ANCHOR_DIR", str(worm))
    (ledger / "0000009999-9999.tree-head").write_text("not a note")
    shell("status")
    (ledger / f"{head['number']:010}-{head['size']}.tree-head").write_text(head["note"])
    shell("status")
    put_back(shell, tmp_path / "backup.db")

    refused = shell("token", "create", "x", code=1)

    assert str(worm) in refused.err
    assert "recover --new-incarnation" in refused.err
