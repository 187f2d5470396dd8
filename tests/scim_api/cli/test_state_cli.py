"""user, projections, status, doctor, config: the state of a ledger and the service."""

import json
import os
from datetime import timedelta

import pytest
from freezegun import freeze_time

from ledger import clock
from ledger.sqlite.connection import connect
from scim_api.cli.terminal import Progress
from scim_api.settings import VARIABLES
from tests.ledger.signed import tamper
from tests.scim_api.client import employee, user


@pytest.fixture
def jane(api):
    """Return a user with a history: created, renamed and deactivated."""
    created = api.post(employee("Jane@example.com", title="Boss")).json
    changed = api.put(created, employee("jane.doe@example.com", active=False)).json
    api.site.close()
    return changed


# user


@pytest.mark.parametrize("named", ["jane.doe@example.com", "JANE.DOE@Example.com"])
def test_a_user_is_shown_by_name_in_any_case(shell, jane, named):
    shown = shell("user", "show", named, "--json").json

    assert shown["id"] == jane["id"]
    assert shown["active"] is False


def test_a_user_is_shown_by_id(shell, jane):
    assert shell("user", "show", jane["id"], "--json").json["userName"] == "jane.doe@example.com"


def test_a_user_is_shown_for_people_too(shell, jane):
    shown = shell("user", "show", jane["id"]).out

    assert "userName" in shown
    assert "jane.doe@example.com" in shown


def test_a_user_that_is_not_there_ends_with_5(shell, jane):
    for what in ("show", "history"):
        ended = shell("user", what, "nobody", "--json", code=5)
        assert (ended.out, "nobody" in ended.err) == ("", True)


def test_the_history_of_a_user_has_each_value_before_and_after(shell, jane):
    created, updated, deactivated = shell("user", "history", jane["id"], "--json").json

    assert created["changes"]["title"] == {"before": None, "after": "Boss"}
    assert updated["changes"]["title"] == {"before": "Boss", "after": None}
    assert updated["changes"]["userName"]["after"] == "jane.doe@example.com"
    assert deactivated["changes"] == {"active": {"before": True, "after": False}}


def test_the_history_of_a_deleted_user_is_found_by_id(shell, api, jane):
    api.delete(jane)
    api.site.close()

    history = shell("user", "history", jane["id"], "--json").json

    assert [change["type"] for change in history][-1] == "Deleted"
    assert shell("user", "show", jane["id"], code=5)


def test_the_history_is_shown_for_people_too(shell, jane):
    assert "Deactivated" in shell("user", "history", jane["id"]).out


# projections


def test_projections_are_listed_with_rows(shell, jane):
    listed = shell("projections", "list", "--json").json

    assert {each["name"]: each["rows"] for each in listed}["resources"]["resource"] == 1
    assert {each["name"]: each["position"] for each in listed} == {
        **dict.fromkeys(("credentials", "configuration", "resources", "indexes"), 5),
        "history": 0,  # built when it is asked
        "tree": 0,  # of so few events it has no tiles
    }


def test_the_history_is_listed_once_it_is_built(shell, jane):
    shell("user", "history", jane["id"])

    *_, listed = shell("projections", "list", "--json").json

    assert (listed["name"], listed["position"]) == ("history", 5)
    assert listed["rows"]["entry"] == 5


@pytest.mark.parametrize("first", [["user", "history"], ["projections", "rebuild", "history"]])
def test_a_history_that_was_tampered_with_is_found_and_rebuilt(shell, jane, first):
    shell(*first, *([jane["id"]] if first[0] == "user" else []))
    assert shell("projections", "check", "history").code == 0
    connection = connect(shell.data_dir / "default" / "history.db")
    connection.execute("UPDATE entry SET version = 7 WHERE position = 3")
    connection.close()

    said = shell("projections", "check", "history", code=3).out
    found = shell("verify", "--json", code=3).json["findings"]

    assert said.startswith("projection history: table entry differs from a rebuild")
    assert [one["found"] for one in found] == [said.strip()]
    shell("projections", "rebuild", "history")
    assert shell("projections", "check", "history").code == 0
    assert shell("verify").code == 0


def test_neither_a_check_nor_verify_makes_a_history(shell, jane):
    for words in (["projections", "check"], ["projections", "list"], ["verify"], ["status"]):
        shell(*words)

    assert not (shell.data_dir / "default" / "history.db").exists()


def test_a_rebuilt_history_follows_new_events(shell, api, jane):
    shell("projections", "rebuild", "history")
    api.create("new@example.com")
    api.site.close()

    shell("user", "blame", "new@example.com")
    assert shell("projections", "check", "history").code == 0


def test_a_rebuild_gives_the_same_rows(shell, jane):
    rebuilt = shell("projections", "rebuild")

    assert rebuilt.out == ""
    assert "rebuilt up to position 5" in rebuilt.err
    assert all(each["ok"] for each in shell("projections", "check", "--json").json)
    assert shell("user", "show", jane["id"], "--json").json["userName"] == jane["userName"]


