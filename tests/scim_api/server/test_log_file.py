"""SCIM_LOG_FILE: the log in a file that can be renamed, and is opened again on USR1."""

import json
import os
import signal
import subprocess

from tests.scim_api.process import PROGRAM, environment, free_port, wait_until

GOES_ON = "the log goes on in the file that is open: the log"


def lines(file):
    return [json.loads(line) for line in file.read_text().splitlines()]


def answered(server, file):
    """Ask until each worker has logged a request in a file; return the ids of what was asked."""
    ids = set()

    def logged():
        ids.add(server.ask("GET", "/Users").headers["X-Request-Id"])
        return len({each.get("request_id") for each in lines(file)} & ids) >= 8

    assert wait_until(logged)
    return ids


def test_a_renamed_log_gets_nothing_more_after_usr1_and_no_line_is_lost(start, tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    log, old = folder / "service.log", folder / "service.log.1"
    server = start(SCIM_LOG_FILE=log, WEB_CONCURRENCY=2)
    workers = server.workers()
    asked = answered(server, log)

    log.rename(old)
    asked |= answered(server, old)  # till then each goes on in the file that it has open
    server.process.send_signal(signal.SIGUSR1)
    assert wait_until(log.exists)
    assert wait_until(lambda: opened(log, server) == {server.process.pid, *workers})
    before = old.read_bytes()
    asked |= answered(server, log)

    assert server.workers() == workers
    assert old.read_bytes() == before
    assert wait_until(lambda: asked <= {each.get("request_id") for each in lines(old) + lines(log)})
    assert log.stat().st_mode & 0o777 == 0o640
    first = json.loads(before.splitlines()[0])["message"]
    assert first != "request"  # that the service began is in it, too
    folder.rename(tmp_path / "moved")
    server.process.send_signal(signal.SIGUSR1)
    assert wait_until(lambda: (tmp_path / "moved" / log.name).read_text().count(GOES_ON) == 3)
    assert server.ask("GET", "/Users").status == 200
    [listening] = [line for line in server.stderr.read_text().splitlines() if "Listening" in line]
    assert f"Listening at: http://127.0.0.1:{server.port} " in listening


def opened(file, server):
    """Return the processes of a service whose stderr is a file."""
    return {
        pid
        for pid in (server.process.pid, *server.workers())
        if os.path.samefile(f"/proc/{pid}/fd/2", file)
    }


def test_a_log_file_that_cannot_be_written_is_told_before_the_service_starts(tmp_path):
    (tmp_path / "file").touch()
    ended = subprocess.run(
        [*PROGRAM, "serve"],
        env=environment(
            tmp_path / "data", PORT=free_port(), SCIM_LOG_FILE=tmp_path / "file" / "log"
        ),
        capture_output=True,
        text=True,
    )

    assert ended.returncode == 4
    assert f"the log {tmp_path}/file/log (SCIM_LOG_FILE) cannot be written: Not a" in ended.stderr
    assert not (tmp_path / "data").exists()
