"""erase and hold: which user they find, their output, their exit codes."""

import json

import pytest

from ledger.sqlite.connection import connect
from tests.scim_api.client import replace

WHY = ("--reason", "gdpr-17", "--ticket", "PRIV-42")
CASE = ("--reason", "litigation", "--ticket", "CASE-7")
NAMES = {"givenName": "Zoë", "familyName": "Straßer"}


@pytest.fixture
def zoe(api):
    return api.create(
        "zoe@example.com",
        externalId="00uzoe",
        name=NAMES,
        displayName="Zoë Straßer",
        emails=[{"value": "Zoe.S@Example.org", "primary": True}],
    )


def test_erase_forgets_a_user_by_its_id(shell, api, zoe):
    ended = shell("erase", zoe["id"], *WHY, "--json").json

    assert (ended["finished"], ended["events"], ended["id"]) == (True, 1, zoe["id"])
    assert api.get(f"/Users/{zoe['id']}").status_code == 404
    assert api.find('userName eq "zoe@example.com"') == []


def test_erase_forgets_a_user_by_its_user_name_in_any_case(shell, api, zoe):
    assert shell("erase", "ZOE@example.com", *WHY, "--json").json["id"] == zoe["id"]


def test_erase_finds_a_deleted_user_by_the_name_it_had_last(shell, api, zoe):
    api.delete(zoe)

    assert shell("erase", "zoe@example.com", *WHY, "--json").json["id"] == zoe["id"]


def test_a_name_of_several_users_is_refused_with_their_ids(shell, api, zoe):
    api.delete(zoe)
    second = api.create("zoe@example.com")

    ended = shell("erase", "zoe@example.com", *WHY, code=1)

    assert zoe["id"] in ended.err
    assert second["id"] in ended.err
    assert api.get(f"/Users/{second['id']}").status_code == 200


def test_nobody_ends_with_5(shell):
    assert "nobody" in shell("erase", "nobody", *WHY, code=5).err


def test_a_user_is_erased_once(shell, api, zoe):
    first = shell("erase", zoe["id"], *WHY, "--json").json

    again = shell("erase", zoe["id"], *WHY, "--json").json

    assert again == {
        "id": zoe["id"],
        "position": first["position"],
        "already_erased": True,
        "finished": True,
    }
    assert [e.type for e in api.site.events()].count("Erased") == 1


def test_the_erased_event_has_reason_ticket_and_count(shell, api, zoe):
    api.patch(zoe, replace("Chief", "title"))
    position = shell("erase", zoe["id"], *WHY, "--json").json["position"]

    event = next(e for e in api.site.events() if e.position == position)

    assert event.effects == {"reason": "gdpr-17", "ticket": "PRIV-42", "payloads": 2}
    assert event.request["operator"]
    assert (event.actor, event.via, event.revision) == ("operator", "cli", 2)


def test_an_erased_user_has_left_its_groups_in_the_same_transaction(shell, api, zoe):
    staff = api.group("Staff", zoe)

    ended = shell("erase", zoe["id"], *WHY, "--json").json

    assert ended["groups"] == [staff["id"]]
    assert api.members(staff) == []
    removal, erased = api.site.events()[-2:]
    assert (removal.type, removal.stream) == ("MembersRemoved", f"Group-{staff['id']}")
    assert removal.txn == erased.txn


def test_the_name_of_an_erased_user_is_free(shell, api, zoe):
    shell("erase", zoe["id"], *WHY)

    assert api.create("zoe@example.com")["id"] != zoe["id"]


def test_a_dry_run_tells_and_changes_nothing(shell, api, zoe):
    staff = api.group("Staff", zoe)
    shell("hold", zoe["id"], *CASE)
    before = api.recorded()

    told = shell("erase", zoe["id"], *WHY, "--dry-run", "--json").json

    assert (told["dry_run"], told["events"], told["groups"]) == (True, 1, [staff["id"]])
    assert [hold["ticket"] for hold in told["holds"]] == ["CASE-7"]
    assert told["finished"] is False
    assert api.recorded() == before
    assert api.get(f"/Users/{zoe['id']}").json["name"] == NAMES


def test_what_other_streams_say_of_the_user_is_told_not_hidden(shell, api, zoe):
    boss = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
    other = api.create("joe@example.com", title="assistant of ZOE@example.com")
    api.group("Friends of Zoë Straßer")
    api.create("zoe@example.community", **{boss: {"department": "zoes"}})

    ended = shell("erase", zoe["id"], *WHY)
    assert "NOT ERASED: 2 events of 2 other streams" in ended.out
    assert f"User-{other['id']}: userName" in ended.out
    assert ": displayName" in ended.out
    assert "zoe@example.com" not in ended.out