def test_a_check_ends_with_3_when_a_row_differs_and_a_rebuild_mends_it(shell, jane):
    connection = connect(shell.data_dir / "default" / "ledger.db")
    connection.execute("UPDATE resource SET name_key = 'other'")
    connection.close()

    faults = shell("projections", "check", "--json", code=3).json

    assert {each["name"]: each["ok"] for each in faults} == {
        "tree": True,
        "credentials": True,
        "configuration": True,
        "resources": False,
        "indexes": True,
        "history": True,
    }
    shell("projections", "rebuild", "resources")
    assert shell("projections", "check").code == 0


def test_a_projection_that_is_not_there_ends_with_5(shell):
    for what in ("check", "rebuild"):
        assert (
            "credentials, configuration, resources, indexes, history"
            in shell("projections", what, "none", code=5).err
        )


# status


def test_status_says_how_a_ledger_is(shell, api, jane):
    [found] = shell("status", "--json").json

    assert (found["ledger"], found["events"], found["users"]) == ("default", 5, 1)
    assert found["events_last_7_days"] == 5
    assert found["bytes"] > 0
    assert (found["history_position"], found["history_behind"]) == (0, 5)
    assert [client["credential"] for client in found["clients"]] == ["okta"]


def test_status_warns_60_days_before_a_token_expires(shell):
    shell("token", "create", "soon", "--expires", "60d")
    shell("token", "create", "later", "--expires", "61d")
    shell("token", "create", "revoked", "--expires", "1d")
    shell("token", "revoke", "revoked")

    [found] = shell("status", "--json").json

    expiring = [(each["name"], each["days"]) for each in found["credentials_expiring_soon"]]
    assert expiring == [("soon", 60)]
    assert (
        f"warning: token soon ({found['credentials_expiring_soon'][0]['id']}) expires in 60 days ("
        in (shell("status").out)
    )


def test_status_flags_what_nobody_used_and_what_is_paused(shell, api):
    shell("token", "create", "idle")
    shell("token", "create", "waits")
    shell("token", "pause", "waits", "--reads")

    with freeze_time(tick=True) as time:
        time.tick(91 * 86_400)
        shell("token", "create", "new")
        api.get("/Users")
        api.site.close()
        [found] = shell("status", "--json").json
        said = shell("status").out

    assert [each["name"] for each in found["credentials_unused"]] == ["idle", "waits"]
    assert [each["name"] for each in found["credentials_paused"]] == ["waits"]
    assert f"warning: token idle ({found['credentials_unused'][0]['id']}) was not used for" in said
    id_ = found["credentials_paused"][0]["id"]
    assert f"warning: token waits ({id_}) is paused: it only reads" in said
    assert {each["kind"] for each in found["clients"]} == {"token"}


def test_status_without_a_ledger_ends_with_5(empty):
    assert "scim-ledger init" in empty("status", code=5).err


# doctor


def test_doctor_is_content_until_a_week_before_a_token_expires(shell):
    shell("token", "create", "near", "--expires", "8d")

    assert "ok   ledger default credentials: token near" in shell("doctor").out

    shell("token", "create", "nearer", "--expires", "7d")
    said = shell("doctor", code=1).out
    assert "BAD  ledger default credentials: token nearer" in said
    assert "expires in 7 days: scim-ledger token rotate" in said


@pytest.mark.parametrize(
    ("days", "when"),
    [
        (363, "expires in 2 days"),
        (365, "has expired today"),
        (366, "expired 1 day ago"),
        (800, "expired 435 days ago"),
    ],
)
def test_doctor_and_status_name_a_token_that_ended_until_it_is_rotated(shell, days, when):
    with freeze_time("2028-03-01T12:00:00Z") as time:
        id_ = shell("token", "create", "okta", "--json").json["id"]
        time.tick(timedelta(days=days))
        says = f"{when}: scim-ledger token rotate {id_}; if it is not needed: scim-ledger token"
        assert f"BAD  ledger default credentials: token okta ({id_}) {says}" in (
            shell("doctor", code=1).out
        )
        assert f"warning: token okta ({id_}) {when} (" in shell("status").out
        shell("token", "rotate", id_)
        assert "ok   ledger default credentials: none has expired" in shell("doctor").out


def test_doctor_and_status_say_when_a_token_that_ended_was_used_last(shell, api):
    with freeze_time("2028-03-01T12:00:00Z") as time:
        token = shell("token", "create", "ends", "--expires", "1h").out.strip()
        api.get("/Users", headers={"Authorization": f"Bearer {token}"})
        api.site.close()
        time.tick(timedelta(days=1))

        for said in (shell("doctor", code=1).out, shell("status").out):
            assert ", last used at 2028-03-01T12:00:00.000000Z: scim-ledger token rotate" in said


def checks(ended):
    return {check["check"]: check for check in ended.json}


def test_doctor_finds_nothing_where_all_is_well(shell):
    found = checks(shell("doctor", "--json"))

    assert all(check["ok"] for check in found.values())
    assert {"settings", "SQLite", "disk", "data directory", "ledger default"} <= found.keys()
    assert "BAD" not in shell("doctor").out


