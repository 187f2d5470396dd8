"""token create, list, rotate, pause, resume, allow, revoke."""

import pytest
from freezegun import freeze_time

from tests.scim_api.client import Api, Site


@pytest.fixture
def credentials(shell):
    """Return a function that lists the tokens by name."""
    return lambda: {row["name"]: row for row in shell("token", "list", "--json").json}


def test_create_prints_the_token_alone_on_stdout(shell):
    made = shell("token", "create", "okta")

    assert made.out.startswith("scl_")
    assert len(made.out.split()) == 1
    assert made.err.startswith("shown this once; paste it into Okta now\n")


@pytest.mark.parametrize(
    ("on", "says", "checked"),
    [
        ("oauth", "warning: it opens nothing while", "so 1 token cannot be used"),
        ("basic", "it is the password of Basic Auth, with any user name", None),
        ("header,basic", "expires at", None),
    ],
)
def test_create_and_doctor_say_of_what_use_a_token_is(shell, monkeypatch, on, says, checked):
    monkeypatch.setenv("SCIM_AUTHENTICATION", on)

    assert shell("token", "create", "okta").err.splitlines()[1].startswith(says)
    found = shell("doctor").out
    assert ("cannot be used" in found) == bool(checked)
    assert (checked or "") in found


def test_create_can_answer_in_json(shell):
    made = shell("token", "create", "okta", "--json")

    assert made.json.keys() == {"id", "name", "ledger", "expires_at", "token", "scopes"}
    assert (made.json["name"], made.json["ledger"]) == ("okta", "default")
    assert made.err == ""


def test_a_created_token_works(api):
    assert api.get("/Users").status_code == 200


def test_two_tokens_may_have_one_name(shell):
    assert shell("token", "create", "okta").out != shell("token", "create", "okta").out
    assert len(shell("token", "list", "--json").json) == 2


def test_a_token_provisions_unless_it_is_said_otherwise(shell, credentials):
    shell("token", "create", "okta")

    assert credentials()["okta"]["scopes"] == ["provision"]


def test_scopes_may_be_several_and_named_twice(shell, credentials):
    scopes = [word for scope in ("read", "audit", "read") for word in ("--scope", scope)]

    made = shell("token", "create", "auditor", *scopes, "--json").json

    assert made["scopes"] == credentials()["auditor"]["scopes"] == ["audit", "read"]
    assert shell("events", "show", "2", "--json").json["effects"]["scopes"] == ["audit", "read"]


def test_scopes_are_shown_to_people_as_words(shell):
    shell("token", "create", "auditor", "--scope", "read", "--scope", "audit")

    assert "  audit read  " in shell("token", "list").out


def test_a_token_that_does_not_provision_is_not_for_okta(shell):
    made = shell("token", "create", "auditor", "--scope", "audit")

    assert made.err.startswith("shown this once; keep it now\n")


@pytest.mark.parametrize("scope", ["", "write", "Read", "read audit"])
def test_a_scope_that_is_none_is_a_usage_error_that_names_them(shell, credentials, scope):
    ended = shell("token", "create", "x", "--scope", scope, code=2)

    assert all(name in ended.err for name in ("provision", "read", "audit", "operate"))
    assert credentials() == {}


def test_a_created_token_has_its_scope(shell, api):
    auditor = shell("token", "create", "auditor", "--scope", "audit").out.strip()

    client = Api(api.site, "default", auditor)

    assert client.get("/ledger/v1", base="").status_code == client.get("/Users").status_code == 200
    assert client.post({}).status_code == 403


@pytest.mark.parametrize(
    ("time", "expires_at"),
    [
        ("90d", "2028-05-29T12:00:00"),
        ("12h", "2028-03-01T00:00:00"),
        ("30m", "2028-02-29T12:30:00"),
        ("2w", "2028-03-14T12:00:00"),
        ("1y", "2029-02-28T12:00:00"),
        ("4y", "2032-02-29T12:00:00"),
        ("9999d", "2055-07-16T12:00:00"),
        ("2029-10-01", "2029-10-01T00:00:00"),
        ("2028-03-01T02:00:00+01:00", "2028-03-01T01:00:00"),
        ("2028-02-29t12:00:01z", "2028-02-29T12:00:01"),
    ],
)
def test_a_token_can_expire_after_some_time_or_at_a_moment(shell, credentials, time, expires_at):
    with freeze_time("2028-02-29T12:00:00Z"):
        said = shell("token", "create", "okta", "--expires", time).err

    assert credentials()["okta"]["expires_at"] == f"{expires_at}.000000Z"
    assert f"expires at {expires_at}" in said


def test_a_token_expires_after_365_days_unless_it_is_said_otherwise(shell, credentials):
    with freeze_time("2028-02-29T12:00:00Z"):
        said = shell("token", "create", "okta").err

    assert credentials()["okta"]["expires_at"] == "2029-02-28T12:00:00.000000Z"
    assert "expires at 2029-02-28T12:00:00.000000Z\n" in said


