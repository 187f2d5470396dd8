"""user, group, diff, search: the past on the command line, by moments and by names of then."""

import json
from datetime import timedelta

import pytest
from freezegun import freeze_time

from ledger import clock
from tests.scim_api.client import add, remove, replace


@pytest.fixture
def moments(api):
    """Play some days of a company; return each day's first moment by its name."""
    found = {}
    with freeze_time("2099-10-01T12:00:00Z") as time:
        jane = api.create("jane@example.com", title="Boss")
        staff = api.group("Staff", jane)
        found["first"] = api.recorded()
        time.tick(timedelta(days=1))
        api.patch(jane, replace({"userName": "jane.doe@example.com", "title": "Chef"}))
        bob = api.create("bob@example.com")
        api.patch(staff, add(bob), remove(jane), replace("Crew", "displayName"))
        found["second"] = api.recorded()
        time.tick(timedelta(days=1))
        api.delete(bob)
        api.patch(jane, replace(False, "active"))
        found["third"] = api.recorded()
    api.site.close()
    return found | {"jane": jane["id"], "bob": bob["id"], "staff": staff["id"]}


def test_a_user_is_shown_as_it_was_by_the_name_it_had(shell, moments):
    for moment in (str(moments["first"]), "2099-10-02", "2099-10-01T12:00:00Z"):
        shown = shell("user", "show", "JANE@example.com", "--at", moment, "--json").json

        assert (shown["id"], shown["title"], shown["active"]) == (moments["jane"], "Boss", True)
        assert [group["display"] for group in shown["groups"]] == ["Staff"]
    for when in (("--at", "2099-10-03"), ()):  # it has another name then, and that is told
        ended = shell("user", "show", "jane@example.com", *when, "--json")
        assert ended.json["userName"] == "jane.doe@example.com"
        assert f"note: 'jane@example.com' was the name of {moments['jane']}" in ended.err


def test_an_age_is_a_moment_before_now(shell, moments):
    with freeze_time("2099-10-09T00:00:00Z"):
        shown = shell("group", "show", "Crew", "--at", "7d", "--json", code=5)
        then = shell("group", "show", "Staff", "--at", "7d", "--json").json

    assert "Crew" in shown.err
    assert [member["value"] for member in then["members"]] == [moments["jane"]]


def test_a_deleted_user_is_found_by_the_name_it_had_last(shell, moments):
    history = shell("user", "history", "Bob@example.com", "--json").json

    types = [entry["type"] for entry in history]
    assert types == ["Created", "MembersAdded", "MembersRemoved", "Deleted"]
    assert shell("user", "history", moments["bob"], "--json").json == history
    assert shell("user", "history", "nobody@example.com", code=5)


def test_a_history_can_be_cut(shell, moments):
    whole = shell("user", "history", moments["jane"], "--json").json

    newest = shell("user", "history", moments["jane"], "--limit", "2", "--json").json
    since = shell("user", "history", moments["jane"], "--since", "2099-10-02", "--json").json

    assert newest == whole[-2:]
    assert since == [entry for entry in whole if entry["at"] > "2099-10-02"]
    position = str(whole[1]["position"])
    assert (
        shell("user", "history", moments["jane"], "--since", position, "--json").json == whole[1:]
    )


def test_a_table_names_actor_and_via(shell, moments):
    head, _, first, *_ = shell("group", "history", "Crew").out.splitlines()

    assert head.split() == [
        *("position", "at", "type", "who", "client", "attribute", "before", "after")
    ]
    assert ("okta" in first, "Created" in first, "displayName" in first) == (True, True, True)


def test_blame_names_the_event_that_set_each_value(shell, moments):
    now = shell("user", "blame", "jane.doe@example.com", "--json").json
    then = shell("user", "blame", "jane@example.com", "--at", "2099-10-02", "--json").json

    assert {row["attribute"]: row["cause"]["type"] for row in now} == {
        "active": "Deactivated",
        "title": "Updated",
        "userName": "Updated",
    }
    assert {row["attribute"]: row["cause"]["type"] for row in then} == {
        "active": "Created",
        "title": "Created",
        "userName": "Created",
        "groups": "MembersAdded",
    }
    assert "Deactivated" in shell("user", "blame", moments["jane"]).out
    members = shell("group", "blame", "Staff", "--at", str(moments["first"]), "--json").json
    assert members[-1]["value"]["value"] == moments["jane"]


