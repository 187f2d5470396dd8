"""Clients: registered in their home, changed and removed with their grants in every ledger."""

from dataclasses import replace

import pytest

from ledger.contract import LedgerUnavailable
from scim_api.auth import credentials, homes
from scim_api.auth.oauth import clients, consent
from scim_api.auth.oauth.clients import NotARedirectUri
from tests.scim_api.auth.oauth.service import URI


@pytest.fixture
def client(service):
    return service.register()


def test_a_client_id_names_the_home_and_the_client(service, client):
    home = service.ledger().ledger.tenant

    assert client[0].client_id == f"{home}-{client[0].id}"
    assert clients.find(service.tenants, client[0].client_id) == client[0]


def test_a_client_can_be_connected_to_two_ledgers_that_do_not_mix(service, client):
    given = {
        name: service.redeem(client, service.consent(client[0], name)) for name in ("acme", "beta")
    }

    for name, other in (("acme", "beta"), ("beta", "acme")):
        assert service.opens(given[name]["access_token"], name)
        assert not service.opens(given[name]["access_token"], other)
    beta, grant = service.ledger("beta"), service.events("beta")[0].subject
    credentials.revoke(beta, service.metadata(), grant)
    assert service.opens(given["acme"]["access_token"])
    assert not service.opens(given["beta"]["access_token"], "beta")


@pytest.mark.parametrize("changes", [{"allows": "nothing"}, {"networks": ["192.0.2.0/24"]}])
def test_the_limits_of_a_client_count_for_its_grants_in_every_ledger(service, client, changes):
    tokens = {
        name: service.redeem(client, service.consent(client[0], name))["access_token"]
        for name in ("acme", "beta")
    }

    credentials.change(service.ledger(), service.metadata(), client[0].id, **changes)

    for name, token in tokens.items():
        found = service.presented(token, name)
        assert {key: getattr(found, key) for key in changes} == {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in changes.items()
        }
    assert service.types("beta") == ["ConsentGiven", "TokensIssued"]  # no copy of it


def test_a_grant_whose_client_its_home_does_not_know_has_ended(service, client):
    given = service.redeem(client, service.consent(client[0], "beta"))
    known = service.presented(given["access_token"], "beta")
    unknown = replace(known, client=f"{known.client[:-1]}x")  # as after a restore of the home

    assert (known.revoked_at, unknown.revoked_at) == (None, None)
    ended = homes.in_force(unknown, service.ledger("acme"))
    assert (ended.state(""), ended.client_is_gone) == ("revoked", True)


def test_while_the_home_of_a_client_is_missing_what_it_has_access_by_is_unavailable(
    service, client, site
):
    given = service.redeem(client, service.consent(client[0], "beta"))
    asked = {"client_id": client[0].client_id, "redirect_uri": URI, "response_type": "code"}
    connect_code = service.connect_code(client[0], "beta")
    unused = service.redeem(client, service.consent(client[0], "acme"))["refresh_token"]
    service.close()
    folder = site.data_dir / "acme"
    folder.rename(folder.parent.parent / "moved")
    service.tenants.discover()

    for ask in (
        lambda: service.refresh(client, given["refresh_token"]),
        lambda: service.revoke(client, given["refresh_token"]),
        lambda: service.revoke(client, given["access_token"]),
        lambda: consent.asking(service.tenants, asked, connect_code),
    ):
        with pytest.raises(LedgerUnavailable):
            ask()
    assert service.refusal(service.refresh, client, unused).error == "invalid_client"
    refused = service.refusal(consent.asking, service.tenants, asked)  # no ledger was named
    assert (refused.error, "no ledger with the id" in refused.detail) == ("invalid_request", True)
    grant = service.events("beta")[0].subject
    credentials.revoke(service.ledger("beta"), service.metadata(), grant)
    refused = service.refusal(service.refresh, client, given["refresh_token"])
    assert refused.error == "invalid_client"


def test_removing_a_client_ends_its_grants_in_every_ledger(service, client):
    tokens = {
        name: service.redeem(client, service.consent(client[0], name)) for name in ("acme", "beta")
    }

    clients.remove(client[0], list(service.tenants), service.metadata())

    for name, given in tokens.items():
        assert not service.opens(given["access_token"], name)
        assert service.types(name)[-1] == "ConsentWithdrawn"
        refused = service.refusal(service.refresh, client, given["refresh_token"])
        assert refused.error == "invalid_client"
    assert clients.find(service.tenants, client[0].client_id) is None
    *_, withdrawn, removed = service.ledger().ledger.read_all()  # grants first: it may be cut off
    assert (withdrawn.type, removed.type) == ("ConsentWithdrawn", "ClientRemoved")


def test_who_consents_while_a_client_is_removed_gives_it_nothing(service, client):
    asked, connect_code = service.ask(client[0]), service.connect_code(client[0], "beta")
    clients.remove(client[0], list(service.tenants), service.metadata())

    refused = service.refusal(
        consent.give, asked, connect_code, service.tenants, service.metadata()
    )

    assert refused.error == "unauthorized_client"
    assert service.types("beta") == []


def test_a_client_may_wait_for_its_redirect_uri(service):
    [client, _] = service.register(redirect_uris=[])
    assert service.refusal(service.ask, client).code == "oauth.redirect_uri"

    clients.change(client, service.metadata(), redirect_uris=[URI, URI])

    assert service.ask(client).by.redirect_uri == URI


UNFIT = (
    *("", "x", "/callback", "https://", "https:///x", "okta.com/callback", "mailto:a@b.example"),
    *("javascript:alert(1)", "data:text/html,x", "http://okta.com/callback", "//a.example/"),
    *("https://a.example/x#y", "https://a.example/#", "https://user@a.example/", "https://[::/"),
    *("https://a.example/x y", "https://a.example/\n", "https://a.example:x/", "ftp://a.example/"),
    *("http://localhost.example/", "http://128.0.0.1/", "https://\u00e9.example/"),
)
FIT = (
    *(URI, "https://a.example", "https://a.example:8443/x?y=z", "https://[2001:db8::1]/x"),
    *("http://localhost:9000/x", "http://127.0.0.1/x", "http://[::1]:1/x"),
    "http://system-admin.okta1.com:1802/admin/app/cpc/acme/oauth/callback",
)


def test_only_an_https_address_or_one_of_this_machine_is_registered(service):
    for uri in UNFIT:
        with pytest.raises(NotARedirectUri):
            service.register(redirect_uris=[uri])
    assert service.types(category="Client") == []

    assert service.register(redirect_uris=FIT)[0].redirect_uris == FIT


def test_a_rebuild_gives_the_same_clients_and_grants(service, client):
    given = service.redeem(client, service.consent(client[0], "beta"))
    service.refresh(client, given["refresh_token"])
    service.revoke(client, given["access_token"])
    service.consent(client[0])

    service.must_be_rebuildable()