def test_doctor_names_a_file_that_others_can_open(shell):
    os.chmod(shell.data_dir / "default" / "ledger.db", 0o644)

    assert "chmod 600" in checks(shell("doctor", "--json", code=1))["ledger default rights"]["says"]


def test_doctor_names_a_ledger_that_cannot_be_used(shell):
    (shell.data_dir / "default" / "ledger.db").write_text("no ledger " * 1000)

    found = checks(shell("doctor", "--json", code=1))

    assert "is not a ledger" in found["ledger default"]["says"]


def test_doctor_names_a_clock_that_went_back(shell, api):
    api.create()
    api.site.close()

    with freeze_time(clock.now() - timedelta(days=1)):
        found = checks(shell("doctor", "--json", code=1))

    assert "in the future" in found["ledger default clock"]["says"]


def test_doctor_names_a_variable_that_means_nothing(shell, monkeypatch):
    monkeypatch.setenv("SCIM_THREAD", "4")

    found = checks(shell("doctor", "--json", code=1))

    assert "did you mean SCIM_THREADS" in found["settings"]["says"]


def test_doctor_names_a_wrong_setting(shell, monkeypatch):
    monkeypatch.setenv("PORT", "abc")

    assert "PORT must be a whole number" in shell("doctor", code=1).out


def test_doctor_names_missing_files(empty):
    found = checks(empty("doctor", "--json", code=1))

    assert not found["data directory"]["ok"]
    assert "scim-ledger init" in found["ledgers"]["says"]


# config


def test_config_shows_every_setting_with_its_source(empty, monkeypatch):
    monkeypatch.setenv("PORT", "8123")

    shown = {row["setting"]: row for row in empty("config", "show", "--json").json}

    assert shown.keys() == VARIABLES
    assert (shown["PORT"]["value"], shown["PORT"]["source"]) == ("8123", "environment")
    assert (shown["SCIM_BIND"]["value"], shown["SCIM_BIND"]["source"]) == ("127.0.0.1", "default")
    assert shown["SCIM_PROVIDER_CONFIG_PUBLIC"]["value"] == "on"  # as the variable takes it
    assert shown["SCIM_TLOG_PUBLIC"]["value"] == "off"
    assert all(row["meaning"] for row in shown.values())


def test_config_warns_of_a_variable_that_means_nothing_on_stderr(empty, monkeypatch):
    monkeypatch.setenv("SCIM_BASEURL", "x")

    shown = empty("config", "show", "--json")

    assert shown.json
    assert "did you mean SCIM_BASE_URL?" in shown.err


@pytest.mark.parametrize(
    "words",
    [["config", "show"], ["status"], ["init"], ["token", "list"], ["verify"], ["serve"]],
    ids=" ".join,
)
def test_a_wrong_setting_ends_every_command_with_4_and_a_sentence(empty, monkeypatch, words):
    monkeypatch.setenv("PORT", "abc")

    ended = empty(*words, code=4)

    assert ended.out == ""
    assert ended.err == "Error: PORT=abc: PORT must be a whole number\n"


# All of them


@pytest.mark.parametrize(
    "words",
    [
        ["status"],
        ["doctor"],
        ["token", "list"],
        ["events", "list"],
        ["events", "show", "2"],
        ["user", "show", "jane.doe@example.com"],
        ["user", "history", "jane.doe@example.com"],
        ["user", "blame", "jane.doe@example.com"],
        ["user", "diff", "jane.doe@example.com", "--from", "1"],
        ["user", "show", "jane.doe@example.com", "--at", "5"],
        ["search", "active eq false"],
        ["diff", "--from", "1"],
        ["projections", "list"],
        ["projections", "check"],
        ["verify"],
        ["config", "show"],
    ],
    ids=" ".join,
)
def test_json_output_is_only_json_without_tokens(shell, api, jane, words):
    ended = shell(*words, "--json")

    assert json.loads(ended.out)
    assert all(" position " in line for line in ended.err.splitlines())  # what a moment stood for
    assert api.token[21:] not in ended.out
    assert api.token[21:] not in shell(*words).out


def test_progress_goes_to_stderr(capsys):
    with freeze_time(tick=True) as time, Progress("verifying") as progress:
        progress(1, 10)
        time.tick(6)
        progress(5, 10)

    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("verifying: 5 of 10")
    assert len(said.err.splitlines()) == 1


def test_a_user_named_like_an_option_can_be_asked_for(shell, api):
    api.post(user("--json"))
    api.site.close()

    assert shell("user", "show", "--json", "--", "--json").json["userName"] == "--json"


def test_doctor_names_a_tree_head_that_the_key_did_not_sign(shell, jane):
    tamper(shell.data_dir / "default" / "ledger.db", "UPDATE tree_head SET note = 'x'")

    checks = shell("doctor", "--json", code=1).json

    [found] = [each for each in checks if "is none that its key signed" in each["says"]]
    assert (found["check"], found["ok"]) == ("ledger default newest tree head", False)
