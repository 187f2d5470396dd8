"""client add, list, set, rotate, pause, allow, withdraw, remove; connect."""

import json
import re
import shutil

import pytest
from click.testing import CliRunner
from freezegun import freeze_time

import app
from scim_api.auth import credentials
from scim_api.auth.oauth import clients, consent
from scim_api.auth.oauth.key_sets import KeySets
from scim_api.auth.oauth.trust import ALGORITHMS
from tests.scim_api.auth.oauth.key_set_url import key_set_served
from tests.scim_api.auth.oauth.service import URI, Service
from tests.scim_api.auth.oauth.signer import Signer, key_set
from tests.scim_api.client import Site

PAGE = "https://acme-admin.okta.com/admin/app/acme_scim_1/instance/0oa1/"
MICROSOFT = "https://login.microsoftonline.com/t1"
FEDERATION = (
    *("--issuer", f"{MICROSOFT}/v2.0", "--subject", "s1", "--tenant", "t1"),
    *("--audience", "a1", "--audience", "api://a1"),
    *("--jwks-url", f"{MICROSOFT}/discovery/v2.0/keys"),
)


@pytest.fixture
def add(shell):
    """Return a function that registers a client and returns what was said as JSON."""
    return lambda *words: shell("client", "add", *words, "--json").json


@pytest.fixture
def listed(shell):
    """Return a function that lists the clients by name."""
    return lambda: {row["name"]: row for row in shell("client", "list", "--json").json}


@pytest.fixture
def service(shell):
    """Return the authorization server of the shell's ledgers."""
    service = Service(Site(shell.data_dir))
    yield service
    service.close()


def connect(service, shell, added, ledger="default"):
    """Connect a client to a ledger by a one-time code; return it with its tokens."""
    code = shell("connect", added["client_id"], "--ledger", ledger).out.strip()
    client = clients.find(service.tenants, added["client_id"])
    code = consent.give(service.ask(client), code, service.tenants, service.metadata())
    return client, service.redeem((client, added["client_secret"]), code)


# Registering


def test_add_says_what_to_paste_into_which_field_of_okta(shell, monkeypatch):
    monkeypatch.setenv("SCIM_BASE_URL", "https://scim.example.com/scim/v2")

    said = shell("client", "add", "okta", "--okta", PAGE)

    fields = dict(re.findall(r"^  (.+?)  +(\S+)$", said.out, re.M))
    assert fields.pop("Client Secret").startswith("scls_")
    assert re.fullmatch("[0-9a-f]{16}-[0-9a-f-]{36}", fields.pop("Client ID"))
    assert fields == {
        "SCIM connector base URL": "https://scim.example.com/scim/v2",
        "Access token endpoint URI": "https://scim.example.com/oauth/token",
        "Authorization endpoint URI": "https://scim.example.com/oauth/authorize",
    }
    assert "the secret is shown this once; it expires at" in said.err
    assert "scim-ledger connect okta, and press Authenticate" in said.err
    assert "SCIM_BASE_URL" not in said.err


def test_add_says_what_to_paste_into_which_field_of_entra(shell, monkeypatch):
    monkeypatch.setenv("SCIM_BASE_URL", "https://scim.example.com/scim")
    monkeypatch.setenv("SCIM_BASE_PATH", "/scim")

    said = shell("client", "add", "entra", "--grant", "client_credentials", "--policy", "entra")

    fields = dict(re.findall(r"^  (.+?)  +(\S+)$", said.out, re.M))
    assert fields.keys() == {"Tenant URL", "Token endpoint", "Client identifier", "Client secret"}
    assert fields["Token endpoint"] == "https://scim.example.com/oauth/token"
    assert "Authentication method OAuth2 client credentials grant" in said.out
    assert "connect" not in said.err


@pytest.mark.parametrize(
    ("words", "heading"),
    [
        (["--redirect", "https://idp.example.com/cb"], "What the client needs to know:"),
        (["--grant", "client_credentials"], "What the client needs to know:"),
        ([*FEDERATION, "--grant", "authorization_code"], "What the client needs to know:"),
        ([*FEDERATION], "with the Authentication method Workload Identity Federation:"),
        ([], "In Okta, Provisioning"),
    ],
    ids=["another by consent", "by itself", "assertions by consent", "federation", "okta"],
)
def test_add_names_the_form_of_the_provider_that_the_client_is_for(shell, words, heading):
    assert heading in shell("client", "add", "x", *words).out


