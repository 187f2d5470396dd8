"""How clients prove who they are with a secret: by Basic, or in the form."""

import time
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from freezegun import freeze_time

from ledger import clock
from ledger.contract import Append
from ledger.events import Event
from scim_api.auth import credentials
from scim_api.auth.oauth import clients

FORM = {"grant_type": "client_credentials"}
PAST, REPLACED = "2026-01-01T00:00:00.000000Z", "oauth.secret_replaced"


@pytest.fixture
def client(service):
    """Return a client that acts itself, and its secret."""
    return service.register(grants=["client_credentials"])


def basic(text):
    return f"Basic {b64encode(text.encode()).decode()}"


def in_form(client, **changes):
    return FORM | {"client_id": client[0].client_id, "client_secret": client[1]} | changes


def methods(service):
    issued = [each for each in service.events(category="Client") if each.type == "TokensIssued"]
    return [each.effects["client_authentication"] for each in issued]


def test_a_secret_counts_by_basic_in_any_spelling_and_in_the_form(service, client):
    id_, secret = client[0].client_id, client[1]

    service.token(FORM, authorization=basic(f"{id_}:{secret}"))
    service.token(FORM, authorization="basic  " + basic(f"{id_}:{secret}")[6:])
    service.token(FORM, authorization=basic(f"{id_.replace('-', '%2D')}:{secret}"))  # §2.3.1
    service.token(FORM | {"client_id": id_}, authorization=basic(f"{id_}:{secret}"))
    service.token(in_form(client), authorization=basic(f"{id_}:{secret}"))
    service.token(in_form(client))
    service.token(in_form(client, client_secret=f" {secret}\n"))  # as it is pasted
    service.token(in_form(client, client_id=f" {id_}\n"))
    service.token(FORM, authorization=basic(f"{id_} : {secret}"))

    known = ["client_secret_basic"] * 5 + ["client_secret_post"] * 3 + ["client_secret_basic"]
    assert methods(service) == known


def test_two_proofs_that_differ_are_refused_whichever_is_right(service, client):
    other = service.register(grants=["client_credentials"])
    by_basic = basic(f"{client[0].client_id}:{client[1]}")
    for form in (
        in_form(client, client_secret=other[1]),
        in_form(other),
        FORM | {"client_id": other[0].client_id},
        FORM | {"client_assertion": "a.b.c"},
    ):
        refused = service.refusal(service.token, form, authorization=by_basic)

        assert (refused.error, refused.code) == ("invalid_request", "oauth.two_proofs")
    assert methods(service) == []


def test_an_id_and_a_secret_in_two_places_are_said_to_be(service, client):
    id_, secret = client[0].client_id, client[1]
    for form, header in (
        (FORM | {"client_secret": secret}, f"{id_}:"),
        (in_form(client), f"{id_}:"),
        (FORM | {"client_id": id_}, f":{secret}"),
    ):
        refused = service.refusal(service.token, form, authorization=basic(header))

        assert (refused.error, refused.code) == ("invalid_request", "oauth.split_proof")


@pytest.mark.parametrize(
    "what", ["unknown", "another's", "of another ledger", "a token", "torn", "none"]
)
def test_what_is_no_secret_of_the_client_is_401(service, client, what):
    home, secret = service.ledger(), client[1]
    wrong = {
        "unknown": f"{secret[:22]}{secret[23:]}0",
        "another's": service.register()[1],
        "of another ledger": service.register("beta")[1],
        "a token": credentials.issue(home, service.metadata(), "okta").token,
        "torn": secret[:-1],
        "none": None,
    }[what]

    refused = service.refusal(service.token, in_form(client, client_secret=wrong))

    assert (refused.status, refused.error) == (401, "invalid_client")
    assert "WWW-Authenticate" not in refused.refusal().headers


@pytest.mark.parametrize(
    "authorization", [basic("x:y"), basic("no colon"), "Basic !", "Basic", "Bearer x", basic(":")]
)
def test_a_refusal_of_a_header_says_that_basic_is_taken(service, client, authorization):
    refused = service.refusal(service.token, FORM, authorization=authorization)

    assert (refused.status, refused.error) == (401, "invalid_client")
    assert refused.refusal().headers["WWW-Authenticate"].startswith("Basic ")


@pytest.mark.parametrize("client_id", ["", "x", "0123456789abcdef-{id}", "{home}-{other}", "{id}"])
def test_a_client_id_that_is_not_quite_one_is_unknown(service, client, client_id):
    known = client[0]
    parts = {"id": known.id, "home": known.client_id[:16], "other": known.id[:-1] + "x"}

    form = in_form(client, client_id=client_id.format(**parts) or None)
    refused = service.refusal(service.token, form)

    assert (refused.error, refused.code) == ("invalid_client", "oauth.client_unknown")


