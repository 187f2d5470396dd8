"""The recorded use of credentials: no token, no person, limited in size."""

import re
import stat
from contextlib import closing

import pytest

from ledger.sqlite.connection import connect
from projections.current.credentials import Credential
from scim_api.tenants.usage import USAGE_FILE, Usage, unused
from tests.scim_api.client import patch

DAY = "2026-11-24T"
AT = f"{DAY}08:00:00Z"


@pytest.fixture
def usage(tmp_path, ledger):
    return Usage(tmp_path / USAGE_FILE, ledger)


def rows_of(folder, table):
    with closing(connect(folder / USAGE_FILE)) as connection:
        return connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


def files_of(folder):
    return list(folder.glob(f"{USAGE_FILE}*"))


def test_a_token_in_a_user_agent_reaches_neither_the_ledger_nor_what_lies_beside(api):
    api.post({"userName": "jane@example.com"}, headers={"User-Agent": f"x (token={api.token})"})
    created = api.create("other@example.com")
    api.put(created, {"userName": "o"}, headers={"User-Agent": f"x (token={api.token})"})
    changed = patch({"op": "replace", "path": "title", "value": "Boss"})
    told = api.ask("PATCH", api.path(created), changed, headers={"User-Agent": f"x ({api.token})"})
    api.site.close()

    assert told.status_code == 200
    assert api.site.events()[-1].request["client"] == "x ()"
    files = [file for file in (api.site.data_dir / "default").iterdir() if file.is_file()]
    assert {file.name for file in files} >= {"ledger.db", USAGE_FILE}
    for file in files:
        assert not re.search(b"scl_[0-9a-f]", file.read_bytes(), re.IGNORECASE), file.name


def test_of_a_client_that_names_a_person_only_the_family_is_kept(usage):
    usage.note("c1", "curl/8 (jane@example.com)", (), AT)
    usage.note("c1", "curl/8 (joe@example.com)", (), AT)
    usage.note("c1", "Okta jane%40example.com", ["adopt"], AT)

    uses = [(use.client, use.requests) for use in usage.last_uses()]
    assert sorted(uses) == [("Okta", 1), ("curl", 2)]
    assert [use.client for use in usage.tolerance_uses()] == ["Okta"]


def test_personal_data_kept_by_an_earlier_version_is_removed(usage, tmp_path):
    usage.note("c1", "Okta", (), AT)
    usage.flush()
    connection = connect(tmp_path / USAGE_FILE)
    connection.execute("INSERT INTO usage VALUES ('c1', 'x scl_0123', ?, 1)", (AT,))
    connection.execute("INSERT INTO tolerance VALUES ('c1', 'x jane@y', 'adopt', ?, 1)", (AT,))
    connection.close()

    usage.note("c1", "Okta", (), AT)

    assert [use.client for use in usage.last_uses()] == ["Okta"]
    assert usage.tolerance_uses() == []
    assert b"scl_" not in (tmp_path / USAGE_FILE).read_bytes()


@pytest.mark.parametrize("before", [None, 0o644])
def test_nobody_else_can_open_it(usage, tmp_path, before):
    if before:
        usage.note("c1", "Okta", (), AT)
        usage.flush()
        (tmp_path / USAGE_FILE).chmod(before)
    usage.note("c1", "Okta", (), AT)
    usage.flush()
    reader = connect(tmp_path / USAGE_FILE)
    reader.execute("SELECT * FROM usage").fetchall()
    usage.note("c1", "Okta", (), AT)
    usage.flush()

    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in files_of(tmp_path)}
    reader.close()
    assert len(modes) == 3
    assert set(modes.values()) == {0o600}


def test_the_newest_fifty_clients_of_each_credential_are_kept(usage):
    for number in range(60):
        at = f"2026-11-24T08:00:{number:02}Z"
        usage.note("c1", f"client {number:02}", ["adopt", "manager_id"], at)
    usage.note("c2", "Okta", (), AT)

    clients = [use.client for use in usage.last_uses() if use.credential == "c1"]
    forgiven = {use.client for use in usage.tolerance_uses()}
    assert clients == [f"client {number}" for number in range(59, 9, -1)]
    assert forgiven == set(clients)
    assert [use.client for use in usage.last_uses() if use.credential == "c2"] == ["Okta"]


