"""/ledger/v1/tlog: audited by a client that knows the specification only."""

import pytest

from ledger import clock, events
from ledger.contract import Append
from ledger.events import Event, Metadata
from tests.ledger.signed import tamper
from tests.scim_api.client import refusal
from tests.scim_api.tlog_client import Log

TLOG = "/ledger/v1/tlog"
FOR_EVER = "max-age=31536000, immutable"


def grow(client, size):
    """Return a ledger with so many events and a head over them."""
    tenant = client.site.console.tenant(client.ledger)
    try:
        missing = size - tenant.ledger.last_position()
        notes = [Event(events.UPDATED, {"title": str(n)}) for n in range(missing)]
        metadata = Metadata("operator", "test", clock.uuid7(), {})
        version = len(tenant.ledger.read_stream("Note-1"))
        tenant.ledger.append([Append("Note-1", version, notes)], metadata)
        return tenant.heads.sign()
    finally:
        tenant.close()


@pytest.fixture
def auditor(api):
    return api.site.client(scopes=["audit"])


def get(client, path, **more):
    return client.get(path, base=TLOG + "/", **more)


def body_of(client, path, **more):
    answer = get(client, path, **more)
    assert answer.status_code == 200, (path, answer.text)
    return answer.data


def key_of(client):
    return client.get("/tree-head", base="/ledger/v1").json["verifier_key"]


def origin_id(client):
    return key_of(client).split("+")[0].rpartition("/")[2]


def test_a_stranger_can_audit_the_whole_log_of_any_size(auditor):
    for size in (4, 255, 256, 257, 512, 700):
        grow(auditor, size)

        assert Log(lambda path: body_of(auditor, path), key_of(auditor)).audit() == size


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM tile",
        "UPDATE tile SET hashes = zeroblob(64)",
        "UPDATE tile SET hashes = x'00'",
        "UPDATE tile SET number = 7; INSERT INTO tile VALUES (9, 0, zeroblob(8192))",
    ],
)
def test_whatever_was_done_to_the_tiles_the_log_is_the_same(auditor, change):
    grow(auditor, 600)
    auditor.site.close()
    tamper(auditor.site.data_dir / auditor.ledger / "ledger.db", *change.split("; "))

    assert Log(lambda path: body_of(auditor, path), key_of(auditor)).audit() == 600
    assert auditor.get("/proof/inclusion?position=5", base="/ledger/v1").status_code == 200


def test_of_changed_events_nothing_is_proved_and_the_rest_is_served(auditor):
    grow(auditor, 600)
    auditor.site.close()
    path = auditor.site.data_dir / auditor.ledger / "ledger.db"
    tamper(path, "UPDATE event SET header = x'00' WHERE position = 300")

    for each in ("tile/0/001", "tile/entries/001"):
        answer = get(auditor, each)
        assert (answer.status_code, "events were changed" in answer.text) == (503, True)
    for each in ("checkpoint", "tile/0/000", "tile/1/000.p/2"):
        assert get(auditor, each).status_code == 200
    proof = "/proof/inclusion?position={}"
    assert auditor.get(proof.format(300), base="/ledger/v1").status_code == 503
    assert auditor.get(proof.format(5), base="/ledger/v1").status_code == 200


def test_a_log_of_one_event_can_be_audited(site):
    site.make()  # signs over the event that opens it
    auditor = site.client(scopes=["audit"])

    assert Log(lambda path: body_of(auditor, path), key_of(auditor)).audit() == 1


def test_the_log_is_also_at_an_address_that_names_it(auditor):
    grow(auditor, 300)
    named = origin_id(auditor)

    assert Log(lambda path: body_of(auditor, f"{named}/{path}"), key_of(auditor)).audit() == 300


def test_tiles_may_be_cached_for_ever_and_a_head_for_seconds(auditor):
    grow(auditor, 300)

    for path in ("tile/0/000", "tile/0/001.p/44", "tile/1/000.p/1", "tile/entries/000"):
        answer = get(auditor, path)
        assert answer.content_type == "application/octet-stream"
        assert answer.headers.getlist("Cache-Control") == [f"private, {FOR_EVER}"]
    head = get(auditor, "checkpoint")
    assert head.content_type == "text/plain; charset=utf-8"
    assert head.headers.getlist("Cache-Control") == ["private, max-age=5"]


