"""Explanations: every refusal there can be has one of its own, and so has what changed nothing."""

import json

import pytest

from scim_api.protocol.errors import ScimError
from scim_api.request_log.explanation_cases import OUTSIDE
from scim_api.request_log.explanations import _OTHER, _TABLE, explain
from scim_api.request_log.records import Row
from scim_api.web import messages
from tests.scim_api.client import SEARCH_URN, group, user
from tests.scim_api.request_log.test_request_log import (
    AN_ID,
    BULK_URN,
    LEDGER,
    bulk,
    kept,
    with_reader,
)

ERRORS = [ScimError, *ScimError.__subclasses__()]


OKTA = {"User-Agent": "Okta SCIM Client 1.0.0"}


def row(status, scim_type=None, **more):
    found = dict.fromkeys(Row._fields) | {"family": "Okta"}
    given = {"status": status, "scim_type": scim_type, "method": "PUT", "bulk": False}
    return Row(**found | {"path": "/scim/v2/Elsewhere"} | given | more)


def explained(api):
    """Return the explanation of the only request that the log of an API's ledger holds."""
    [found] = kept(with_reader(api))
    answer = api.reader.get(f"/requests/{found['requestId']}", base=LEDGER)
    return answer.json["requests"][0]["explanation"]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_every_error_of_ours_is_explained(error):
    assert explain(row(error.status, error.scim_type)) != _OTHER


@pytest.mark.parametrize("status", sorted(messages._HTTP))
def test_every_error_of_http_is_explained(status):
    assert explain(row(status)) != _OTHER


@pytest.mark.parametrize("status", [200, 201, 204])
def test_what_changed_nothing_is_explained(status):
    assert "nothing was recorded" in explain(row(status)).rule


def test_a_status_that_nobody_foresaw_is_explained_all_the_same():
    assert explain(row(418)) == _OTHER


def test_what_is_missing_is_explained_for_what_it_is():
    found = {
        explain(row(404, resource_type=type_, resource_id=id_)).next
        for type_, id_ in [("User", "1"), ("Group", "1"), ("User", None), (None, None)]
    }

    assert len(found) == 3


def test_a_name_that_is_taken_is_explained_for_groups_apart():
    user, group = (explain(row(409, "uniqueness", resource_type=t)) for t in ("User", "Group"))

    assert "displayName" in group.rule
    assert "userName" in user.rule


def path_of(case):
    place = case.places[0].replace("*", "…") if case.places else "/Elsewhere"
    if place == OUTSIDE:
        return "/Users"
    return place if place.startswith(LEDGER) else f"/scim/v2{place}"


@pytest.mark.parametrize(("case", "explanation"), _TABLE, ids=lambda found: str(found)[:60])
def test_every_entry_of_the_table_can_be_reached(case, explanation):
    own = row(
        case.status,
        case.scim_type,
        method=case.method or "PUT",
        resource_type=case.resource_type,
        resource_id="1" if case.with_id else None,
        bulk=bool(case.bulk),
        path=path_of(case),
        attributes=json.dumps(case.about[:1]) if case.about else None,
    )

    assert explain(own).rule is explanation.rule


@pytest.mark.parametrize(("case", "explanation"), _TABLE, ids=lambda found: str(found)[:60])
def test_every_entry_says_all_four_things(case, explanation):
    assert explanation.rfc.startswith("RFC ")
    assert "§" in explanation.rfc
    for text in (explanation.rule, explanation.okta, explanation.next):
        assert len(text) > 15
        assert ".." not in text


@pytest.mark.parametrize(("case", "explanation"), _TABLE, ids=lambda found: str(found)[:60])
def test_what_another_client_sent_is_not_explained_by_okta(case, explanation):
    own = row(case.status, case.scim_type, family="Entra")

    assert "Okta" not in explanation.rule + explanation.next
    assert explain(own).okta == "None: the client is not Okta."


def test_a_parameter_that_is_wrong_is_explained_apart_from_a_body():
    assert "parameter" in explain(row(400, "invalidValue", method="GET")).rule
    assert "attribute" in explain(row(400, "invalidValue", resource_type="User")).rule
    assert "members" in explain(row(400, "invalidValue", resource_type="Group")).rule


@pytest.mark.parametrize("path", ["/Users", "/scim/Users", "/scim/v2x/Users"])
def test_an_address_outside_the_base_is_explained_by_the_base_url_that_okta_should_have(api, path):
    api.get(path, base="")

    assert "http://localhost/scim/v2 " in explained(api)["next"]


def test_the_base_url_of_the_settings_is_named(make_site):
    api = make_site(SCIM_BASE_URL="https://scim.example.com/services/v2").make()
    api.get("/Users", base="")

    assert "https://scim.example.com/services/v2 " in explained(api)["next"]


@pytest.mark.parametrize(
    ("path", "base", "words"),
    [
        ("/Users/00u1", "/scim/v2", "UUIDs"),
        ("/Groups/00g1", "/scim/v2", "UUIDs"),
        (f"/Roles/{AN_ID}", "/scim/v2", "no resource with this id"),
        ("/Schemas/urn:x", "/scim/v2", "no schema"),
        ("/ResourceTypes/Users", "/scim/v2", "no resource type"),
        ("/events/9999", LEDGER, "no event"),
        ("/events/x", LEDGER, "no event"),
        ("/requests/x", LEDGER, "No request"),
        (f"/Users/{AN_ID}/timeline", LEDGER, "no resource of this type"),
        ("/Nothing", "/scim/v2", "nothing at this address"),
        ("/Nothing", LEDGER, "nothing at this address"),
    ],
)
def test_each_thing_that_is_missing_is_explained_for_what_it_is(api, path, base, words):
    assert api.site.client(scopes=["read", "audit"]).get(path, base=base).status_code == 404

    assert words in explained(api)["rule"]


BROKEN_SEARCH = {"schemas": ["x"], "filter": "title pr"}


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("/Bulk", {"schemas": [BULK_URN], "failOnErrors": 0, "Operations": []}, "failOnErrors"),
        ("/Bulk", {"schemas": ["x"], "Operations": []}, "BulkRequest"),
        ("/.search", BROKEN_SEARCH, "SearchRequest"),
        ("/Users/.search", BROKEN_SEARCH, "SearchRequest"),
        ("/.search", {"schemas": [SEARCH_URN], "asOf": "never"}, "asOf"),
        ("/Users?asOf=1", user(), "asOf"),
        ("/Groups?asOf=1", group(), "asOf"),
    ],
)
def test_a_message_or_moment_that_is_wrong_is_not_explained_by_mappings(api, path, body, words):
    sender = api.site.client(scopes=["provision", "audit"])
    assert sender.post(body, path, headers=OKTA).status_code == 400

    found = explained(api)
    assert words in found["rule"]
    assert "None: Okta does not" in found["okta"]


def test_a_bulk_id_that_nothing_has_is_not_explained_by_push_groups(api):
    data = group("Staff", "bulkId:none")
    bulk(api, {"method": "POST", "path": "/Groups", "bulkId": "a", "data": data})

    found = explained(api)
    assert "bulkId" in found["rule"]
    assert "None" in found["okta"]
