"""Okta's own suites against a running service: every assertion holds.

The suites are exported Runscope tests. The pauses are left out, and of the scripts the one that
asserts something is said again here.
"""

import http.client
import json
import re
import time
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

from scim_api.protocol.schema.resource_types import ENTITLEMENT_URN, ROLE_URN
from tests.scim_api.client import user
from tests.scim_api.schemes import SCHEMES, access_token, header_of

SUITES = Path(__file__).parent / "okta-suite"
FIRST = user(
    "first@example.com",
    name={"givenName": "First", "familyName": "User"},
    emails=[{"value": "first@example.com", "primary": True}],
    active=True,
)
VARIABLES = {
    "InvalidUserEmail": "abcdefgh@atko.com",
    "UserIdThatDoesNotExist": "010101001010101011001010101011",
    "randomGivenName": "Runscope123",
    "randomFamilyName": "Abcdefghi456",
    "randomEmail": "Runscope123Abcdefghi456@atko.com",
    "randomUsername": "Runscope123Abcdefghi456@atko.com",
    "randomUsernameCaps": "RUNSCOPE123ABCDEFGHI456@ATKO.COM",
}
COMPARISONS = {
    "equal_number": lambda found, wanted: float(found) == float(wanted),
    "is_less_than": lambda found, wanted: float(found) < float(wanted),
    "is_a_number": lambda found, _: type(found) in (int, float),
    "not_empty": lambda found, _: found not in (None, "", [], {}),
    "equal": lambda found, wanted: (
        (json.dumps(found) if isinstance(found, bool) else str(found)) == wanted
    ),
    "has_value": lambda found, wanted: wanted in found,
    "contains": lambda found, wanted: wanted in json.dumps(found),
}


def filled_in(text, variables):
    return re.sub(r"{{(.*?)}}", lambda found: variables[found[1].strip()], str(text or ""))


def dig(document, path):
    """Return the value of a property such as `emails[0].value`, or None."""
    for part in re.findall(r"[^.\[\]]+", path or ""):
        try:
            document = document[int(part) if part.isdigit() else part]
        except (KeyError, IndexError, TypeError):
            return None
    return document


def ask(step, variables):
    """Send a step's request; return status, milliseconds and document."""
    url = urlsplit(quote(filled_in(step["url"], variables), safe=":/?&=%@+"))
    headers = {k: filled_in(v[0], variables) for k, v in step["headers"].items()}
    connection = http.client.HTTPConnection(url.netloc, timeout=60)
    started = time.monotonic()
    body = filled_in(step.get("body"), variables).encode() or None
    connection.request(step["method"], f"{url.path}?{url.query}", body, headers)
    response = connection.getresponse()
    document = json.loads(response.read())
    connection.close()
    return response.status, (time.monotonic() - started) * 1000, document


def outcomes(step, variables):
    """Yield a sentence and whether it holds for each assertion of a step."""
    status, milliseconds, document = ask(step, variables)
    for variable in step.get("variables") or []:
        variables[variable["name"]] = dig(document, variable["property"])
    sources = {"response_status": status, "response_time": milliseconds}
    for each in step["assertions"]:
        found = sources.get(each["source"], dig(document, each.get("property")))
        wanted = filled_in(each.get("value"), variables)
        says = f"{step['note']}: {each.get('property') or each['source']} {each['comparison']}"
        yield f"{says} {wanted}, found {found!r}", COMPARISONS[each["comparison"]](found, wanted)
    if "Groups" in (step["note"] or ""):  # its script
        yield "Resources is an array", isinstance(document["Resources"], list)


def run(suite, variables):
    """Return the outcomes of a suite."""
    steps = [step for step in json.loads((SUITES / suite).read_text())["steps"] if "url" in step]
    return [outcome for step in steps for outcome in outcomes(step, variables)]


@pytest.mark.slow
def test_all_assertions_of_the_spec_suite_hold_in_each_scheme(start):
    server = start()
    server.ask("POST", "/Users", FIRST)
    access = access_token(server)

    for scheme in SCHEMES:
        authorization = header_of(scheme, server.token, access)
        variables = {**VARIABLES, "SCIMBaseURL": server.url, "auth": authorization}

        found = run("Okta-SCIM-20-SPEC-Test.json", variables)

        assert [says for says, holds in found if not holds] == [], scheme
        assert len(found) == 53
        forget_the_user(server)


def forget_the_user(server):
    """Delete the user that a run of the suite leaves."""
    name = quote(f'userName eq "{VARIABLES["randomUsername"]}"')
    for left in server.ask("GET", f"/Users?filter={name}").json["Resources"]:
        server.ask("DELETE", f"/Users/{left['id']}")


@pytest.mark.parametrize("endpoint", ["/Roles", "/Entitlements"])
def test_all_assertions_of_the_entitlements_suite_hold(server, endpoint):
    schemas = [ROLE_URN if endpoint == "/Roles" else ENTITLEMENT_URN]
    server.ask("POST", endpoint, {"schemas": schemas, "displayName": "Viewer"})
    for scheme in set(SCHEMES) - {"oauth"}:
        authorization = header_of(scheme, server.token, None)
        variables = {
            "SCIMBaseURL": server.url,
            "auth": authorization,
            "EntitlementEndpoint": endpoint,
        }

        found = run("Okta-SCIM-20-Entitlements-Test.json", variables)

        assert [says for says, holds in found if not holds] == [], scheme
        assert len(found) == 6