def test_show_prints_all_but_the_secret_again_with_the_right_addresses(shell, monkeypatch):
    made = shell("client", "add", "okta", "--okta", PAGE)
    assert "SCIM_BASE_URL=https://ADDRESS scim-ledger client show okta\n" in made.err
    assert "http://127.0.0.1" in made.out
    monkeypatch.setenv("SCIM_BASE_URL", "https://scim.example.com/scim/v2")

    said = shell("client", "show", "okta")

    assert "https://scim.example.com/oauth/token" in said.out
    assert f"  {URI}\n" in said.out and said.out.count("/oauth/callback\n") == 6
    assert "scls_" not in said.out + said.err
    assert "client_secret" not in shell("client", "show", "okta", "--json").json


def test_add_says_first_that_its_addresses_are_local(shell):
    result = CliRunner().invoke(app.cli, ["client", "add", "okta"])
    assert 0 <= result.output.find("SCIM_BASE_URL is not set") < result.output.find("scls_")


def test_a_second_client_of_a_name_is_refused_while_the_first_one_lives(shell, add):
    first = add("okta")["client_id"]

    assert first in shell("client", "add", "okta", code=1).err
    shell("client", "remove", "okta")
    assert add("okta")["client_id"] != first


def test_the_redirect_uris_of_an_okta_app_are_those_of_every_cell(add, listed):
    add("okta", "--okta", PAGE, "--redirect", "https://idp.example.com/callback")

    uris = listed()["okta"]["redirect_uris"]
    assert len(uris) == 7
    assert URI in uris
    assert uris[-1] == "https://idp.example.com/callback"


def test_a_client_may_wait_for_its_redirect_uri(shell, add, listed):
    assert "no redirect URI yet" in shell("client", "add", "okta").err

    shell("client", "set", "okta", "--okta", PAGE)
    again = shell("client", "set", "okta", "--okta", PAGE)

    assert URI in listed()["okta"]["redirect_uris"]
    assert "nothing changed" in again.err


def test_a_cell_that_okta_does_not_list_is_warned_of(shell):
    page = PAGE.replace("okta.com", "okta-gov.com")

    assert "acme-admin.okta-gov.com" in shell("client", "add", "okta", "--okta", page).err


def test_a_client_secret_expires_after_365_days_unless_it_is_said_otherwise(add, listed):
    with freeze_time("2027-03-01T12:00:00Z"):
        add("okta")
        add("for ever", "--expires", "never")

    ends = {name: row["expires_at"] for name, row in listed().items()}
    assert ends == {"okta": "2028-02-29T12:00:00.000000Z", "for ever": None}


def test_a_federated_client_has_no_secret(add, listed, shell):
    made = add("entra", *FEDERATION)

    assert "client_secret" not in made
    assert listed()["entra"]["known_by"] == "federation"
    assert listed()["entra"]["grants"] == ["client_credentials"]
    [*_, event] = shell("events", "list", "--json").json
    assert event["effects"]["trust"] == {
        "issuer": f"{MICROSOFT}/v2.0",
        "subject": "s1",
        "audiences": ["a1", "api://a1"],
        "tenant": "t1",
        "jwks_uri": f"{MICROSOFT}/discovery/v2.0/keys",
    }
    assert "has no secret" in shell("client", "rotate", "entra", code=1).err


def test_what_a_federated_client_is_known_by_is_changed_in_part(add, shell):
    made = add("entra", *FEDERATION)

    shell("client", "set", "entra", "--audience", "a2", "--audience", "api://a2/host")
    again = shell("client", "set", "entra", "--audience", "a2", "--audience", "api://a2/host")

    [event] = shell("events", "list", "--json").json[2:]
    assert event["effects"] == {
        "trust": {
            "issuer": f"{MICROSOFT}/v2.0",
            "subject": "s1",
            "audiences": ["a2", "api://a2/host"],
            "tenant": "t1",
            "jwks_uri": f"{MICROSOFT}/discovery/v2.0/keys",
        }
    }
    assert shell("client", "list", "--json").json[0]["client_id"] == made["client_id"]
    assert "nothing changed" in again.err


