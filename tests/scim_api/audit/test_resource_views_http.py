"""Timelines, blame and differences of a conversation over HTTP, page by page."""

import random
from urllib.parse import quote

import pytest

from ledger import clock
from tests.scim_api.client import add, refusal, remove, replace
from tests.scim_api.web.test_past_replayed import Client

BASE = "/ledger/v1"
OKTA = "Okta SCIM Client 1.0.0"


@pytest.fixture
def auditor(api):
    return api.site.client(called="auditor", scopes=["audit"])


def ask(auditor, path, **parameters):
    return auditor.get(path, base=BASE, query_string=parameters)


def told(auditor, path, **parameters):
    response = ask(auditor, path, **parameters)
    assert response.status_code == 200, response.text
    return response.json


def pages(auditor, path, key, **parameters):
    """Return the rows of all pages, by following next."""
    rows, page = [], told(auditor, path, **parameters)
    while True:
        assert len(page[key]) <= parameters.get("count", 100)
        rows += page[key]
        if page["next"] is None:
            return rows
        page = auditor.get(page["next"].removeprefix("http://localhost"), base="").json


@pytest.fixture
def jane(api):
    """Return a user who was made, changed by Okta, put into a group and deactivated."""
    jane = api.create(title="Boss", emails=[{"value": "jane@example.com"}])
    headers = {"User-Agent": OKTA, "X-Request-Id": "request-00000000001"}
    api.patch(jane, replace("Chef", "title"), headers=headers)
    api.group("Staff", jane)
    api.patch(jane, replace(False, "active"))
    return jane


def test_a_timeline_shows_each_change_and_its_actor(api, auditor, jane):
    entries = told(auditor, f"/Users/{jane['id']}/timeline")["entries"]

    assert [e["type"] for e in entries] == ["Created", "Updated", "MembersAdded", "Deactivated"]
    changed, joined = entries[1], entries[2]
    assert changed["changes"] == {"title": {"before": "Boss", "after": "Chef"}}
    assert (changed["credential"], changed["operator"]) == ("okta", None)
    assert (changed["client"], changed["user_agent"]) == ("Okta", OKTA)
    assert (changed["request_id"], changed["method"]) == ("request-00000000001", "PATCH")
    assert changed["path"] == f"/scim/v2/Users/{jane['id']}"
    assert (changed["address"], changed["via"]) == ("127.0.0.1", "scim.patch")
    [(key, change)] = joined["changes"].items()
    assert joined["stream"] == f"Group-{key.removeprefix('groups:')}"
    assert (change["before"], change["after"]["display"]) == (None, "Staff")


def test_a_timeline_goes_both_ways_and_stays_between_two_positions(api, auditor, jane):
    path = f"/Users/{jane['id']}/timeline"
    positions = [e["position"] for e in told(auditor, path)["entries"]]

    def found(**parameters):
        return [e["position"] for e in pages(auditor, path, "entries", **parameters)]

    assert found(count=1) == found(count=3) == positions
    assert found(sortOrder="descending", count=1) == positions[::-1]
    assert found(after=positions[0], before=positions[-1]) == positions[1:-1]


def test_a_deleted_user_keeps_its_timeline(api, auditor, jane):
    api.delete(jane)

    *_, left, deleted = told(auditor, f"/Users/{jane['id']}/timeline")["entries"]

    assert (left["type"], deleted["type"]) == ("MembersRemoved", "Deleted")
    assert [change["after"] for change in left["changes"].values()] == [None]
    assert left["txn"] == deleted["txn"]


def test_blame_names_the_cause_of_every_value(api, auditor, jane):
    response = ask(auditor, f"/Users/{jane['id']}/blame")

    values = {row["attribute"]: row for row in response.json["values"]}
    assert {name: row["cause"]["type"] for name, row in values.items()} == {
        "active": "Deactivated",
        "emails": "Created",
        "title": "Updated",
        "userName": "Created",
        "groups": "MembersAdded",
    }
    assert values["title"]["cause"]["client"] == "Okta"
    assert values["groups"]["value"]["display"] == "Staff"
    assert response.headers["Ledger-Position"] == str(api.recorded())


