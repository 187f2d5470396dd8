"""/livez, /readyz, and answers when a ledger's file cannot be used."""

import json
import os
import shutil
import subprocess

import pytest

from ledger.sqlite import ledger as ledger_module
from ledger.sqlite.connection import connect, driver
from ledger.verify.verifier import verify
from scim_api.server import health as health_module
from tests.scim_api.client import patch, refusal, replace, user
from tests.scim_api.process import Server, wait_until


def health(api):
    """Return the status and the problems of /readyz."""
    response = api.get("/readyz", base="")
    assert response.headers["Content-Type"] == "application/json"
    assert response.json["status"] == ("ready" if response.status_code == 200 else "not ready")
    return response.status_code, response.json["problems"]


def lives(api):
    response = api.get("/livez", base="")
    return response.status_code == 200 and response.json == {"status": "alive"}


@pytest.fixture
def file(api):
    """Return the file of a ledger with two users and an empty log."""
    api.fill(2)
    api.site.close()
    return api.site.data_dir / "default" / "ledger.db"


def overwrite(file, offset, data):
    with file.open("r+b") as opened:
        opened.seek(offset)
        opened.write(data)


def zero_a_page(file, number):
    overwrite(file, 4096 * (number - 1), bytes(4096))


def newer(file):
    connection = connect(file)
    connection.execute("PRAGMA user_version=99")
    connection.close()


def foreign(file):
    file.unlink()
    connection = driver.connect(str(file))
    connection.execute("CREATE TABLE event (x)")
    connection.close()


def unfinished(file):
    foreign(file)
    connection = driver.connect(str(file))
    connection.execute(f"PRAGMA application_id={0x53434C47}")
    connection.close()


def text(file):
    file.write_text("The quick brown fox. " * 1000)


def empty(file):
    file.write_bytes(b"")


def torn(file):
    file.write_bytes(file.read_bytes()[:5000])


def no_first_page(file):
    zero_a_page(file, 1)


SPOILED = [
    (text, ["foreign or damaged file"]),
    (no_first_page, ["foreign or damaged file"]),
    (foreign, ["foreign file"]),
    (empty, ["foreign file"]),
    (unfinished, ["not migrated"]),
    (newer, ["ledger newer than the program"]),
    (torn, ["damaged file"]),
]
SPOIL = pytest.mark.parametrize(
    ("spoil", "problems"), SPOILED, ids=lambda x: getattr(x, "__name__", "")
)


# When all is well


def test_a_service_with_a_sound_ledger_is_ready(api):
    assert health(api) == (200, [])
    assert lives(api)


def test_a_service_with_several_sound_ledgers_is_ready(api):
    api.site.make("acme")

    assert health(api) == (200, [])


def test_readiness_stays_200_when_asked_repeatedly(api):
    assert {health(api)[0] for _ in range(20)} == {200}


def test_health_says_nothing_about_ledgers_or_users(api):
    api.create()

    answer = api.get("/readyz", base="").text

    assert json.loads(answer) == {"status": "ready", "problems": []}


# When a file is spoiled before the start


@SPOIL
def test_a_spoiled_ledger_is_not_ready_and_says_why(api, file, spoil, problems):
    spoil(file)

    assert health(api) == (503, problems)
    assert lives(api)


@SPOIL
def test_requests_for_a_spoiled_ledger_are_503_with_a_reason(api, file, spoil, problems):
    spoil(file)

    for response in (api.get("/Users"), api.post(user("new@example.com"))):
        status, _, detail = refusal(response)
        assert status == 503
        assert problems[0] in detail
        assert str(file) not in detail


@SPOIL
def test_a_spoiled_file_is_left_as_it_is(api, file, spoil, problems):
    spoil(file)
    before = file.read_bytes()

    health(api)
    api.get("/Users")
    api.post(user("new@example.com"))
    api.site.close()

    assert file.read_bytes() == before


def test_a_folder_in_place_of_the_file_is_not_ready(api, file):
    file.unlink()
    file.mkdir()

    assert health(api)[0] == 503
    assert refusal(api.get("/Users"))[0] == 503
    assert lives(api)


def test_a_ledger_that_was_served_and_is_gone_is_not_ready(api, file):
    api.get("/Users")
    api.site.close()
    file.unlink()

    assert health(api) == (503, ["no ledger"])
    assert api.get("/Users").status_code == 503
    assert lives(api)


def test_no_ledger_at_all_is_not_ready(api, file):
    shutil.rmtree(file.parent)

    assert health(api) == (503, ["no ledger"])
    assert api.get("/Users").status_code == 401
    assert lives(api)


def test_a_data_directory_that_is_not_there_is_not_ready(make_site, api):
    elsewhere = make_site("nowhere")
    api.site = elsewhere

    assert health(api) == (503, ["no ledger"])
    assert lives(api)


# When a page is damaged


def restore(file, content):
    """Put a copy in place as docs/operating.md says: without the log of what it replaces."""
    for path in file.parent.glob("ledger.db*"):
        path.unlink()
    file.write_bytes(content)


