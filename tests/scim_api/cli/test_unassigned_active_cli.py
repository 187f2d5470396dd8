"""A user whose `active` was once unassigned by a PATCH counts as active everywhere."""

import pytest

from ledger.events import DEACTIVATED, REACTIVATED, UPDATED
from tests.scim_api.client import replace, user

NONE = {"active": None}


@pytest.fixture
def told(api):
    """Unassign `active` of two users as PATCH once recorded it; return their data."""
    names = ("here", "back", "gone")
    here, back, gone = (api.create(f"{name}@example.com")["id"] for name in names)
    for id_ in (back, gone):
        api.site.append("default", f"User-{id_}", 1, (DEACTIVATED, {"active": False}))
    before = api.recorded()
    effects = {"title": "Chef", **NONE}
    [first] = api.site.append("default", f"User-{here}", 1, (UPDATED, effects))
    [second] = api.site.append("default", f"User-{back}", 2, (REACTIVATED, NONE))
    known = {"here": here, "back": back, "gone": gone, "before": before}
    return known | {"first": first.position, "second": second.position}


def ids(client, filter_, **asked):
    return {one["id"] for one in client.search("/Users", filter=filter_, **asked).json["Resources"]}


def test_answers_and_filters_have_it_as_active_now_and_then(api, told):
    auditor = api.site.client(scopes=["audit"])
    active = {told["here"], told["back"]}
    for client, asked in ((api, {}), (auditor, {"asOf": told["second"]})):
        assert client.read(told["here"], **asked)["active"] is True
        assert client.read(told["back"], **asked)["active"] is True
        assert ids(client, "active eq true", **asked) == active
        assert ids(client, "active ne false", **asked) == active
        assert ids(client, "active pr and active ne true", **asked) == {told["gone"]}
    assert ids(auditor, "active eq true", asOf=told["before"]) == {told["here"]}


def test_reports_show_no_leaver_and_name_returning_users(shell, told):
    span = ("--from", str(told["before"]), "--to", str(told["second"]))
    rows = {row["id"]: row for row in shell("diff", *span, "--json").json}

    assert {id_: row["kind"] for id_, row in rows.items()} == {
        told["here"]: "changed",
        told["back"]: "reactivated",
    }
    assert rows[told["here"]]["active"] == {"before": True, "after": True}
    assert rows[told["here"]]["changes"].keys() == {"title"}
    assert rows[told["back"]]["changes"]["active"]["after"] is True
    assert shell("diff", *span, "--kind", "left", "--json").json == []
    blamed = shell("user", "blame", told["back"], "--json").json
    [active] = [row for row in blamed if row["attribute"] == "active"]
    assert (active["value"], active["cause"]["position"]) == (True, told["second"])
    last = shell("user", "history", told["back"], "--json").json[-1]
    assert last["changes"]["active"] == {"before": False, "after": True}
    event = shell("events", "show", str(told["second"]), "--json").json
    assert event["effects"] == NONE  # as it was recorded


def test_an_event_that_only_unassigned_it_is_no_difference(shell, api, told):
    [event] = api.site.append("default", f"User-{told['here']}", 2, (UPDATED, NONE))
    span = ("--from", str(event.position - 1), "--to", str(event.position))

    assert "nothing differs" in shell("diff", *span).err
    assert "unchanged" in shell("user", "diff", told["here"], *span).out


def test_a_token_of_its_own_works(api, told):
    own = api.site.client(called="own", user=told["back"])

    assert own.get("/Me").json["active"] is True


def test_doctor_names_living_users_with_unassigned_active(shell, api, told):
    api.site.close()
    found = shell("doctor", code=1).out

    assert f"here@example.com ({told['here']}) at position {told['first']}" in found
    assert f"back@example.com ({told['back']}) at position {told['second']}" in found
    assert "gone@example.com" not in found
    api.patch(told["back"], replace(False, "active"))
    api.delete(told["here"])
    assert "example.com" not in shell("doctor").out


def test_doctor_names_each_of_many(shell, api):
    for number in range(21):
        id_ = api.create(f"user{number}@example.com")["id"]
        api.site.append("default", f"User-{id_}", 1, (UPDATED, NONE))
    api.site.close()

    assert shell("doctor", code=1).out.count("@example.com (") == 21


def test_a_rebuild_gives_the_same(shell, told):
    assert "same rows" in shell("projections", "check").err + shell("projections", "check").out
    shell("projections", "rebuild")
    shell("verify")


def test_a_user_who_counts_as_active_is_not_adopted(shell, api):
    shell("policy", "set", "okta", "--on", "adopt")
    jane = api.create("jane@example.com", externalId="7")
    api.site.append(
        "default",
        f"User-{jane['id']}",
        1,
        (DEACTIVATED, {"active": False}),
        (REACTIVATED, NONE),
    )

    assert api.post(user("jane@example.com", externalId="7")).status_code == 409
