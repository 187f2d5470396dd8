"""A service runs as a user of its own; commands of root lock it out of nothing."""

import os
import shutil
import tempfile
import traceback
from pathlib import Path

import pytest

from app import console, create_app
from ledger.contract import LedgerError
from scim_api import settings as settings_
from scim_api.server.runtime import EXTENSION
from tests.scim_api.cli.conftest import Shell
from tests.scim_api.client import Api, Site, user

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")

SERVICE = 54321  # a user without a name


@pytest.fixture
def root_of(monkeypatch):
    """Return a shell of root's on a data directory in a folder of the service's user."""
    folder = Path(tempfile.mkdtemp(prefix="service-"))
    folder.chmod(0o755)
    home = folder / "home"
    home.mkdir()
    os.chown(home, SERVICE, SERVICE)
    monkeypatch.setenv("SCIM_KEY_DIR", str(home / "keys"))
    monkeypatch.setenv("SCIM_ANCHOR_DIR", str(home / "anchor"))
    yield Shell(home / "data", monkeypatch)
    shutil.rmtree(folder)


def as_service(work, user=SERVICE):
    """Do something as the service's user; return what it returns as text, or the error's."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(user)
            os.setuid(user)
            says = str(work())
        except LedgerError as error:
            says = f"{error.reason}: {error}"
        except BaseException:
            says = traceback.format_exc()
        os.write(writer, says.encode())
        os._exit(0)
    os.close(writer)
    with open(reader) as file:
        says = file.read()
    os.waitpid(child, 0)
    return says


def owners(folder):
    return {path: path.stat().st_uid for path in folder.rglob("*")}


def test_what_a_command_of_root_makes_belongs_to_the_owner_of_its_folder(root_of):
    home = root_of.data_dir.parent
    (home / "anchor").mkdir()
    os.chown(home / "anchor", SERVICE, SERVICE)
    root_of("init")
    token = root_of("token", "create", "okta").out.strip()
    site = Site(root_of.data_dir)
    api = Api(site, "default", token)
    id_ = api.create("ann@example.com")["id"]
    api.post(user("ann@example.com"))  # refused: for the request log
    site.close()
    root_of("tree-head", "create")
    [anchor] = console().tenant("default").anchors
    anchor.step()
    root_of("user", "history", id_)
    root_of("verify", "--since-last")
    root_of("key", "rotate")
    root_of("backup", str(home / "copy.db"))
    root_of("export", "--output", str(home / "events.jsonl"))
    root_of("erase", id_, "--reason", "request", "--ticket", "R-1")
    root_of("projections", "rebuild")
    root_of("status")

    made = owners(home)
    names = {path.name for path in made}
    assert {"history.db", "requests.db", "usage.db", "verified.json", "signing.head"} <= names
    assert {"signing.key", "copy.db", "events.jsonl", "verify.py", "ledger.lock"} <= names
    assert "anchor-folder.json" in names and any(name.endswith(".tree-head") for name in names)
    assert {path: uid for path, uid in made.items() if uid != SERVICE} == {}


def test_a_ledger_that_root_restores_belongs_to_the_service(root_of):
    copy = root_of.data_dir.parent / "copy.db"
    for words in (["init"], ["backup", copy], ["tree-head", "create"], ["restore", copy, "--yes"]):
        assert "code=0" in as_service(lambda words=words: root_of(*map(str, words)), user=0)

    made = owners(root_of.data_dir.parent)
    assert {path: uid for path, uid in made.items() if uid != SERVICE} == {}
    assert as_service(serve) == '{"status":"ready","problems":[]}'


def serve():
    """Answer a request as the service does; return what /readyz and a POST answer."""
    app = create_app(settings_.load(os.environ))
    with app.test_client() as client:
        ready = client.get("/readyz")
        app.extensions[EXTENSION].close()
        return ready.get_data(as_text=True)


def test_a_service_goes_on_after_commands_of_root(root_of):
    (root_of.data_dir.parent / "anchor").mkdir(mode=0o755)
    root_of("init")
    root_of("key", "rotate")

    assert as_service(serve) == '{"status":"ready","problems":[]}'
    assert "'events': 2" in as_service(lambda: root_of("status", "--json").json)


def test_a_ledger_in_a_folder_that_is_closed_to_the_service_is_named(root_of):
    root_of("init")
    root_of("init", "--ledger", "acme")
    (root_of.data_dir / "lost+found").mkdir(mode=0o700)  # nobody's ledger
    folder = root_of.data_dir / "acme"
    os.chown(folder, 0, 0)

    assert '"ledgers":{"acme":"file not readable"}' in as_service(serve)
    said = as_service(lambda: root_of("status", code=1))
    assert f"permission denied: {folder} belongs to root (mode 700)" in said
    assert "lost+found" not in said
    assert "and its folder is for" not in root_of("doctor", code=1).out
    assert (
        f"as whom the service runs, cannot read and write {folder}, owned by root (mode 700)"
        in (root_of("doctor", code=1).out)
    )


def test_a_user_without_a_name_is_the_operator_by_number(root_of, monkeypatch):
    for variable in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(variable, raising=False)
    root_of("init")

    as_service(lambda: root_of("role", "add", "Editor"))

    operator = root_of("events", "list", "--json").json[-1]["request"]["operator"]
    assert operator == f"user {SERVICE}"


@pytest.mark.parametrize("name", ["signing.head", "ledger.db"])
def test_a_file_that_may_not_be_read_is_called_that(root_of, name):
    root_of("init")
    file = next(root_of.data_dir.parent.rglob(name))
    os.chown(file, 0, 0)

    assert '"problems":["file not readable"]' in as_service(serve)
    said = as_service(lambda: root_of("status", code=1).err)
    assert f"{file} cannot be " in said
    assert (
        f"permission denied: {file} belongs to root (mode 600), and this process runs as user"
        f" {SERVICE}" in said
    )
    assert "damaged" not in said


def test_a_key_that_may_not_be_read_is_called_that(root_of):
    root_of("init")
    file = next(root_of.data_dir.parent.rglob("signing.key"))
    os.chown(file, 0, 0)

    said = as_service(lambda: root_of("tree-head", "create", code=1).err)

    assert f"permission denied: {file} belongs to root (mode 600)" in said


def test_a_memory_of_verify_that_may_not_be_read_or_written_is_called_that(root_of):
    root_of("init")
    root_of("verify", "--since-last")
    file = next(root_of.data_dir.rglob("verified.json"))
    os.chown(file, 0, 0)

    said = as_service(lambda: root_of("verify", "--since-last", code=1).err)
    assert f"{file} cannot be read: permission denied: {file} belongs to root (mode 600)" in said

    folder = root_of.data_dir.parent.parent / "roots"
    folder.mkdir(mode=0o755)
    memory = str(folder / "verified.json")
    said = as_service(lambda: root_of("verify", "--since-last", "--memory", memory, code=1).err)
    assert f"{memory}: permission denied: {folder} belongs to root (mode 755)" in said


def bad(ended):
    return [line for line in ended.out.splitlines() if line.startswith("BAD ") and "right" in line]


def test_doctor_finds_nothing_wrong_where_root_only_ran_commands(root_of):
    (root_of.data_dir.parent / "anchor").mkdir(mode=0o777)
    os.chown(root_of.data_dir.parent / "anchor", SERVICE, SERVICE)
    root_of("init")
    root_of("user", "history", "none", code=5)
    root_of("doctor")

    assert bad(root_of("doctor")) == []
    assert f"user {SERVICE} owns every file and can use it" in root_of("doctor").out


@pytest.mark.parametrize("name", ["signing.key", "signing.head", "ledger.db", "history.db"])
def test_doctor_names_each_file_that_is_not_the_services(root_of, name):
    root_of("init")
    root_of("user", "history", "none", code=5)
    file = next(root_of.data_dir.parent.rglob(name))
    os.chown(file, 0, 0)

    [line] = bad(root_of("doctor", code=1))

    assert f"{file} is owned by root (mode 600), and its folder is for user {SERVICE}" in line
    assert f"who cannot read and write it: chown {SERVICE}:{SERVICE} {file}" in line


def test_doctor_names_the_folders_that_are_closed_to_the_service(root_of):
    root_of("init")
    keys = root_of.data_dir.parent / "keys"
    os.chown(keys / "default", 0, 0)
    (keys).chmod(0o600)

    found = bad(root_of("doctor", code=1))

    assert f"user {SERVICE}, as whom the service runs, cannot enter {keys}" in found[0]
    assert f"cannot read and write {keys / 'default'}, owned by root (mode 700)" in found[1]


def test_doctor_looks_at_the_log_file(root_of, monkeypatch):
    root_of("init")
    folder = root_of.data_dir.parent.parent / "logs"
    monkeypatch.setenv("SCIM_LOG_FILE", str(folder / "service.log"))
    assert f"BAD  log file: {folder} is not there" in root_of("doctor", code=1).out

    folder.mkdir(mode=0o755)
    says = f"user {SERVICE} cannot write {folder} (SCIM_LOG_FILE), root's"
    assert f"BAD  log file: {says}" in root_of("doctor", code=1).out

    os.chown(folder, SERVICE, SERVICE)
    assert "ok   log file: can be written" in root_of("doctor", code=1).out


def test_doctor_of_the_service_itself_says_what_is_closed_to_it(root_of):
    root_of("init")
    file = next(root_of.data_dir.parent.rglob("signing.head"))
    os.chown(file, 0, 0)

    said = as_service(lambda: root_of("doctor", code=1).out)

    assert f"{file} is owned by root (mode 600), and its folder is for user {SERVICE}" in said
    assert f"BAD  ledger default: {file} cannot be read: permission denied" in said
