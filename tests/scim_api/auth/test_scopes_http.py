"""Scopes: a token of one scope trying everything else, on every route that there is."""

import re

import pytest

from ledger import clock
from scim_api.auth.scopes import Scope
from scim_api.protocol.bulk import REQUEST_URN
from scim_api.protocol.schema.resource_types import RESOURCE_TYPES, USER, USER_URN
from tests.scim_api.client import BASE, SEARCH_URN, Api, patch, refusal, replace, user

LEDGER = "/ledger/v1"
ME = f"{BASE}/Me"
DISCOVERY = {
    f"{BASE}/{path}"
    for path in (
        "ServiceProviderConfig",
        *("ResourceTypes", "ResourceTypes/<name>", "Schemas", "Schemas/<urn>"),
    )
}


def opens(scope, method, rule):
    """Say what docs/operating.md says: does a scope open a route?"""
    if rule.startswith(LEDGER):
        of_operators = rule == LEDGER or (rule + "/").startswith(f"{LEDGER}/requests/")
        return scope == "audit" or (scope == "operate" and of_operators)
    if rule in DISCOVERY or scope == "provision":
        return True
    reads = method in ("GET", "HEAD") or rule.endswith("/.search")
    return reads and scope in ("read", "audit")


class Trial:
    """A resource of each type, and who tries every route under both bases."""

    def __init__(self, api):
        self.api = api
        self.ids = {kind.name: self._made(kind) for kind in RESOURCE_TYPES}

    def _made(self, kind):
        return self.api.post(named(kind), kind.endpoint).json["id"]

    def client(self, *scopes):
        """Return a client with a token of some scopes that belongs to a user of its own."""
        return holder(self.api, *scopes, user=self._made(USER))

    def ask(self, client, method, rule):
        """Try a route on what is there, with a body that would change it."""
        kind = next((t for t in RESOURCE_TYPES if t.endpoint in rule), USER)
        known = {"id_": self.ids[kind.name], "name": "User", "urn": USER_URN}
        path = re.sub(r"<(?:\w+:)?(\w+)>", lambda found: known.get(found[1], "1"), rule)
        return client.ask(method, path, body_of(method, rule, kind), base="")


def named(kind):
    """Return a resource of a type with a name of its own."""
    return {"schemas": [kind.schema.id], kind.name_attribute: clock.uuid7()}


def body_of(method, rule, kind=USER):
    if rule.endswith("/.search"):
        return {"schemas": [SEARCH_URN]}
    if rule.endswith("/Bulk"):
        operation = {"method": "POST", "path": "/Users", "bulkId": "1", "data": named(USER)}
        return {"schemas": [REQUEST_URN], "Operations": [operation]}
    if method == "PATCH":
        return patch(replace(clock.uuid7(), kind.name_attribute))
    return named(kind) if method in ("POST", "PUT") else None


def routes(api):
    """Return (method, rule) for each route under the two bases; what deletes comes last."""
    found = [
        (method, rule.rule)
        for rule in api.site.app.url_map.iter_rules()
        if rule.rule.startswith((BASE, LEDGER))
        for method in rule.methods
    ]
    return sorted(found, key=lambda one: (one[0] == "DELETE", one[1] == ME, *one))


def holder(api, *scopes, **own):
    """Return a client with a token of some scopes."""
    return api.site.client(scopes=[Scope(scope) for scope in scopes], **own)


# Everything


@pytest.mark.parametrize("scope", Scope)
def test_a_token_of_one_scope_is_refused_everything_else(api, scope):
    trial = Trial(api)
    client = trial.client(scope)

    tried = {(m, rule): trial.ask(client, m, rule).status_code for m, rule in routes(api)}

    assert 401 not in tried.values()
    assert {one for one, status in tried.items() if status == 403} == {
        (method, rule) for method, rule in tried if not opens(scope, method, rule)
    }


@pytest.mark.parametrize("scopes", [["read"], ["audit"], ["operate"], ["audit", "operate", "read"]])
def test_without_provision_nothing_is_ever_recorded(api, scopes):
    trial = Trial(api)
    client = trial.client(*scopes)
    before = api.recorded()

    for method, rule in routes(api):
        trial.ask(client, method, rule)

    assert api.recorded() == before


