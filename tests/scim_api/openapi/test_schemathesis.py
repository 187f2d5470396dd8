"""schemathesis sends odd requests to each operation: all answers match the document."""

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from scim_api.auth.credentials import issue
from scim_api.auth.scopes import Scope
from scim_api.openapi.document import document
from scim_api.protocol.schema.resource_types import GROUP_URN, RESOURCE_TYPES, USER
from scim_api.settings import load
from scim_api.tenants.catalogue import BUILT_IN
from tests.scim_api.client import BASE, Site

pytestmark = pytest.mark.slow

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
EXAMPLES = 12  # for each operation
PROFILE = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
DOCUMENT = document(BUILT_IN, load({}), server="")
OPERATIONS = [
    (path, method)
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
    # Nobody signs up here: a 501 is the whole answer. A feed has no end: see test_feed_http.
    if operation["operationId"] not in ("createMe", "followEvents")
]
WITH_TOKEN = [(path, method) for path, method in OPERATIONS if path.startswith(BASE)]
ME = f"{BASE}/Me"


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """Return a client of a ledger with a user in a group."""
    site = Site(tmp_path_factory.mktemp("schemathesis") / "data")
    site.make()
    client = site.client(scopes=list(Scope))
    member = client.create()["id"]
    group = {"schemas": [GROUP_URN], "displayName": "Sales", "members": [{"value": member}]}
    assert client.post(group, "/Groups").status_code == 201
    yield client
    site.close()


@pytest.fixture(scope="module")
def described(client):
    """Return the document as schemathesis reads it."""
    headers = {"Authorization": f"Bearer {client.token}"}
    return schemathesis.openapi.from_wsgi("/openapi.json", client.site.app, headers=headers)


@pytest.fixture(scope="module")
def make(client):
    """Return a maker of resources: the id of a new one of a type."""
    made = []

    def make(resource_type):
        made.append(resource_type)
        name = f"made {len(made)}"
        body = {"schemas": [resource_type.schema.id], resource_type.name_attribute: name}
        return client.post(body, resource_type.endpoint).json["id"]

    return make


@pytest.fixture(scope="module")
def sign_in(client, make):
    """Return a maker of tokens that belong to a new user."""

    def sign_in():
        site = client.site
        tenant = site.console.tenant("default")
        try:
            issued = issue(tenant, site.console.metadata(), "own", user=make(USER))
        finally:
            tenant.close()
        return issued.token

    return sign_in


@pytest.fixture
def ask(described, client, make, sign_in):
    """Ask one operation many questions, and check what is answered."""

    def ask(path, method, mode):
        def check(case):
            token = sign_in() if path == ME else client.token
            if path == own and len(str(case.path_parameters["id"])) % 2:  # some that are there
                case.path_parameters["id"] = make(resource_type)
            case.query = {k: v for k, v in (case.query or {}).items() if k != "wait"}
            case.call_and_validate(checks=CHECKS, headers={"Authorization": f"Bearer {token}"})

        resource_type = next((t for t in RESOURCE_TYPES if t.endpoint in path), USER)
        own = f"{BASE}{resource_type.endpoint}/{{id}}"
        cases = described[path][method].as_strategy(generation_mode=mode)
        PROFILE(given(cases)(check))()

    return ask


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_requests_by_the_document_are_answered_by_it(ask, path, method):
    ask(path, method, GenerationMode.POSITIVE)


@pytest.mark.parametrize(("path", "method"), WITH_TOKEN)
def test_requests_against_the_document_are_answered_by_it(ask, path, method):
    ask(path, method, GenerationMode.NEGATIVE)
