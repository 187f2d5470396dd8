"""A token belongs to one ledger and shows nothing of another."""

import shutil

import pytest

from scim_api.auth import tokens
from tests.scim_api.client import Api, patch, refusal, replace, user
from tests.scim_api.served import answering, served


@pytest.fixture
def acme(site):
    return site.make("acme")


@pytest.fixture
def globex(site, acme):
    return site.make("globex")


def test_the_same_user_name_lives_in_two_ledgers(acme, globex):
    first, second = acme.create("jane@example.com"), globex.create("jane@example.com")

    assert first["id"] != second["id"]
    assert acme.find('userName eq "jane@example.com"') == [first]
    assert globex.find('userName eq "jane@example.com"') == [second]


def test_lists_and_totals_show_the_own_users_only(acme, globex):
    acme.create("a@example.com")
    globex.create("b@example.com")

    assert acme.names() == ["a@example.com"]
    assert acme.get("/Users", query_string={"count": 0}).json["totalResults"] == 1
    assert globex.names(sortBy="userName") == ["b@example.com"]


@pytest.mark.parametrize(
    "filter_", ["userName pr", "not (active eq false)", 'id pr or title eq ""']
)
def test_no_filter_reaches_across(acme, globex, filter_):
    acme.create()

    assert globex.find(filter_) == []


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_the_id_of_anothers_user_is_404_like_any_that_does_not_exist(acme, globex, method):
    theirs = acme.create()
    body = {"PUT": user("mine@example.com"), "PATCH": patch(replace({"active": False}))}.get(method)

    across = globex.ask(method, globex.path(theirs), body)
    nobody = globex.ask(method, "/Users/01a20b75-2088-7f3a-89fe-3706752370c4", body)

    assert refusal(across) == refusal(nobody)
    assert across.status_code == 404
    assert acme.get(acme.path(theirs)).json == theirs


def test_events_go_to_the_own_ledger_only(acme, globex):
    acme.delete(acme.create())

    assert acme.types() == ["Created", "Deleted"]
    assert globex.types() == []


def test_positions_and_versions_reveal_nothing_about_other_tenants(acme, globex):
    acme.fill(3)

    assert globex.create()["meta"]["version"] == 'W/"1"'
    assert [event.position for event in globex.site.events("globex")] == [1, 2, 3]


def test_revoking_in_one_ledger_leaves_the_other_alone(site, acme, globex):
    issued = next(e for e in site.events("acme") if e.type == "CredentialIssued")
    site.append("acme", issued.stream, 1, ("CredentialRevoked",))

    assert acme.get("/Users").status_code == 401
    assert globex.get("/Users").status_code == 200


def test_a_token_moved_to_another_ledger_is_as_unknown_as_any(acme, globex):
    head = globex.token[:21] + acme.token[21:64]
    moved = Api(acme.site, "globex", head + tokens._checksum(head))
    nowhere = Api(acme.site, "none", tokens.issue("0123456789abcdef"))
    wrong = Api(acme.site, "acme", tokens.issue(acme.token[4:20]))

    answers = [refusal(client.get("/Users")) for client in (moved, nowhere, wrong)]

    assert answers[0] == answers[1] == answers[2]
    assert answers[0][0] == 401


def test_a_token_says_neither_the_name_nor_the_number_of_its_ledger(acme, globex):
    assert "acme" not in acme.token
    assert acme.token[4:20] != globex.token[4:20]


def test_ledgers_do_not_share_a_file(acme, globex):
    acme.create("unmistakable@example.com")
    acme.site.close()

    for path in (acme.site.data_dir / "globex").iterdir():
        assert b"unmistakable" not in path.read_bytes()


def test_a_ledger_made_while_the_service_runs_is_found(site, acme):
    acme.get("/Users")

    assert site.make("newcomer").get("/Users").status_code == 200


def test_a_broken_ledger_is_503_and_does_not_disturb_the_others(site, acme, globex):
    globex.create()
    site.close()
    (site.data_dir / "acme" / "ledger.db").write_bytes(b"broken" * 1000)

    status, _, detail = refusal(acme.get("/Users"))

    assert status == 503
    assert str(site.data_dir) not in detail
    assert globex.get("/Users").json["totalResults"] == 1


def test_a_copy_of_a_ledger_beside_it_is_never_taken_for_it(site, acme):
    acme.create("a@example.com")
    site.close()
    for copy in ("a-copy", "zz-copy"):
        shutil.copytree(site.data_dir / "acme", site.data_dir / copy)

    assert acme.post(user("b@example.com")).status_code == 201
    assert len(site.events("acme")) == len(site.events("a-copy")) + 1
    assert len(site.events("a-copy")) == len(site.events("zz-copy"))
    health = acme.get("/readyz", base="")
    assert (health.status_code, health.json["problems"]) == (200, [])
    assert health.json["ledgers"] == dict.fromkeys(
        ["a-copy", "zz-copy"], "two files hold one ledger"
    )


def test_an_anchor_is_asked_once_for_all_ledgers_that_are_opened_together(make_site):
    anchor = answering(503)
    with served(anchor) as url:
        site = make_site(SCIM_ANCHOR_URL=url)
        apis = [site.make(f"t{number}") for number in range(4)]
        anchor.asked.clear()

        statuses = {api.get("/Users").status_code for api in apis}

    assert statuses == {200}
    assert [method for method, _, _ in anchor.asked] == ["GET"]