BEYOND = [
    "tile/0/001.p/45",
    "tile/0/001",
    "tile/0/002.p/1",
    "tile/1/000",
    "tile/1/000.p/2",
    "tile/2/000.p/1",
    "tile/63/000",
    "tile/entries/001",
    "tile/entries/001.p/45",
    "tile/0/x999/x999/x999/x999/x999/999",
]


def test_nothing_beyond_the_newest_head_is_served(auditor):
    grow(auditor, 300)
    client = auditor.site.client()
    for n in range(3):
        client.create(f"later{n}@example.com")

    assert {path: get(auditor, path).status_code for path in BEYOND} == dict.fromkeys(BEYOND, 404)


NO_NAMES = [
    "tile/0/0",
    "tile/0/00",
    "tile/0/0000",
    "tile/0/x000/000",
    "tile/0/000/000",
    "tile/0/000.p/0",
    "tile/0/000.p/256",
    "tile/0/000.p/01",
    "tile/0/000.p/1000",
    "tile/0/000.p/",
    "tile/0/000.p",
    "tile/0/000.P/1",
    "tile/00/000",
    "tile/64/000",
    "tile/-1/000",
    "tile/x/000",
    "tile/EventIndex/000",
    "tile/0/%D9%A0%D9%A0%D9%A0",
    "tile/0/000%0A",
    "tile/0",
    "tile/",
    "tile",
    "nothing/checkpoint",
    "nothing/tile/0/000",
    "",
]


def test_an_invalid_tile_name_is_404(auditor):
    grow(auditor, 300)

    answers = {path: get(auditor, path) for path in NO_NAMES}

    assert {path: refusal(one)[0] for path, one in answers.items()} == dict.fromkeys(NO_NAMES, 404)
    assert {one.headers["Cache-Control"] for one in answers.values()} == {"no-store"}


# Without a token


def stranger(client, path):
    return client.get(path, base=f"{TLOG}/", headers={"Authorization": None})


@pytest.fixture
def public(make_site):
    """Return a ledger whose log is public."""
    return make_site(SCIM_TLOG_PUBLIC="on").make()


def test_without_a_token_nothing_is_served_by_default(auditor):
    grow(auditor, 300)

    for path in ("checkpoint", "tile/0/000", f"{origin_id(auditor)}/checkpoint"):
        assert refusal(stranger(auditor, path))[0] == 401


def test_a_public_log_can_be_audited_by_anybody(public):
    grow(public, 300)
    key = key_of(public.site.client(scopes=["audit"]))

    def fetch(path):
        answer = stranger(public, path)
        assert answer.headers["Cache-Control"].startswith("public, max-age=")
        return answer.data

    assert Log(fetch, key).audit() == 300


def test_a_public_log_makes_nothing_else_public(public):
    for path in ("", "/events", "/tree-head", "/proof/inclusion?position=1", "/requests"):
        asked = public.get(f"/ledger/v1{path}", base="", headers={"Authorization": None})
        assert refusal(asked)[0] == 401


def test_a_token_is_looked_at_also_where_none_is_needed(public):
    assert refusal(get(public, "checkpoint"))[0] == 403  # provision
    wrong = get(public, "checkpoint", headers={"Authorization": "Bearer scl_none"})
    assert refusal(wrong)[0] == 401


def test_of_several_public_logs_each_is_named(public):
    other = public.site.make("other")
    names = {}
    for client in (public, other):
        grow(client, 10)
        names[client] = origin_id(public.site.client(client.ledger, scopes=["audit"]))

    assert refusal(stranger(public, "checkpoint"))[0] == 404
    for client, named in names.items():
        first = stranger(public, f"{named}/checkpoint").text.split("\n")[0]
        assert first.startswith(f"{client.ledger}/")
        assert stranger(public, f"{named}/tile/0/000.p/10").status_code == 200


def test_a_token_opens_no_other_ledgers_log(public):
    other = public.site.make("other")
    auditor = public.site.client(scopes=["audit"])
    foreign = origin_id(public.site.client(other.ledger, scopes=["audit"]))

    assert refusal(get(auditor, f"{foreign}/checkpoint"))[0] == 404


def test_the_openapi_document_says_whether_the_log_needs_a_token(public, make_site):
    for client, optional in ((public, True), (make_site("closed").make(), False)):
        paths = client.get("/openapi.json", base="", headers={"Authorization": None}).json["paths"]
        logs = [ops["get"] for path, ops in paths.items() if path.startswith("/ledger/v1/tlog/")]

        assert {({} in one["security"]) for one in logs} == {optional}
