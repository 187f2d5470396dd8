"""policy show and set; a token with a policy, or a user, of its own."""

import pytest

from tests.scim_api.client import Api, Site, refusal, user

BOOLEAN_AS_TEXT = {"active": "True"}


@pytest.fixture
def settings(shell):
    """Return a function that shows the policy's settings by name."""
    return lambda: {
        row["setting"]: row for row in shell("policy", "show", "--json").json["settings"]
    }


def recorded(shell):
    return len(shell("events", "list", "--json").json)


def test_a_new_ledger_has_the_policy_okta(shell, settings):
    assert shell("policy", "show", "--json").json["policy"] == "okta"
    assert settings()["boolean_strings"]["on"] is True
    assert settings()["adopt"]["on"] is False


def test_show_explains_each_setting_and_its_clients(settings):
    for row in settings().values():
        assert row["forgives"]
        assert row["needed_by"]
        assert row["otherwise"]


def test_set_takes_effect_in_a_service_that_runs(shell, api):
    assert api.post(user("a@example.com") | BOOLEAN_AS_TEXT).status_code == 201

    shell("policy", "set", "strict")

    assert refusal(api.post(user("b@example.com") | BOOLEAN_AS_TEXT))[:2] == (400, "invalidValue")


def test_single_settings_can_differ_from_the_policy(shell, api, settings):
    said = shell("policy", "set", "strict", "--on", "boolean_strings", "--off", "adopt")

    assert said.err == "the policy is strict with boolean_strings on, adopt off\n"
    assert settings()["boolean_strings"]["on"] is True
    assert settings()["values_as_strings"]["on"] is False
    assert api.post(user() | BOOLEAN_AS_TEXT).status_code == 201


def test_set_replaces_earlier_settings(shell, settings):
    shell("policy", "set", "okta", "--on", "adopt")

    shell("policy", "set", "okta")

    assert settings()["adopt"]["on"] is False


@pytest.mark.parametrize(
    "words", [["okta"], ["okta", "--off", "adopt"], ["okta", "--on", "boolean_strings"]]
)
def test_a_policy_that_is_in_force_changes_nothing_and_says_so(shell, words):
    before = recorded(shell)

    assert "nothing changed" in shell("policy", "set", *words).err
    assert recorded(shell) == before


def test_an_unknown_policy_is_a_usage_error(shell):
    shell("policy", "set", "lenient", code=2)


def test_an_unknown_setting_is_refused_with_a_sentence(shell):
    assert (
        "boolean_string is no setting"
        in shell("policy", "set", "okta", "--on", "boolean_string", code=1).err
    )


def test_a_setting_cannot_be_both_on_and_off(shell):
    words = ["--on", "adopt", "--off", "adopt"]

    assert "both on and off" in shell("policy", "set", "okta", *words, code=2).err


def test_under_strict_the_service_says_that_it_conforms(shell, api):
    before = api.get("/ServiceProviderConfig").json

    shell("policy", "set", "strict")

    after = api.get("/ServiceProviderConfig").json
    assert "interopProfileConformant" not in before
    assert (before["etag"], after["etag"]) == ({"supported": True}, {"supported": False})
    assert after["interopProfileConformant"] is True


# Counted when used


def test_show_counts_used_tolerances_by_client_and_token(shell, api, settings):
    for name in ("a@example.com", "b@example.com"):
        api.post(user(name) | BOOLEAN_AS_TEXT, headers={"User-Agent": "Entra"})
    api.site.close()

    [used] = settings()["boolean_strings"]["used"]
    assert (used["client"], used["token"], used["requests"]) == ("Entra", "okta", 2)
    assert used["last_at"]
    assert settings()["values_as_strings"]["used"] == []


def test_show_prints_the_counts_as_a_table(shell, api):
    api.post(user() | BOOLEAN_AS_TEXT, headers={"User-Agent": "Entra"})
    api.site.close()

    [row] = [
        line
        for line in shell("policy", "show").out.splitlines()
        if line.startswith("boolean_strings")
    ]

    assert row.split()[1:4] == ["on", "1", "Entra"]


def test_status_lists_used_tolerances_per_client(shell, api):
    api.post(user() | BOOLEAN_AS_TEXT, headers={"User-Agent": "Entra"})
    api.site.close()

    [found] = shell("status", "--json").json

    assert [client["forgiven"] for client in found["clients"]] == ["boolean_strings"]


# Tokens


def test_a_token_can_have_a_policy_of_its_own(shell, api):
    token = shell("token", "create", "validator", "--policy", "strict").out.strip()
    site = Site(shell.data_dir)
    strict = Api(site, "default", token)

    assert api.post(user("a@example.com") | BOOLEAN_AS_TEXT).status_code == 201
    assert strict.post(user("b@example.com") | BOOLEAN_AS_TEXT).status_code == 400
    site.close()


def test_a_tokens_policy_ignores_the_ledgers_settings(shell):
    shell("policy", "set", "okta", "--on", "adopt")
    token = shell("token", "create", "validator", "--policy", "strict").out.strip()
    site = Site(shell.data_dir)

    config = Api(site, "default", token).get("/ServiceProviderConfig").json

    site.close()
    assert config["interopProfileConformant"] is True


def test_list_shows_a_tokens_policy_and_user(shell, api):
    jane = api.create()

    for name, user_ in (("one", jane["id"]), ("two", "JANE@example.com")):
        shell("token", "create", name, "--user", user_, "--policy", "entra")

    rows = {row["name"]: row for row in shell("token", "list", "--json").json}
    assert {rows[name]["user"] for name in ("one", "two")} == {jane["id"]}
    assert rows["one"]["policy"] == "entra"
    assert (rows["okta"]["user"], rows["okta"]["policy"]) == (None, None)


def test_a_token_for_an_unknown_user_ends_with_5(shell):
    assert "'nobody'" in shell("token", "create", "x", "--user", "nobody", code=5).err


def test_a_token_with_an_unknown_policy_is_a_usage_error(shell):
    shell("token", "create", "x", "--policy", "lenient", code=2)
