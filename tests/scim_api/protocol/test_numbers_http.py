"""Decimal numbers of an operator's schema: exact, and the same however they are written."""

import json
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.events import CREATED
from projections.query.comparison import decimal_of
from scim_api.protocol.numbers import loads
from scim_api.protocol.schema.resource_types import USER_URN
from scim_api.wiring import projections_of
from tests.scim_api.client import patch, refusal, user
from tests.scim_api.schemas_of_operators import add_schema, opened

WORK_URN = "urn:example:work:2.0:User"
WORK = {
    "id": WORK_URN,
    "name": "Work",
    "description": "How much a user works.",
    "attributes": [
        {"name": "fte", "type": "decimal"},
        {"name": "rates", "type": "decimal", "multiValued": True},
        {"name": "badge", "type": "decimal", "uniqueness": "server"},
        {"name": "grade", "type": "decimal", "mutability": "immutable"},
        {
            "name": "shares",
            "type": "complex",
            "multiValued": True,
            "subAttributes": [{"name": "value"}, {"name": "part", "type": "decimal"}],
        },
    ],
}
FTE = f"{WORK_URN}:fte"
SAME = ["1", "1.0", "1.00", "10e-1", "0.1E+1", "1.0000000000000000000000"]


@pytest.fixture
def working(api):
    """Return a client of a ledger with decimals."""
    add_schema(api.site, WORK)
    return api


def text_of(attributes, user_name="jane@example.com"):
    """Return a user's body; the attributes of the extension are JSON text."""
    urns = f'"schemas":["{USER_URN}","{WORK_URN}"]'
    return f'{{{urns},"userName":"{user_name}","{WORK_URN}":{attributes}}}'


def create(api, attributes, user_name="jane@example.com"):
    response = api.ask("POST", "/Users", data=text_of(attributes, user_name))
    assert response.status_code == 201, response.text
    return response.json


def exact(response):
    """Return the extension's attributes with each number as it stands in the answer."""
    return json.loads(response.text, parse_float=str, parse_int=str)[WORK_URN]


def written(template, value):
    """Return a PatchOp of one operation with a number as JSON text in it."""
    return json.dumps(patch(template)).replace('"VALUE"', value)


# The same number


@pytest.mark.parametrize("kept", SAME)
def test_the_same_number_in_any_spelling_records_nothing(working, kept):
    created = create(working, f'{{"fte":{kept},"rates":[{kept},2],"shares":[{{"part":{kept}}}]}}')
    path, before = working.path(created), working.recorded()

    for value in SAME:
        attributes = f'{{"fte":{value},"rates":[2.0,{value}],"shares":[{{"part":{value}}}]}}'
        operation = {"op": "replace", "path": FTE, "value": "VALUE"}
        working.ask("PUT", path, data=text_of(attributes))
        working.ask("PATCH", path, data=written(operation, value))
        add = {"op": "add", "value": {WORK_URN: {"rates": ["VALUE"]}}}
        working.ask("PATCH", path, data=written(add, value))
        operations = [
            {"method": "PATCH", "path": path, "data": json.loads(written(operation, value))}
        ]
        urn = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
        working.post({"schemas": [urn], "Operations": operations}, "/Bulk")

    assert working.recorded() == before
    assert exact(working.get(path)) == {"fte": "1", "rates": ["1", "2"], "shares": [{"part": "1"}]}


@pytest.mark.parametrize("zero", ["0", "-0", "-0.0", "0e5"])
def test_there_is_one_zero(working, zero):
    created = create(working, f'{{"fte":{zero}}}')

    assert exact(working.get(working.path(created))) == {"fte": "0"}
    assert len(working.find(f"{FTE} eq {zero}")) == len(working.find(f"{FTE} ge 0")) == 1


