"""Discovery tells the truth: what is announced works, and what is not announced does not."""

import pytest

from scim_api.protocol.bulk import REQUEST_URN as BULK_URN
from scim_api.protocol.schema.attributes import Mutability, Returned
from scim_api.protocol.schema.resource_types import (
    ENTERPRISE_URN,
    ENTITLEMENT_URN,
    GROUP_URN,
    ROLE_URN,
    USER,
    USER_URN,
)
from scim_api.tenants.configure import set_policy
from tests.scim_api.client import LIST_URN, Api, patch, refusal, replace, user

ONE = ["/ServiceProviderConfig", "/ResourceTypes/User", f"/Schemas/{USER_URN}"]
ALL = [*ONE, "/ResourceTypes", "/Schemas", f"/Schemas/{ENTERPRISE_URN}"]


@pytest.fixture
def config(api):
    return api.get("/ServiceProviderConfig").json


def attributes_of(schema):
    return {attribute["name"]: attribute for attribute in schema["attributes"]}


# Without a token

NOBODY = {"Authorization": None}


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_service_provider_config_needs_no_token(api, config, method):
    response = api.ask(method, "/ServiceProviderConfig", headers=NOBODY)

    assert response.status_code == 200
    assert response.json == config if method == "GET" else response.data == b""


@pytest.mark.parametrize("given", ["Bearer none", "Bearer", "Basic eDp5", f"scl_{16 * '0'}_x"])
def test_a_wrong_token_is_refused_there_as_everywhere(api, given):
    response = api.get("/ServiceProviderConfig", headers={"Authorization": given})

    assert refusal(response)[0] == 401


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("GET", path) for path in ALL if path != "/ServiceProviderConfig"),
        ("GET", "/ServiceProviderConfig?asOf=1"),
        ("GET", "/Users"),
        ("GET", "/Me"),
        ("POST", "/.search"),
    ],
)
def test_everything_else_needs_a_token(api, method, path):
    assert refusal(api.ask(method, path, headers=NOBODY))[0] == 401


def test_a_setting_asks_for_a_token_there_too(make_site):
    client = make_site(SCIM_PROVIDER_CONFIG_PUBLIC="off").make()

    assert refusal(client.get("/ServiceProviderConfig", headers=NOBODY))[0] == 401
    assert client.get("/ServiceProviderConfig").status_code == 200
    described = client.get("/openapi.json", base="", headers=NOBODY).json
    assert "security" not in described["paths"]["/scim/v2/ServiceProviderConfig"]["get"]


def test_without_a_token_the_policy_is_that_of_the_only_ledger(site):
    client = site.make()
    tenant = site.console.tenant("default")
    set_policy(tenant, "strict", {}, site.console.metadata())
    tenant.close()
    alone = client.get("/ServiceProviderConfig", headers=NOBODY).json
    site.make("second")
    site.close()
    among_others = client.get("/ServiceProviderConfig", headers=NOBODY).json

    assert alone == client.get("/ServiceProviderConfig").json
    assert alone["interopProfileConformant"] is True
    assert "interopProfileConformant" not in among_others


def test_service_provider_config_is_served_without_a_ledger(site):
    nobody = Api(site, "default", "none")

    assert nobody.get("/ServiceProviderConfig", headers=NOBODY).status_code == 200


# The documents


@pytest.mark.parametrize("path", ALL)
def test_a_discovery_document_is_scim_json(api, path):
    response = api.get(path)

    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/scim+json"
    assert response.json["schemas"]


@pytest.mark.parametrize("path", ALL)
def test_a_discovery_document_holds_no_null(api, path):
    assert ":null" not in api.get(path).text


@pytest.mark.parametrize("path", ONE)
def test_a_document_is_found_at_its_own_location(api, path):
    document = api.get(path).json

    assert api.get(path).headers["Content-Location"] == document["meta"]["location"]
    location = document["meta"]["location"].removeprefix("http://localhost")
    assert api.get(location, base="").json == document


