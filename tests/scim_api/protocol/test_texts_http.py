"""The forms of binary values and times are checked for new values, in every verb."""

import time

import pytest

from ledger.events import CREATED
from scim_api.tenants.configure import set_policy
from tests.scim_api.client import refusal, replace, user
from tests.scim_api.protocol.test_novelty_http import check_refused_in_every_verb
from tests.scim_api.schemas_of_operators import BADGE, BADGE_URN, add_schema, changed

OLD = "0197a0c8-0000-7000-8000-000000000001"
CERTIFICATE = "x509Certificates"


def policy(api, name, **settings):
    tenant = api.site.console.tenant(api.ledger)
    set_policy(tenant, name, settings, api.site.console.metadata())
    tenant.close()


@pytest.mark.parametrize(
    "text",
    [
        "a",
        "hello",
        "not base64",
        "TWFueQ=",
        "TWFueQ===",
        "TW=ueQ==",
        "=",
        "====",
        "TWE-",
        "TW_u",
        "TW Fu",
        "TWFu ",
        "\tTWFu",
        "TWFu.",
        "-----BEGIN CERTIFICATE-----\nTWFu\n-----END CERTIFICATE-----",
    ],
)
def test_a_new_binary_value_is_base64(api, text):
    made = api.create()
    check_refused_in_every_verb(api, made, CERTIFICATE, [{"value": text}], CERTIFICATE, "base64")


@pytest.mark.parametrize("text", ["TWFu", "TWE=", "TWE", "TQ==", "TQ", "ab+/", "TWFu" * 5000])
def test_base64_is_kept_and_compared_exactly(api, text):
    made = api.create(x509Certificates=[{"value": text}])

    assert made[CERTIFICATE] == [{"value": text}]
    if len(text) < 100:
        assert len(api.find(f'{CERTIFICATE}.value eq "{text}"')) == 1
        assert api.find(f'{CERTIFICATE}.value eq "{text.swapcase()}"') == []


def test_a_patch_of_a_part_is_looked_at_too(api):
    made = api.create(x509Certificates=[{"value": "TWFu", "type": "a"}])
    path = f'{CERTIFICATE}[type eq "a"].value'

    assert refusal(api.patch(made, replace("hello", path)))[:2] == (400, "invalidValue")
    assert api.read(made)[CERTIFICATE] == [{"value": "TWFu", "type": "a"}]


@pytest.mark.parametrize("text", ["TWFu\r\nTWFu\r\n", "TWFu\n  TWE=", "TW \t\r\n\n \n\tFu\n "])
def test_line_breaks_in_base64_are_a_tolerance(api, text):
    made = api.create(x509Certificates=[{"value": text}])
    assert made[CERTIFICATE] == [{"value": text}]

    policy(api, "strict")
    assert refusal(api.post(user("b@example.com", x509Certificates=[{"value": text}])))[0] == 400


@pytest.mark.parametrize("blanks", [" ", "\t", "\n", " \n", "\r\n\t"])
def test_blanks_in_base64_are_looked_at_in_time_that_grows_with_them(api, blanks):
    text = "TWFu" + blanks * (30_000 // len(blanks)) + " A"
    started = time.thread_time()

    assert refusal(api.post(user(x509Certificates=[{"value": text}])))[0] == 400
    assert time.thread_time() - started < 1


def test_the_alphabet_for_urls_is_a_setting_and_is_not_mixed(api):
    policy(api, "okta", base64_url_alphabet=True)

    assert api.create(x509Certificates=[{"value": "ab-_"}])[CERTIFICATE] == [{"value": "ab-_"}]
    for mixed in ("ab+_", "ab-/", "a-b=c"):
        body = user("b@example.com", x509Certificates=[{"value": mixed}])
        assert refusal(api.post(body))[:2] == (400, "invalidValue")


def test_binary_attributes_of_an_extension_are_base64(api):
    add_schema(api.site, changed(BADGE, {"photo": {"name": "photo", "type": "binary"}}))
    body = user() | {"schemas": [*user()["schemas"], BADGE_URN]}

    assert refusal(api.post(body | {BADGE_URN: {"photo": "hello"}}))[:2] == (400, "invalidValue")
    assert api.post(body | {BADGE_URN: {"photo": "aGVsbG8="}}).status_code == 201


def test_recorded_values_that_are_not_base64_stay(api):
    attributes = {"userName": "old", "active": True, CERTIFICATE: [{"value": "hello"}]}
    api.site.append("default", f"User-{OLD}", 0, (CREATED, attributes))
    shown = api.get(f"/Users/{OLD}").json

    assert api.put(OLD, shown | {"title": "T"}).status_code == 200
    added = {"op": "add", "path": CERTIFICATE, "value": [{"value": "TWFu"}]}
    patched = api.patch(OLD, added)
    assert patched.json[CERTIFICATE] == [{"value": "hello"}, {"value": "TWFu"}]
    assert refusal(api.patch(OLD, added | {"value": [{"value": "other"}]}))[0] == 400


# Times


@pytest.fixture
def timed(api):
    """Return a client of a ledger with a time that can be changed, and a maker of bodies."""
    add_schema(api.site, changed(BADGE, {"seen": {"name": "seen", "type": "dateTime"}}))
    schemas = [*user()["schemas"], BADGE_URN]

    def body(text, name="jane@example.com"):
        return user(name) | {"schemas": schemas, BADGE_URN: {"seen": text}}

    return api, body


def test_the_end_of_a_day_is_found_as_the_beginning_of_the_next(timed):
    api, body = timed
    made = api.post(body("2026-12-31T24:00:00Z")).json
    seen = f"{BADGE_URN}:seen"

    assert made[BADGE_URN] == {"seen": "2026-12-31T24:00:00Z"}
    for moment in ("2027-01-01T00:00:00Z", "2026-12-31T24:00:00Z", "2027-01-01T01:00:00+01:00"):
        assert len(api.find(f'{seen} eq "{moment}"')) == 1
    assert api.find(f'{seen} gt "2026-12-31T24:00:00.000Z"') == []
    assert len(api.find(f'{seen} ge "2026-12-31T23:59:59.999999Z"')) == 1


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ("2026-11-22T20:15:30+14:00", True),
        ("2026-11-22T20:15:30-14:00", True),
        ("2026-11-22T20:15:30-00:00", True),
        ("2026-11-22T20:15:30", True),
        ("2026-11-22T20:15:30.5", True),
        ("2026-11-22T20:15:30+14:01", False),
        ("2026-11-22T20:15:30-23:59", False),
        ("2026-11-22T20:15:30+24:00", False),
        ("2026-11-22T20:15:60Z", False),
        ("2026-11-22T24:00:01Z", False),
        ("-0044-03-15T00:00:00Z", False),
        ("12026-11-22T20:15:30Z", False),
        ("0001-01-01T00:00:00+14:00", False),
        ("9999-12-31T23:59:59-00:01", False),
        ("9999-12-31T23:59:59+14:00", True),
    ],
)
def test_a_new_time_is_one_of_xml_schema(timed, text, taken):
    api, body = timed
    response = api.post(body(text))

    assert response.status_code == (201 if taken else 400), response.text
    if taken:
        assert len(api.find(f'{BADGE_URN}:seen eq "{text}"')) == 1
    else:
        assert refusal(response)[1] == "invalidValue"