def test_a_resource_differs_between_two_moments(shell, moments):
    span = ("--from", str(moments["first"]), "--to", str(moments["second"]))

    user = shell("user", "diff", "jane.doe@example.com", *span, "--json").json
    group = shell("group", "diff", "Staff", *span, "--json").json

    title = user["changes"]["title"]
    assert (title["before"], title["after"]) == ("Boss", "Chef")
    assert (user["events"], title["cause"]["credential"]) == (2, "okta")  # renamed, and removed
    assert [one["display"] for one in user["groups"]["left"]["values"]] == ["Staff"]
    assert [one["display"] for one in group["members"]["joined"]["values"]] == ["bob@example.com"]
    table = shell("group", "diff", "Crew", *span).out
    assert "Staff" in table and "bob@example.com" in table and "jane@example.com" in table


def test_the_ledger_differs_between_two_moments(shell, moments):
    def found(*more):
        rows = shell("diff", "--from", str(moments["first"]), *more, "--json").json
        return {(row["name"], row["kind"], row["how"]) for row in rows}

    jane, bob = ("jane.doe@example.com", "left", "deactivated"), ("bob@example.com", "passed")
    assert found() == {jane, (*bob, "created and deleted"), ("Crew", "changed", "changed")}
    assert found("--kind", "left") == {jane}
    assert found("--type", "Group") == {("Crew", "changed", "changed")}
    assert found("--to", "2099-10-03") >= {("bob@example.com", "joined", "created")}
    table = shell("diff", "--from", str(moments["first"])).out
    assert all(word in table for word in ("passed", "members -1", "okta", "displayName"))


def test_a_search_is_answered_as_of_then(shell, moments):
    def names(*words):
        return [one["userName"] for one in shell("search", *words, "--json").json]

    assert names("active eq true") == []
    assert names("active eq true", "--at", "2099-10-03", "--sort-by", "userName") == [
        "bob@example.com",
        "jane.doe@example.com",
    ]
    assert names('groups.display eq "Staff"', "--at", "2099-10-02") == ["jane@example.com"]
    assert names("userName pr", "--at", "2099-10-03", "--limit", "1") == ["jane.doe@example.com"]
    every = shell("search", "id pr", "--type", "all", "--at", "2099-10-03").out
    assert "Crew" in every and "bob@example.com" in every
    assert "Crew" in shell("search", "displayName pr", "--type", "Group").out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["user", "show", "x", "--at", "yesterday"], "is no moment. A moment is a position (42)"),
        (["search", "id pr", "--at", "2099-10-02+02:00"], "'2099-10-02+02:00' is no moment"),
        (["events", "list", "--since", "2099-10-02+02:00"], "neither a time such as"),
        (["user", "show", "x", "--at", "99999"], "--at is after the end"),
        (["diff", "--from", "2999-01-01"], "--from is in the future"),
        (["diff", "--from", "2001-01-01"], "--from is before the ledger began"),
        (["diff", "--from", "3", "--to", "2"], "--from is later than --to"),
        (["diff"], "Missing option '--from'"),
        (["diff", "--from", "1", "--kind", "lost"], "'lost' is not one of"),
        (["search", "userName is x"], "is"),
        (["search", "userName pr", "--sort-by", "nothing"], "sortBy names no attribute"),
        (["group", "history", "x", "--limit", "0"], "--limit"),
    ],
)
def test_bad_arguments_end_with_2_and_a_sentence(shell, moments, words, says):
    ended = shell(*words, code=2)

    assert says in ended.err
    assert ended.out == ""


@pytest.mark.parametrize("word", ["show", "history", "blame", "diff"])
@pytest.mark.parametrize("type_", ["user", "group"])
def test_an_unknown_resource_ends_with_5(shell, moments, type_, word):
    more = ["--from", "1"] if word == "diff" else []

    assert "nobody" in shell(type_, word, "nobody", *more, code=5).err


def test_an_erased_user_tells_types_and_times_only(shell, api, moments):
    tenant = api.site.console.tenant("default")
    stream = f"User-{moments['bob']}"
    version = len(tenant.ledger.read_stream(stream))
    tenant.close()
    api.site.append("default", stream, version, ("Erased",))

    history = shell("user", "history", moments["bob"], "--json").json

    assert [entry["type"] for entry in history] == ["Created", "Deleted", "Erased"]
    assert all(not entry["changes"] for entry in history)
    assert "bob" not in json.dumps(history)
    assert shell("user", "show", moments["bob"], "--at", "2099-10-03", code=5)
    assert shell("user", "history", "bob@example.com", code=5)
    assert "bob" not in shell("diff", "--from", "1", "--json").out


