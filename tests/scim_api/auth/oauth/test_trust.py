"""A registration names whom a client's assertions come from, wholly or not at all."""

from typing import Any

import pytest

from scim_api.auth.oauth.key_sets import KeySetUnfit
from scim_api.auth.oauth.trust import ALGORITHMS, MOST_AUDIENCES, Trust, TrustUnfit, to_record
from tests.scim_api.auth.oauth.signer import Signer, key_set

HOSTS = ("login.microsoftonline.com",)
URL = "https://login.microsoftonline.com/common/discovery/v2.0/keys"
ENTRA: dict[str, Any] = {
    "issuer": "https://login.microsoftonline.com/t/v2.0",
    "subject": "s",
    "audiences": ["a", "api://a", "a"],
    "tenant": "t",
    "jwks_uri": URL,
}
OWN = {"jwks": key_set(Signer("own", "ES256"))}


def test_what_is_recorded_is_read_again() -> None:
    recorded = to_record(hosts=HOSTS, **ENTRA, algorithms=["RS256"])
    trust = Trust.of(recorded, client_id="c", endpoints=("e",))

    assert trust == Trust(
        issuer=ENTRA["issuer"],
        subject="s",
        audiences=("a", "api://a"),
        algorithms=("RS256",),
        tenant="t",
        jwks_uri=URL,
    )


def test_a_client_without_an_issuer_is_its_own() -> None:
    recorded = to_record(hosts=HOSTS, **OWN)
    trust = Trust.of(recorded, client_id="c", endpoints=("issuer", "token"))

    assert recorded.keys() == {"jwks"}
    assert (trust.issuer, trust.subject, trust.audiences) == ("c", "c", ("issuer", "token"))
    assert (trust.once, trust.algorithms, trust.jwks_uri) == (True, ALGORITHMS, None)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"jwks": {}}, "either"),
        ({"jwks_uri": None}, "either"),
        ({"subject": None}, "together"),
        ({"audiences": []}, "together"),
        ({"issuer": None}, "together"),
        ({"issuer": None, "subject": None, "audiences": []}, "tenant"),
        ({"audiences": [str(each) for each in range(MOST_AUDIENCES + 1)]}, "audiences"),
        ({"subject": " s"}, "blanks"),
        ({"subject": "s\n"}, "blanks"),
        ({"issuer": "i" * 501}, "long"),
        ({"algorithms": ["HS256"]}, "HS256"),
        ({"algorithms": ["none"]}, "none"),
    ],
    ids=lambda each: str(each)[:40],  # without the key, which each worker makes by itself
)
def test_half_a_trust_is_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(TrustUnfit, match=says):
        to_record(hosts=HOSTS, **ENTRA | changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"jwks_uri": "https://example.com/keys"},
        {"jwks_uri": ""},
        {"jwks_uri": None, "jwks": {}},
        {"jwks_uri": None, "jwks": {"keys": []}},
    ],
    ids=str,
)
def test_keys_must_be_keys(changes: dict[str, Any]) -> None:
    with pytest.raises(KeySetUnfit):
        to_record(hosts=HOSTS, **ENTRA | changes)