@pytest.mark.parametrize("path", ["/ResourceTypes", "/Schemas"])
def test_a_list_holds_each_document_as_it_is_found_alone(api, path):
    found = api.get(path).json

    assert found["schemas"] == [LIST_URN]
    assert found["totalResults"] == found["itemsPerPage"] == len(found["Resources"])
    for document in found["Resources"]:
        assert api.get(f"{path}/{document['id']}").json == document


def test_a_schema_is_found_in_any_case_of_its_urn(api):
    assert api.get(f"/Schemas/{USER_URN.upper()}").json["id"] == USER_URN


@pytest.mark.parametrize("path", ["/Schemas/urn:none", "/ResourceTypes/Team", "/Schemas/User"])
def test_an_unknown_document_is_404(api, path):
    assert refusal(api.get(path))[0] == 404


@pytest.mark.parametrize("path", ALL)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_discovery_cannot_be_written(api, method, path):
    response = api.ask(method, path, {})

    assert refusal(response)[0] == 405
    assert response.headers["Allow"] == "GET, HEAD"


@pytest.mark.parametrize("path", ALL)
def test_a_filter_on_discovery_is_403(api, path):
    response = api.get(path, query_string={"filter": 'id eq "User"'})

    assert refusal(response)[0] == 403


@pytest.mark.parametrize("path", ALL)
def test_other_parameters_on_discovery_are_ignored(api, path):
    parameters = {"startIndex": "2", "count": "1", "sortBy": "id", "attributes": "id"}

    assert api.get(path, query_string=parameters).json == api.get(path).json


# What is announced works


def test_patch_is_announced_and_works(api, config):
    created = api.create()

    assert config["patch"] == {"supported": True}
    assert api.patch(created, replace({"active": False})).json["active"] is False


def test_filter_is_announced_and_works(api, config):
    created = api.create()

    assert config["filter"]["supported"] is True
    assert api.find('userName sw "jane"') == [created]


def test_as_many_results_as_announced_come_on_one_page(api, config):
    parameters = {"count": config["filter"]["maxResults"] + 1}

    assert api.get("/Users", query_string=parameters).status_code == 200
    assert config["filter"]["maxResults"] == api.site.settings.max_results


def test_sort_is_announced_and_works(api, config):
    api.create("b@example.com")
    api.create("a@example.com")

    assert config["sort"] == {"supported": True}
    assert api.names(sortBy="userName") == ["a@example.com", "b@example.com"]


def test_etag_is_announced_and_works(api, config):
    created = api.create()

    response = api.put(created, user(title="Boss"), headers={"If-Match": 'W/"0"'})

    assert config["etag"] == {"supported": True}
    assert response.status_code == 412


def test_bulk_is_announced_with_its_bounds_and_works(api, config):
    operation = {"method": "POST", "path": "/Users", "bulkId": "1", "data": user()}
    body = {"schemas": [BULK_URN], "Operations": [operation]}

    response = api.post(body, "/Bulk")

    assert config["bulk"]["supported"] is True
    assert response.json["Operations"][0]["status"] == "201"


def test_no_more_operations_are_taken_than_announced(api, config):
    operation = {"method": "DELETE", "path": "/Users/x"}
    count = config["bulk"]["maxOperations"] + 1

    response = api.post({"schemas": [BULK_URN], "Operations": [operation] * count}, "/Bulk")

    assert refusal(response)[0] == 413


def test_the_announced_payload_is_no_larger_than_any_body_may_be(make_site):
    small = make_site("small", SCIM_MAX_BODY="65536")

    config = small.make().get("/ServiceProviderConfig").json

    assert config["bulk"]["maxPayloadSize"] == 65536


def test_pages_are_as_large_as_announced(api, config):
    api.fill(config["pagination"]["defaultPageSize"] + 1)

    page = api.get("/Users").json

    assert config["pagination"]["defaultPaginationMethod"] == "index"
    assert page["itemsPerPage"] == config["pagination"]["defaultPageSize"]
    assert config["pagination"]["maxPageSize"] == config["filter"]["maxResults"]