@pytest.mark.parametrize(
    "number",
    [
        "123456789012345678",
        "0.123456789012345678",
        "-98765432109876543210.12345",
        "9007199254740993",
        "0.1000000000000000055511151231257827",
    ],
)
def test_every_digit_of_a_number_is_kept_found_and_shown(working, number):
    created = create(working, f'{{"fte":{number}}}')
    other = str(Decimal(number).next_plus())
    create(working, f'{{"fte":{other}}}', "other@example.com")

    assert exact(working.get(working.path(created))) == {"fte": number}
    assert exact(working.get(working.path(created), query_string={"attributes": FTE})) == {
        "fte": number
    }
    assert [one["userName"] for one in working.find(f"{FTE} eq {number}")] == ["jane@example.com"]
    assert working.names(filter=f"{FTE} gt {number}") == ["other@example.com"]


@pytest.mark.parametrize(
    "number",
    [
        "1e999",
        "1E40",
        "1e-41",
        "1" * 41,
        "1e300",
        "1e999999999",
        "1e-400",
        "1e" + "9" * 30,
        f"0.{'1' * 90000}",
    ],
)
def test_a_number_of_too_many_places_is_refused_by_every_verb(working, number):
    created = create(working, '{"fte":1}')
    path, operation = working.path(created), {"op": "add", "path": FTE, "value": "VALUE"}

    for response in (
        working.ask("POST", "/Users", data=text_of(f'{{"fte":{number}}}', "b")),
        working.ask("PUT", path, data=text_of(f'{{"fte":{number}}}')),
        working.ask("PATCH", path, data=written(operation, number)),
    ):
        status, scim_type, detail = refusal(response)
        assert (status, scim_type) == (400, "invalidValue")
        assert "at most 40 digits before the point" in detail
    assert refusal(working.get("/Users", query_string={"filter": f"{FTE} gt {number}"}))[:2] == (
        400,
        "invalidFilter",
    )


def test_a_number_in_quotes_is_accepted_except_in_strict(working):
    created = create(working, '{"fte":"0.80"}')
    strict = working.site.client(policy="strict")
    operation = {"op": "replace", "path": FTE, "value": "0.9"}

    assert exact(working.get(working.path(created))) == {"fte": "0.8"}
    assert refusal(strict.patch(created, operation))[:2] == (400, "invalidValue")
    assert refusal(working.patch(created, operation | {"value": "much"}))[0] == 400


# Filters, order, uniqueness


def test_numbers_are_ordered_by_their_value(working):
    numbers = ["-20", "-3.5", "-3.25", "-1e-7", "0", "1e-7", "2", "10.5", "10.50000000000000000001"]
    for place, number in enumerate(reversed(numbers)):
        create(working, f'{{"fte":{number}}}', f"u{place}")
    create(working, "{}", "without")
    expected = [f"u{place}" for place in reversed(range(len(numbers)))]
    walked, cursor = [], ""

    while cursor is not None:
        query = {"sortBy": FTE, "count": 3, "cursor": cursor}
        page = working.get("/Users", query_string=query).json
        walked += [one["userName"] for one in page["Resources"]]
        cursor = page.get("nextCursor")

    assert walked == working.names(sortBy=FTE) == [*expected, "without"]
    assert working.names(filter=f"{FTE} lt -3.3", sortBy=FTE) == expected[:2]


def test_a_path_finds_and_makes_values_by_number(working):
    created = create(working, '{"shares":[{"value":"a","part":0.50}],"rates":[1.0,2]}')
    path, shares = working.path(created), f"{WORK_URN}:shares"

    working.patch(created, {"op": "replace", "path": f"{shares}[part eq 0.5].value", "value": "b"})
    working.patch(created, {"op": "add", "path": f"{shares}[part eq 25e-2].value", "value": "c"})
    working.patch(created, {"op": "remove", "path": f"{WORK_URN}:rates[value eq 1]"})

    assert exact(working.get(path)) == {
        "shares": [{"value": "b", "part": "0.5"}, {"value": "c", "part": "0.25"}],
        "rates": ["2"],
    }