def test_pasted_keys_replace_those_of_a_url_and_a_url_those(add, shell, tmp_path):
    keys = tmp_path / "keys.json"
    x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"  # RFC 8037, appendix A
    keys.write_text(json.dumps({"keys": [{"kty": "OKP", "crv": "Ed25519", "x": x, "kid": "1"}]}))
    add("entra", *FEDERATION)

    shell("client", "set", "entra", "--jwks-file", str(keys))
    shell("client", "set", "entra", "--jwks-url", f"{MICROSOFT}/keys")

    pasted, fetched = (e["effects"]["trust"] for e in shell("events", "list", "--json").json[2:])
    assert pasted["jwks"]["keys"][0]["kid"] == "1" and "jwks_uri" not in pasted
    assert fetched["jwks_uri"] == f"{MICROSOFT}/keys" and "jwks" not in fetched
    assert pasted["audiences"] == fetched["audiences"] == ["a1", "api://a1"]


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ([], 2, "say what to change"),
        (["--audience", "x"], 1, "is known by its secret"),
        (["--jwks-url", f"{MICROSOFT}/keys"], 1, "is known by its secret"),
    ],
    ids=["nothing", "audience", "keys"],
)
def test_a_client_with_a_secret_gets_no_assertions(add, shell, words, code, says):
    add("okta", "--okta", PAGE)

    assert says in shell("client", "set", "okta", *words, code=code).err


def keys_in(folder):
    """Return a file with a key set."""
    file = folder / "keys.json"
    x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"  # RFC 8037, appendix A
    file.write_text(json.dumps({"keys": [{"kty": "OKP", "crv": "Ed25519", "x": x, "kid": "1"}]}))
    return str(file)


def test_the_keys_of_a_client_may_be_pasted_from_a_file(add, listed, tmp_path):
    add("app", "--jwks-file", keys_in(tmp_path))

    app = listed()["app"]
    assert app["known_by"] == "private_key_jwt"
    assert (app["trust"]["issuer"], app["trust"]["key_ids"]) == (app["client_id"], ["1"])


def test_list_shows_what_an_assertion_must_say_and_which_keys_are_known(
    add, listed, shell, monkeypatch
):
    monkeypatch.setenv("SCIM_JWKS_HOSTS", "127.0.0.1")
    with key_set_served() as keys, freeze_time("2027-02-28 12:00:00"):
        keys.document = key_set(Signer("k1", "ES256"))
        add("entra", *FEDERATION[:-1], keys.url)
        before = listed()["entra"]["trust"]
        KeySets(("127.0.0.1",)).find(shell.data_dir / "default", keys.url, "k1")
        trust = listed()["entra"]["trust"]
        table = shell("client", "list").out
        checked = shell("doctor").out
        monkeypatch.delenv("SCIM_JWKS_HOSTS")
        no_more = shell("doctor", code=1).out

    assert "ok   ledger default key sets: client entra: its keys are k1, fetched at 2027" in checked
    assert "BAD  ledger default key sets: client entra gets no tokens: keys are fetched" in no_more
    assert (before["key_ids"], before["fetched_at"]) == ([], None)
    assert trust == {
        "issuer": f"{MICROSOFT}/v2.0",
        "subject": "s1",
        "audiences": ["a1", "api://a1"],
        "tenant": "t1",
        "algorithms": [*ALGORITHMS],
        "key_set": keys.url,
        "key_ids": ["k1"],
        "fetched_at": "2027-02-28T12:00:00.000000Z",
    }
    assert "a1 api://a1" in table


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--okta", "https://acme.okta.com/"], "looks like https://acme-admin.okta.com"),
        (["--redirect", "http://idp.example.com/"], "must begin with https"),
        (["--redirect", "https://idp.example.com/#x"], "has a fragment"),
        (["--grant", "client_credentials", "--okta", PAGE], "authorization_code"),
        (["--issuer", "https://idp.example.com"], "either the URL of a key set or the key set"),
        (["--jwks-url", "https://keys.example.com/"], "SCIM_JWKS_HOSTS"),
        (["--subject", "x", "--jwks-url", f"{MICROSOFT}/keys"], "needed together"),
        (["--jwks-file", __file__], "is not JSON"),
        (["--jwks-url", f"{MICROSOFT}/keys", "--expires", "30d"], "is for a secret"),
        (["--scope", "everything"], "provision"),
        (["--network", "example.com"], "is not a network"),
    ],
    ids=lambda each: each if isinstance(each, str) else " ".join(each)[:40],
)
def test_what_is_wrong_with_a_registration_is_a_usage_error(shell, listed, words, says):
    assert says in " ".join(shell("client", "add", "okta", *words, code=2).err.split())
    assert listed() == {}