def test_paging_by_cursor_is_announced_and_works(api, config):
    api.fill(3)

    first = api.get("/Users", query_string={"cursor": "", "count": 2}).json
    second = api.get("/Users", query_string={"cursor": first["nextCursor"], "count": 2}).json

    assert config["pagination"]["cursor"] is True
    assert len(first["Resources"] + second["Resources"]) == 3


def test_a_policy_leaves_pagination_out_for_clients_that_refuse_the_key(api):
    own = api.site.client(policy="keycloak")
    whole = api.get("/ServiceProviderConfig").json

    told = own.get("/ServiceProviderConfig").json

    assert told == {key: value for key, value in whole.items() if key != "pagination"}
    assert own.get("/Users", query_string={"cursor": ""}).status_code == 200


DESCRIBED = {"oauthbearertoken": "bearer", "httpbasic": "basic", "oauth2": "oauth2"}


@pytest.mark.parametrize(
    ("on", "types"),
    [
        ({}, ["oauthbearertoken", "httpbasic", "oauth2"]),
        ({"SCIM_AUTHENTICATION": "basic, header"}, ["oauthbearertoken", "httpbasic"]),
        ({"SCIM_AUTHENTICATION": "header"}, ["oauthbearertoken"]),
        ({"SCIM_AUTHENTICATION": "basic"}, ["httpbasic"]),
        ({"SCIM_AUTHENTICATION": "oauth"}, ["oauth2"]),
        ({"SCIM_AUTHENTICATION": "oauth,basic"}, ["httpbasic", "oauth2"]),
    ],
)
def test_exactly_the_ways_to_authenticate_that_are_on_are_announced(make_site, on, types):
    client = make_site(**on).make()
    schemes = client.get("/ServiceProviderConfig", headers=NOBODY).json["authenticationSchemes"]
    metadata = client.get("/.well-known/oauth-authorization-server", base="", headers=NOBODY)
    described = client.get("/openapi.json", base="", headers=NOBODY).json

    assert [scheme["type"] for scheme in schemes] == types
    assert [scheme["primary"] for scheme in schemes] == [True] + [False] * (len(types) - 1)
    assert (metadata.status_code == 200) is ("oauth2" in types)
    of_client = ["client"] if "oauth2" in types else []
    assert [[*one] for one in described["security"]] == [[DESCRIBED[each]] for each in types]
    assert [*described["components"]["securitySchemes"]] == [
        *(DESCRIBED[each] for each in types),
        *of_client,
    ]


def test_the_openapi_document_says_where_access_tokens_come_from(api):
    described = api.get("/openapi.json", base="").json["components"]["securitySchemes"]
    served = api.get("/.well-known/oauth-authorization-server", base="", headers=NOBODY).json

    for flow in described["oauth2"]["flows"].values():
        assert flow["tokenUrl"] == served["token_endpoint"]
        assert [*flow["scopes"]] == served["scopes_supported"]
    by_consent = described["oauth2"]["flows"]["authorizationCode"]
    assert by_consent["authorizationUrl"] == served["authorization_endpoint"]


def test_each_announced_resource_type_is_served_with_its_schemas(api):
    for document in api.get("/ResourceTypes").json["Resources"]:
        extensions = [extension["schema"] for extension in document["schemaExtensions"]]

        assert api.get(document["endpoint"]).status_code == 200
        for urn in (document["schema"], *extensions):
            assert api.get(f"/Schemas/{urn}").json["id"] == urn


# What is not announced does not work


def test_a_change_of_password_is_not_announced(config):
    assert config["changePassword"] == {"supported": False}


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_me_does_not_work(api, method):
    assert refusal(api.ask(method, "/Me"))[0] == 501


def test_resource_types_and_schemas_are_ordered(api):
    types = [document["id"] for document in api.get("/ResourceTypes").json["Resources"]]
    schemas = [document["id"] for document in api.get("/Schemas").json["Resources"]]

    assert types == ["User", "Group", "Role", "Entitlement"]
    assert schemas == [USER_URN, ENTERPRISE_URN, GROUP_URN, ROLE_URN, ENTITLEMENT_URN]


# /Schemas tells what users are like