def pages(file):
    return range(2, file.stat().st_size // 4096 + 1)


def test_wherever_a_page_is_damaged_the_service_is_not_ready(api, file):
    sound = file.read_bytes()
    for number in pages(file):
        restore(file, sound)
        overwrite(file, 4096 * (number - 1), b"\xff" * 4096)

        assert health(api)[0] == 503, f"page {number}"
        assert lives(api)
        api.site.close()


def test_wherever_a_page_is_damaged_requests_are_answered_in_scim_json(api, file):
    sound, [jane] = file.read_bytes(), api.find('userName eq "user000@example.com"')
    api.site.close()
    for number in pages(file):
        restore(file, sound)
        overwrite(file, 4096 * (number - 1), b"\xff" * 4096)

        asked = [
            api.get("/Users"),
            api.get("/Users", query_string={"filter": "active eq true"}),
            api.get(api.path(jane)),
            api.ask("PATCH", api.path(jane), patch(replace({"active": False}))),
            api.post(user("new@example.com")),
            api.delete(jane),
        ]

        for response in asked:
            if response.status_code >= 400:
                assert refusal(response)[0] in (404, 503), f"page {number}"
        api.site.close()


def test_after_a_page_proved_damaged_nothing_more_is_written(api, file):
    connection = connect(file)
    page = connection.execute(
        "SELECT rootpage FROM sqlite_master WHERE name = 'resource_email'"
    ).fetchone()[0]
    connection.close()
    overwrite(file, 4096 * (page - 1), b"\xff" * 4096)
    spoiled = file.read_bytes()
    mail = [{"value": "new@example.com"}]

    responses = [api.post(user(f"new{n}@example.com", emails=mail)) for n in range(3)]
    api.post(user("without-mail@example.com"))
    api.site.close()

    assert [response.status_code for response in responses] == [503, 503, 503]
    assert file.read_bytes() == spoiled


# When something goes wrong while the service runs


def test_a_file_removed_while_the_service_runs_is_not_ready(api):
    assert health(api)[0] == 200
    folder = api.site.data_dir / "default"
    (folder / "ledger.db").rename(folder / "taken-away.db")

    assert health(api)[0] == 503
    assert lives(api)


def test_a_ledger_that_is_put_back_is_served_again(api, file):
    sound = file.read_bytes()
    text(file)
    assert health(api)[0] == 503

    file.write_bytes(sound)

    assert health(api) == (200, [])
    assert api.get("/Users").json["totalResults"] == 2


# On a disk of its own


@pytest.fixture
def on_disk(disk, make_site):
    """Return a client of a ledger on the small disk."""
    site = make_site("disk/data")
    yield site.make()
    site.close()


def fill_up(folder, *, spare=0):
    """Leave so many bytes free, and no more."""
    with (folder / "filler").open("wb", buffering=0) as filler:
        for size in (65536, 4096, 1):
            try:
                while filler.write(bytes(size)) == size:
                    pass
            except OSError:
                pass
    os.truncate(folder / "filler", (folder / "filler").stat().st_size - spare)


def create_until_refused(api):
    """Create users until one is refused; return the answers."""
    responses = []
    while not responses or responses[-1].status_code == 201:
        number = len(responses)
        responses.append(api.post(user(f"user{number}@example.com", title="x" * 2000)))
    return responses


def test_a_full_disk_is_503_with_a_reason(on_disk, disk):
    on_disk.create()
    fill_up(disk)

    status, _, detail = refusal(create_until_refused(on_disk)[-1])

    assert status == 503
    assert "disk full" in detail
    assert "nothing was changed" in detail


def test_a_full_disk_is_not_ready(on_disk, disk):
    fill_up(disk)

    status, problems = health(on_disk)

    assert (status, "disk full" in problems) == (503, True)
    assert lives(on_disk)


def test_on_a_full_disk_acknowledged_events_can_still_be_read(on_disk, disk):
    created = on_disk.create()
    fill_up(disk, spare=400_000)
    acknowledged = len(create_until_refused(on_disk)) - 1

    assert acknowledged > 3
    assert on_disk.get(on_disk.path(created)).json == created
    assert on_disk.get("/Users").json["totalResults"] == 1 + acknowledged


def test_once_there_is_space_again_the_service_goes_on_by_itself(on_disk, disk):
    on_disk.create()
    fill_up(disk, spare=400_000)
    acknowledged = len(create_until_refused(on_disk)) - 1
    (disk / "filler").unlink()

    on_disk.create("after@example.com")

    assert on_disk.get("/Users").json["totalResults"] == acknowledged + 2
    report = verify(on_disk.site.data_dir / "default" / "ledger.db")
    assert report.findings == []
    assert report.events == 1 + 1 + acknowledged + 2


def test_a_service_started_on_a_full_disk_serves_once_there_is_space(disk, made, request):
    shutil.copytree(made[0], disk / "data")
    fill_up(disk)

    server = Server(disk, token=made[1])
    request.addfinalizer(server.clean_up)
    ready = server.ask("GET", "/readyz", base="")
    refused = server.ask("POST", "/Users", user("early@example.com"))
    (disk / "filler").unlink()

    assert (ready.status, "disk full" in ready.json["problems"]) == (503, True)
    assert refused.status == 503
    assert server.ask("POST", "/Users", user("late@example.com")).status == 201
    assert wait_until(lambda: (disk / "data" / "history.lock").exists())


def test_a_disk_that_cannot_be_written_is_503_and_not_ready(on_disk, disk):
    created = on_disk.create()
    on_disk.site.close()
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)

    answers = [on_disk.get(on_disk.path(created)), on_disk.post(user("new@example.com"))]
    ready = health(on_disk)

    on_disk.site.close()
    subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    assert [refusal(answer)[0] for answer in answers if answer.status_code != 200] != []
    assert ready[0] == 503


