"""New values have limits, and a new name cannot look like another."""

import json
import time
from unicodedata import name as name_of

import pytest

from ledger.contract import NO_STREAM
from ledger.events import CREATED
from scim_api.protocol.multi_valued import MAX_VALUES
from scim_api.protocol.novelty import MAX_NAME, MAX_RESOURCE, MAX_TEXT
from scim_api.protocol.schema.resource_types import USER_URN
from tests.scim_api.client import GROUP_URN, group, patch, refusal, replace, user

MARKS = "a" + "\u0301\u0316" * 75_000
OLD = "00000000-0000-7000-8000-0000000000{:02}"


def writes(api, made, path, value):
    """Write an attribute in every way there is; return the answers."""
    kind = made["schemas"][0]
    body = {"schemas": made["schemas"], "userName": made.get("userName", "u")} | {path: value}
    if kind != USER_URN:
        body.pop("userName")
        body = {"displayName": made["displayName"]} | body
    endpoint = api.path(made).rpartition("/")[0]
    address = api.path(made)
    operation = replace(value, path)
    bulk = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"]}
    results = api.post(
        bulk
        | {
            "Operations": [
                {"method": "POST", "path": endpoint, "bulkId": "b", "data": body},
                {"method": "PUT", "path": address, "data": body},
                {"method": "PATCH", "path": address, "data": patch(operation)},
            ]
        },
        "/Bulk",
    ).json["Operations"]
    answers = [
        api.post(body, endpoint),
        api.put(made, body),
        api.patch(made, operation),
        api.patch(made, operation | {"op": "add"}),
        api.patch(made, replace({path: value})),
        api.patch(made, replace(value, f"{kind}:{path}")),
        api.patch(made, replace({f"{kind}:{path}": value})),
    ]
    said = [refusal(answer) for answer in answers]
    inner = [result["response"] for result in results]
    return said + [(int(r["status"]), r.get("scimType"), r["detail"]) for r in inner]


def check_refused_in_every_verb(api, made, path, value, *words):
    before = api.recorded()
    for status, scim_type, detail in writes(api, made, path, value):
        assert (status, scim_type) == (400, "invalidValue")
        assert path in detail
        for word in words:
            assert word in detail
    assert api.recorded() == before


# Names that look like others


@pytest.mark.parametrize("odd", ["\u200b", "\uff41", "\u00a0", "\u202e", "\ufb01", "\u200d"])
def test_a_new_user_name_has_no_character_that_is_not_seen_or_looks_like_another(api, odd):
    words = f"U+{ord(odd):04X}", name_of(odd)

    check_refused_in_every_verb(api, api.create(), "userName", f"ja{odd}ne@example.com", *words)


@pytest.mark.parametrize(
    ("odd", "words"),
    [
        ("\u2800", "U+2800 BRAILLE PATTERN BLANK"),
        ("\ue000", "U+E000, a private-use character"),
        ("\ufdd0", "U+FDD0, a character that is not assigned"),
        ("\u0378", "U+0378, a character that is not assigned"),
        ("\ufff0", "U+FFF0, a character that is not assigned"),
        ("\x07", "U+0007, a control character"),
    ],
)
def test_a_new_user_name_has_no_character_that_looks_like_nothing_known(api, odd, words):
    assert words in refusal(api.post(user(f"ja{odd}ne@example.com")))[2]


@pytest.mark.parametrize("name", [" jane", "jane ", "\u3000jane", "jane\u2003", "jane\t", "\njane"])
def test_a_new_user_name_neither_begins_nor_ends_with_a_blank(api, name):
    status, scim_type, detail = refusal(api.post(user(name)))

    assert (status, scim_type) == (400, "invalidValue")
    assert f"U+{ord(name.strip('jane')):04X}" in detail


@pytest.mark.parametrize(
    "name",
    [
        "jane doe",
        "o\u2019brien@example.com",
        "m\u00fcller",
        "mu\u0308ller",
        "\u674e\u96f7",
        "אבג@example.com",
    ],
)
def test_names_of_any_script_and_with_inner_blanks_are_taken(api, name):
    assert api.create(name)["userName"] == name


