"""After an erasure no side file has a User-Agent or a request id that could name the person.

Also not one that another worker had in memory then and writes later; and also where the same text
occurs elsewhere, even inside another word.
"""

import json
from contextlib import closing

import pytest

from ledger import clock
from ledger.erasure import Justification
from ledger.events import Metadata
from scim_api.erasure.erase import erase
from scim_api.request_log.store import RequestLog
from scim_api.tenants.usage import Usage
from scim_api.wiring import open_tenant
from tests.scim_api.client import user

ORDER = Justification("gdpr-17", "PRIV-42")
METADATA = Metadata("operator", "test", "t", {"client": "scim-ledger"})
NAMED = ("Ann Lee", "ann.lee/1.0", "python-requests/2 Lee", "x (00uannlee)")
MARKS = ("ann lee", "ann.lee", "annlee", "ann-lee", " lee")
ENCODINGS = ("utf-8", "utf-16-le", "utf-16-be", "utf-32-le")
SIDE_FILES = ("requests.db", "usage.db")


def ann():
    return user("ann.lee@example.com", displayName="Ann Lee", externalId="00uannlee")


@pytest.fixture
def ours(make_site, monkeypatch):
    """Return a client of a service that writes its side files only when it is told to."""
    for kind in (RequestLog, Usage):
        monkeypatch.setattr(kind, "interval", 3600)
    api = make_site().make()
    api.post(user("joann.leeson@example.com", displayName="Joann Leeson"))
    return api


def tenant_of(api):
    """Return the tenant of the service itself."""
    [tenant] = api.site.runtime.tenants
    return tenant


def requests_of(api, *agents):
    """Let clients of these names send what is refused, and what is recorded of another."""
    for n, agent in enumerate(agents):
        headers = {"User-Agent": agent, "X-Request-Id": f"ann-lee-laptop-0{n}"}
        assert api.post({}, headers=headers).status_code == 400
        assert api.post(user(f"o{n}@example.com"), headers=headers).status_code == 201


def erased_elsewhere(api, id_):
    """Erase a user by another process of the same ledger, as far as its files go."""
    with closing(open_tenant(api.site.data_dir / "default" / "ledger.db")) as other:
        assert erase(other, id_, ORDER, METADATA, 10).unfinished is None


def named_in(api, *names):
    """Return the files, and what of a person they have in any encoding."""
    found = []
    for name in names:
        for path in (api.site.data_dir / "default").glob(f"{name}*"):
            data = path.read_bytes().lower()
            marks = {m for m in MARKS for e in ENCODINGS if m.encode(e) in data}
            found += [(path.name, mark) for mark in sorted(marks)]
    return found


def side_files(api):
    """Return the clients and request ids that the side files have, with the counts of uses."""
    with closing(open_tenant(api.site.data_dir / "default" / "ledger.db")) as tenant:
        return tenant.requests.records(1000), tenant.usage.last_uses()


@pytest.mark.parametrize("written", [True, False], ids=["written before", "written afterwards"])
def test_no_side_file_has_a_name_of_the_person(written, ours):
    id_ = ours.post(ann()).json["id"]
    requests_of(ours, *NAMED, "Okta")
    if written:
        tenant_of(ours).requests.flush()
        tenant_of(ours).usage.flush()
        assert {name for name, _ in named_in(ours, *SIDE_FILES)} >= set(SIDE_FILES)

    erased_elsewhere(ours, id_)
    ours.site.close()

    assert named_in(ours, *SIDE_FILES, "history.db") == []
    records, uses = side_files(ours)
    assert records
    assert {each.client for each in records} == {"other", "Python", "Okta"}
    assert sum(each.requests for each in uses if each.client in ("other", "Python")) >= 8
    assert {each.address for each in uses} == {""}


def test_rows_about_the_person_that_are_written_afterwards_are_left_out(ours):
    id_ = ours.post(ann()).json["id"]
    assert ours.ask("PUT", f"/Users/{id_}", json={}).status_code == 400

    erased_elsewhere(ours, id_)
    ours.site.close()

    assert [each for each in side_files(ours)[0] if id_ in json.dumps(each)] == []


def test_what_a_client_is_called_after_the_erasure_is_kept_as_ever(ours):
    id_ = ours.post(ann()).json["id"]
    erased_elsewhere(ours, id_)

    requests_of(ours, "Ann Lee")
    ours.post(ann(), headers={"User-Agent": "Ann Lee"})
    ours.site.close()

    records, uses = side_files(ours)
    assert "Ann Lee" in {each.client for each in records}
    assert "Ann Lee" in {each.client for each in uses}
    assert "127.0.0.1" in {each.address for each in uses}


def test_uses_of_clients_that_become_one_are_added_up(ours):
    tenant = tenant_of(ours)
    for n, agent in enumerate(("Ann Lee", "Ann", "other")):
        tenant.usage.note("c", agent, ["adopt"], f"2026-11-2{9 - n}T00:00:00.000000Z")

    tenant.usage.flush()
    tenant.usage.coarsen()

    for uses in (tenant.usage.last_uses(), tenant.usage.tolerance_uses()):
        [each] = [each for each in uses if each.credential == "c"]
        assert (each.client, each.requests) == ("other", 3)
        assert each.last_at == "2026-11-29T00:00:00.000000Z"


def test_a_request_id_of_our_own_is_kept(ours):
    id_, own = ours.post(ann()).json["id"], clock.uuid7()
    ours.post({}, headers={"X-Request-Id": own})

    erased_elsewhere(ours, id_)
    ours.site.close()

    assert [each.request_id for each in side_files(ours)[0]] == [own]