def test_blame_is_as_of_any_moment(api, auditor, jane):
    created = jane["meta"]["created"]
    path = f"/Users/{jane['id']}/blame"

    then = ask(auditor, path, asOf=created)

    assert {row["cause"]["type"] for row in then.json["values"]} == {"Created"}
    position = then.headers["Ledger-Position"]
    assert then.json["asOf"] == {"position": int(position), "at": created}
    assert ask(auditor, path, asOf=position).json == then.json


def test_blame_of_members_goes_on_where_it_was_while_others_join(api, auditor):
    users = [api.create(f"u{n}@example.com") for n in range(5)]
    group = api.group("Staff", *users[:3])
    path = f"/Groups/{group['id']}/blame"
    first = told(auditor, path, count=2)
    api.patch(group, add(*users[3:]), remove(users[1]))

    following = auditor.get(first["next"].removeprefix("http://localhost"), base="").json

    rows = first["values"] + following["values"]
    members = [row["value"]["value"] for row in rows if row["attribute"] == "members"]
    assert members == sorted(user["id"] for user in users[:3])
    assert following["next"] is None


def test_a_difference_shows_a_resource_at_both_moments(api, auditor, jane):
    found = told(auditor, f"/Users/{jane['id']}/diff", **{"from": jane["meta"]["created"]})

    assert (found["kind"], found["how"]) == ("left", "deactivated")
    assert found["before"]["title"], found["after"]["title"] == ("Boss", "Chef")
    assert found["after"]["meta"]["location"].startswith("http://localhost/scim/v2/Users/")
    causes = {key: change.pop("cause") for key, change in found["changes"].items()}
    assert found["changes"] == {
        "active": {"before": True, "after": False},
        "title": {"before": "Boss", "after": "Chef"},
    }
    assert {key: (c["type"], c["client"]) for key, c in causes.items()} == {
        "active": ("Deactivated", "other"),
        "title": ("Updated", "Okta"),
    }
    assert [one["client"] for one in found["by"]] == ["Okta", "other"]
    assert [group["display"] for group in found["groups"]["joined"]["values"]] == ["Staff"]
    assert found["events"] == 3  # the group it joined counts
    assert (found["last"]["type"], found["last"]["credential"]) == ("Deactivated", "okta")


def test_a_group_that_a_group_joined_is_a_difference_of_its_members(api, auditor):
    jane = api.create()
    inner, outer = api.group("Inner", jane), api.group("Outer")
    before = api.recorded()
    api.patch(outer, add(inner))

    found = told(auditor, f"/Users/{jane['id']}/diff", **{"from": before})

    assert found["kind"] == "changed"
    assert [group["display"] for group in found["groups"]["joined"]["values"]] == ["Outer"]


def test_differences_have_every_kind(api, auditor):
    gone, asleep, awake = (api.create(f"{name}@example.com") for name in ("gone", "off", "on"))
    group = api.group("Staff", gone)
    api.patch(awake, replace(False, "active"))
    start = api.recorded()
    api.delete(gone)
    api.patch(asleep, replace(False, "active"))
    api.patch(awake, replace(True, "active"))
    new = api.create("new@example.com")
    api.patch(group, add(new))
    api.delete(api.create("short@example.com"))

    rows = told(auditor, "/diff", **{"from": start})["rows"]

    assert {(row["kind"], row["how"], row["name"]) for row in rows} == {
        ("left", "deleted", "gone@example.com"),
        ("left", "deactivated", "off@example.com"),
        ("reactivated", "reactivated", "on@example.com"),
        ("joined", "created", "new@example.com"),
        ("passed", "created and deleted", "short@example.com"),
        ("changed", "changed", "Staff"),
    }
    [changed] = told(auditor, "/diff", **{"from": start, "resourceType": "Group"})["rows"]
    assert [m["display"] for m in changed["members"]["joined"]["values"]] == ["new@example.com"]
    assert [m["display"] for m in changed["members"]["left"]["values"]] == ["gone@example.com"]
    assert changed["last"]["client"] == "other"
    assert {row["name"]: row["event"]["type"] for row in rows} == {
        "gone@example.com": "Deleted",
        "off@example.com": "Deactivated",
        "on@example.com": "Reactivated",
        "new@example.com": "Created",
        "short@example.com": "Deleted",
        "Staff": "MembersAdded",
    }
    assert pages(auditor, "/diff", "rows", **{"from": start, "count": 1}) == rows
    passed = pages(auditor, "/diff", "rows", **{"from": start, "kind": "passed", "count": 1})
    assert passed == [row for row in rows if row["kind"] == "passed"]