def test_nothing_shows_a_secret_or_a_hash_again(shell, add):
    secret = add("okta", "--okta", PAGE)["client_secret"]
    code = shell("connect", "okta").out.strip()

    for words in (["client", "list"], ["client", "list", "--json"], ["events", "list", "--json"]):
        shown = shell(*words).out
        assert secret[22:] not in shown
        assert code[22:] not in shown
        assert "sha256" not in shown


# Consents


def test_a_consent_is_listed_with_its_ledger_last_use_and_last_refresh(shell, add, service, listed):
    shell("init", "--ledger", "beta")
    with freeze_time("2028-01-01T12:00:00Z") as time:
        added = add("okta", "--okta", PAGE)
        client, answer = connect(service, shell, added, "beta")
        time.tick(3600)
        service.refresh((client, added["client_secret"]), answer["refresh_token"])
        [given] = listed()["okta"]["consents"]

    assert (given["ledger"], given["state"]) == ("beta", "live")
    assert given["consented_at"] == "2028-01-01T12:00:00.000000Z"
    assert given["last_refresh_at"] == "2028-01-01T13:00:00.000000Z"
    assert given["last_used_at"] is None
    assert isinstance(given["arrived"], dict)
    assert "  beta  " in shell("client", "list").out


def test_one_client_is_connected_to_two_ledgers_and_removed_from_both(shell, add, service, listed):
    shell("init", "--ledger", "beta")
    added = add("okta", "--okta", PAGE)
    tokens = {
        ledger: connect(service, shell, added, ledger)[1]["access_token"]
        for ledger in ("default", "beta")
    }
    assert all(service.opens(token, ledger) for ledger, token in tokens.items())

    shell("client", "remove", "okta")

    assert not any(service.opens(token, ledger) for ledger, token in tokens.items())
    assert [each["state"] for each in listed()["okta"]["consents"]] == ["revoked", "revoked"]
    assert "was removed" in shell("client", "rotate", added["client_id"], code=1).err
    assert "nothing changed: okta was removed, at" in shell("client", "remove", "okta").err
    assert "no client 'okta'" in shell("client", "pause", "okta", code=5).err


def test_a_removal_that_cannot_reach_a_ledger_fails_and_is_finished_later(
    shell, add, service, listed
):
    shell("init", "--ledger", "beta")
    added = add("okta", "--okta", PAGE)
    token = connect(service, shell, added, "beta")[1]["access_token"]
    file = shell.data_dir / "beta" / "ledger.db"
    file.rename(file.with_name("away"))

    first = shell("client", "remove", "okta", code=1).err
    second = shell("client", "remove", "okta", "--json", code=1).json
    file.with_name("away").rename(file)
    assert not service.opens(token, "beta")  # its home says so
    assert "ConsentWithdrawn" not in service.types("beta")
    shell("client", "remove", added["client_id"])

    assert f"beta (there is no ledger at {file}" in first
    assert f"run scim-ledger client remove {added['client_id']}\n" in first
    assert second["left"] == ["beta"]
    assert service.types("beta")[-1] == "ConsentWithdrawn"
    assert "nothing changed" in shell("client", "remove", "okta").err


def test_a_consent_is_withdrawn_by_its_id(shell, add, service, listed):
    _, answer = connect(service, shell, add("okta", "--okta", PAGE))
    [given] = listed()["okta"]["consents"]

    shell("client", "withdraw", given["id"])

    assert not service.opens(answer["access_token"], "default")
    assert "ended already" in shell("client", "withdraw", given["id"], code=1).err
    assert "no consent 'x'" in shell("client", "withdraw", "x", code=5).err