def test_events_of_commands_have_a_request_id(shell):
    shell("role", "add", "Editor")
    [listed] = shell("role", "list", "--json").json

    shown = shell("events", "list", "--json").json

    assert listed
    assert shown[-1]["request"]["id"] <= clock.uuid7()


@pytest.mark.parametrize(
    "words",
    [
        ["user", "show", "bob@example.com", "--at"],
        ["user", "blame", "bob@example.com", "--at"],
        ["user", "history", "bob@example.com", "--since"],
        ["user", "diff", "bob@example.com", "--from"],
        ["diff", "--from"],
        ["diff", "--from", "1", "--to"],
        ["search", "id pr", "--at"],
        ["events", "list", "--since"],
        ["requests", "list", "--since"],
    ],
)
@pytest.mark.parametrize("text", ["", " "])
def test_an_empty_moment_is_refused_rather_than_ignored(shell, moments, words, text):
    assert "''" in shell(*words, text, code=2).err.replace("' '", "''")


def test_a_time_may_have_small_letters_and_without_an_offset_is_of_utc(shell, moments):
    for moment in ("2099-10-01t12:00:00z", "2099-10-01T12:00:00", "2099-10-01t14:00:00+02:00"):
        assert shell("user", "show", moments["jane"], "--at", moment, "--json").json["title"]


@pytest.mark.parametrize("moment", ["2099-10-09", "2099-10-09T23:59:59Z", "2100-01-01", "2999-W01"])
def test_until_today_or_later_is_until_now_and_said_so(shell, moments, tmp_path, moment):
    name, end = "jane.doe@example.com", moments["third"]
    exported = ["export", "--output", str(tmp_path / "events.jsonl")]
    with freeze_time("2099-10-09T12:00:00Z"):
        for words in (
            *(["user", "show", name, "--at"], ["user", "blame", name, "--at"]),
            *(["search", "id pr", "--at"], ["diff", "--from", "3", "--to"]),
            *(["user", "diff", name, "--from", "3", "--to"], [*exported, "--to"]),
        ):
            said = shell(*words, moment)

            assert f"{words[-1]} {moment} is not over yet: until now" in said.err
            assert f"position {end}" in said.err or f"to {end}" in said.err
        shell("search", "id pr", "--at", str(end + 2), code=2)  # no position is yet to come


def test_a_past_day_or_time_means_its_own_instant(shell, moments):
    with freeze_time("2099-10-03T13:00:00Z"):
        for moment in ("2099-10-02", "2099-10-03T00:00:00Z", "1h"):
            assert "until now" not in shell("search", "id pr", "--at", moment).err
    assert "until now" not in shell("search", "id pr", "--at", "2099-10-03").err  # events of then


def test_help_lists_the_forms_of_a_moment(shell):
    says = " ".join(shell("user", "show", "--help").out.split())

    assert "1y, 2w, 7d, 12h, 30m, 45s: years, weeks, days, hours, minutes, seconds ago" in says
    assert "Today's date (UTC) and the future mean until now." in says
    assert "without an offset it is UTC" in says


def test_members_and_groups_are_shown_as_scim_has_them(shell, moments):
    then = ("--at", str(moments["first"]), "--json")

    [group] = shell("user", "show", moments["jane"], *then).json["groups"]
    [member] = shell("group", "show", "Staff", *then).json["members"]
    [found] = shell("search", 'userName eq "jane@example.com"', *then).json

    assert group == {"value": moments["staff"], "display": "Staff", "type": "direct"}
    shown = {"value": moments["jane"], "display": "jane@example.com", "type": "User"}
    assert member == shown
    assert found["groups"] == [group]


def test_a_search_for_groups_has_their_members_of_then(shell, moments):
    asked = ("search", "displayName pr", "--type", "Group", "--at")

    [then] = shell(*asked, str(moments["first"]), "--json").json
    [later] = shell(*asked, str(moments["second"]), "--json").json

    assert [member["display"] for member in then["members"]] == ["jane@example.com"]
    assert [member["value"] for member in later["members"]] == [moments["bob"]]
    head, _, row = shell(*asked, str(moments["first"])).out.splitlines()
    assert "members" in head
    assert row.split()[:3] == ["Group", "Staff", "1"]
    everything = shell("search", "id pr", "--type", "all", "--json").json
    assert {"members", "groups"} <= {key for one in everything for key in one}


