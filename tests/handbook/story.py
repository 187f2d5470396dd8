"""The company of the handbook: half a year of joiners, movers and leavers, through the real API."""

from contextlib import contextmanager
from datetime import UTC, datetime

from click.testing import CliRunner

import app
from ledger import clock
from scim_api.protocol.schema.resource_types import ENTERPRISE_URN, GROUP_URN, USER_URN
from tests.scim_api.client import Site, patch

OKTA = "Okta SCIM Client 1.0.0"
OPERATOR = "rosa"
SETTINGS = {"SCIM_REQUEST_LOG_DAYS": "3650"}  # refusals are shown for years


class Company:
    """A company whose directory and operators act at given times."""

    def __init__(self, data_dir, monkeypatch):
        self.data_dir = data_dir
        monkeypatch.setenv("SCIM_DATA_DIR", str(data_dir))
        monkeypatch.setenv("LOGNAME", OPERATOR)
        monkeypatch.setenv("SCIM_LOG_LEVEL", "error")
        for name, value in SETTINGS.items():
            monkeypatch.setenv(name, value)
        self.site = Site(data_dir, **SETTINGS, SCIM_LOG_LEVEL="error")
        self.tokens = {}
        self.known = {}

    @contextmanager
    def at(self, text):
        """Set the clock to a time of 2026, such as 07-06 08:00."""
        moment = datetime.fromisoformat(f"2026-{text.replace(' ', 'T')}").replace(tzinfo=UTC)
        with clock.pretending(moment):
            yield

    def operator(self, *words):
        """Run a command as the operator does."""
        result = CliRunner().invoke(app.cli, list(words), prog_name="scim-ledger")
        assert result.exit_code == 0, result.output
        return result.stdout.strip()

    def token(self, name, *scopes):
        words = [word for scope in scopes for word in ("--scope", scope)]
        self.tokens[name] = self.operator("token", "create", name, *words)

    def send(self, method, path, body=None, *, token="okta", agent=OKTA, status=None):
        """Send a request as a client does; return the document. `last` is the request's id."""
        answer = self.site.app.test_client().open(
            f"/scim/v2{path}",
            method=method,
            json=body,
            headers={"Authorization": f"Bearer {self.tokens[token]}", "User-Agent": agent},
            environ_overrides={"REMOTE_ADDR": "198.51.100.7" if agent == OKTA else "203.0.113.9"},
        )
        assert status in (None, answer.status_code), answer.text
        self.last = answer.headers["X-Request-Id"]
        return answer.get_json(force=True, silent=True)

    def hire(self, given, family, department, title, **request):
        name = f"{given}.{family}@example.com".lower()
        body = {
            "schemas": [USER_URN, ENTERPRISE_URN],
            "userName": name,
            "name": {"givenName": given, "familyName": family},
            "displayName": f"{given} {family}",
            "emails": [{"primary": True, "value": name, "type": "work"}],
            "title": title,
            "active": True,
            ENTERPRISE_URN: {"department": department},
        }
        self.known[given] = self.send("POST", "/Users", body, status=201, **request)["id"]

    def found(self, name):
        body = {"schemas": [GROUP_URN], "displayName": name, "members": []}
        self.known[name] = self.send("POST", "/Groups", body, status=201)["id"]

    def enter(self, group, *people, **request):
        value = [{"value": self.known[person]} for person in people]
        self._group(group, {"op": "add", "path": "members", "value": value}, **request)

    def exit(self, group, person, **request):
        path = f'members[value eq "{self.known[person]}"]'
        self._group(group, {"op": "remove", "path": path}, **request)

    def _group(self, group, operation, **request):
        self.send("PATCH", f"/Groups/{self.known[group]}", patch(operation), status=200, **request)

    def change(self, person, value, **request):
        operation = {"op": "replace", "value": value}
        self.send("PATCH", f"/Users/{self.known[person]}", patch(operation), status=200, **request)


def tell(company):
    """Play the half year."""
    with company.at("07-01 09:00"):
        company.operator("init")
        company.token("okta")
    with company.at("07-06 08:00"):
        for person in (
            ("Ada", "Lopez", "Engineering", "Staff Engineer"),
            ("Bruno", "Keller", "Finance", "Controller"),
            ("Carla", "Sato", "Sales", "Account Executive"),
            ("Daniel", "Kim", "Engineering", "Engineer"),
            ("Elena", "Rossi", "People", "Recruiter"),
        ):
            company.hire(*person)
    with company.at("07-06 08:30"):
        company.found("Finance-Admins")
        company.found("Engineering")
        company.enter("Finance-Admins", "Bruno")
        company.enter("Engineering", "Ada", "Daniel")
    with company.at("07-20 08:05"):
        company.hire("Felix", "Moreau", "Sales", "Sales Lead")
    with company.at("08-03 10:12"):
        company.change("Daniel", {"title": "Accountant", f"{ENTERPRISE_URN}:department": "Finance"})
        company.exit("Engineering", "Daniel")
        company.enter("Finance-Admins", "Daniel")
    with company.at("09-01 07:45"):
        name = "carla.ito@example.com"
        company.change(
            "Carla", {"userName": name, "name.familyName": "Ito", "displayName": "Carla Ito"}
        )
    with company.at("09-14 16:31"):
        company.change("Bruno", {"active": False, "title": "Former Controller"})
        company.parting = company.last
        company.exit("Finance-Admins", "Bruno")
    _strange_account(company)
    with company.at("09-28 11:00"):
        company.token("okta-2")
    with company.at("09-29 11:20"):
        company.operator("token", "revoke", "okta")
        company.tokens["okta"] = company.tokens["okta-2"]
    with company.at("10-05 08:15"):
        company.change("Bruno", {"active": True})
    with company.at("10-12 17:00"):
        company.send("DELETE", f"/Users/{company.known['Elena']}", status=204)
    _refusals(company)
    with company.at("10-15 14:00"):
        company.operator("policy", "set", "okta", "--on", "adopt")
    with company.at("10-20 09:00"):
        company.token("auditor", "audit")
    company.site.close()


def _strange_account(company):
    """A script creates an account and deletes it two days later."""
    script = {"token": "script", "agent": "python-requests/2.32.0"}
    with company.at("09-21 22:40"):
        company.token("script")
    with company.at("09-21 22:47"):
        company.hire("Temp", "Contractor", "Finance", "Contractor", **script)
        company.enter("Finance-Admins", "Temp", **script)
    with company.at("09-23 23:58"):
        company.send("DELETE", f"/Users/{company.known['Temp']}", status=204, **script)


def _refusals(company):
    """Okta sends two requests that are refused and one that changes nothing."""
    with company.at("10-13 09:30"):
        body = {"schemas": [USER_URN], "userName": "ada.lopez@example.com"}
        company.send("POST", "/Users", body, status=409)
        company.refused = company.last
    with company.at("10-13 09:31"):
        company.send("GET", '/Users?filter=userName%20is%20"ada"', status=400)
    with company.at("10-13 09:40"):
        company.change("Ada", {"active": True})
