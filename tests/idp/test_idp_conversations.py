"""Conversations of real clients: files of requests, each with the expected answer.

A folder is a client or a family of clients; in keycloak a file is one extension of Keycloak, or
the requests that several of them send.

A step's `when` says what it stands for, with the names of Okta's request shapes in parentheses.
`{id}` and `{group}` stand for the user and the group last created or found; `known_as` names the
resource that a step creates. `expect.body` is a part of the answer, `{"in any order": [...]}` a
list in it; `without` are paths that must be absent; `recorded` are the events that the step causes.
"""

import json
import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from scim_api.protocol.policy import PRESETS
from scim_api.tenants.configure import set_policy

HERE = Path(__file__).parent
OKTA = sorted((HERE / "okta").glob("*.json"))
OTHERS = ("entra", "authentik", "keycloak", "scimgateway", "canaille", "nextcloud", "ssosync")
CONVERSATIONS = [*OKTA, *(path for name in OTHERS for path in sorted((HERE / name).glob("*.json")))]
SWITCHED_ON = {"scimgateway": "core_schema_missing", "canaille": "pagination_left_out"}
DISCOVERY = ("/Schemas", "/ServiceProviderConfig")  # they name passwords and hold none
SHAPES = json.loads((HERE / "okta-suite" / "wire-shapes.json").read_text())
HEADERS = {
    "okta": {
        "Accept": "application/scim+json",
        "Accept-Charset": "utf-8",
        "User-Agent": "Okta SCIM Client 1.0.0",
        "Authorization": "Bearer {token}",
        "Accept-Encoding": "gzip,deflate",
        "Connection": "Keep-Alive",
    },
}
OTHER_HEADERS = {"Accept": "application/scim+json", "Authorization": "Bearer {token}"}


def filled_in(value, names):
    text = json.dumps(value)
    for name, meaning in names.items():
        text = text.replace(f"{{{name}}}", meaning)
    return json.loads(text)


def noted(answer, step, names):
    """Return the names after an answer, for the steps that follow."""
    resources = answer.get("Resources", [answer])
    if len(resources) != 1 or "id" not in resources[0]:
        return names
    name = "group" if step["path"].startswith("/Groups") else "id"
    keys = {name} | ({step["known_as"]} if "known_as" in step else set())
    return names | dict.fromkeys(keys, resources[0]["id"])


def is_part(expected, found):
    """Return whether everything expected is found; lists must have the same length."""
    if isinstance(expected, dict) and "in any order" in expected:
        wanted = expected["in any order"]
        same = isinstance(found, list) and len(wanted) == len(found)
        return same and all(any(is_part(one, other) for other in found) for one in wanted)
    if isinstance(expected, dict):
        return isinstance(found, dict) and all(
            is_part(v, found.get(k)) for k, v in expected.items()
        )
    if isinstance(expected, list):
        same = isinstance(found, list) and len(expected) == len(found)
        return same and all(map(is_part, expected, found))
    return expected == found and type(expected) is type(found)


def at(document, path):
    """Return the value at a path such as Resources.0.members, or None."""
    parts = [path.rpartition(".")[0], path.rpartition(".")[2]] if ":" in path else path.split(".")
    for part in parts:
        document = document[int(part)] if isinstance(document, list) else document.get(part)
        if document is None:
            return None
    return document


def choose_policy(site, client):
    """Set a client's policy on a ledger: its own, or the default with one setting."""
    name = client if client in PRESETS else "okta"
    overrides = {SWITCHED_ON[client]: True} if client in SWITCHED_ON else {}
    tenant = site.console.tenant("default")
    set_policy(tenant, name, overrides, site.console.metadata())
    tenant.close()


@pytest.mark.parametrize("path", CONVERSATIONS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_client_is_answered_as_it_expects(api, path):
    client = path.parent.name
    choose_policy(api.site, client)
    names = {"token": api.token}
    for step in json.loads(path.read_text()):
        before = len(api.happened())
        headers = filled_in(HEADERS.get(client, OTHER_HEADERS) | step.get("headers", {}), names)
        body = filled_in(step.get("body"), names)
        media_type = headers.pop("Content-Type", "application/scim+json; charset=utf-8")
        sent = {"content_type": media_type} if body or "headers" in step else {}

        response = api.ask(
            step["method"], filled_in(step["path"], names), body, headers=headers, **sent
        )

        expected, answer = step["expect"], response.json if response.data else {}
        assert response.status_code == expected["status"], (step["when"], response.text)
        secret_free = "password" not in response.text or step["path"].startswith(DISCOVERY)
        assert secret_free, step["when"]
        if response.status_code < 400:
            names = noted(answer, step, names)
        assert is_part(filled_in(expected.get("body", {}), names), answer), (step["when"], answer)
        assert [p for p in expected.get("without", ()) if at(answer, p)] == [], step["when"]
        assert api.happened(since=before) == expected["recorded"], step["when"]


def outline(shape):
    """Return the shape of a request, without ids and values."""
    url = urlsplit(re.sub(r"/[0-9a-f-]{36}$|\{\w+\}$", "/{}", shape["path"]).replace("//", "/"))
    query = {name: ["?"] if name == "filter" else at for name, at in parse_qs(url.query).items()}
    return shape["method"], url.path, query, shape.get("operations"), shape.get("attributes")


def sent_by(step):
    """Return a step's request in the form that the known shapes have."""
    body, known = step.get("body", {}), {}
    if "Operations" in body:
        known["operations"] = [[one["op"], one.get("path")] for one in body["Operations"]]
    elif body:
        known["attributes"] = sorted(body)
    return json.loads(re.sub(r'eq \\"[^"]*\\"', "eq ?", json.dumps({**step, **known})))


@pytest.mark.parametrize("name", SHAPES)
def test_every_request_shape_known_from_okta_is_in_a_conversation(name):
    steps = [step for path in OKTA for step in json.loads(path.read_text())]
    named = [step for step in steps if re.search(rf"[(, ]{name}[),]", step["when"])]

    assert outline(sent_by(SHAPES[name])) in [outline(sent_by(step)) for step in named]