def test_a_remove_that_names_values_finds_them_by_number(working):
    created = create(working, '{"shares":[{"value":"a","part":1},{"value":"b"}],"rates":[1.0,2]}')
    path, shares = working.path(created), f"{WORK_URN}:shares"

    operation = {"op": "remove", "path": f"{WORK_URN}:rates", "value": ["VALUE"]}
    working.ask("PATCH", path, data=written(operation, "10e-1"))
    operation = {"op": "remove", "path": shares, "value": [{"part": "VALUE", "value": "a"}]}
    working.ask("PATCH", path, data=written(operation, "1.00"))

    assert exact(working.get(path)) == {"shares": [{"value": "b"}], "rates": ["2"]}


def test_the_past_compares_and_shows_numbers(working):
    auditor = working.site.client(scopes=["audit"])
    created = create(working, '{"fte":1.50}')
    path, then = working.path(created), working.recorded()
    working.ask("PUT", path, data=text_of('{"fte":2.50}'))

    assert exact(auditor.get(path, query_string={"asOf": then})) == {"fte": "1.5"}
    for number, found in (("15e-1", 1), ("2.5", 0)):
        query = {"asOf": then, "filter": f"{FTE} eq {number}", "sortBy": FTE}
        assert auditor.get("/Users", query_string=query).json["totalResults"] == found


def test_a_unique_number_is_taken_in_any_spelling(working):
    created = create(working, '{"badge":1.0}')
    response = working.ask("POST", "/Users", data=text_of('{"badge":1}', "other"))

    assert refusal(response)[:2] == (409, "uniqueness")
    working.ask("PUT", working.path(created), data=text_of('{"badge":2}'))
    create(working, '{"badge":10e-1}', "other")


def test_an_immutable_number_may_be_sent_again_in_another_spelling(working):
    created = create(working, '{"grade":1}')
    path = working.path(created)

    assert working.ask("PUT", path, data=text_of('{"grade":1.0}')).status_code == 200
    assert refusal(working.ask("PUT", path, data=text_of('{"grade":1.1}')))[:2] == (
        400,
        "mutability",
    )


# What earlier programs recorded


@pytest.fixture
def older(working):
    """Return the client, and a user whose decimals are spelled as earlier programs did."""
    attributes = {
        "userName": "jane@example.com",
        "active": True,
        FTE: "1.0",
        f"{WORK_URN}:rates": ["2.0", "1e+22", "2"],
        f"{WORK_URN}:badge": "+7.50",
        f"{WORK_URN}:grade": "3.00",
        f"{WORK_URN}:shares": [{"value": "a", "part": "0.50"}],
    }
    working.site.append(
        "default", "User-0197a0c8-0000-7000-8000-000000000001", 0, (CREATED, attributes)
    )
    return working, "/Users/0197a0c8-0000-7000-8000-000000000001"


def test_recorded_spellings_are_the_same_numbers(older):
    api, path = older
    shown, before = api.get(path), api.recorded()

    assert exact(shown) == {
        "fte": "1",
        "rates": ["2", "10000000000000000000000", "2"],
        "badge": "7.5",
        "grade": "3",
        "shares": [{"value": "a", "part": "0.5"}],
    }
    assert api.ask("PUT", path, data=shown.data).status_code == 200
    operations = [{"op": "add", "path": f"{WORK_URN}:rates", "value": [2]}]
    assert api.ask("PATCH", path, patch(*operations)).status_code == 200
    assert api.recorded() == before
    assert len(api.find(f"{FTE} eq 1 and {WORK_URN}:rates eq 2.00")) == 1
    assert refusal(api.ask("POST", "/Users", data=text_of('{"badge":7.5}', "b")))[0] == 409


def test_with_a_recorded_spelling_only_changes_are_recorded(older):
    api, path = older
    title = {"op": "replace", "path": "title", "value": "T"}
    api.ask("PATCH", path, patch(title))

    last = api.site.events()[-1]
    assert last.effects == {"title": "T"}
    with opened(api.site) as (tenant, _):
        assert not any(p.check() for p in projections_of(tenant))


