"""SCIM in sentences: a data directory with its application, and a client that holds a token."""

from functools import cached_property

from app import console, create_app
from ledger.contract import Append
from ledger.events import Event
from scim_api import settings
from scim_api.auth.credentials import issue
from scim_api.protocol.schema.resource_types import ENTERPRISE_URN, GROUP_URN, USER_URN
from scim_api.server.runtime import EXTENSION

BASE = "/scim/v2"
ERROR_URN = "urn:ietf:params:scim:api:messages:2.0:Error"
LIST_URN = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
PATCH_URN = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
SEARCH_URN = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"
RESOURCES = ("User", "Group", "Role", "Entitlement")


def user(user_name="jane@example.com", /, **attributes):
    """Return a user as a client writes it."""
    return {"schemas": [USER_URN], "userName": user_name, **attributes}


def employee(user_name="jane@example.com", /, *, department="Sales", **attributes):
    """Return a user with the enterprise extension."""
    own = user(user_name, **attributes)
    return own | {"schemas": [USER_URN, ENTERPRISE_URN], ENTERPRISE_URN: {"department": department}}


def group(display_name="Staff", /, *members, **attributes):
    """Return a group as a client writes it; members by id, or None for a body that names none."""
    named = {} if members == (None,) else {"members": [{"value": id_of(m)} for m in members]}
    return {"schemas": [GROUP_URN], "displayName": display_name, **named, **attributes}


def id_of(resource):
    """Return the id of a resource, given whole or by its id."""
    return resource if isinstance(resource, str) else resource["id"]


def patch(*operations):
    """Return a PATCH body."""
    return {"schemas": [PATCH_URN], "Operations": list(operations)}


def replace(value, path=None):
    """Return a replace operation."""
    return {"op": "replace", "value": value} | ({"path": path} if path else {})


def add(*members):
    """Return an add operation of members."""
    return {"op": "add", "path": "members", "value": [{"value": id_of(m)} for m in members]}


def remove(member):
    """Return a remove operation of one member, as Okta writes it."""
    return {"op": "remove", "path": f'members[value eq "{id_of(member)}"]'}


class Site:
    """A data directory of its own, the ledgers in it, and the application that serves them."""

    def __init__(self, data_dir, **environment):
        self.settings = settings.load({"SCIM_DATA_DIR": str(data_dir), **environment})
        self.data_dir = data_dir
        self.console = console()
        self.console.settings = self.settings

    @cached_property
    def app(self):
        return create_app(self.settings)

    @property
    def runtime(self):
        return self.app.extensions[EXTENSION]

    def make(self, name="default"):
        """Make a ledger; return a client with a token of it."""
        self.console.create(name).close()
        return self.client(name)

    def client(self, name="default", **credential):
        """Return a client with a new token of a ledger that is there."""
        return Api(self, name, self.issue(name, **credential).token)

    def issue(self, name="default", *, called="okta", **own):
        """Issue a token; `policy`, `user` or `scopes` make it one of its own."""
        tenant = self.console.tenant(name)
        try:
            return issue(tenant, self.console.metadata(), called, **own)
        finally:
            tenant.close()

    def append(self, name, stream, version, *events):
        """Record events as a command would."""
        tenant = self.console.tenant(name)
        try:
            append = Append(stream, version, [Event(*event) for event in events])
            return tenant.ledger.append([append], self.console.metadata())
        finally:
            tenant.close()

    def events(self, name="default"):
        """Return everything a ledger holds."""
        tenant = self.console.tenant(name)
        try:
            return list(tenant.ledger.read_all())
        finally:
            tenant.close()

    def close(self):
        if "app" in self.__dict__:
            self.runtime.close()
            del self.app


class Api:
    """A SCIM client with a token."""

    def __init__(self, site, ledger, token):
        self.site = site
        self.ledger = ledger
        self.token = token

    @property
    def authorization(self):
        """The Authorization header of a request."""
        return f"Bearer {self.token}"

    def ask(self, method, path, body=None, *, base=BASE, headers=None, **more):
        """Send a request; `headers` with None leave one out."""
        sent = {"Authorization": self.authorization, **(headers or {})}
        sent = {name: value for name, value in sent.items() if value is not None}
        if body is not None:
            more["json"] = body
        if "json" in more or "data" in more:
            more.setdefault("content_type", "application/scim+json")
        return self.site.app.test_client().open(base + path, method=method, headers=sent, **more)

    def get(self, path, **more):
        return self.ask("GET", path, **more)

    def post(self, body, path="/Users", **more):
        return self.ask("POST", path, body, **more)

    def put(self, resource, body, **more):
        return self.ask("PUT", self.path(resource), body, **more)

    def patch(self, resource, *operations, **more):
        return self.ask("PATCH", self.path(resource), patch(*operations), **more)

    def delete(self, resource, **more):
        return self.ask("DELETE", self.path(resource), **more)

    def path(self, resource):
        """Return the address of a resource given whole, or of a user given by id."""
        kind = "User" if isinstance(resource, str) else resource["meta"]["resourceType"]
        return f"/{kind}s/{id_of(resource)}"

    def create(self, user_name="jane@example.com", /, **attributes):
        """Create a user and return it."""
        response = self.post(user(user_name, **attributes))
        assert response.status_code == 201, response.text
        return response.json

    def group(self, display_name="Staff", /, *members, **attributes):
        """Create a group and return it."""
        response = self.post(group(display_name, *members, **attributes), "/Groups")
        assert response.status_code == 201, response.text
        return response.json

    def read(self, resource, **parameters):
        """Return a resource as it is now."""
        response = self.get(self.path(resource), query_string=parameters)
        assert response.status_code == 200, response.text
        return response.json

    def members(self, group):
        """Return the ids of a group's members, sorted."""
        return sorted(member["value"] for member in self.read(group).get("members", ()))

    def groups(self, user):
        """Return a user's groups: how the user belongs, by the group's id."""
        return {one["value"]: one["type"] for one in self.read(user).get("groups", ())}

    def search(self, path="", /, **request):
        """POST a SearchRequest."""
        return self.post({"schemas": [SEARCH_URN], **request}, f"{path}/.search")

    def fill(self, count, **attributes):
        """Create so many users and return their names, in order."""
        names = [f"user{number:03}@example.com" for number in range(count)]
        for name in names:
            self.create(name, **attributes)
        return names

    def find(self, filter_):
        """Return the users a filter finds."""
        return self.get("/Users", query_string={"filter": filter_}).json["Resources"]

    def names(self, **parameters):
        """Return the userNames of a list, in its order."""
        response = self.get("/Users", query_string=parameters)
        return [resource["userName"] for resource in response.json["Resources"]]

    def types(self):
        """Return the types of all events about users."""
        return [e.type for e in self.site.events(self.ledger) if e.category == "User"]

    def happened(self, since=0):
        """Return the types of all events about resources, from a number of events on."""
        events = [e for e in self.site.events(self.ledger) if e.category in RESOURCES]
        return [event.type for event in events[since:]]

    def recorded(self):
        """Return how many events the ledger holds."""
        return len(self.site.events(self.ledger))


def refusal(response):
    """Return a SCIM error's status, scimType and detail, having checked its form."""
    document = response.json
    assert document["schemas"] == [ERROR_URN]
    assert document["status"] == str(response.status_code)
    assert document["detail"].strip()
    assert document.keys() <= {"schemas", "status", "detail", "scimType"}
    return response.status_code, document.get("scimType"), document["detail"]
