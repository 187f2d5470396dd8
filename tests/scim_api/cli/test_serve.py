"""serve: what it prints, when it refuses, and what it keeps to itself."""

import os
import shutil
import signal
import subprocess
import sys

import pytest
from click.testing import CliRunner

import app
from tests.scim_api.client import user
from tests.scim_api.process import PROGRAM, Server, environment, free_port, wait_until


def run(data_dir, *words, program=PROGRAM, **settings):
    """Run a command as a process of its own, to its end."""
    return subprocess.run(
        [*program, *words],
        env=environment(data_dir, **settings),
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """Return a running service that nobody changes."""
    server = Server(tmp_path_factory.mktemp("served"))
    server.ask("POST", "/Users", user("jane@example.com"))
    yield server
    server.clean_up()


def test_the_first_start_prints_the_base_url_and_a_token(served):
    printed = served.stdout.read_text()

    assert f"SCIM base URL: http://127.0.0.1:{served.port}/scim/v2" in printed
    assert served.token.startswith("scl_")
    assert served.ask("GET", "/Users").status == 200


def test_once_it_is_ready_it_shows_how_to_call_it(served):
    url = f"http://127.0.0.1:{served.port}/scim/v2"

    shown = wait_until(lambda: served.stdout.read_text().partition("The service is ready: ")[2])

    assert shown.splitlines()[0] == url
    make, call = shown.splitlines()[1:3]
    assert make.startswith("Make a token:") and make.endswith("scim-ledger token create NAME")
    assert f'curl -H "Authorization: Bearer TOKEN" {url}/Users' in call


def test_the_token_is_on_stdout_only(served):
    assert served.token not in served.stderr.read_text()


def test_no_process_carries_the_token_in_its_arguments_or_environment(served):
    for pid in (served.process.pid, *served.workers()):
        for what in ("cmdline", "environ"):
            with open(f"/proc/{pid}/{what}", "rb") as file:
                assert served.token[4:].encode() not in file.read()


def test_two_workers_serve(served):
    assert len(served.workers()) == 2


def test_usr1_disturbs_nothing_where_the_log_is_stderr(served):
    workers = served.workers()

    served.process.send_signal(signal.SIGUSR1)

    assert served.ask("GET", "/Users").status == 200
    assert served.workers() == workers


def test_commands_work_while_the_service_runs(served):
    shown = run(served.data_dir, "user", "show", "jane@example.com", "--json")

    assert (shown.returncode, shown.stderr) == (0, "")


@pytest.fixture(scope="module")
def refused(served, tmp_path_factory):
    """Start a second service on the port of the first; return its data directory and its end."""
    data_dir = tmp_path_factory.mktemp("refused") / "data"
    port = str(served.port)
    return data_dir, run(data_dir, "serve", "--port", port, SCIM_BASEURL="x")


@pytest.mark.slow
def test_an_occupied_port_ends_with_4_and_a_way_out(refused, served):
    _, ended = refused

    assert ended.returncode == 4
    assert f"port {served.port}" in ended.stderr
    assert "Set PORT or SCIM_BIND" in ended.stderr


@pytest.mark.slow
def test_an_occupied_port_is_found_before_anything_is_made(refused):
    data_dir, ended = refused

    assert ended.stdout == ""
    assert not data_dir.exists()


@pytest.mark.slow
def test_a_misspelt_variable_is_warned_of(refused):
    _, ended = refused

    assert "warning: SCIM_BASEURL is not a setting; did you mean SCIM_BASE_URL?" in ended.stderr


def test_an_address_that_is_not_ours_ends_with_4(tmp_path):
    ended = run(tmp_path / "data", "serve", "--bind", "203.0.113.1")

    assert ended.returncode == 4
    assert "cannot listen on 203.0.113.1" in ended.stderr


def test_a_data_directory_that_cannot_be_made_ends_with_a_sentence(tmp_path):
    ended = run("/dev/null/data", "serve", PORT=free_port())

    assert ended.returncode in (1, 4)
    assert ended.stderr.startswith("Error: ")
    assert "Traceback" not in ended.stderr


def test_a_ledger_that_cannot_be_used_is_named_and_the_service_starts(start, tmp_path):
    run(tmp_path / "server" / "data", "init", "--ledger", "sound")
    broken = tmp_path / "server" / "data" / "broken" / "ledger.db"
    broken.parent.mkdir()
    broken.write_text("no ledger " * 1000)

    server = start()

    assert "warning: ledger broken cannot be served" in server.stderr.read_text()
    ready, broken, sound = (
        server.ask("GET", f"/readyz{which}", base="")
        for which in ("", "?ledger=broken", "?ledger=sound")
    )
    assert (ready.status, ready.json["ledgers"]) == (200, {"broken": "foreign or damaged file"})
    assert (broken.status, sound.status) == (503, 200)
    assert server.ask("GET", "/livez", base="").status == 200


def test_where_the_ledger_is_away_none_is_made_and_the_service_says_that_it_is_not_ready(
    start, tmp_path
):
    data = tmp_path / "server" / "data"
    run(data, "init")
    (data / "default" / "ledger.db").rename(tmp_path / "ledger.db")

    server = start()

    shown = wait_until(lambda: server.stdout.read_text().partition("The service runs, but ")[2])
    assert shown.startswith("is not ready (")
    assert "The service is ready" not in server.stdout.read_text()
    said = server.stderr.read_text()
    assert f"there is no ledger at {data}/default/ledger.db, but what belongs to one is" in said
    assert server.token is None
    server.stop()
    assert not (data / "default" / "ledger.db").exists()
    (tmp_path / "ledger.db").rename(data / "default" / "ledger.db")
    assert run(data, "verify").returncode == 0


def test_no_ledger_is_made_where_there_are_keys_of_others_and_no_ledger(tmp_path):
    run(tmp_path / "data", "init", "--ledger", "acme", SCIM_KEY_DIR=tmp_path / "keys")
    shutil.rmtree(tmp_path / "data")  # its disk is not mounted

    ended = run(tmp_path / "data", "serve", PORT=free_port(), SCIM_KEY_DIR=tmp_path / "keys")

    assert ended.returncode == 4
    assert f"SCIM_KEY_DIR, {tmp_path}/keys, has the keys of acme. Nothing was made." in ended.stderr
    assert (
        f"SCIM_DATA_DIR (set in the environment) is {tmp_path}/data, which is not" in ended.stderr
    )
    assert not (tmp_path / "data").exists()


def test_flask_offers_the_same_commands(served):
    flask = [sys.executable, "-m", "flask", "--app", "app", "ledger"]

    ended = run(served.data_dir, "status", "--json", program=flask)

    assert ended.returncode == 0
    assert '"ledger": "default"' in ended.stdout


def test_a_reader_that_goes_away_is_no_failure(served):
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as pipe:
        ended = subprocess.run(
            [*PROGRAM, "events", "list", "--json"],
            env=environment(served.data_dir),
            stdout=pipe,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )

    assert "Traceback" not in ended.stderr
    assert ended.returncode == 0


def test_a_python_that_cannot_be_run_is_named(data_dir, tmp_path, monkeypatch):
    python = tmp_path / "python"
    python.touch(mode=0o600)
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setenv("PORT", str(free_port()))

    result = CliRunner().invoke(app.cli, ["serve"])

    assert result.exit_code == 4
    assert f"{python} cannot be run: Permission denied" in result.stderr