def test_uses_that_could_not_be_written_are_counted_with_those_that_came_after(usage, tmp_path):
    (tmp_path / USAGE_FILE).mkdir()
    usage.note("c1", "Okta", ["adopt"], AT)
    usage.flush()
    usage.note("c1", "Okta", ["adopt"], "2026-11-24T09:00:00Z")
    (tmp_path / USAGE_FILE).rmdir()

    [use] = usage.last_uses()
    assert (use.last_at, use.requests) == ("2026-11-24T09:00:00Z", 2)
    assert [use.requests for use in usage.tolerance_uses()] == [2]


def test_of_each_client_the_address_of_its_last_use_is_kept(usage, tmp_path, ledger):
    usage.note("c1", "Okta", ["adopt"], f"{DAY}08:00:00Z", "192.0.2.1")
    usage.note("c1", "Okta", (), f"{DAY}10:00:00Z", "192.0.2.2")
    usage.note("c1", "curl", (), f"{DAY}09:00:00Z", "2001:db8::1")
    usage.flush()
    of_another_process = Usage(tmp_path / USAGE_FILE, ledger)
    of_another_process.note("c1", "Okta", (), f"{DAY}09:30:00Z", "192.0.2.3")

    of_another_process.flush()

    found = [(use.client, use.address) for use in usage.last_uses()]
    assert found == [("Okta", "192.0.2.2"), ("curl", "2001:db8::1")]
    assert usage.last_use_of_each()["c1"].address == "192.0.2.2"


def test_addresses_of_clients_that_are_no_longer_kept_go_with_them(usage, tmp_path):
    for number in range(60):
        at = f"{DAY}08:00:{number:02}Z"
        usage.note("c1", f"client {number:02}", (), at, f"192.0.2.{number}")

    assert [use.address for use in usage.last_uses()] == [f"192.0.2.{n}" for n in range(59, 9, -1)]
    assert rows_of(tmp_path, "address") == 50


def test_a_file_of_an_earlier_version_is_read_and_extended_and_that_version_can_go_on(
    usage, tmp_path
):
    usage.note("c1", "Okta", (), AT)
    usage.flush()
    with closing(connect(tmp_path / USAGE_FILE)) as connection:
        connection.execute("DROP TABLE address")

    assert [use.address for use in usage.last_uses()] == [""]
    usage.note("c1", "Okta", (), f"{DAY}09:00:00Z", "192.0.2.1")
    assert [use.address for use in usage.last_uses()] == ["192.0.2.1"]
    with closing(connect(tmp_path / USAGE_FILE)) as connection:
        connection.execute(
            "INSERT INTO usage VALUES ('c1', 'Okta', ?, 1) ON CONFLICT DO UPDATE SET"
            " last_at = excluded.last_at",
            (f"{DAY}10:00:00Z",),
        )
    assert [use.address for use in usage.last_uses()] == [""]


def test_after_an_erasure_no_address_is_left(usage, tmp_path):
    usage.note("c1", "Okta", (), AT, "192.0.2.1")
    usage.flush()

    usage.coarsen()

    assert [use.address for use in usage.last_uses()] == [""]
    assert rows_of(tmp_path, "address") == 0


def credential(id_, issued_at="2026-01-01", **more):
    return Credential(
        id_, id_, issued_at, more.pop("expires_at", None), more.pop("revoked_at", None), **more
    )


def test_unused_is_what_is_live_and_was_neither_made_nor_used_lately(usage):
    for id_, at in [("used", DAY), ("long ago", "2026-02-01"), ("grant", DAY)]:
        usage.note(id_, "Okta", (), at)
    every = [
        credential("used"),
        credential("long ago"),
        credential("never"),
        credential("new", "2026-11-01"),
        credential("expired", expires_at="2026-03-01"),
        credential("revoked", revoked_at="2026-03-01"),
        credential("client"),
        credential("grant", client="0123456789abcdef-client"),
        credential("client of nobody"),
    ]

    found = unused(every, usage.last_use_of_each(), now=DAY, since="2026-10-01")

    assert [each.id for each in found] == ["long ago", "never", "client of nobody"]
