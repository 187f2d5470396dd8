"""asOf with a history that is damaged, behind or away, and with any text: 4xx or 503, in words."""

import random
import sqlite3
from contextlib import closing

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.scim_api.client import Site, group, patch, replace

PAGE = 4096
SEARCH = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    """Return a client that may ask for the past, and addresses of all kinds."""
    site = Site(tmp_path_factory.mktemp("past") / "data", SCIM_LOG_LEVEL="error")
    site.make()
    api = site.client(scopes=("provision", "audit"))
    ids = [api.create(f"u{n}@example.com")["id"] for n in range(6)]
    staff = api.post(group("Staff", *ids[:3]), path="/Groups").json["id"]
    for id_ in ids:
        api.ask("PATCH", f"/Users/{id_}", patch(replace("Boss", "title")))
    api.ask("DELETE", f"/Users/{ids[5]}")
    assert api.get("/Users?asOf=5").status_code == 200
    site.close()
    yield api, addresses(ids[0], staff)
    site.close()


def addresses(user_id, group_id):
    scim = (
        "",
        "/Users",
        f"/Users/{user_id}",
        "/Users?filter=userName+sw+%22u%22&sortBy=userName",
        "/Groups",
        f"/Groups/{group_id}",
        "/Me",
        "/Schemas",
        "/ResourceTypes/User",
        "/ServiceProviderConfig",
    )
    ledger = (
        f"/ledger/v1/Users/{user_id}/blame?at=",
        f"/ledger/v1/Users/{user_id}/timeline?before=",
        f"/ledger/v1/Users/{user_id}/diff?from=1&to=",
        f"/ledger/v1/Groups/{group_id}/diff?from=1&to=",
        "/ledger/v1/diff?from=1&to=",
        "/ledger/v1/events?filter=type+eq+%22Created%22&before=",
    )
    return [f"/scim/v2{a}{'&' if '?' in a else '?'}asOf=" for a in scim] + [*ledger]


def asked(api, address):
    """Return the answer to a question about the past, which must be one in words."""
    answer = api.ask("GET", address, base="")
    assert answer.status_code < 500 or answer.status_code in (501, 503), (address, answer.text)
    if answer.status_code == 503:
        assert "its history (" in answer.json["detail"], answer.text
    return answer.status_code


# Any text

ODD = [
    *("5", "0", "1e3", "-1", "+5", "\u0663", "\uff11", "null", "5\x00", "", "9" * 100, "9" * 5000),
    *("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "-0001-01-01T00:00:00Z"),
    *("2016-12-31T23:59:60Z", "2026-11-28T24:00:00Z", "2026-02-30T00:00:00Z"),
    *("2026-11-28T00:00:00+99:99", "2026-W48-6T00:00:00Z", f"2026-11-28T00:00:00.{'1' * 3000}Z"),
]
MOMENTS = st.sampled_from(ODD) | st.text(st.sampled_from("012359-+:.TZtz ,W\x00é"), max_size=30)


@given(MOMENTS, st.integers(0, 15))
@example("2016-12-31T23:59:60Z", 0)
@example("0001-01-01T00:00:00+23:59", 1)
def test_whatever_asof_is_the_answer_is_one_of_a_client(known, moment, which):
    api, where = known
    path, _, query = where[which].rpartition("=")[0].partition("?")
    *fixed, name = query.split("&")
    pairs = [tuple(each.split("=", 1)) for each in fixed]
    sent = {**{k: v.replace("+", " ").replace("%22", '"') for k, v in pairs}, name: moment}

    for answer in (
        api.ask("GET", path, base="", query_string=sent),
        api.post({"schemas": [SEARCH], "asOf": moment}, path="/Users/.search"),
    ):
        assert answer.status_code < 500 or answer.status_code == 501, answer.text


@pytest.mark.parametrize("moment", [10**40, -1, 1.5, True, None, [], {}, {"asOf": 5}, [5]], ids=str)
@pytest.mark.parametrize("path", ["/.search", "/Users/.search", "/Groups/.search"])
def test_whatever_asof_is_in_a_search_message_the_answer_is_one_of_a_client(known, path, moment):
    answer = known[0].post({"schemas": [SEARCH], "asOf": moment}, path=path)

    assert answer.status_code == 400


# Any history


def random_pages(seed):
    def damage(path):
        chance, data = random.Random(seed), bytearray(path.read_bytes())
        for page in chance.sample(range(1, len(data) // PAGE), 3):
            data[page * PAGE : (page + 1) * PAGE] = chance.randbytes(PAGE)
        path.write_bytes(data)

    return damage


def random_bits(seed):
    def damage(path):
        chance, data = random.Random(seed), bytearray(path.read_bytes())
        for _ in range(30):
            data[chance.randrange(100, len(data))] ^= 1 << chance.randrange(8)
        path.write_bytes(data)

    return damage


def sql(*statements):
    def damage(path):
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            for statement in statements:
                connection.execute(statement)

    return damage


def a_folder(path):
    path.unlink()
    path.mkdir()


TABLES = ("checkpoint", "source", "life", "life_name", "resource_key", "membership")
MORE_TABLES = ("life_census", "census_block", "word", "stream", "entry")
HISTORIES = {
    "missing": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_bytes(b"hello world" * 1000),
    "zeros": lambda path: path.write_bytes(bytes(2 * PAGE)),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[: 5 * PAGE // 2]),
    "a folder": a_folder,
    "behind what its tables have": sql("UPDATE checkpoint SET position = 3"),
    "at a negative position": sql("UPDATE checkpoint SET position = -5"),
    "ahead of the ledger": sql("UPDATE checkpoint SET position = position + 100"),
    "ahead of every ledger": sql("UPDATE checkpoint SET position = 9223372036854775807"),
    "of another version": sql("UPDATE checkpoint SET revision = 99"),
    "of another ledger": sql("UPDATE source SET origin = 'evil/0'"),
    "of another history": sql("UPDATE source SET leaf_hash = zeroblob(32)"),
    "of a ledger that was longer": sql("UPDATE source SET position = 100000"),
    "of documents that are none": sql("UPDATE entry SET content = 'x'"),
    **{f"pages {seed}": random_pages(seed) for seed in range(2)},
    **{f"bits {seed}": random_bits(seed) for seed in range(5)},
    **{f"without {t}": sql(f"DROP TABLE {t}") for t in (*TABLES, *MORE_TABLES)},
    **{f"nothing in {t}": sql(f"DELETE FROM {t}") for t in (*TABLES, *MORE_TABLES)},
}


@pytest.fixture
def broken(known, request):
    """Return the client of a service whose history is not as it was."""
    api, where = known
    folder = api.site.data_dir / "default"
    api.site.close()
    files = {path: path.read_bytes() for path in folder.glob("history.db*")}
    HISTORIES[request.param](folder / "history.db")
    yield api, where
    api.site.close()
    for path in folder.glob("history.db*"):
        path.rmdir() if path.is_dir() else path.unlink()
    for path, data in files.items():
        path.write_bytes(data)


@pytest.mark.parametrize("broken", HISTORIES, indirect=True)
def test_whatever_the_history_is_the_answer_is_in_words_and_the_present_is_served(broken):
    api, where = broken

    statuses = {asked(api, f"{address}{n}") for address in where for n in (5, api.recorded())}

    assert statuses <= {200, 400, 404, 501, 503}
    assert api.get("/Users").status_code == 200
    assert api.ask("GET", "/readyz", base="").status_code == 200