def test_a_consent_of_a_client_of_another_ledger_is_listed_and_withdrawn(shell, add, service):
    shell("init", "--ledger", "beta")
    added = add("okta", "--okta", PAGE)
    connect(service, shell, added, "beta")

    def of_beta():
        [row] = shell("client", "list", "--ledger", "beta", "--json").json
        [given] = row["consents"]
        return row["client_id"], row["home"], given["state"], given["id"]

    client_id, home, state, id_ = of_beta()
    assert (client_id, home, state) == (added["client_id"], "default", "live")
    assert client_id in shell("client", "list", "--ledger", "beta").out
    shell("client", "pause", "okta")
    assert of_beta()[2] == "paused"
    (shell.data_dir / "default").rename(shell.data_dir.parent / "away")
    assert of_beta() == (client_id, None, "home missing", id_)

    shell("client", "withdraw", id_, "--ledger", "beta")

    assert of_beta()[2] == "revoked"
    assert service.types("beta")[-1] == "ConsentWithdrawn"


def test_a_pause_and_networks_of_a_client_are_those_of_its_consents(shell, add, service, listed):
    shell("init", "--ledger", "beta")
    added = add("okta", "--okta", PAGE)
    for ledger in ("default", "beta"):
        connect(service, shell, added, ledger)

    shell("client", "pause", "okta", "--reads")
    shell("client", "allow", "okta", "--network", "192.0.2.0/24")

    okta = listed()["okta"]
    for each in (okta, *okta["consents"]):
        assert (each["state"], each["networks"]) == ("reads only", ["192.0.2.0/24"])
    shell("client", "resume", "okta")
    assert "nothing changed" in shell("client", "resume", "okta").err
    assert [each["state"] for each in listed()["okta"]["consents"]] == ["live", "live"]


def test_what_a_paused_client_is_given_in_another_ledger_is_paused_too(shell, add, service):
    shell("init", "--ledger", "beta")
    added = add("okta", "--okta", PAGE, "--network", "192.0.2.0/24")
    shell("client", "pause", "okta", "--reads")
    _, answer = connect(service, shell, added, "beta")

    found = service.presented(answer["access_token"], "beta")
    assert (found.allows, found.networks) == ("reads", ("192.0.2.0/24",))

    shell("client", "resume", "okta")
    found = service.presented(answer["access_token"], "beta")
    assert found.allows == "all"


def test_a_consent_that_has_ended_is_not_withdrawn_again(shell, add, service, listed):
    added = add("okta", "--okta", PAGE)
    connect(service, shell, added)
    [given] = listed()["okta"]["consents"]
    shell("client", "withdraw", given["id"])

    credentials.revoke(service.ledger("default"), service.metadata(), given["id"])

    assert service.types("default").count("ConsentWithdrawn") == 1


# Rotation


def test_both_secrets_of_a_rotated_client_work_until_the_overlap_ends(shell, add, service):
    added = add("app", "--grant", "client_credentials")
    rotated = shell("client", "rotate", "app", "--json").json
    client = clients.find(service.tenants, added["client_id"])
    former, new = ((client, each["client_secret"]) for each in (added, rotated))

    assert service.of_itself(former)["token_type"] == service.of_itself(new)["token_type"]
    with freeze_time(rotated["former_until"]):
        assert service.refusal(service.of_itself, former).error == "invalid_client"
        assert service.of_itself(new)


# One-time codes


def test_connect_prints_the_code_alone_on_stdout(shell, add):
    add("okta", "--okta", PAGE)

    with freeze_time("2028-01-01T12:00:00Z"):
        said = shell("connect", "--for", "1h")

    assert re.fullmatch(r"sclo_[0-9a-f]{16}_\w{49}\n", said.out)
    assert "connects okta to ledger default, once, until 2028-01-01T13:00:00" in said.err


def test_connect_needs_to_know_which_client(shell, add):
    assert "scim-ledger client add" in shell("connect", code=1).err
    add("one")
    add("two")
    add("by itself", "--grant", "client_credentials")

    assert "say which client: one, two" in shell("connect", code=1).err
    assert "needs no consent" in shell("connect", "by itself", code=1).err
    assert "client set one --okta ADDRESS" in shell("connect", "one", code=1).err
    assert "no client 'three'" in shell("connect", "three", code=5).err


