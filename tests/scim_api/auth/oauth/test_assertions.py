"""An assertion is believed only if the client's registration covers all that it says."""

import base64
import hashlib
import hmac
import string
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from freezegun import freeze_time
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import RSAKey

from scim_api.auth.oauth.assertions import (
    LEEWAY,
    LONGEST,
    MOST,
    AssertionRefused,
    Verified,
    subject_of,
    verify,
)
from scim_api.auth.oauth.key_sets import KeySets
from scim_api.auth.oauth.trust import ALGORITHMS, Trust
from tests.scim_api.auth.oauth.signer import Signer, base64url, encoded, key_set, times

TENANT = "3f1c2d4e-0000-4000-8000-000000000001"
GUID = "9a7b6c5d-0000-4000-8000-000000000002"
ISSUER = f"https://login.microsoftonline.com/{TENANT}/v2.0"
SUBJECT = "5e4d3c2b-0000-4000-8000-000000000003"
AUDIENCES = (GUID, f"api://{GUID}/scim.example.com")
CLIENT = "0123456789abcdef-00000000-0000-7000-8000-000000000000"
ENDPOINTS = ("https://scim.example.com", "https://scim.example.com/oauth/token")
NOWHERE = Path("/nonexistent")

ENTRA = Signer()
EC = Signer("ec", "ES256")


def federated(*signers: Signer, **changes: Any) -> Trust:
    recorded = {
        "issuer": ISSUER,
        "subject": SUBJECT,
        "audiences": AUDIENCES,
        "tenant": TENANT,
        "jwks": key_set(*signers or (ENTRA,)),
        **changes,
    }
    return Trust.of(recorded, client_id=CLIENT, endpoints=ENDPOINTS)


def private_key(*signers: Signer) -> Trust:
    return Trust.of({"jwks": key_set(*signers)}, client_id=CLIENT, endpoints=ENDPOINTS)


def claims(**changes: Any) -> dict[str, Any]:
    """Return what Entra says: `uti` instead of `jti`, a bare GUID as audience."""
    said = {"iss": ISSUER, "sub": SUBJECT, "aud": GUID, "tid": TENANT, "uti": "x", **times()}
    return {name: value for name, value in {**said, **changes}.items() if value is not None}


def own_claims(**changes: Any) -> dict[str, Any]:
    said = {"iss": CLIENT, "sub": CLIENT, "aud": ENDPOINTS[1], "jti": "1", **times()}
    return {name: value for name, value in {**said, **changes}.items() if value is not None}


def believed(text: str, trust: Trust) -> Verified:
    return verify(text, trust, KeySets(()), NOWHERE)


def refused(text: str, trust: Trust | None = None) -> str:
    with pytest.raises(AssertionRefused) as raised:
        believed(text, trust or federated())
    return raised.value.code


@pytest.mark.parametrize("audience", [*AUDIENCES, [AUDIENCES[1]], ["other", GUID]], ids=str)
def test_entra_is_believed_under_each_audience_of_the_registration(audience: Any) -> None:
    assert believed(ENTRA.sign(claims(aud=audience)), federated()) == Verified()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_of_the_list_is_verified(algorithm: str) -> None:
    signer = Signer("x", algorithm)
    text = signer.sign(claims())
    forged = text[: text.rindex(".") + 1] + base64url(
        bytes(256 if algorithm in "RS256PS256" else 64)
    )

    assert believed(text, federated(signer)) == Verified()
    assert refused(forged, federated(signer)) == "assertion.signature"


WRONG_CLAIMS = [
    ({"iss": ISSUER + "/"}, "issuer"),
    ({"iss": ISSUER.upper()}, "issuer"),
    ({"iss": [ISSUER]}, "issuer"),
    ({"iss": None}, "issuer"),
    ({"sub": SUBJECT.upper()}, "subject"),
    ({"sub": None}, "subject"),
    ({"aud": AUDIENCES[1] + "/x"}, "audience"),
    ({"aud": f"api://{GUID}"}, "audience"),
    ({"aud": []}, "audience"),
    ({"aud": [[GUID]]}, "audience"),
    ({"aud": {GUID: 1}}, "audience"),
    ({"aud": None}, "audience"),
    ({"tid": GUID}, "tenant"),
    ({"tid": None}, "tenant"),
]


