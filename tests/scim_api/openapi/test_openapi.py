"""/openapi.json: an OpenAPI 3.1 document of all that is served, and of nothing else."""

import re
from dataclasses import fields

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from projections.audit.diff import KINDS
from scim_api.audit.events import FIELDS
from scim_api.auth.scopes import Scope
from scim_api.protocol.bulk import MAX_OPERATIONS
from scim_api.protocol.errors import ScimError
from scim_api.protocol.schema.resource_types import ENTERPRISE_URN, RESOURCE_TYPES
from scim_api.request_log.queries import REQUEST, Explanation
from tests.scim_api.client import BASE, refusal
from tests.scim_api.schemas_of_operators import BADGE_URN, add_schema


@pytest.fixture
def read(api):
    """Read the document, without a token by default."""

    def read(**headers):
        given = {"Authorization": None, **headers}
        return api.ask("GET", "/openapi.json", base="", headers=given)

    return read


@pytest.fixture
def document(read):
    return read().json


def operations(document):
    return {
        (path, method.upper()): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def resolve(document, found):
    """Follow a reference within the document."""
    for step in found["$ref"].removeprefix("#/").split("/") if "$ref" in found else ():
        document = document[step]
    return document if "$ref" in found else found


def test_the_document_is_valid_openapi_3_1(document):
    assert document["openapi"] == "3.1.0"
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []


def test_every_route_is_in_the_document_and_nothing_else_is(api, document):
    routes = {
        (re.sub(r"<(?:path:)?(\w+?)_?>", r"{\1}", rule.rule), method)
        for rule in api.site.app.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }

    assert operations(document).keys() == routes


def test_programs_that_generate_clients_can_use_names_and_bodies(document):
    names = [name for kind in document["components"].values() for name in kind]
    bodies = [one["requestBody"] for one in operations(document).values() if "requestBody" in one]

    assert [name for name in names if not re.fullmatch(r"[A-Za-z0-9_-]+", name)] == []
    assert {tuple(body["content"]) for body in bodies} == {
        ("application/scim+json",),
        ("application/x-www-form-urlencoded",),
    }


def test_every_operation_has_an_id_of_its_own(document):
    ids = [operation["operationId"] for operation in operations(document).values()]

    assert len(set(ids)) == len(ids)


def test_every_error_is_a_scim_error(document):
    for operation in operations(document).values():
        for status, answer in operation["responses"].items():
            if status >= "400" and operation["tags"] not in (["health"], ["oauth"]):
                content = resolve(document, answer)["content"]
                assert content["application/scim+json"]["schema"]["$ref"].endswith("/Error")


@pytest.mark.parametrize("resource_type", RESOURCE_TYPES, ids=lambda found: found.name)
def test_every_attribute_of_every_resource_type_is_declared(document, resource_type):
    shown = document["components"]["schemas"][resource_type.name]["properties"]
    written = document["components"]["schemas"][f"{resource_type.name}Written"]["properties"]

    for declared in resource_type.declared.values():
        *around, name = declared.steps
        inner = [
            (found[around[0]]["properties"] if around else found) for found in (shown, written)
        ]
        attribute = declared.attribute
        assert (name in inner[0]) == (attribute.returned != "never")
        assert (name in inner[1]) == (name == "schemas" or not attribute.read_only)


def test_characteristics_are_shown(document):
    attribute = document["components"]["schemas"]["User"]["properties"]["userName"]

    assert attribute["type"] == "string"
    assert attribute["x-scim"] == {
        "required": True,
        "mutability": "readWrite",
        "returned": "default",
        "uniqueness": "server",
        "caseExact": False,
    }


def test_a_password_can_be_written_and_is_never_answered(document):
    schemas = document["components"]["schemas"]

    assert schemas["UserWritten"]["properties"]["password"]["writeOnly"]
    assert "password" not in schemas["User"]["properties"]


@pytest.mark.parametrize(
    ("path", "names"),
    [
        (
            "/Users",
            "filter sortBy sortOrder startIndex count cursor attributes excludedAttributes asOf",
        ),
        ("/Groups/{id}", "id attributes excludedAttributes If-Match If-None-Match asOf"),
    ],
)
def test_parameters_are_declared(document, path, names):
    found = operations(document)[BASE + path, "GET"]["parameters"]

    assert [resolve(document, parameter)["name"] for parameter in found] == names.split()


def test_the_document_requires_a_token_except_for_public_addresses(document):
    found = operations(document).items()
    any_token = [{"bearer": []}, {"basic": []}, {"oauth2": []}]
    without = {path for (path, _), one in found if one.get("security") in ([], [{}, *any_token])}

    assert document["security"] == any_token
    assert without == {
        "/livez",
        "/readyz",
        "/openapi.json",
        f"{BASE}/ServiceProviderConfig",
        "/oauth/authorize",
        "/.well-known/oauth-authorization-server",
        "/.well-known/oauth-authorization-server/{path}",
    }


def test_the_server_is_the_one_that_was_asked(document):
    assert document["servers"] == [{"url": "http://localhost"}]


def test_the_server_is_the_public_one_where_it_is_set(make_site):
    api = make_site(SCIM_BASE_URL="https://scim.example.com/in/scim/v2").make()

    document = api.get("/openapi.json", base="").json

    assert document["servers"] == [{"url": "https://scim.example.com/in"}]


def test_without_a_token_the_built_in_schemas_are_described(document):
    assert ENTERPRISE_URN in document["components"]["schemas"]["User"]["properties"]


def test_with_a_wrong_token_nothing_is_described(read):
    assert refusal(read(Authorization="Bearer wrong"))[0] == 401


def test_with_a_token_its_ledger_is_described(api, read):
    add_schema(api.site)

    document = read(Authorization=f"Bearer {api.token}").json

    user = document["components"]["schemas"]["User"]["properties"]
    assert user[BADGE_URN]["properties"]["shoeSize"]["type"] == "integer"
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []


# What static.json repeats of the code


def test_the_events_of_the_document_have_the_fields_that_are_shown(document):
    shown = document["components"]["schemas"]["Event"]

    assert set(FIELDS) <= shown["properties"].keys()
    assert set(FIELDS) <= set(shown["required"])


def test_the_request_records_and_explanations_of_the_document_are_those_that_are_shown(document):
    schemas = document["components"]["schemas"]
    explained = schemas["RequestExplained"]["properties"]["requests"]["items"]["properties"]

    assert REQUEST.declared.keys() <= schemas["Request"]["properties"].keys()
    assert list(explained["explanation"]["properties"]) == [f.name for f in fields(Explanation)]
    for name, declared in REQUEST.declared.items():
        described = schemas["Request"]["properties"][name]["description"]
        assert described == declared.attribute.description


def test_every_scim_type_and_bound_of_the_code_is_in_the_document(document):
    schemas = document["components"]["schemas"]
    types = {one.scim_type for one in ScimError.__subclasses__() if one.scim_type}
    operations = schemas["BulkRequest"]["properties"]["Operations"]
    kinds = schemas["DifferenceRow"]["properties"]["kind"]["enum"]

    assert schemas["Error"]["properties"]["scimType"]["enum"] == sorted(types)
    assert operations["maxItems"] == MAX_OPERATIONS
    assert kinds == [*KINDS, None]


def test_the_document_lists_every_resource_type(document):
    named = {each["$ref"].rpartition("/")[2] for each in _items(document)["anyOf"]}
    asked = next(
        parameter["schema"]["enum"]
        for parameter in document["paths"]["/ledger/v1/diff"]["get"]["parameters"]
        if parameter["name"] == "resourceType"
    )

    assert named == set(asked) == {each.name for each in RESOURCE_TYPES}


def _items(document):
    return document["components"]["schemas"]["AnyResourceList"]["properties"]["Resources"]["items"]


def test_with_oauth_alone_every_operation_needs_an_access_token(make_site):
    api = make_site(SCIM_AUTHENTICATION="oauth").make()

    found = api.ask("GET", "/openapi.json", base="", headers={"Authorization": None}).json
    schemes = found["components"]["securitySchemes"]
    flows = schemes["oauth2"]["flows"].values()
    assert schemes.keys() == {"oauth2", "client"}
    assert found["paths"][f"{BASE}/Users"]["post"]["security"] == [{"oauth2": ["provision"]}]
    assert [flow["scopes"].keys() for flow in flows] == [set(Scope)] * 2


def test_without_oauth_its_addresses_are_in_no_document(make_site):
    api = make_site(SCIM_AUTHENTICATION="header").make()

    found = api.ask("GET", "/openapi.json", base="").json
    assert [path for path in found["paths"] if "oauth" in path] == []
    assert found["components"]["securitySchemes"].keys() == {"bearer"}
