"""A person erased while the service runs: with several workers, under load, at every instant."""

import json
import subprocess
import threading
import time
from contextlib import closing

import pytest

from ledger.background import file_lock
from ledger.sqlite.connection import connect
from scim_api.wiring import open_tenant
from tests.scim_api.cli.conftest import Shell
from tests.scim_api.client import ENTERPRISE_URN, employee, group, patch, replace, user
from tests.scim_api.process import PATIENCE, PROGRAM, Server, environment, wait_until

WHY = ("--reason", "gdpr-17", "--ticket", "PRIV-42")
MARKS = ("zoeqx", "straßerqx", "00uzoeqx", "qxboss", "+49 170 99887766", "qx-1007")


def zoe():
    return employee(
        "Zoeqx0@example.com",
        externalId="00uZoeqx",
        displayName="Zoeqx Straßerqx",
        nickName='"Zoeqx"',
        name={"givenName": "Zoeqx", "familyName": "Straßerqx", "formatted": "Dr. Zoeqx Straßerqx"},
        emails=[{"value": "Zoeqx.0@Example.org", "primary": True}],
        phoneNumbers=[{"value": "+49 170 99887766"}],
        title="qxboss",
    ) | {ENTERPRISE_URN: {"department": "Sales", "employeeNumber": "QX-1007"}}


def files_with_traces(data_dir):
    """Return the names of files whose bytes hold anything of Zoe, in any case and form."""
    forms = {form for mark in MARKS for form in (mark, json.dumps(mark)[1:-1], mark.casefold())}
    wanted = {form.encode().decode("latin-1").lower() for form in forms}
    found = []
    for path in data_dir.rglob("*"):
        data = path.read_bytes().decode("latin-1").lower() if path.is_file() else ""
        if any(form in data for form in wanted):
            found.append(path.name)
    return found


def ledger_file(data_dir):
    return data_dir / "default" / "ledger.db"


def pending(data_dir):
    with closing(connect(ledger_file(data_dir))) as connection:
        return connection.execute("SELECT count(*) FROM purge").fetchone()[0]


