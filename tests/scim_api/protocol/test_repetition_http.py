"""A request that changes nothing records nothing: Okta repeats itself."""

import pytest

from tests.scim_api.client import employee, replace, user

NAME = {"givenName": "Jane", "familyName": "Doe"}
EMAILS = [
    {"value": "jane@example.com", "type": "work", "primary": True},
    {"value": "jane@home.example", "type": "home"},
]


def check_nothing_happened(api, before, response):
    assert response.status_code == 200
    assert response.headers["ETag"] == before["meta"]["version"]
    assert response.json == before
    assert api.types() == ["Created"]


def test_a_put_of_the_read_resource_changes_nothing(api):
    created = api.post(employee(name=NAME, emails=EMAILS, externalId="00u1")).json

    check_nothing_happened(api, created, api.put(created, created))


def test_a_repeated_put_changes_nothing(api):
    created = api.create(title="Boss", emails=EMAILS)

    check_nothing_happened(api, created, api.put(created, user(title="Boss", emails=EMAILS)))


def test_a_put_with_the_values_in_another_order_changes_nothing(api):
    created = api.create(emails=EMAILS)

    check_nothing_happened(api, created, api.put(created, user(emails=EMAILS[::-1])))


def test_a_put_of_a_password_only_changes_nothing(api):
    created = api.create()

    check_nothing_happened(api, created, api.put(created, user(password="N3w-Secret!")))


@pytest.mark.parametrize(
    "operation",
    [
        replace({"active": True}),
        replace("Boss", "title"),
        replace({"password": "N3w-Secret!"}),
        replace("N3w-Secret!", "password"),
        replace({"id": "x", "meta": {"version": 'W/"9"'}, "groups": []}),
        replace({"noSuchAttribute": 1}),
        {"op": "add", "path": "emails", "value": EMAILS[1:]},
        {"op": "remove", "path": "nickName"},
    ],
    ids=str,
)
def test_a_patch_to_the_current_value_changes_nothing(api, operation):
    created = api.create(title="Boss", emails=EMAILS)

    check_nothing_happened(api, created, api.patch(created, operation))


def test_a_repetition_waits_for_no_turn_to_write(make_site):
    api = make_site(SCIM_WRITE_PATIENCE="0.1").make()
    created = api.create()
    other = api.site.console.tenant("default")

    with other.ledger.writing():
        responses = [api.put(created, user()), api.patch(created, replace({"active": True}))]
    other.close()

    assert [response.status_code for response in responses] == [200, 200]


def test_reads_record_nothing(api):
    created = api.create()

    for path in ("/Users", api.path(created), "/Users/none", "/Groups", "/Schemas"):
        api.get(path)

    assert api.types() == ["Created"]


def test_a_repetition_with_an_outdated_if_match_is_412_all_the_same(api):
    created = api.create(title="Boss")

    response = api.put(created, user(title="Boss"), headers={"If-Match": 'W/"9"'})

    assert response.status_code == 412


CURRENT = ['W/"2"', '"2"', "*", 'W/"1", W/"2"', '"7","2"', "2"]
OTHER = ['W/"1"', '"1"', 'W/"3"', 'W/"1", "3"', '""', "x", ""]