def test_two_secrets_live_until_the_former_ends(service, client):
    now = clock.now()
    until = clock.timestamp(now + timedelta(days=7))
    newer = credentials.rotate(
        service.ledger(),
        service.metadata(),
        client[0].credential,
        expires_at=None,
        former_until=until,
    )

    assert service.token(in_form(client))
    assert service.token(in_form(client, client_secret=newer))
    with freeze_time(now + timedelta(days=7)):
        refused = service.refusal(service.token, in_form(client))
        assert (refused.error, refused.code) == ("invalid_client", "oauth.secret_replaced")
        assert service.token(in_form(client, client_secret=newer))


def test_a_removed_client_is_unknown_and_its_tokens_open_nothing(service, client):
    token = service.token(in_form(client))["access_token"]

    clients.remove(client[0], list(service.tenants), service.metadata())

    assert service.refusal(service.token, in_form(client)).code == "oauth.client_unknown"
    assert not service.opens(token)


@pytest.mark.parametrize(
    ("happened", "code"),
    [
        (Event("ClientRemoved"), "oauth.client_removed"),
        (Event("CredentialRotated", {"sha256": "0" * 64, "former_until": PAST}), REPLACED),
        (Event("CredentialChanged", {"allows": "nothing"}), "client.paused"),
        (Event("CredentialChanged", {"networks": ["198.51.100.0/24"]}), "client.network"),
        (Event("ClientChanged", {"trust": {"jwks": {}}}), "oauth.client_changed"),
    ],
    ids=lambda each: each.type if isinstance(each, Event) else None,
)
def test_what_let_a_client_in_must_hold_when_its_turn_to_write_comes(
    service, client, happened, code
):
    ledger = service.ledger().ledger

    with ThreadPoolExecutor(1) as pool:

        def change(_):
            asking.append(pool.submit(service.refusal, service.token, in_form(client)))
            time.sleep(0.3)  # it is let in, and waits
            return [Append(f"Client-{client[0].id}", 1, [happened])]

        asking = []
        ledger.append_decided(change, service.metadata())

        assert asking[0].result().code == code
    assert methods(service) == []


def test_a_secret_that_its_home_replaced_gives_no_token_of_another_ledger(service):
    client = service.register()
    refresh = service.redeem(client, service.consent(client[0], "beta"))["refresh_token"]
    there = service.ledger(), service.metadata(), client[0].credential

    with ThreadPoolExecutor(1) as pool:

        def nothing(_):
            asking.append(pool.submit(service.refusal, service.refresh, client, refresh))
            time.sleep(0.3)
            credentials.rotate(*there, expires_at=None, former_until=PAST)
            return []

        asking = []
        service.ledger("beta").ledger.append_decided(nothing, service.metadata())

        refused = asking[0].result()
    assert refused.code == REPLACED
    assert refused.refusal().headers["WWW-Authenticate"].startswith("Basic ")
    assert service.types("beta") == ["ConsentGiven", "TokensIssued"]


def test_a_paused_client_gets_no_token_until_it_is_resumed_and_keeps_its_refresh_token(service):
    client = service.register()
    refresh = service.redeem(client, service.consent(client[0], "beta"))["refresh_token"]
    there = service.ledger(), service.metadata(), client[0].id

    credentials.change(*there, allows="nothing")
    refused = service.refusal(service.refresh, client, refresh)
    credentials.change(*there, allows="all")

    assert (refused.error, refused.code) == ("unauthorized_client", "client.paused")
    assert service.refresh(client, refresh)


def test_an_address_in_none_of_its_networks_is_named_and_refused(service):
    client = service.register(grants=["client_credentials"], networks=["192.0.2.0/24"])

    refused = service.refusal(service.token, in_form(client), address="198.51.100.7")

    assert (refused.error, refused.code) == ("unauthorized_client", "client.network")
    assert "198.51.100.7" in refused.detail
    assert service.token(in_form(client), address="192.0.2.9")


def test_a_client_gets_tokens_only_in_the_ways_that_it_is_registered_for(service, client):
    form = in_form(client, grant_type="refresh_token", refresh_token="x")
    assert service.refusal(service.token, form).error == "unauthorized_client"

    by_consent = service.register()
    assert service.refusal(service.of_itself, by_consent).error == "unauthorized_client"