def test_a_command_says_which_position_a_moment_stood_for(shell, moments):
    first, second = moments["first"], moments["second"]
    as_of = f"as of position {first} (2099-10-01T12:00:00.000000Z)\n"
    jane = moments["jane"]

    for words in (("user", "show", jane), ("user", "blame", jane), ("search", "id pr")):
        assert as_of in shell(*words, "--at", "2099-10-02").err
        assert "position" not in shell(*words).err
    for words in (("user", "diff", jane), ("diff",)):
        said = shell(*words, "--from", "2099-10-02", "--to", str(second)).err
        assert f"from position {first} (2099-10-01T12:00:00.000000Z)\n" in said
        assert f"to position {second} (2099-10-02T12:00:00.000000Z)\n" in said


def test_a_name_that_another_had_too_is_pointed_out(shell, api, moments):
    other = api.create("jane@example.com")
    made = api.recorded()
    api.patch(other, replace("late@example.com", "userName"))
    third = api.create("Jane@example.com")["id"]

    for words in (("show",), ("history",), ("blame",), ("diff", "--from", "1")):
        said = shell("user", words[0], "JANE@example.com", *words[1:]).err
        notes = [line for line in said.splitlines() if line.startswith("note:")]
        assert len(notes) == 2
        assert f"that of {other['id']} (positions {made} to {made})" in notes[1]
        assert f"note: this name was also that of {moments['jane']} (positions " in notes[0]
        assert third not in said
    assert "note" not in shell("user", "history", other["id"]).err
    assert "note" not in shell("user", "show", "late@example.com").err


def test_who_had_a_name_before_is_found_by_it_and_told(shell, api):
    jane = api.create("jane@example.com")
    made = api.recorded()
    api.patch(jane, replace("doe@example.com", "userName"))

    for words in (("show",), ("history",), ("blame",), ("diff", "--from", "1")):
        ended = shell("user", words[0], "JANE@example.com", *words[1:])

        had = f"'JANE@example.com' was the name of {jane['id']} from position {made} to {made}"
        assert ended.err.count(f"note: {had}\n") == 1
    assert shell("user", "show", "jane@example.com", "--json").json["userName"] == "doe@example.com"


def test_where_several_had_a_name_before_they_are_listed(shell, api):
    ids = []
    for name in ("one@example.com", "two@example.com"):
        made = api.create("jane@example.com")
        api.patch(made, replace(name, "userName"))
        ids.append(made["id"])

    ended = shell("user", "show", "jane@example.com", code=5)

    assert all(f"was the name of {id_} from position" in ended.err for id_ in ids)
    assert "several had it: give the id of one" in ended.err


def test_a_former_name_of_a_deleted_user_leads_to_its_history(shell, api):
    jane = api.create("jane@example.com")
    api.patch(jane, replace("doe@example.com", "userName"))
    api.delete(jane)

    assert (
        f"see scim-ledger user history {jane['id']}"
        in shell("user", "show", "jane@example.com", code=5).err
    )
    assert shell("user", "history", "jane@example.com", "--json").json[-1]["type"] == "Deleted"


def test_of_many_namesakes_the_last_five_are_pointed_out(shell, api):
    for _ in range(7):
        api.delete(api.create("jane@example.com"))
    api.create("jane@example.com")

    assert shell("user", "show", "jane@example.com").err.count("also that of") == 5


def test_a_groups_history_names_its_members_as_they_were_called(shell, api, moments):
    api.group("Later", {"id": moments["jane"]})

    table = shell("group", "history", "Crew").out
    _, _, moved = shell("group", "history", "Crew", "--json").json[1:4]
    [named] = shell("group", "history", "Later", "--json").json[-1]["changes"].values()

    assert all(name in table for name in ("jane@example.com", "jane.doe@example.com", "bob@"))
    assert moments["jane"] not in table
    assert moved["changes"][f"members:{moments['jane']}"] == {
        "before": {"type": "User", "display": "jane.doe@example.com"},
        "after": None,
    }
    assert named["after"] == {"type": "User", "display": "jane.doe@example.com"}


@pytest.fixture
def two_hands(shell, api):
    """Make two clients change the same user and change it back; return everything."""
    script = api.site.client(called="script")
    jane, staff = api.create("jane@example.com", title="Boss"), api.group("Staff")
    start = str(api.recorded())
    script.patch(jane, replace("Chef", "title"))
    api.patch(jane, replace("Jane", "displayName"))
    script.patch(staff, add(jane))
    api.patch(staff, remove(jane))
    end = str(api.recorded())
    script.patch(jane, replace("Boss", "title"))
    api.site.close()
    return {"jane": jane["id"], "staff": staff["id"], "start": start, "end": end}