def test_with_provision_each_request_so_refused_does_record_something(api):
    for method, rule in routes(api):
        if rule.startswith(BASE) and not opens("read", method, rule):
            trial = Trial(api)
            client = trial.client("provision")
            before = api.recorded()

            answer = trial.ask(client, method, rule)

            assert api.recorded() > before or answer.status_code == 501, (method, rule)


@pytest.mark.parametrize("scopes", [["read", "operate"], ["provision", "audit"], list(Scope)])
def test_several_scopes_open_what_any_of_them_opens(api, scopes):
    trial = Trial(api)
    client = trial.client(*scopes)

    for method, rule in routes(api):
        opened = any(opens(scope, method, rule) for scope in scopes)
        assert (trial.ask(client, method, rule).status_code != 403) == opened


def test_the_openapi_document_names_the_scopes_that_open_each_operation(api):
    paths = api.get("/openapi.json", base="").json["paths"]

    for method, rule in routes(api):
        if method != "HEAD":
            path = re.sub(r"<(?:path:)?(\w+?)_?>", r"{\1}", rule)
            operation = paths[path][method.lower()]
            scopes = [one.get("bearer", ()) for one in operation.get("security", ())]
            named = {name for names in scopes for name in names} or set(Scope)
            assert named == {scope for scope in Scope if opens(scope, method, rule)}
            assert "403" in operation["responses"]


# By example


@pytest.mark.parametrize(
    ("scope", "method", "path", "status"),
    [
        ("provision", "POST", f"{BASE}/Users", 201),
        ("provision", "GET", f"{BASE}/Users", 200),
        ("provision", "GET", LEDGER, 403),
        ("read", "GET", f"{BASE}/Users", 200),
        ("read", "HEAD", f"{BASE}/Users", 200),
        ("read", "GET", BASE, 200),
        ("read", "POST", f"{BASE}/Groups/.search", 200),
        ("read", "POST", f"{BASE}/.search", 200),
        ("read", "POST", f"{BASE}/Users", 403),
        ("read", "POST", f"{BASE}/Bulk", 403),
        ("read", "GET", f"{BASE}/Me", 501),
        ("read", "PATCH", f"{BASE}/Me", 403),
        ("read", "POST", f"{BASE}/Me", 403),
        ("read", "PUT", f"{BASE}/Users/.search", 403),
        ("read", "DELETE", f"{BASE}/Groups/Schemas", 403),
        ("read", "GET", LEDGER, 403),
        ("audit", "GET", f"{BASE}/Users", 200),
        ("audit", "GET", LEDGER, 200),
        ("audit", "HEAD", LEDGER, 200),
        ("audit", "DELETE", f"{BASE}/Users/x", 403),
        ("operate", "GET", LEDGER, 200),
        ("operate", "GET", f"{BASE}/Users", 403),
        ("operate", "GET", f"{BASE}/Users/Schemas", 403),
        ("operate", "POST", f"{BASE}/Users/.search", 403),
        ("operate", "GET", f"{BASE}/Schemas", 200),
        ("operate", "GET", "/openapi.json", 200),
    ],
)
def test_a_scope_opens_what_the_handbook_says(api, scope, method, path, status):
    response = holder(api, scope).ask(method, path, body_of(method, path), base="")

    assert response.status_code == status


@pytest.mark.parametrize("path", sorted(f"{BASE}/{p}" for p in ("Schemas", "ResourceTypes/User")))
def test_discovery_is_open_to_a_token_without_any_scope(api, path):
    assert holder(api).get(path, base="").status_code == 200
    assert holder(api).get("/Users").status_code == 403


def test_a_scope_of_a_later_program_opens_nothing(api):
    issued = api.site.issue(scopes=["auditor", "READ", "provisioning"])

    response = Api(api.site, "default", issued.token).get("/Users")

    assert refusal(response)[0] == 403


@pytest.mark.parametrize("base", ["/scim", "/services/scim/v2", "/Schemas"])
def test_scopes_hold_under_any_base_path(make_site, base):
    api = make_site(SCIM_BASE_PATH=base).make()
    client = holder(api, "operate")

    assert client.get("/ServiceProviderConfig", base=base).status_code == 200
    assert client.get("/Users", base=base).status_code == 403
    assert holder(api, "read").post(named(USER), base=base).status_code == 403


