"""Filters over events: words in any case, wrong ones refused, names of tokens."""

import pytest

from ledger.events import STREAMS
from tests.scim_api.client import refusal, replace

LEDGER = "/ledger/v1"


@pytest.fixture
def auditor(api):
    return api.site.client(called="auditor", scopes=["audit"])


@pytest.fixture
def lived(api):
    """Make events by three clients: okta, one without a name, the operator."""
    jane = api.create()
    api.ask(
        "PATCH",
        api.path(jane),
        {
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
            "Operations": [replace("Chef", "title")],
        },
        headers={"User-Agent": ""},
    )
    script = api.site.client(called="script")
    script.patch(jane, replace(False, "active"), headers={"User-Agent": "python-requests/2"})
    return jane


def found(auditor, filter_):
    answer = auditor.get(
        "/events", base=LEDGER, query_string={"filter": filter_, "sortOrder": "ascending"}
    )
    assert answer.status_code == 200, answer.text
    return [event["position"] for event in answer.json["events"]]


def about_users(auditor, filter_):
    return found(auditor, f'resourceType eq "User" and ({filter_})')


@pytest.mark.parametrize(
    ("filter_", "expected"),
    [
        ('type eq "DEACTIVATED"', 1),
        ('type ne "deactivated"', 2),
        ('resourceType eq "user"', 3),
        ('client eq "PYTHON"', 1),
        ('client eq "unknown"', 1),
        ('client ne "unknown"', 2),
        ('credential eq "SCRIPT"', 1),
        ('credential ne "script"', 2),
        ('credential sw "scr"', 1),
        ('credential eq "nobody"', 0),
        ("credential pr", 3),
        ("credential eq null", 0),
        ('not (credential eq "okta")', 1),
    ],
)
def test_a_filter_on_a_shown_value_finds_its_event(auditor, lived, filter_, expected):
    assert len(about_users(auditor, filter_)) == expected


def test_events_of_operators_have_no_credential(auditor, lived):
    assert found(auditor, "credential eq null")[0] == 1


@pytest.mark.parametrize(
    ("filter_", "words"),
    [
        ('type eq "Deactivate"', "Deactivated"),
        ('resourceType eq "Person"', "User"),
        ('client eq "Octa"', "Okta"),
        ('not (type ne "x")', "Created"),
    ],
)
def test_a_word_that_there_is_not_is_refused_with_those_there_are(auditor, filter_, words):
    answer = auditor.get("/events", base=LEDGER, query_string={"filter": filter_})

    assert refusal(answer)[:2] == (400, "invalidFilter")
    assert words in answer.json["detail"]


def test_every_kind_of_stream_can_be_filtered_by(auditor, lived):
    """A type whose streams are about nothing in particular is about resources."""
    kinds = {each for some in STREAMS.values() for each in some} | {"Role-", "Entitlement-"}

    for kind in kinds:
        found(auditor, f'resourceType eq "{kind[:-1]}"')


def test_the_feed_takes_the_same_filters(auditor, lived):
    answer = auditor.get("/feed", base=LEDGER, query_string={"filter": 'type eq "Nothing"'})

    assert refusal(answer)[:2] == (400, "invalidFilter")