def test_each_change_has_its_own_cause(shell, two_hands):
    span = ("--from", two_hands["start"], "--to", two_hands["end"])

    [row] = shell("diff", *span, "--type", "User", "--json").json
    one = shell("user", "diff", two_hands["jane"], *span, "--json").json

    for found in (row, one):
        by = {key: change["cause"]["credential"] for key, change in found["changes"].items()}
        assert by == {"displayName": "okta", "title": "script"}
        assert [each["who"] for each in found["by"]] == ["script", "okta"]
        assert found["complete"]
    assert "script, okta" in shell("diff", *span).out
    head, _, _, display, title = shell("user", "diff", two_hands["jane"], *span).out.splitlines()
    assert head == "jane@example.com: changed, 4 events by script, okta"
    assert ("okta" in display, "script" in title) == (True, True)


def test_what_was_undone_is_told(shell, two_hands):
    span = ("--from", two_hands["start"], "--to", two_hands["end"])

    [row] = shell("diff", *span, "--kind", "undone", "--json").json
    said = shell("group", "diff", "Staff", *span)

    assert (row["id"], row["how"]) == (two_hands["staff"], "changed and changed back")
    assert [each["who"] for each in row["by"]] == ["script", "okta"]
    assert said.out == "Staff: changed and changed back, 2 events by script, okta\n"
    assert "nothing differs" in said.err


def test_a_user_who_joined_and_left_a_group_was_changed_and_changed_back(shell, two_hands):
    joined = str(int(two_hands["end"]) - 2)
    span = ("--from", joined, "--to", two_hands["end"])

    found = shell("user", "diff", two_hands["jane"], *span, "--json").json

    assert (found["kind"], found["how"]) == ("undone", "changed and changed back")
    assert (found["events"], found["last"]["credential"]) == (2, "okta")
    joined = shell(
        "user", "diff", two_hands["jane"], "--from", joined, "--to", str(int(joined) + 1)
    )
    assert "changed, 1 event by script" in joined.out
    assert joined.out.splitlines()[-1].split()[-2:] == ["script", "other"]


def test_the_events_of_a_legal_hold_show_whom_it_is_about(shell, api):
    jane = api.create("jane@example.com")
    shell("hold", jane["id"], "--reason", "litigation", "--ticket", "CASE-7")
    placed = str(api.recorded())
    api.patch(jane, replace("jane.doe@example.com", "userName"))

    assert shell("events", "list", "--json").json[-2]["name"] == "jane@example.com"
    assert shell("events", "show", placed, "--json").json["name"] == "jane@example.com"


def test_events_show_the_name_that_a_resource_had_then(shell, api, moments):
    listed = shell("events", "list", "--json").json
    names = [(e["type"], e["name"]) for e in listed if e["stream"] == f"User-{moments['jane']}"]
    [last] = [e for e in listed if e["type"] == "Deleted"]
    groups = [e["name"] for e in listed if e["type"] == "MembersAdded"]
    table = shell("events", "list").out
    shell("erase", moments["jane"], "--reason", "gdpr-17", "--ticket", "PRIV-42")
    after = [e for e in shell("events", "list", "--json").json if moments["jane"] in e["stream"]]

    assert names == [
        ("Created", "jane@example.com"),
        ("Updated", "jane.doe@example.com"),
        ("Deactivated", "jane.doe@example.com"),
    ]
    assert last["name"] == "bob@example.com"
    assert groups == ["Staff", "Crew"] and "Staff" in table
    assert listed[1]["name"] == "okta"  # the token's
    assert {event["name"] for event in after} == {None}
    assert shell("events", "show", str(last["position"]), "--json").json["name"] == last["name"]


def test_joining_and_leaving_name_the_event_that_made_the_difference(shell, api):
    with freeze_time("2099-10-01T12:00:00Z") as time:
        old = api.create("old@example.com")
        before = api.recorded()
        time.tick(timedelta(days=1))
        new = api.create("new@example.com")
        time.tick(timedelta(days=1))
        api.patch(old, replace(False, "active"))
        time.tick(timedelta(days=1))
        api.patch(new, replace("Chef", "title"))
        api.patch(old, replace("Former", "title"))
    api.site.close()
    rows = {row["id"]: row for row in shell("diff", "--from", str(before), "--json").json}
    joined, left = rows[new["id"]], rows[old["id"]]
    [line] = [
        line for line in shell("diff", "--from", str(before)).out.splitlines() if "new@" in line
    ]

    assert (joined["event"]["type"], joined["event"]["at"][:10]) == ("Created", "2099-10-02")
    assert (left["event"]["type"], left["event"]["at"][:10]) == ("Deactivated", "2099-10-03")
    assert {row["last"]["at"][:10] for row in rows.values()} == {"2099-10-04"}
    assert line.index("2099-10-02") < line.index("2099-10-04")