def test_a_client_with_a_key_of_its_own_is_connected_to_its_own_ledger_only(shell, add, tmp_path):
    shell("init", "--ledger", "beta")
    grant = ("--grant", "authorization_code", "--redirect", URI)
    client_id = add("app", "--jwks-file", keys_in(tmp_path), *grant)["client_id"]

    refused = shell("connect", client_id, "--ledger", "beta", code=1).err

    assert "its own ledger only, default" in refused
    assert "sclo_" in shell("connect", client_id).out


def test_both_say_so_where_oauth_is_off(shell, monkeypatch):
    monkeypatch.setenv("SCIM_AUTHENTICATION", "header,basic")

    assert "warning: OAuth 2 is off" in shell("client", "add", "okta", "--okta", PAGE).err
    assert "warning: OAuth 2 is off" in shell("connect", "okta").err


@pytest.mark.parametrize("time", ["never", "-1h", "2020-01-01", "soon", "8d", "1y"])
def test_a_code_that_is_over_at_once_or_lasts_for_weeks_is_a_usage_error(shell, add, time):
    add("okta")

    assert "--for" in shell("connect", "okta", "--for", time, code=2).err


# Wherever credentials are shown


def test_status_and_doctor_know_clients_and_consents(shell, add, service):
    added = add("okta", "--okta", PAGE, "--expires", "5d")
    connect(service, shell, added)
    shell("client", "pause", "okta")

    [found] = shell("status", "--json").json

    expiring = [each["says"] for each in found["credentials_expiring_soon"]]
    okta = added["client_id"][17:]
    assert expiring == [f"the secret of client okta ({okta}) expires in 5 days"]
    assert [each["kind"] for each in found["credentials_paused"]] == ["client"]
    assert f"scim-ledger client rotate {okta}; if" in shell("doctor", code=1).out


def test_status_and_doctor_say_that_a_secret_was_used_twice_until_it_is_long_ago(
    shell, add, service
):
    with freeze_time("2028-01-01T12:00:00Z") as time:
        added = add("okta", "--okta", PAGE)
        client, answer = connect(service, shell, added)
        own = client, added["client_secret"]
        service.refresh(own, answer["refresh_token"])
        time.tick(120)
        assert service.refusal(service.refresh, own, answer["refresh_token"])
        bad, warned = shell("doctor", code=1).out, shell("status").out
        for said in (bad, warned):
            assert f"scim-ledger connect {added['client_id']}, then press Authenticate" in said
            assert "the refresh token of consent okta (" in said
        time.tick(60)
        connect(service, shell, added)
        assert "connected again since" in shell("doctor").out
        time.tick(31 * 86400)
        assert "used twice" not in shell("status").out


def test_status_and_doctor_name_a_consent_whose_client_is_not_in_its_home(shell, add, service):
    shell("init", "--ledger", "beta")
    home, before, moved = (shell.data_dir / "default", *map(shell.data_dir.with_name, "bm"))
    shutil.copytree(home, before)
    added = add("okta", "--okta", PAGE)
    connect(service, shell, added, "beta")
    assert "opens nothing" not in shell("doctor").out + shell("status").out
    service.close()

    home.rename(moved)
    for said in (shell("doctor", code=1).out, shell("status").out):
        assert f"the ledger of its client, {added['client_id'][:16]}, is missing" in said
        assert "scim-ledger client withdraw" in said
    before.rename(home)
    for said in (shell("doctor", code=1).out, shell("status").out):
        assert "its client is not registered (any more) in ledger default" in said


def test_a_client_that_has_gone_from_one_ledger_is_still_listed(shell, add, service, listed):
    shell("init", "--ledger", "beta")
    added = add("okta", "--okta", PAGE)
    connect(service, shell, added)
    (shell.data_dir / "beta" / "ledger.db").write_bytes(b"no ledger" * 1000)

    ended = shell("client", "list", "--json")

    assert len(ended.json[0]["consents"]) == 1
    assert "warning: ledger beta is left out" in ended.err