# The refusal


@pytest.mark.parametrize(
    ("scope", "method", "path", "least", "words"),
    [
        ("read", "POST", f"{BASE}/Users", "provision", "scope provision; this one has read."),
        (
            "operate",
            "GET",
            f"{BASE}/Users",
            "read",
            "scope read or audit or provision; this one has operate.",
        ),
        ("read", "GET", LEDGER, "operate", "scope operate or audit; this one has read."),
    ],
)
def test_a_refusal_names_the_scope_and_how_to_make_such_a_token(
    api, scope, method, path, least, words
):
    response = holder(api, scope).ask(method, path, body_of(method, path), base="")

    status, scim_type, detail = refusal(response)
    assert (status, scim_type) == (403, None)
    assert words in detail
    assert f"scim-ledger token create NAME --scope {least}" in detail
    assert response.headers["WWW-Authenticate"] == (
        f'Bearer realm="SCIM", error="insufficient_scope", scope="{least}"'
    )


def test_an_invalid_token_is_401_and_not_403(api):
    for path in (f"{BASE}/Users", LEDGER):
        response = api.ask("GET", path, base="", headers={"Authorization": "Bearer none"})

        assert refusal(response)[0] == 401


@pytest.mark.parametrize(
    "sent",
    [
        {"data": b"{"},
        {"data": b"x" * 100, "content_type": "text/plain"},
        {"data": b"", "content_type": "application/scim+json"},
    ],
)
def test_a_body_is_not_looked_at_before_the_scope(api, sent):
    assert holder(api, "read").ask("POST", "/Users", **sent).status_code == 403
    assert api.ask("POST", "/Users", **sent).status_code in (400, 415)


@pytest.mark.parametrize("path", ["/nothing", "/Users/x/y", "/Schemas/x/y"])
def test_an_unknown_address_is_404_whatever_the_scope(api, path):
    for base in (BASE, LEDGER):
        assert holder(api, "operate").get(path, base=base).status_code == 404


def test_a_wrong_method_is_405_whatever_the_scope(api):
    assert holder(api, "read").ask("PUT", "/Users", {}).status_code == 405
    assert holder(api, "read").ask("POST", LEDGER, {}, base="").status_code == 405


def test_a_refused_request_counts_as_a_use_of_the_token(api):
    holder(api, "read").post(user())
    api.site.close()

    tenant = api.site.console.tenant("default")
    uses = tenant.usage.last_uses()
    tenant.close()
    assert [use.requests for use in uses] == [1]


# What is added later


@pytest.mark.parametrize(
    ("endpoint", "rule", "method", "opened"),
    [
        ("audit.later", f"{LEDGER}/later", "GET", {"audit"}),
        ("audit.later", f"{LEDGER}/requestsome", "GET", {"audit"}),
        ("audit.later", f"{LEDGER}/<kind>/of/later", "GET", {"audit"}),
        ("audit.later", f"{LEDGER}/later/requests", "GET", {"audit"}),
        ("audit.later", f"{LEDGER}/requests/<id_>/later", "GET", {"audit", "operate"}),
        ("scim.later", f"{BASE}/Later", "POST", {"provision"}),
        ("scim.later", f"{BASE}/Later/.search", "PUT", {"provision"}),
        ("scim.later", f"{BASE}/Later/.search", "POST", {"provision", "read", "audit"}),
        ("scim.later", f"{BASE}/Later", "GET", {"provision", "read", "audit"}),
        ("scim.later", f"{BASE}/Schemas", "PATCH", {"provision"}),
        ("scim.later", f"{BASE}/SchemasToo", "GET", {"provision", "read", "audit"}),
    ],
)
def test_a_route_added_later_is_closed_to_all_but_these(api, endpoint, rule, method, opened):
    clients = {scope: holder(api, scope) for scope in Scope}
    app = api.site.app
    app.add_url_rule(rule, endpoint, lambda **_: "", methods=[method])
    path = rule.replace("<kind>", "requests").replace("<id_>", "1")

    answers = {s: client.ask(method, path, base="") for s, client in clients.items()}

    assert {scope for scope, answer in answers.items() if answer.status_code == 200} == opened
    assert {answer.status_code for answer in answers.values()} <= {200, 403}
