"""Clients without a secret get tokens: Entra by what Microsoft signs, others by their own key."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from freezegun import freeze_time

from ledger import clock
from scim_api.auth.oauth.client_authentication import ASSERTION_TYPE
from scim_api.auth.oauth.clients import GRANT_TYPES
from scim_api.auth.oauth.errors import InvalidClient, OAuthError
from scim_api.auth.oauth.key_sets import OLDEST, PAUSE, KeySets
from scim_api.auth.oauth.trust import to_record
from scim_api.protocol.errors import Unavailable
from tests.scim_api.auth.oauth.service import ENDPOINTS
from tests.scim_api.auth.oauth.signer import Signer, key_set, times

HERE = ("127.0.0.1",)
TENANT = "3f1c2d4e-0000-4000-8000-000000000001"
GUID = "9a7b6c5d-0000-4000-8000-000000000002"
SUBJECT = "5e4d3c2b-0000-4000-8000-000000000003"
ISSUER = f"https://login.microsoftonline.com/{TENANT}/v2.0"
OLD, NEW, OWN = Signer("old"), Signer("new"), Signer("own", "ES256")


def with_key_sets(service):
    """Let the service begin again, with what is in its files only."""
    service.endpoint = replace(service.endpoint, key_sets=KeySets(HERE))


def register(service, **trust):
    client, secret = service.register(
        name="entra",
        grants=("client_credentials",),
        redirect_uris=(),
        with_secret=False,
        trust=to_record(hosts=HERE, **trust),
    )
    assert secret is None
    return client


@pytest.fixture
def entra(service, key_set_url):
    """Return what Entra sends to a client that trusts its tenant, and gets for it."""
    with_key_sets(service)
    key_set_url.document = key_set(OLD)
    client = register(
        service,
        issuer=ISSUER,
        subject=SUBJECT,
        audiences=(GUID, f"api://{GUID}/scim.example.com"),
        tenant=TENANT,
        jwks_uri=key_set_url.url,
    )

    def send(signer=OLD, assertion=None, **changes):
        claims = {"iss": ISSUER, "sub": SUBJECT, "aud": GUID, "tid": TENANT, "uti": "u", **times()}
        form = {
            "grant_type": "client_credentials",
            "client_id": client.client_id,
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": assertion or signer.sign(claims | changes),
            "resource": "https://scim.example.com",
        }
        return service.token(form)

    return send


@pytest.fixture
def own(service):
    """Return a client that signs its assertions itself, and a request with one of them."""
    client = register(service, jwks=key_set(OWN))

    def send(assertion=None, **changes):
        said = {"iss": client.client_id, "sub": client.client_id, "aud": ENDPOINTS[1], "jti": "1"}
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": assertion or OWN.sign(said | times() | changes),
        }
        return service.token(form)

    return send


def test_entra_gets_a_token_without_a_secret(service, entra, key_set_url):
    first = entra()
    second = entra(aud=f"api://{GUID}/scim.example.com")

    assert first.keys() == {"access_token", "token_type", "expires_in", "scope"}
    assert service.opens(first["access_token"])
    assert service.opens(second["access_token"])
    assert key_set_url.asked == 1
    registered, *issued = service.events(category="Client")
    assert registered.effects["trust"]["audiences"] == [GUID, f"api://{GUID}/scim.example.com"]
    assert [each.effects["client_authentication"] for each in issued] == ["federated_jwt"] * 2


def test_the_same_assertion_of_entra_is_taken_until_it_expires(service, entra):
    claims = {"iss": ISSUER, "sub": SUBJECT, "aud": GUID, "tid": TENANT, **times()}
    assertion = OLD.sign(claims)

    tokens = {entra(assertion=assertion)["access_token"] for _ in range(2)}

    assert len(tokens) == 2
    with freeze_time(clock.now() + timedelta(seconds=361)):
        error = service.refusal(entra, assertion=assertion)
    assert error.code == "assertion.expired"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"tid": GUID}, "assertion.tenant"),
        ({"iss": ISSUER.replace(TENANT, GUID)}, "assertion.issuer"),
        ({"sub": GUID}, "assertion.subject"),
        ({"aud": f"api://{GUID}"}, "assertion.audience"),
        ({"exp": 1}, "assertion.expired"),
        ({"nbf": 4_000_000_000}, "assertion.early"),
        ({"signer": Signer("old")}, "assertion.signature"),
        ({"signer": OWN}, "assertion.key"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_what_entra_would_not_send_is_refused_and_leaves_no_event(service, entra, changes, code):
    error = service.refusal(entra, **changes)

    assert isinstance(error, InvalidClient)
    assert error.code == code
    assert service.types(category="Client") == ["ClientRegistered"]


def test_an_assertion_is_for_the_client_that_is_named(service, entra, own):
    other = register(service, jwks=key_set(OLD))
    assertion = OLD.sign({"iss": ISSUER, "sub": SUBJECT, "aud": GUID, "tid": TENANT, **times()})
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": assertion,
    }

    for client_id in (other.client_id, None):
        error = service.refusal(service.token, form | {"client_id": client_id})
        assert isinstance(error, InvalidClient)


def test_a_key_that_is_new_is_taken_at_once_and_a_withdrawn_one_no_more(
    service, entra, key_set_url
):
    with freeze_time(clock.now()) as frozen:
        assert entra()
        key_set_url.document = key_set(NEW)
        frozen.tick(PAUSE)

        assert entra(NEW)
        assert service.refusal(entra, OLD).code == "assertion.key"
        assert key_set_url.asked == 2


def test_a_service_that_starts_while_the_keys_cannot_be_had_still_knows_them(
    service, entra, key_set_url
):
    with freeze_time(clock.now()) as frozen:
        assert entra()
        key_set_url.status = 500
        with_key_sets(service)
        frozen.tick(OLDEST)

        assert entra()
        with pytest.raises(Unavailable) as raised:
            entra(NEW)

    assert raised.value.refusal().headers["Retry-After"] == str(int(PAUSE))


def test_no_key_is_fetched_for_claims_that_are_wrong(service, entra, key_set_url):
    service.refusal(entra, tid=GUID)

    assert key_set_url.asked == 0


def test_a_client_with_a_key_of_its_own_names_itself(service, own):
    answer = own()

    assert service.opens(answer["access_token"])
    *_, issued = service.events(category="Client")
    assert issued.effects["client_authentication"] == "private_key_jwt"


def test_an_assertion_of_its_own_is_good_for_one_request(service, own):
    with freeze_time(clock.now()) as frozen:
        own()
        refused = [service.refusal(own), service.refusal(own, extra=1)]
        other = own(jti="2")
        frozen.tick(301)
        refused.append(service.refusal(own, exp=int(clock.now().timestamp()) + 300))

    assert [error.code for error in refused] == ["oauth.assertion_used"] * 3
    assert other["access_token"]
    service.must_be_rebuildable()


def test_of_many_requests_with_one_assertion_one_gets_a_token(service, own):
    def one(_):
        try:
            return own()["access_token"]
        except OAuthError as error:
            return error.code

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(one, range(8)))

    assert sorted(answers)[:7] == ["oauth.assertion_used"] * 7
    assert service.types(category="Client") == ["ClientRegistered", "TokensIssued"]


def test_an_assertion_of_its_own_is_good_for_one_code_of_its_home(service):
    [client, _] = service.register(
        with_secret=False, trust=to_record(hosts=HERE, jwks=key_set(OWN))
    )

    def redeem(jti, ledger="acme"):
        said = {"iss": client.client_id, "sub": client.client_id, "aud": ENDPOINTS[0], "jti": jti}
        form = {
            "grant_type": "authorization_code",
            "code": service.consent(client, ledger),
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": OWN.sign(said | times()),
        }
        return service.token(form)

    assert service.opens(redeem("1")["access_token"])
    assert service.refusal(redeem, "1").code == "oauth.assertion_used"
    assert service.refusal(redeem, "2", "beta").code == "oauth.assertion_used"


@pytest.mark.parametrize("what", ["access_token", "refresh_token"])
def test_an_assertion_that_gave_a_token_back_is_used_up(service, what):
    [client, _] = service.register(
        with_secret=False, trust=to_record(hosts=HERE, jwks=key_set(OWN)), grants=GRANT_TYPES
    )

    def proof(jti):
        said = {"iss": client.client_id, "sub": client.client_id, "aud": ENDPOINTS[0], "jti": jti}
        signed = OWN.sign(said | times())
        return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": signed}

    def redeem(jti):
        code = service.consent(client)
        return service.token({"grant_type": "authorization_code", "code": code, **proof(jti)})

    def revoke(jti, token):
        service.endpoint.revoke(service.request({"token": token, **proof(jti)}))

    given, other = redeem("1"), redeem("2")
    revoke("3", given[what])

    assert service.refusal(revoke, "3", other[what]).code == "oauth.assertion_used"
    assert service.refusal(revoke, "1", other[what]).code == "oauth.assertion_used"
    form = {"grant_type": "client_credentials", **proof("3")}
    assert service.refusal(service.token, form).code == "oauth.assertion_used"
    assert service.opens(other["access_token"])
    service.must_be_rebuildable()


def test_an_assertion_with_a_code_that_came_again_is_used_up(service):
    [client, _] = service.register(
        with_secret=False, trust=to_record(hosts=HERE, jwks=key_set(OWN)), grants=GRANT_TYPES
    )
    code = service.consent(client)

    def redeem(jti, code):
        said = {"iss": client.client_id, "sub": client.client_id, "aud": ENDPOINTS[0], "jti": jti}
        proof = {"client_assertion_type": ASSERTION_TYPE}
        proof["client_assertion"] = OWN.sign(said | times())
        return service.token({"grant_type": "authorization_code", "code": code, **proof})

    redeem("1", code)
    assert service.refusal(redeem, "2", code).code == "oauth.reuse"
    assert service.refusal(redeem, "2", service.consent(client)).code == "oauth.assertion_used"
    service.must_be_rebuildable()


def test_the_events_hold_hashes_of_an_assertion_only(service, own):
    own(jti="a-very-secret-id")

    assert "a-very-secret-id" not in repr([*service.ledger().ledger.read_all()])