SAMPLES = {
    "string": "some text",
    "boolean": True,
    "reference": "https://example.com/x",
    "binary": "QUJD",
}


def sample(document):
    """Return a value of an attribute, made from its announcement alone."""
    if document["type"] != "complex":
        value = SAMPLES[document["type"]]
    else:
        parts = [sub for sub in document["subAttributes"] if sub["mutability"] != "readOnly"]
        value = {sub["name"]: sample(sub) for sub in parts}
    return [value] if document["multiValued"] else value


def announced(api, urn):
    return api.get(f"/Schemas/{urn}").json["attributes"]


@pytest.mark.parametrize("name", [attribute.name for attribute in USER.schema.attributes])
def test_a_core_attribute_behaves_as_announced(api, name):
    [document] = [each for each in announced(api, USER_URN) if each["name"] == name]

    created = api.post({"schemas": [USER_URN], "userName": "x", name: sample(document)}).json

    kept = document["mutability"] == "readWrite" and document["returned"] != "never"
    assert created.get(name) == (sample(document) if kept else None)


def test_the_enterprise_attributes_behave_as_announced(api):
    values = {each["name"]: sample(each) for each in announced(api, ENTERPRISE_URN)}

    created = api.post(user() | {"schemas": [USER_URN, ENTERPRISE_URN], ENTERPRISE_URN: values})

    assert created.json[ENTERPRISE_URN] == values


def test_answers_show_nothing_that_is_not_announced(api):
    values = {each["name"]: sample(each) for each in announced(api, USER_URN)}
    known = {"schemas", "id", "externalId", "meta", *values}

    created = api.post({**values, "schemas": [USER_URN], "password": "x", "extra": 1}).json

    assert created.keys() <= known


def test_the_required_attribute_is_the_one_that_is_required(api):
    required = [each["name"] for each in announced(api, USER_URN) if each["required"]]

    assert required == ["userName"]
    assert api.post({"schemas": [USER_URN]}).status_code == 400
    assert api.post({"schemas": [USER_URN], "userName": "x"}).status_code == 201


def test_the_unique_attribute_is_the_one_that_is_unique(api):
    documents = announced(api, USER_URN)

    unique = [each["name"] for each in documents if each.get("uniqueness", "none") != "none"]
    api.create()

    assert unique == ["userName"]
    assert api.post(user()).status_code == 409


@pytest.mark.parametrize("name", ["userName", "displayName", "profileUrl", "title"])
def test_case_exact_is_as_announced(api, name):
    document = next(each for each in announced(api, USER_URN) if each["name"] == name)
    api.post(user("SOME@example.com") | {name: "HTTPS://EXAMPLE.COM/SOME"})

    found = api.find(f'{name} eq "https://example.com/some"')

    assert len(found) == (0 if document["caseExact"] else 1)


def test_canonical_values_are_suggestions_only(api):
    emails = [{"value": "a@x.org", "type": "submarine"}]

    assert api.create(emails=emails)["emails"] == emails


def test_every_declared_attribute_is_announced_with_its_characteristics(api):
    found = attributes_of(api.get(f"/Schemas/{USER_URN}").json)

    for attribute in USER.schema.attributes:
        document = found[attribute.name]
        assert document["type"] == attribute.type
        assert document["multiValued"] == attribute.multi_valued
        assert document["mutability"] == attribute.mutability
        assert document["returned"] == attribute.returned


def test_the_password_is_announced_as_write_only_and_never_returned(api):
    document = attributes_of(api.get(f"/Schemas/{USER_URN}").json)["password"]

    assert document["mutability"] == Mutability.WRITE_ONLY
    assert document["returned"] == Returned.NEVER


def test_groups_of_a_user_are_announced_as_read_only_and_cannot_be_written(api):
    document = attributes_of(api.get(f"/Schemas/{USER_URN}").json)["groups"]
    created = api.create()

    response = api.ask("PATCH", api.path(created), patch(replace([{"value": "g"}], "groups")))

    assert document["mutability"] == Mutability.READ_ONLY
    assert refusal(response)[:2] == (400, "mutability")
