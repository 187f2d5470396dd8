"""The recorded use of credentials: no token, no person, limited in size."""

import re
import stat

import pytest

from ledger.sqlite.connection import connect
from scim_api.tenants.usage import USAGE_FILE, Usage
from tests.scim_api.client import patch

AT = "2026-11-24T08:00:00Z"


@pytest.fixture
def usage(tmp_path, ledger):
    return Usage(tmp_path / USAGE_FILE, ledger)


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