def test_an_operator_is_named(api, auditor, monkeypatch):
    monkeypatch.setattr("getpass.getuser", lambda: "root-of-all")
    tenant = api.site.console.tenant("default")
    tenant.close()
    api.site.append("default", "Role-r1", 0, ("Created", {"displayName": "R", "value": "r"}))

    [entry] = told(auditor, "/Roles/r1/timeline")["entries"]

    assert (entry["operator"], entry["client"], entry["via"]) == ("root-of-all", "CLI", "cli")
    assert entry["credential"] is None
    assert entry["request_id"]


@pytest.mark.parametrize("seed", range(3))
def test_pages_of_differences_add_up_to_the_whole(api, auditor, seed):
    client = Client(api, random.Random(seed))
    for _ in range(20):
        client.change()
        client.note()

    for (at, position, seen), (later, _, then) in zip(client.notes, client.notes[7:], strict=False):
        before, after = (
            {one["id"]: one["userName"] for one in answers["/Users"][2]["Resources"]}
            for answers in (seen, then)
        )
        rows = pages(auditor, "/diff", "rows", **{"from": position, "to": later, "count": 3})

        users = {row["id"] for row in rows if row["resourceType"] == "User"}
        assert before.keys() ^ after.keys() <= users
        renamed = {id_ for id_ in before.keys() & after.keys() if before[id_] != after[id_]}
        assert renamed <= users
        assert at <= later


# Refusals


@pytest.mark.parametrize("word", ["timeline", "blame", "diff?from=1"])
@pytest.mark.parametrize("type_", ["Users", "Groups", "Roles", "Entitlements"])
def test_a_resource_that_never_was_is_404(api, auditor, type_, word):
    assert refusal(auditor.get(f"/{type_}/none/{word}", base=BASE))[:2] == (404, None)


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/Users/{}/timeline?count=0", "from 1 to 1000"),
        ("/Users/{}/timeline?after=x", "whole number"),
        ("/Users/{}/timeline?before=-1", "position"),
        ("/Users/{}/timeline?sortOrder=up", "ascending or descending"),
        ("/Users/{}/timeline?asOf=3", "use before"),
        ("/Users/{}/blame?after=members:1", "next of the page before"),
        ("/Users/{}/blame?asOf=9999", "after the end of the ledger"),
        ("/Users/{}/diff", "from is required"),
        ("/Users/{}/diff?from=1&asOf=2", "use from and to"),
        ("/events?asof=1", "filter by at"),
        ("/diff?from=2001-01-01T00:00:00Z", "before the ledger began"),
        ("/diff?from=1&to=2999-01-01T00:00:00Z", "to is in the future"),
        ("/diff?from=3&to=2", "from is later than to"),
        ("/diff?from=1&kind=lost", "joined, left, changed, reactivated, passed"),
        ("/diff?from=1&resourceType=Users", "User, Group"),
        ("/diff?from=yesterday", "from must be an instant"),
    ],
)
def test_a_wrong_parameter_is_400_with_a_sentence(api, auditor, jane, path, says):
    status, scim_type, detail = refusal(
        auditor.get(quote(path.format(jane["id"]), safe="/?=&:"), base=BASE)
    )

    assert (status, scim_type) == (400, "invalidValue")
    assert says in detail


def test_a_moment_between_two_events_is_the_first_of_them(api, auditor, jane):
    later = clock.timestamp()

    found = told(auditor, f"/Users/{jane['id']}/diff", **{"from": later})

    assert (found["kind"], found["how"], found["events"]) == (None, "unchanged", 0)
    assert found["from"]["position"] == found["to"]["position"]