@pytest.mark.parametrize(("change", "what"), WRONG_CLAIMS, ids=str)
def test_what_is_not_registered_is_not_believed(change: dict[str, Any], what: str) -> None:
    assert refused(ENTRA.sign(claims() | change)) == f"assertion.{what}"


def test_a_tenant_is_not_asked_for_where_none_is_registered() -> None:
    assert believed(ENTRA.sign(claims(tid=None)), federated(tenant=None)) == Verified()


def test_without_a_signature_nothing_is_believed() -> None:
    for name in ("none", "None", "NONE"):
        unsigned = f"{encoded({'alg': name, 'kid': 'k1'})}.{encoded(claims())}."
        assert refused(unsigned) == "assertion.algorithm"


def test_the_public_key_is_no_shared_secret() -> None:
    assert isinstance(ENTRA.key, RSAKey)
    for secret in (ENTRA.key.as_pem(private=False), ENTRA.key.as_der(private=False)):
        signed = f"{encoded({'alg': 'HS256', 'kid': 'k1'})}.{encoded(claims())}"
        tag = base64url(hmac.digest(secret, signed.encode(), hashlib.sha256))
        assert refused(f"{signed}.{tag}") == "assertion.algorithm"


def test_only_the_algorithms_of_the_registration_are_believed() -> None:
    assert refused(EC.sign(claims()), federated(EC, algorithms=["RS256"])) == "assertion.algorithm"


def test_an_algorithm_does_not_fit_a_key_of_another_type() -> None:
    text = EC.sign_as({"alg": "ES256", "kid": "k1"}, claims())

    assert refused(text) == "assertion.signature"


def test_a_key_is_for_its_own_algorithm() -> None:
    trust = federated(jwks={"keys": [ENTRA.public(alg="PS256")]})

    assert refused(ENTRA.sign(claims()), trust) == "assertion.signature"


def test_keys_and_addresses_in_the_header_are_not_read() -> None:
    thief = Signer()
    at_thief = {
        "jwk": thief.public(),
        "jku": "http://127.0.0.1:9/jwks",
        "x5u": "http://127.0.0.1:9/x5u",
        "x5c": ["MIIB"],
    }

    assert refused(thief.sign(claims(), **at_thief)) == "assertion.signature"
    assert believed(ENTRA.sign(claims(), **at_thief), federated()) == Verified()


@pytest.mark.parametrize("name", ["b64", "exp", "x"])
def test_a_critical_header_is_refused(name: str) -> None:
    text = ENTRA.sign(claims(), crit=[name], **{name: False})

    assert refused(text) == "assertion.critical"


def test_the_key_id_chooses_the_key() -> None:
    other = Signer("k2")

    assert refused(other.sign(claims())) == "assertion.key"
    assert refused(other.sign(claims(), kid="k1")) == "assertion.signature"
    assert believed(other.sign(claims(), kid=None), federated(ENTRA, EC, other)) == Verified()


def test_a_changed_assertion_is_refused() -> None:
    header, _, signature = ENTRA.sign(claims()).split(".")

    assert refused(f"{header}.{encoded(claims(extra=1))}.{signature}") == "assertion.signature"


def test_a_signature_in_another_form_is_refused() -> None:
    head, _, signature = EC.sign(claims()).rpartition(".")
    raw = base64.urlsafe_b64decode(signature + "==")
    der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))

    assert refused(f"{head}.{base64url(der)}", federated(EC)) == "assertion.signature"


TIMES = [
    ({"exp": -LEEWAY}, "expired"),
    ({"exp": -LEEWAY + 1}, None),
    ({"exp": 300.5}, None),
    ({"exp": None}, "times"),
    ({"exp": "300"}, "times"),
    ({"exp": True}, "times"),
    ({"nbf": LEEWAY + 1}, "early"),
    ({"nbf": LEEWAY}, None),
    ({"nbf": None, "iat": None}, None),
    ({"iat": LEEWAY + 1}, "early"),
    ({"iat": "now"}, "times"),
    ({"exp": 10 * LONGEST}, None),
]


@pytest.mark.parametrize(("offsets", "why"), TIMES, ids=str)
def test_an_assertion_has_its_time(offsets: dict[str, Any], why: str | None) -> None:
    with freeze_time("2026-11-28 12:00:00"):
        now = int(time.time())
        exact = {
            name: now + value if isinstance(value, int | float) and value is not True else value
            for name, value in offsets.items()
        }
        text = ENTRA.sign(claims(**exact))
        if why is None:
            assert believed(text, federated()) == Verified()
        else:
            assert refused(text) == f"assertion.{why}"


