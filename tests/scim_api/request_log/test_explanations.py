"""Every possible refusal, and every write that changed nothing, has its explanation."""

import re

import pytest

from scim_api.protocol.errors import ScimError
from scim_api.request_log.queries import TABLE, explain
from scim_api.request_log.records import Record
from scim_api.web import messages
from tests.scim_api.client import SEARCH_URN, group, user
from tests.scim_api.protocol.test_errors import SOURCES
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
BASE = "https://scim.example.com/scim/v2"
OTHER = TABLE["other"]


def row(status, scim_type=None, **more):
    found = dict.fromkeys(Record._fields) | {"family": "Okta", "method": "PUT", "bulk": False}
    return Record(**found | {"status": status, "scim_type": scim_type} | more)


def meaning(status, scim_type=None, **more):
    return explain(row(status, scim_type, **more), BASE)


def explained(api):
    """Return the explanation of the only request that the log of an API's ledger holds."""
    [found] = kept(with_reader(api))
    answer = api.reader.get(f"/requests/{found['requestId']}", base=LEDGER)
    return answer.json["requests"][0]["explanation"]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_every_error_of_ours_is_explained_without_a_code_as_in_an_older_log(error):
    assert meaning(error.status, error.scim_type) != OTHER


@pytest.mark.parametrize("status", sorted(messages._HTTP))
def test_every_error_of_http_is_explained(status):
    assert meaning(status) != OTHER


@pytest.mark.parametrize("status", [200, 201, 204])
def test_a_write_that_changed_nothing_is_explained(status):
    assert meaning(status) == TABLE["200"]


def test_a_status_that_nobody_foresaw_is_explained_all_the_same():
    assert meaning(418) == OTHER


def test_a_code_is_explained_by_its_topic_and_narrowed_by_type_or_method():
    assert meaning(404, code="schema.unknown") == TABLE["schema"]
    assert meaning(404, code="resource.unknown", resource_type="User") == TABLE["resource User"]
    assert meaning(404, code="resource.unknown", resource_type="Role") == TABLE["resource"]
    assert meaning(400, "invalidValue", code="parameter.count", method="POST").rfc.endswith("3.4.3")
    assert meaning(400, "invalidValue", code="parameter.count", method="GET") == TABLE["parameter"]
    assert meaning(400, "invalidValue", code="no_topic.of_its_own") == TABLE["invalidValue"]
    assert meaning(409, "uniqueness", resource_type="Group") == TABLE["uniqueness Group"]


def test_every_topic_of_the_table_is_one_that_an_error_has():
    source = "".join(path.read_text() for path in SOURCES)
    topics = set(re.findall(r'"([a-z_]+)\.[a-z0-9_]+"', source))
    types = {error.scim_type for error in ERRORS}

    assert {key.partition(" ")[0] for key in TABLE if not key[0].isdigit()} <= {
        "other",
        *types,
        *topics,
    }


@pytest.mark.parametrize("explanation", TABLE.values(), ids=TABLE)
def test_every_entry_says_all_four_things(explanation):
    assert explanation.rfc.startswith("RFC ")
    assert len(explanation.rfc) > 5
    for text in (explanation.rule, explanation.okta, explanation.next):
        assert len(text) > 15
        assert ".." not in text


def test_another_client_is_not_sent_to_okta():
    assert not any("Okta" in each.rule + each.next for each in TABLE.values())
    assert meaning(401, family="Entra").okta == "None: the client is not Okta."


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
def test_each_kind_of_404_has_its_own_explanation(api, path, base, words):
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