def test_a_busy_ledger_is_ready_and_tried_no_more_often_than_another(api, monkeypatch):
    monkeypatch.setattr(ledger_module, "RETRIAL", 60.0)
    api.create()
    tenant = api.site.console.tenant("default")

    with tenant.ledger.writing():
        meanwhile = api.get("/readyz", base="").json
    after = api.get("/readyz", base="").json
    tenant.close()

    # Each try could hold a thread for a moment.
    assert meanwhile == after == {"status": "ready", "problems": [], "warnings": ["ledger busy"]}


# Of many ledgers


def named(api, query=""):
    """Return the status, the problems and the ledgers that /readyz names."""
    response = api.get(f"/readyz{query}", base="")
    return response.status_code, response.json["problems"], response.json.get("ledgers")


def test_one_broken_ledger_of_several_is_named_and_takes_none_out_of_service(api, file):
    api.site.make("acme")
    text(file)

    assert named(api) == (200, [], {"default": "foreign or damaged file"})
    assert named(api, "?ledger=default") == (503, ["foreign or damaged file"], None)
    assert named(api, "?ledger=acme") == (200, [], None)


def test_one_that_breaks_while_it_is_served_is_named_too(api):
    api.site.make("acme")
    assert named(api) == (200, [], None)
    (api.site.data_dir / "default" / "ledger.db").rename(api.site.data_dir / "away.db")

    assert named(api) == (200, [], {"default": "file missing"})
    assert named(api, "?ledger=default") == (503, ["file missing"], None)


def test_with_no_usable_ledger_at_all_the_service_is_not_ready(api, file):
    api.site.make("acme")
    api.site.close()
    for name in ("default", "acme"):
        text(file.parent.parent / name / "ledger.db")

    found = dict.fromkeys(["acme", "default"], "foreign or damaged file")
    assert named(api) == (503, ["foreign or damaged file"], found)


@pytest.mark.parametrize("name", ["nobody", "", "../default", "DEFAULT"])
def test_a_name_of_no_ledger_is_404(api, name):
    assert named(api, f"?ledger={name}") == (404, ["no such ledger"], None)


def test_of_many_ledgers_a_few_are_looked_at_each_time_and_faults_are_remembered(api, monkeypatch):
    monkeypatch.setattr(health_module, "AT_ONCE", 2)
    monkeypatch.setattr(health_module, "PAUSE", 0.0)
    for number in range(4):
        api.site.make(f"t{number}")
    assert {named(api)[0] for _ in range(5)} == {200}
    back = api.site.data_dir / "t2" / "away.db"
    (api.site.data_dir / "t2" / "ledger.db").rename(back)

    missing = {"t2": "file missing"}
    assert wait_until(lambda: named(api)[2] == missing)
    assert [named(api)[2] for _ in range(6)] == [missing] * 6
    back.rename(back.with_name("ledger.db"))
    assert named(api) == (200, [], None)


def test_of_many_ledgers_those_whose_files_are_visibly_wrong_show_within_a_round(api, monkeypatch):
    monkeypatch.setattr(health_module, "AT_ONCE", 2)
    monkeypatch.setattr(health_module, "PAUSE", 0.0)
    monkeypatch.setattr(health_module, "ROUND", 0.001)
    monkeypatch.setattr(health_module, "GLANCES", 60.0)
    files = {name: api.site.data_dir / name / "ledger.db" for name in map("t{}".format, range(12))}
    for name in files:
        api.site.make(name)
    api.site.close()
    assert named(api) == (200, [], None)
    kept = {name: file.read_bytes() for name, file in files.items()}

    files["t3"].unlink()
    overwrite(files["t6"], 0, b"x" * 4000)
    overwrite(files["t7"], 0, kept["t8"])
    other = files["t9"].with_name("other.db")
    other.write_bytes(kept["t9"])
    other.rename(files["t9"])

    found = named(api)[2]
    assert set(found) == {"t3", "t6", "t7", "t9"}
    assert (found["t3"], found["t9"]) == ("file missing", "file replaced")


def test_many_ledgers_are_looked_at_no_more_often_than_once_a_second(api, monkeypatch):
    looks = []
    monkeypatch.setattr(health_module, "AT_ONCE", 2)
    monkeypatch.setattr(
        health_module.Readiness, "_look_at", lambda self, tenants: looks.append(len(tenants))
    )
    for number in range(3):
        api.site.make(f"t{number}")

    answers = {named(api)[0] for _ in range(20)}

    assert answers == {200}
    assert looks in ([1], [1, 1])  # the second if this machine is slow