def erasing(data_dir, person, *more):
    """Begin to erase somebody in a process of its own."""
    return subprocess.Popen(
        [*PROGRAM, "erase", person, *WHY, *more],
        env=environment(data_dir),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


class Load:
    """Readers and writers of a service; the status of every answer is kept, by what was asked."""

    def __init__(self, server, person, others):
        self.server, self.person, self.others = server, person, others
        self.ended = threading.Event()
        self.statuses = []
        self.threads = [threading.Thread(target=self._run, args=(n,)) for n in range(4)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        for thread in self.threads:
            thread.join()

    def _run(self, number):
        turn = 0
        while not self.ended.is_set():
            turn += 1
            self._ask(number, turn)

    def _ask(self, number, turn):
        title = f"{number} {turn}"
        path = f"/Users/{self.person}"
        kind = (number + turn) % 4
        asked = {
            0: ("PATCH", path, patch(replace(f"Zoeqx {title}", "displayName"))),
            1: ("GET", "/Users?filter=userName+eq+%22zoeqx0@example.com%22", None),
            2: ("PATCH", f"/Users/{self.others[turn % 5]}", patch(replace(title, "title"))),
            3: ("GET", path, None),
        }[kind]
        began = time.monotonic()
        self.statuses.append((kind, self.server.ask(*asked).status, began))

    def of(self, kinds, since=0.0):
        """Return the statuses of some kinds that were asked for since a moment (monotonic)."""
        asked = list(self.statuses)
        return {status for kind, status, began in asked if kind in kinds and began > since}


@pytest.fixture
def busy(start):
    """Return a service of two workers that knows Zoe, her group and others, and their ids."""
    server = start(WEB_CONCURRENCY=2, SCIM_LOG_LEVEL="warning")
    person = server.ask("POST", "/Users", zoe()).json["id"]
    others = [server.ask("POST", "/Users", user(f"u{n}@x.com")).json["id"] for n in range(5)]
    staff = server.ask("POST", "/Groups", group("Staff", person, others[0])).json["id"]
    server.ask("POST", "/Users", zoe())  # refused: 409, which the request log keeps
    server.ask("PATCH", f"/Users/{person}", patch(replace("Zoeqx2@example.com", "userName")))
    server.ask("PATCH", f"/Users/{person}", patch(replace("Zoeqx0@example.com", "userName")))
    return server, person, others, staff


@pytest.mark.slow
def test_a_person_is_erased_while_the_service_is_used(busy, monkeypatch):
    server, person, others, staff = busy
    with Load(server, person, others) as load:
        wait_until(lambda: len(load.statuses) > 40)
        process = erasing(server.data_dir, person, "--json")
        out, err = process.communicate(timeout=60)
        erased, after = time.monotonic(), len(load.statuses)
        wait_until(lambda: len(load.statuses) > after + 40)

    assert process.returncode == 0, err
    assert load.of({1, 2}) == {200}  # nobody was kept waiting in vain
    assert load.of({0, 3}) == {200, 404}
    assert load.of({0, 3}, erased) == {404}
    assert files_with_traces(server.data_dir) == []
    shell = Shell(server.data_dir, monkeypatch)
    auditor = shell("token", "create", "auditor", "--scope", "audit").out.strip()
    _is_gone(server, person, staff, json.loads(out)["position"], auditor)
    for words in ("verify", "projections check", "projections rebuild", "projections check"):
        shell(*words.split())
    assert files_with_traces(server.data_dir) == []
    assert server.ask("POST", "/Users", zoe()).status == 201


def _is_gone(server, person, staff, position, auditor):
    def audit(path, base="/scim/v2"):
        headers = {"Authorization": f"Bearer {auditor}"}
        return server.ask("GET", path, headers=headers, base=base)

    assert server.ask("GET", f"/Users/{person}").status == 404
    assert server.ask("GET", "/Users?filter=userName+sw+%22zoeqx%22").json["totalResults"] == 0
    for at in [*range(2, 16), position - 1, position]:
        users = audit(f"/Users?asOf={at}").json
        assert person not in json.dumps([users, audit(f"/Groups/{staff}?asOf={at}").json])
        assert users["totalResults"] == len(users.get("Resources", []))
    erased, *forgotten = audit(
        f"/ledger/v1/events?filter=stream+eq+%22User-{person}%22", base=""
    ).json["events"]
    assert erased["payload"]["reason"] == "gdpr-17"
    assert {(each["payload"], each.get("salt")) for each in forgotten} == {(None, None)}
    seen = [
        audit(path, base="")
        for path in (
            f"/ledger/v1/Users/{person}/timeline",
            f"/ledger/v1/Users/{person}/blame",
            f"/ledger/v1/Users/{person}/diff?from=1&to={position}",
            f"/ledger/v1/diff?from=1&to={position}",
            "/ledger/v1/events?after=1&count=1000",
        )
    ]
    assert [answer.status for answer in seen] == [
        200,
        404,
        404,
        200,
        200,
    ]  # who never was has no difference
    assert not any(b"oeqx" in answer.body.lower() for answer in seen)


# An erasure that cannot be finished at once, or whose process is killed, is finished later.


@pytest.fixture
def person(api):
    """Return the id of Zoe, whom a ledger and its history know."""
    id_ = api.post(zoe()).json["id"]
    api.group("Staff", id_)
    with closing(open_tenant(ledger_file(api.site.data_dir))) as tenant:
        tenant.history.catch_up()
    api.site.close()
    return id_


class writing:
    """Keeps a file from being written, or its log from being emptied."""

    def __init__(self, path, statement="BEGIN IMMEDIATE"):
        self.connection = connect(path)
        self.connection.execute(statement)
        self.connection.execute("SELECT * FROM sqlite_master").fetchall()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()


def reading(path):
    return writing(path, "BEGIN")


OBSTACLES = {
    "a rebuild": lambda ledger: file_lock(ledger.parent),
    "a writer of the history": lambda ledger: writing(ledger.with_name("history.db")),
    "a reader of the history": lambda ledger: reading(ledger.with_name("history.db")),
    "a reader of the ledger": reading,
}


def kill(process):
    process.kill()
    process.communicate(timeout=PATIENCE)


@pytest.mark.parametrize("obstacle", OBSTACLES)
def test_an_erasure_killed_on_its_way_is_finished_by_the_same_command(
    api, person, obstacle, monkeypatch
):
    data_dir = api.site.data_dir
    with OBSTACLES[obstacle](ledger_file(data_dir)):
        process = erasing(data_dir, person, "--wait", "60")
        assert wait_until(lambda: pending(data_dir))
        time.sleep(0.1)
        kill(process)
    assert pending(data_dir) == 1

    shell = Shell(data_dir, monkeypatch)
    assert shell("erase", person, *WHY, "--json").json["finished"]
    assert pending(data_dir) == 0
    assert files_with_traces(data_dir) == []
    shell("verify")
    shell("projections", "check")


def test_killed_before_its_turn_to_write_nothing_is_erased(api, person):
    data_dir = api.site.data_dir
    with writing(ledger_file(data_dir)):
        process = erasing(data_dir, person)
        time.sleep(0.8)
        assert process.poll() is None
        kill(process)

    assert "Erased" not in [e.type for e in api.site.events()]
    assert api.get(f"/Users/{person}").status_code == 200


@pytest.mark.slow
def test_the_service_finishes_an_erasure_that_a_command_could_not(api, person):
    data_dir = api.site.data_dir
    with reading(ledger_file(data_dir)):
        process = erasing(data_dir, person, "--wait", "0.1")
        _, err = process.communicate(timeout=PATIENCE)
        assert (process.returncode, pending(data_dir)) == (75, 1), err
        assert "not finished: ledger.db is being read" in err

    server = Server(data_dir.parent)
    try:
        assert wait_until(lambda: not pending(data_dir))
        assert files_with_traces(data_dir) == []
        assert "erasures finished" in [line.get("message") for line in server.log_lines()]
    finally:
        server.clean_up()


def test_a_change_that_races_with_the_erasure_revives_nobody(api, person, monkeypatch):
    shell = Shell(api.site.data_dir, monkeypatch)
    with closing(open_tenant(ledger_file(api.site.data_dir))) as tenant:
        held = tenant.ledger.writing()
        held.__enter__()
        answers = []
        racers = [
            threading.Thread(
                target=lambda n=n: answers.append(
                    api.patch(person, replace(f"Zoeqx {n}", "displayName")).status_code
                )
            )
            for n in range(3)
        ]
        for racer in racers:
            racer.start()
        process = erasing(api.site.data_dir, person)
        time.sleep(0.8)
        held.__exit__(None, None, None)
        for racer in racers:
            racer.join()
        process.communicate(timeout=PATIENCE)

    assert process.returncode == 0
    assert set(answers) <= {200, 404}
    own = [e for e in api.site.events() if e.subject == person]
    assert [e.type for e in own].index("Erased") == len(own) - 1
    assert {e.payload is None for e in own[:-1]} == {True}
    api.site.close()
    assert files_with_traces(api.site.data_dir) == []
    shell("verify")