def test_a_token_of_the_user_is_pointed_out(shell, api, zoe):
    made = shell("token", "create", "hers", "--user", zoe["id"], "--json").json

    assert shell("erase", zoe["id"], *WHY, "--dry-run", "--json").json["tokens"] == [made["id"]]


@pytest.mark.parametrize("option", ["--reason", "--ticket"])
@pytest.mark.parametrize("value", ["Zoë asked", "zoe@example.com", "", "x" * 65])
def test_free_text_is_refused(shell, option, value):
    given = dict(zip(WHY[::2], WHY[1::2], strict=True)) | {option: value}
    words = [word for pair in given.items() for word in pair]

    assert "letters, digits" in shell("erase", "x", *words, code=2).err


def test_a_held_user_is_not_erased(shell, api, zoe):
    shell("hold", "zoe@example.com", *CASE)

    assert "CASE-7" in shell("erase", zoe["id"], *WHY, code=1).err
    assert api.get(f"/Users/{zoe['id']}").status_code == 200


def test_holds_are_listed_and_released(shell, api, zoe):
    shell("hold", zoe["id"], *CASE)

    [listed] = shell("hold", "--json").json
    assert (listed["id"], listed["ticket"], listed["reason"]) == (
        zoe["id"],
        "CASE-7",
        "litigation",
    )
    shell("hold", zoe["id"], "--release", "--reason", "settled", "--ticket", "CASE-7")
    assert shell("hold", "--json").json == []
    assert shell("erase", zoe["id"], *WHY, "--json").json["finished"]


def test_a_hold_leaves_the_etag(shell, api, zoe):
    shell("hold", zoe["id"], *CASE)

    assert api.get(f"/Users/{zoe['id']}").headers["ETag"] == 'W/"1"'


def test_a_hold_that_is_not_there_ends_with_5(shell, api, zoe):
    ended = shell("hold", zoe["id"], "--release", *CASE, code=5)

    assert "in force: none" in ended.err


def test_an_erased_user_is_not_held(shell, api, zoe):
    shell("erase", zoe["id"], *WHY)

    assert "was erased" in shell("hold", zoe["id"], *CASE, code=1).err


@pytest.mark.parametrize("words", [("--release",), ("--ticket", "X"), ("x",), ("x", "--release")])
def test_half_a_hold_is_a_usage_error(shell, words):
    shell("hold", *words, code=2)


def test_an_open_reader_leaves_the_erasure_unfinished(shell, api, zoe):
    reader = connect(shell.data_dir / "default" / "ledger.db")
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM event").fetchone()

    ended = shell("erase", zoe["id"], *WHY, "--wait", "0.2", code=75)

    assert "not finished: ledger.db is being read" in ended.err
    [status] = shell("status", "--json").json
    assert status["erasures_unfinished"] == 1
    doctor = shell("doctor", "--json", code=1).json
    assert [c["check"] for c in doctor if not c["ok"]] == ["ledger default erasures"]
    hint = shell("erase", "zoe@example.com", *WHY, code=5).err
    assert f"scim-ledger erase {zoe['id']} finishes it" in hint
    reader.close()
    assert shell("erase", zoe["id"], *WHY, "--json").json["finished"]
    shell("doctor")


def test_a_ledger_with_an_erasure_verifies_and_rebuilds_equal(shell, api, zoe):
    api.group("Staff", zoe)
    gone = api.create("gone@example.com")
    api.group("Gone", gone)
    api.delete(gone)
    shell("diff", "--from", "1")
    for user in (zoe, gone):
        shell("erase", user["id"], *WHY)

    assert shell("verify", "--json").json["erased"] == 3
    shell("projections", "check")
    shell("projections", "rebuild")
    shell("projections", "check")
    assert shell("verify", "--json").json["ok"]


def test_requests_about_the_erased_are_forgotten_too(shell, api, zoe):
    api.patch(zoe, replace("nobody's", "userNam"))
    kept = api.get("/Users/0190aaaa-0000-7000-8000-000000000000").status_code
    api.site.close()

    shell("erase", zoe["id"], *WHY)

    listed = shell("requests", "list", "--json").json
    assert kept == 404
    assert [each["status"] for each in listed] == [404]
    assert zoe["id"] not in json.dumps(listed)


def test_user_agents_are_kept_by_their_family_alone_after_an_erasure(shell, api, zoe):
    for agent in ("curl/8 (00uzoe)", "curl/8 (00UZOE)", "curl/9"):
        api.get("/Users/none", headers={"User-Agent": agent})
    api.site.close()

    shell("erase", zoe["id"], *WHY)

    kept = {row["userAgent"] for row in shell("requests", "list", "--json").json}
    assert kept == {"curl"}
    files = [file for file in api.site.data_dir.rglob("*.db*") if file.is_file()]
    assert [file.name for file in files if b"00uzoe" in file.read_bytes().lower()] == []
