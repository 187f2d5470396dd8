"""A ledger that an earlier program made over HTTP is opened, read and changed by this one.

The file is never made again. It holds what that program took and this one would not: `active`
unassigned, entries without value, names that look alike, numbers beyond the bound, what is hardly
base64, JSON text as ids, a unique "None" held three times; and erased users, holds, roles,
settings, a rotated key.
"""

import json
import lzma
from collections import Counter
from pathlib import Path

import pytest

from ledger.verify.verifier import verify
from scim_api.wiring import projections_of
from tests.scim_api.client import Api, Site, replace
from tests.scim_api.schemas_of_operators import opened

FILE = Path(__file__).parents[2] / "golden" / "ledger-0.1.0.db.xz"
UNLIKE = {  # a PUT of what is shown of them does change them
    "badge@example.com": "it has parts that no answer shows, so the body does not name them",
    "strict-empty@example.com": 'a strict client wrote "", which others take for no value',
}
KINDS = ("Users", "Groups", "Roles", "Entitlements")


@pytest.fixture(scope="module")
def earlier(tmp_path_factory):
    """Return a client with every scope of the earlier ledger, brought up to this program."""
    site = Site(tmp_path_factory.mktemp("earlier") / "data")
    path = site.data_dir / "default" / "ledger.db"
    path.parent.mkdir(parents=True, mode=0o700)
    path.write_bytes(lzma.decompress(FILE.read_bytes()))
    path.chmod(0o600)
    site.console.migrate("default")
    yield site.client(scopes=("provision", "audit"))
    site.close()


def listed(api: Api, kind: str, **parameters) -> list[dict]:
    response = api.get(f"/{kind}", query_string={"count": 1000, **parameters})
    assert response.status_code == 200, response.text
    return response.json["Resources"]


def test_its_events_are_whole_and_its_tables_are_those_of_a_rebuild(earlier):
    with opened(earlier.site) as (tenant, _):
        assert [check for p in projections_of(tenant) if (check := p.check())] == []
        assert verify(tenant.ledger.path).findings == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_list_as_of_now_equals_the_list_now(earlier, kind):
    now, then = listed(earlier, kind), listed(earlier, kind, asOf=earlier.recorded())

    assert now
    assert {one["id"]: one for one in now} == {one["id"]: one for one in then}


def test_every_user_is_either_active_or_not_now_and_then(earlier):
    end = earlier.recorded()
    for moment in [{}, *({"asOf": at} for at in range(1, end, end // 8))]:
        found = Counter(
            one["id"]
            for value in ("true", "false")
            for one in listed(earlier, "Users", filter=f"active eq {value}", **moment)
        )
        assert found == Counter(one["id"] for one in listed(earlier, "Users", **moment))


def test_every_user_is_found_by_its_name(earlier):
    for user in listed(earlier, "Users"):
        name = json.dumps(user["userName"])
        assert [one["id"] for one in earlier.find(f"userName eq {name}")] == [user["id"]]


@pytest.mark.parametrize("policy", ["okta", "entra", "strict"])
def test_a_put_of_the_shown_resource_records_nothing(earlier, policy):
    api = earlier.site.client(policy=policy)
    before = api.recorded()
    for kind in KINDS:
        for each in (one for one in listed(api, kind) if one.get("userName") not in UNLIKE):
            shown = api.get(f"/{kind}/{each['id']}").data
            response = api.ask("PUT", f"/{kind}/{each['id']}", data=shown)
            assert response.status_code == 200, (each, response.text)

    assert [event.effects for event in api.site.events()[before:]] == []


def test_every_user_can_be_changed_deactivated_and_brought_back(earlier):
    for user in listed(earlier, "Users"):
        for operation in (
            replace("Another", "title"),
            replace(False, "active"),
            replace(True, "active"),
        ):
            response = earlier.patch(user, operation)
            assert response.status_code == 200, (user, response.text)
    assert listed(earlier, "Users", filter="active eq false") == []