@pytest.mark.parametrize("odd", ["\u200b", "\u202e", "\ufeff", "\x85", "\u2028", "\x07"])
def test_a_new_group_name_has_no_character_that_is_not_seen(api, odd):
    check_refused_in_every_verb(api, api.group(), "displayName", f"Sa{odd}les", f"U+{ord(odd):04X}")


@pytest.mark.parametrize(
    "name", ["\u26a0\ufe0f On call", "\U0001f469\u200d\U0001f4bb", "\uff29\uff34 Tokyo"]
)
def test_a_group_name_is_for_people_and_may_have_emoji_and_full_width_letters(api, name):
    assert api.group(name)["displayName"] == name


# What was recorded before


@pytest.fixture
def recorded(api):
    """Return what makes a user as an earlier version would have, whatever its attributes."""
    numbers = iter(range(10, 100))

    def make(**attributes):
        id_ = OLD.format(next(numbers))
        api.site.append(api.ledger, f"User-{id_}", NO_STREAM, (CREATED, attributes))
        return api.read(id_)

    return make


@pytest.mark.parametrize(
    "name", ["ja\u200bne", " jane", "\uff4aane", "j" * 2000, "a" + "\u0301\u0316" * 40]
)
def test_a_name_that_was_recorded_stays_whatever_it_has(api, recorded, name):
    made = recorded(userName=name, title="Old")

    assert api.put(made, made | {"title": "New"}).status_code == 200
    assert api.patch(made, replace(False, "active")).status_code == 200
    assert api.patch(made, replace({"userName": name, "nickName": "J"})).status_code == 200
    assert [found["id"] for found in api.find(f"userName eq {json.dumps(name)}")] == [made["id"]]
    assert refusal(api.put(made, made | {"userName": f"{name}\u200b"}))[1] == "invalidValue"


def test_values_that_were_recorded_stay_while_others_are_added(api, recorded):
    emails = [{"value": f"{'x' * 2000}@example.com", "type": "work"}]
    made = recorded(userName="jane", emails=emails)
    work = {"op": "add", "path": "emails", "value": [{"value": "j@example.com", "type": "home"}]}

    assert api.patch(made, work).status_code == 200
    assert api.patch(made, replace("other", 'emails[type eq "work"].type')).status_code == 200
    assert refusal(api.patch(made, replace([{"value": "y" * 2000}], "emails")))[0] == 400


def test_more_values_than_can_be_given_stay_and_can_be_made_less(api, recorded):
    many = [{"value": f"r{number}"} for number in range(MAX_VALUES + 2)]
    made = recorded(userName="jane", roles=many)

    assert api.patch(made, replace("x", "title")).status_code == 200
    less = {"op": "remove", "path": 'roles[value eq "r0"]'}
    assert api.patch(made, less).status_code == 200
    more = {"op": "add", "path": "roles", "value": [{"value": "a"}, {"value": "b"}]}
    assert refusal(api.patch(made, more))[:2] == (400, "invalidValue")


# Bounds


@pytest.mark.parametrize("path", ["userName", "displayName", "title", "externalId"])
def test_a_text_with_too_many_marks_in_a_row_is_400_that_says_so(api, path):
    check_refused_in_every_verb(api, api.create(), path, "a" + "\u0301" * 31, "30", "UAX #15")