def test_a_token_that_never_expires_must_be_asked_for(shell, credentials):
    said = shell("token", "create", "okta", "--expires", "never").err

    assert credentials()["okta"]["expires_at"] is None
    assert said.endswith("never expires\n")


@pytest.mark.parametrize(
    "time",
    [
        *(
            "",
            "d",
            "90",
            "90x",
            "-1d",
            "1.5d",
            "²d",
            "٣d",
            "9999999d",
            "9999y",
            "1Y",
            "1mo",
            "soon",
        ),
        *(
            "0d",
            "0y",
            "2028-02-28",
            "2028-02-29",
            "2028-02-29T12:00:00Z",
            "2029-02-30",
            "20290101x",
            "2029-01-01+02:00",
            "2029-01-01-02:00",
            "2029-01-01x02:00",
        ),
    ],
)
def test_an_expiry_that_is_not_in_the_future_is_a_usage_error(shell, credentials, time):
    with freeze_time("2028-02-29T12:00:00Z"):
        shell("token", "create", "okta", "--expires", time, code=2)

    assert credentials() == {}


def test_list_says_state_and_last_use(shell, api, credentials):
    api.get("/Users", headers={"User-Agent": "Okta SCIM Client 1.0.0"})
    api.site.close()

    okta = credentials()["okta"]

    assert okta["state"] == "live"
    assert okta["last_client"] == "Okta SCIM Client 1.0.0"
    assert okta["last_used_at"] > okta["issued_at"]


def test_list_tells_live_expired_and_revoked_tokens_apart(shell, credentials):
    shell("token", "create", "live")
    shell("token", "create", "short", "--expires", "1d")
    shell("token", "create", "gone")
    shell("token", "revoke", "gone")

    with freeze_time(tick=True) as time:
        time.tick(86_401)
        states = {name: row["state"] for name, row in credentials().items()}

    assert states == {"live": "live", "short": "expired", "gone": "revoked"}


def test_list_without_tokens_says_so_on_stderr(shell):
    listed = shell("token", "list")

    assert listed.out == ""
    assert "scim-ledger token create" in listed.err
    assert shell("token", "list", "--json").json == []


def test_list_shows_neither_tokens_nor_hashes(shell):
    token = shell("token", "create", "okta").out.strip()

    for shown in (shell("token", "list").out, shell("token", "list", "--json").out):
        assert token[21:] not in shown
        assert "sha256" not in shown


def test_revoke_ends_a_token_by_name(shell, api):
    revoked = shell("token", "revoke", "okta")

    assert revoked.out == ""
    assert revoked.err.startswith("revoked okta (")
    assert api.get("/Users").status_code == 401


def test_revoke_ends_a_token_by_id(shell, credentials):
    shell("token", "create", "okta")
    shell("token", "revoke", credentials()["okta"]["id"])

    assert credentials()["okta"]["state"] == "revoked"


def test_a_token_can_be_replaced_without_a_pause(shell, api):
    new = Api(api.site, "default", shell("token", "create", "next").out.strip())
    assert new.get("/Users").status_code == api.get("/Users").status_code == 200

    shell("token", "revoke", "okta")

    assert new.get("/Users").status_code == 200
    assert api.get("/Users").status_code == 401


def test_revoking_an_unknown_token_ends_with_5(shell):
    assert "there is no live token 'okta'" in shell("token", "revoke", "okta", code=5).err


def test_revoking_twice_by_id_says_so(shell, credentials):
    shell("token", "create", "okta")
    id_ = credentials()["okta"]["id"]
    shell("token", "revoke", id_)

    assert "revoked already" in shell("token", "revoke", id_, code=1).err


def test_a_name_that_several_tokens_have_is_not_enough(shell):
    ids = [shell("token", "create", "okta", "--json").json["id"] for _ in range(2)]

    ended = shell("token", "revoke", "okta", code=1)

    assert all(id_ in ended.err for id_ in ids)


def test_issuing_and_revoking_are_events_by_the_operator(shell):
    shell("token", "create", "okta")
    shell("token", "revoke", "okta")

    events = shell("events", "list", "--json").json

    assert [event["type"] for event in events[1:]] == ["CredentialIssued", "CredentialRevoked"]
    assert {event["actor"] for event in events} == {"operator"}


def test_a_token_belongs_to_the_ledger_named(shell):
    shell("init", "--ledger", "acme")
    token = shell("token", "create", "okta", "--ledger", "acme").out.strip()

    site = Site(shell.data_dir)
    Api(site, "acme", token).create("jane@example.com")
    site.close()

    assert shell("token", "list", "--json").json == []
    assert shell("user", "show", "jane@example.com", "--ledger", "acme").code == 0
    assert shell("user", "show", "jane@example.com", code=5)


def test_a_ledger_that_is_not_there_ends_with_5(empty):
    for words in (["create", "x"], ["list"], ["revoke", "x"]):
        assert "scim-ledger init" in empty("token", *words, code=5).err


# Rotation


