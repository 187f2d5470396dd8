"""The other files of docs/deploy: read by the programs they are for, and run."""

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.scim_api.client import Site
from tests.scim_api.process import PROGRAM, Server, environment, wait_until

DEPLOY = Path(__file__).parents[2] / "docs" / "deploy"
SBIN = "/usr/sbin:/sbin:" + os.environ["PATH"]
COMMAND = "/opt/scim-ledger/bin/scim-ledger"
BACKUPS = "/var/backups/scim-ledger"
DAY = 86_400


def needs(program):
    found = shutil.which(program, path=SBIN) is None
    return pytest.mark.skipif(found, reason=f"{program} is not installed")


def run(*words, **more):
    return subprocess.run(words, capture_output=True, text=True, check=False, **more)


@needs("systemd-analyze")
@pytest.mark.parametrize(
    "name", ["scim-ledger.service", "scim-ledger-backup.service", "scim-ledger-backup.timer"]
)
def test_systemd_accepts_a_unit(name, tmp_path):
    for path in DEPLOY.glob("scim-ledger*.*"):
        text = path.read_text().replace(COMMAND, PROGRAM[0])
        (tmp_path / path.name).write_text(text)

    done = run("systemd-analyze", "verify", "--man=no", str(tmp_path / name))

    assert (done.returncode, done.stderr) == (0, "")


@needs("systemd-analyze")
def test_the_service_is_exposed_to_little():
    unit = str(DEPLOY / "scim-ledger.service")

    done = run("systemd-analyze", "security", "--offline=true", "--threshold=20", unit)

    assert done.returncode == 0, done.stdout


@needs("haproxy")
def test_haproxy_accepts_its_configuration(tmp_path):
    text = re.sub(r" ssl crt \S+", "", (DEPLOY / "haproxy.cfg").read_text())
    (tmp_path / "haproxy.cfg").write_text(text)

    done = run("haproxy", "-c", "-f", str(tmp_path / "haproxy.cfg"), env={"PATH": SBIN})

    assert (done.returncode, "WARNING" in done.stderr) == (0, False), done.stderr


@pytest.fixture
def nightly(tmp_path):
    """Return the environment of a data directory with a ledger, and a folder of old backups."""
    own = environment(tmp_path / "data")
    Site(tmp_path / "data").make()
    folder = tmp_path / "backups"
    folder.mkdir()
    for name, days in (("old.db", 31), ("recent.db", 29), ("old.txt", 31)):
        (folder / name).touch()
        at = time.time() - days * DAY
        os.utime(folder / name, (at, at))
    return own, folder


def kept(folder):
    """Return the names of the files there, the new ones as "new"."""
    return sorted({p.name if p.stem in ("old", "recent") else "new" for p in folder.iterdir()})


def steps_of_the_unit(folder):
    text = (DEPLOY / "scim-ledger-backup.service").read_text()
    lines = re.findall(r"^ExecStart=(.*)$", text, re.MULTILINE)
    return [
        each.replace(COMMAND, PROGRAM[0]).replace(BACKUPS, str(folder)).split() for each in lines
    ]


def test_the_nightly_backup_copies_every_ledger_and_removes_what_is_too_old(nightly):
    own, folder = nightly

    ended = [run(*step, env=own).returncode for step in steps_of_the_unit(folder)]

    assert ended == [0, 0]
    assert kept(folder) == ["new", "old.txt", "recent.db"]
    [copy] = [p for p in folder.iterdir() if p.stem not in ("old", "recent")]
    assert run(*PROGRAM, "verify", "--file", str(copy), env=own).returncode == 0


def test_the_line_for_cron_does_the_same(nightly, tmp_path):
    own, folder = nightly
    line = next(x for x in (DEPLOY / "scim-ledger.cron").read_text().splitlines() if " * * " in x)
    command = line.split(maxsplit=6)[6]
    settings = tmp_path / "environment"
    settings.write_text(f"SCIM_DATA_DIR={own['SCIM_DATA_DIR']}\n")
    for ours, theirs in (
        (COMMAND, PROGRAM[0]),
        (BACKUPS, str(folder)),
        ("/etc/scim-ledger/environment", str(settings)),
    ):
        command = command.replace(ours, theirs)

    done = run("/bin/sh", "-c", command, env={"PATH": os.environ["PATH"]})

    assert (done.returncode, kept(folder)) == (0, ["new", "old.txt", "recent.db"])


def test_after_a_night_that_failed_nothing_is_removed(nightly):
    own, folder = nightly
    ledger = Path(own["SCIM_DATA_DIR"]) / "default" / "ledger.db"
    ledger.write_bytes(b"no ledger")

    assert run(*steps_of_the_unit(folder)[0], env=own).returncode == 1  # systemd ends here


@needs("logrotate")
@pytest.mark.slow
def test_logrotate_rotates_the_log_and_no_line_is_lost(tmp_path):
    log = tmp_path / "log" / "service.log"
    log.parent.mkdir(mode=0o750)
    server = Server(tmp_path, SCIM_LOG_FILE=log)
    try:
        text = (DEPLOY / "scim-ledger.logrotate").read_text()
        text = text.replace("/var/log/scim-ledger/service.log", str(log))
        text = re.sub(r"^    su .*$", "", text, flags=re.MULTILINE)
        text = re.sub(r"systemctl kill .*$", f"kill -USR1 {server.process.pid}", text, flags=re.M)
        (tmp_path / "logrotate.conf").write_text(text)
        (tmp_path / "logrotate.conf").chmod(0o644)
        server.ask("GET", "/Users")
        state = ("--state", str(tmp_path / "state"))

        done = run(
            "logrotate", "--force", *state, str(tmp_path / "logrotate.conf"), env={"PATH": SBIN}
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert wait_until(log.exists)

        # what is asked before each process has opened the new file is in the old one
        assert wait_until(lambda: server.ask("GET", "/Groups") and "/Groups" in log.read_text())
        assert "/Users" in log.with_name("service.log.1").read_text()
    finally:
        server.clean_up()