@pytest.mark.parametrize("path", ["userName", "displayName", "externalId"])
def test_look_up_attributes_have_a_length_limit(api, path):
    check_refused_in_every_verb(api, api.create(), path, "x" * (MAX_NAME + 1), str(MAX_NAME))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("emails", [{"value": "x" * (MAX_NAME + 1)}]),
        ("title", "x" * (MAX_TEXT + 1)),
        ("name", {"familyName": "x" * (MAX_TEXT + 1)}),
        ("addresses", [{"formatted": "a" + "\u0301" * 31}]),
        ("roles", [{"value": f"r{number}"} for number in range(MAX_VALUES + 1)]),
        ("photos", [{"value": "x" * MAX_RESOURCE}]),
    ],
)
def test_texts_values_and_the_resource_as_a_whole_are_bounded(api, path, value):
    made = api.create()

    for answer in (
        api.post(user("other", **{path: value})),
        api.put(made, user(**{path: value})),
        api.patch(made, replace(value, path)),
        api.patch(made, replace({path: value})),
    ):
        assert refusal(answer)[:2] == (400, "invalidValue")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("externalId", "x" * MAX_NAME),
        ("title", "\u00e9" * MAX_TEXT),
        ("nickName", ("a" + "\u0301" * 30) * 10),
        ("roles", [{"value": f"r{number}"} for number in range(MAX_VALUES)]),
        ("photos", [{"value": "data:," + "x" * (MAX_RESOURCE - 1000), "type": "photo"}]),
    ],
)
def test_values_at_a_limit_are_accepted(api, path, value):
    assert api.create(**{path: value})[path] == value


def test_a_resource_cannot_grow_beyond_the_bound_bit_by_bit(api):
    made = api.create()
    photo = [{"value": "x" * 500_000, "type": "photo"}]
    thumbnail = [{"value": "x" * 600_000, "type": "thumbnail"}]

    assert api.patch(made, {"op": "add", "path": "photos", "value": photo}).status_code == 200
    answer = api.patch(made, {"op": "add", "path": "photos", "value": thumbnail})

    assert refusal(answer)[:2] == (400, "invalidValue")


def test_a_text_of_a_hundred_thousand_marks_costs_less_than_a_second_and_no_lock(api):
    body = json.dumps(user(MARKS, displayName=MARKS), ensure_ascii=False).encode()
    api.create()
    started = time.thread_time()

    answer = api.ask("POST", "/Users", data=body)

    assert refusal(answer)[:2] == (400, "invalidValue")
    assert time.thread_time() - started < 1


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_only_the_body_of_a_group_can_be_as_large_as_members_ask_for(api, method):
    path = "/Users" if method == "POST" else api.path(api.create())
    other = "/Groups" if method == "POST" else api.path(api.group())

    assert refusal(api.ask(method, path, data=b" " * 5_000_000))[0] == 413
    assert refusal(api.ask(method, other, data=b" " * 5_000_000))[0] == 400


@pytest.mark.parametrize("part", ["[],", "{},", "1,", '{"value":"x"},'])
def test_a_body_of_too_many_values_is_413_before_it_is_read(api, part):
    body = b'{"members":[' + part.encode() * 1_100_000 + b"1]}"

    status, _, detail = refusal(api.ask("POST", "/Groups", data=body))

    assert status == 413
    assert "several requests" in detail


@pytest.mark.parametrize("part", ["[]", "{}", "1"])
def test_escaped_json_within_a_text_is_counted_too(api, part):
    text = f"[{','.join([part] * 1_000_002)}]"
    escaped = "".join(f"\\u{ord(c):04x}" if c in "[{," else c for c in text)
    body = f'{{"schemas":["{GROUP_URN}"],"displayName":"Staff","members":"{escaped}"}}'

    status, _, detail = refusal(api.ask("POST", "/Groups", data=body.encode()))

    assert status == 413
    assert "several requests" in detail


# A byte order mark


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_a_byte_order_mark_before_a_body_is_passed_over(api, method):
    path = "/Groups" if method == "POST" else api.path(api.create())
    bodies = {"POST": group("New"), "PUT": user(title="x"), "PATCH": patch(replace("x", "title"))}
    data = json.dumps(bodies[method]).encode("utf-8-sig")

    assert api.ask(method, path, data=data).status_code in (200, 201)
    assert refusal(api.ask(method, path, data=b"\xef\xbb\xbf"))[:2] == (400, "invalidSyntax")