def test_a_client_signs_for_itself_and_for_this_service() -> None:
    for audience in ENDPOINTS:
        assert believed(EC.sign(own_claims(aud=audience)), private_key(EC)).sha256
    assert refused(EC.sign(own_claims(iss=ISSUER)), private_key(EC)) == "assertion.issuer"
    assert refused(EC.sign(own_claims(sub="other")), private_key(EC)) == "assertion.subject"
    assert refused(EC.sign(own_claims(aud="https://x")), private_key(EC)) == "assertion.audience"


def test_what_is_for_one_use_is_told_by_its_jti_or_else_by_what_is_signed() -> None:
    def name(**changes: Any) -> str | None:
        return believed(EC.sign(own_claims(**changes)), private_key(EC)).sha256

    with freeze_time("2026-11-28 12:00:00"):
        assert name() == name(extra=1)
        assert name() != name(jti="2")
        assert name(jti=None) == name(jti=None)  # signed twice, with two signatures
        assert name(jti=None) != name(jti=None, extra=1)


def test_what_is_for_one_use_ends_within_a_day_and_is_known_until_it_is_refused() -> None:
    with freeze_time("2026-11-28 12:00:00"):
        now = int(time.time())
        longest = believed(EC.sign(own_claims(exp=now + LONGEST)), private_key(EC))
        too_long = refused(EC.sign(own_claims(exp=now + LONGEST + 1)), private_key(EC))

    assert longest.expires_at == "2026-11-29T12:02:00.000000Z"
    assert too_long == "assertion.long"


def test_the_subject_can_be_read_before_it_is_believed() -> None:
    assert subject_of(EC.sign(own_claims())) == CLIENT
    assert subject_of(EC.sign(own_claims(sub=3))) is None
    assert subject_of("x") is None


def test_an_error_shows_what_came_and_not_what_was_expected() -> None:
    with pytest.raises(AssertionRefused) as raised:
        believed(ENTRA.sign(claims(aud="api://else")), federated())

    assert "api://else" in str(raised.value)
    assert GUID not in str(raised.value)


MALFORMED = [
    "",
    "x",
    "..",
    "a.b",
    "a.b.c.d",
    "a.b.c.d.e",
    "é.b.c",
    "[].e30.",
    f"{base64url(b'[' * 5000)}.e30.",
    f"{base64url(b'5')}.e30.",
    f"{encoded('alg')}.e30.",
    f"{encoded({'alg': 'RS256'})}.{base64url(b'NaN')}.AA",
    f"{encoded({'alg': 'RS256'})}.{encoded([claims()])}.AA",
    f"{encoded({'alg': 'RS256'})}.{encoded(claims())}.A",
    f"{encoded({'alg': 'RS256'})}.{encoded(claims())}=.AA",
    f"{encoded({'alg': 'RS256', 'x5c': 'x' * 9000})}.{encoded(claims())}.AA",
]


@pytest.mark.parametrize("text", MALFORMED, ids=range(len(MALFORMED)))
def test_what_is_no_jwt_is_refused(text: str) -> None:
    assert refused(text) == "assertion.form"


def test_the_size_of_an_assertion_is_bounded() -> None:
    assert refused("x" * (MOST + 1)) == "assertion.size"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=5,
)
HEADERS = st.dictionaries(st.sampled_from(("alg", "kid", "typ", "crit", "b64", "jku", "x")), JSON)
NAMED = st.sampled_from(("iss", "sub", "aud", "tid", "exp", "nbf", "iat", "jti"))


@given(header=HEADERS, changes=st.dictionaries(NAMED, JSON, min_size=1))
def test_whatever_is_signed_is_believed_or_refused(
    header: dict[str, Any], changes: dict[str, Any]
) -> None:
    text = ENTRA.sign_as({"alg": "RS256", "kid": "k1"} | header, claims() | changes)

    try:
        believed(text, federated())
    except AssertionRefused as error:
        assert str(error)


@given(st.text(alphabet=string.ascii_letters + string.digits + "-_.=", max_size=200))
def test_whatever_arrives_is_refused(text: str) -> None:
    assert refused(text) in ("assertion.form", "assertion.algorithm")