def test_a_recorded_number_beyond_the_bound_is_shown_and_stays(working):
    id_ = "0197a0c8-0000-7000-8000-000000000002"
    attributes = {"userName": "jane@example.com", "active": True, FTE: "1e999"}
    working.site.append("default", f"User-{id_}", 0, (CREATED, attributes))

    assert exact(working.get(f"/Users/{id_}")) == {"fte": "1E+999"}
    assert len(working.find(f"{FTE} gt 5")) == 1
    before = working.recorded()
    shown = working.get(f"/Users/{id_}").data
    assert working.ask("PUT", f"/Users/{id_}", data=shown).status_code == 200
    assert working.recorded() == before
    title = {"op": "replace", "path": "title", "value": "T"}
    assert working.patch(id_, title).status_code == 200
    shown, before = working.get(f"/Users/{id_}").data, working.recorded()
    for policy in ("okta", "entra", "strict"):
        client = working.site.client(policy=policy)
        assert client.ask("PUT", f"/Users/{id_}", data=shown).status_code == 200
    assert working.recorded() == before + 3  # the tokens
    other = shown.replace(b"1E+999", b"1E+998")
    assert refusal(working.ask("PUT", f"/Users/{id_}", data=other))[:2] == (400, "invalidValue")


def test_a_difference_shows_numbers_digit_for_digit(working):
    id_, auditor = "0197a0c8-0000-7000-8000-000000000002", working.site.client(scopes=("audit",))
    attributes = {"userName": "jane@example.com", "active": True, FTE: "1e999"}
    [created] = working.site.append("default", f"User-{id_}", 0, (CREATED, attributes))
    number = "0.1234567890123456789012345"
    operation = {"op": "replace", "path": FTE, "value": "VALUE"}
    working.ask("PATCH", f"/Users/{id_}", data=written(operation, number))

    path = f"/ledger/v1/Users/{id_}/diff?from={created.position}"
    found = auditor.get(path, base="")

    assert b'"fte":1E+999' in found.data
    assert f'"fte":{number}'.encode() in found.data


# Bodies with long numbers


@pytest.mark.parametrize("number", ["1e999", "123456789012345678901234567890", "1.0" + "0" * 30])
def test_a_long_number_where_none_is_due_is_refused_as_any_other(api, number):
    body = f'{{"schemas":["{USER_URN}"],"userName":{number}}}'

    assert refusal(api.ask("POST", "/Users", data=body))[:2] == (400, "invalidValue")


@pytest.mark.parametrize(
    "body",
    ['{"a":1e999,}', '{"a":1e999,"b":NaN}', '{"a":1e999,"b":"\\ud800"}', '{"a":[1e999' + "[" * 900],
)
def test_json_with_a_long_number_is_parsed_as_strictly(api, body):
    assert refusal(api.ask("POST", "/Users", data=body))[:2] == (400, "invalidSyntax")


JSON_NUMBER = r"-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?"
BEFORE, AFTER = ('{"a":', '{"a": ', "[1,", "[", "[\n\t"), ("}", "}", "]", "]", "]")


@given(number=st.from_regex(JSON_NUMBER, fullmatch=True), place=st.integers(0, 4))
@settings(max_examples=300, deadline=None)
def test_every_number_of_json_is_read_exactly(number: str, place: int):
    read = loads(f"{BEFORE[place]}{number}{AFTER[place]}".encode())

    value = read["a"] if isinstance(read, dict) else read[-1]
    assert decimal_of(value) == Decimal(number)


def test_json_as_text_keeps_every_digit_too(working):
    attributes = json.dumps('[{"part":0.123456789012345678}]')
    created = create(working, f'{{"shares":{attributes}}}')

    assert exact(working.get(working.path(created))) == {
        "shares": [{"part": "0.123456789012345678"}]
    }


def test_an_unknown_attribute_with_a_long_number_is_ignored(api):
    body = json.dumps(user(badge="X")).replace('"X"', "1e999")

    assert api.ask("POST", "/Users", data=body).status_code == 201