def test_a_rotated_token_and_the_former_work_until_the_overlap_ends(shell, api):
    rotated = shell("token", "rotate", "okta", "--json").json
    new = Api(api.site, "default", rotated["token"])

    assert new.get("/Users").status_code == api.get("/Users").status_code == 200
    with freeze_time(rotated["former_until"]):
        assert new.get("/Users").status_code == 200
        assert api.get("/Users").status_code == 401


def test_rotating_keeps_everything_but_the_secret_and_its_expiry(shell, credentials):
    words = ("--scope", "read", "--policy", "entra", "--network", "192.0.2.0/24")
    shell("token", "create", "x", *words, "--expires", "never")
    before = credentials()["x"]

    with freeze_time("2028-02-29T12:00:00Z"):
        said = shell("token", "rotate", "x", "--overlap", "12h")
        after = credentials()["x"]

    new = {
        "expires_at": "2029-02-28T12:00:00.000000Z",
        "former_until": "2028-03-01T00:00:00.000000Z",
    }
    assert after == before | new
    assert said.out.startswith("scl_") and len(said.out.split()) == 1
    assert said.err.splitlines() == [
        "shown this once; keep it now",
        f"expires at {new['expires_at']}",
        f"the former token works until {new['former_until']}",
    ]


def test_a_third_token_ends_the_oldest_at_once(shell, api):
    tokens = [shell("token", "rotate", "okta").out.strip() for _ in range(2)]

    clients = [api, *(Api(api.site, "default", token) for token in tokens)]

    assert [each.get("/Users").status_code for each in clients] == [401, 200, 200]


def test_without_overlap_the_former_token_ends_at_once(shell, api):
    said = shell("token", "rotate", "okta", "--overlap", "0d").err

    assert api.get("/Users").status_code == 401
    assert "former" not in said


def test_a_former_token_lives_no_longer_than_it_would_have(shell):
    shell("token", "create", "x", "--expires", "2d")
    expiry = shell("token", "list", "--json").json[0]["expires_at"]

    assert shell("token", "rotate", "x", "--json").json["former_until"] == expiry


@pytest.mark.parametrize("time", ["never", "soon", "-1d", "2020-01-01"])
def test_an_overlap_that_is_no_time_to_come_is_a_usage_error(shell, credentials, time):
    shell("token", "create", "x")
    before = credentials()

    assert "--overlap" in shell("token", "rotate", "x", "--overlap", time, code=2).err
    assert credentials() == before


def test_revoking_ends_a_rotated_token_and_the_former(shell, api):
    new = Api(api.site, "default", shell("token", "rotate", "okta").out.strip())

    shell("token", "revoke", "okta")

    assert new.get("/Users").status_code == api.get("/Users").status_code == 401
    for verb in (("rotate",), ("pause",), ("resume",), ("allow", "--anywhere")):
        assert "no live token" in shell("token", *verb, "okta", code=5).err


# Pauses and networks


@pytest.mark.parametrize(
    ("words", "state"), [([], "paused"), (["--reads"], "reads only")], ids=["nothing", "reads"]
)
def test_a_token_is_paused_and_resumed_by_events(shell, credentials, words, state):
    shell("token", "create", "okta")

    shell("token", "pause", "okta", *words)
    paused = credentials()["okta"]["state"]
    assert "nothing changed" in shell("token", "pause", "okta", *words).err
    shell("token", "resume", "okta")
    assert "nothing changed" in shell("token", "resume", "okta").err

    assert (paused, credentials()["okta"]["state"]) == (state, "live")
    events = [each["type"] for each in shell("events", "list", "--json").json]
    assert events[2:] == ["CredentialChanged", "CredentialChanged"]


def test_the_networks_of_a_token_are_set_whole(shell, credentials):
    networks = (
        "--network",
        "192.0.2.0/24",
        "--network",
        "192.0.2.0/24",
        "--network",
        "2001:DB8::/32",
    )
    shell("token", "create", "okta", *networks)
    assert credentials()["okta"]["networks"] == ["192.0.2.0/24", "2001:db8::/32"]

    said = shell("token", "allow", "okta", "--network", "203.0.113.7").err
    assert said == "okta may be used from 203.0.113.7/32\n"
    assert credentials()["okta"]["networks"] == ["203.0.113.7/32"]

    shell("token", "allow", "okta", "--anywhere")
    assert credentials()["okta"]["networks"] == []
    assert "nothing changed" in shell("token", "allow", "okta", "--anywhere").err


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--anywhere", "--network", "192.0.2.0/24"],
        ["--network", "192.0.2.1/24"],
        ["--network", "x"],
    ],
    ids=" ".join,
)
def test_networks_that_are_none_or_contradict_are_a_usage_error(shell, credentials, words):
    shell("token", "create", "okta")

    shell("token", "allow", "okta", *words, code=2)

    assert credentials()["okta"]["networks"] == []


def test_a_table_of_tokens_leaves_out_what_no_token_has(shell):
    shell("token", "create", "okta")
    plain = shell("token", "list").out.splitlines()[0].split()
    shell("token", "create", "entra", "--policy", "entra")

    assert plain == ["id", "name", "state", "scopes", "issued_at", "expires_at"]
    assert "policy" in shell("token", "list").out.splitlines()[0].split()
