"""Our service and a scim2-server with the same schemas and ids, which get the same requests.

What the two disagree about on purpose is put right here, or excused in `excuses`, under a name that
docs/disagreements.md explains.
"""

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from scim2_models import ResourceType, Schema, SCIMException, ScimProvider
from scim2_server.handler import ScimHandler
from scim2_server.memory import InMemoryStorage
from scim2_server.requests import ScimRequest
from scim2_server.service import ScimService
from scim2_server.utils import load_default_service_provider_config

from scim_api.tenants.configure import set_policy
from tests.scim_api.client import BASE, PATCH_URN

HOST = "http://localhost"
RFC = ("every_filter_operator", "part_after_brackets", "pathless_patch", "unknown_members_kept")
ADJUSTED = {
    "default-values",
    "active-unassigned",
    "patch-answers",
    "groups-of-a-user",
    "members-described",
    "members-that-are-deleted",
    "order-of-equals",
}
_DEFAULTS = {"/Users": {"active": True}, "/Entitlements": {"type": "Entitlement"}}


@dataclass(frozen=True)
class Asked:
    """A request for both services; a tag is replaced by each one's own ETag."""

    method: str
    path: str
    body: Any = None
    query: dict[str, str] = field(default_factory=dict)
    condition: tuple[str, str] | None = None  # header, and: now, old, *

    @property
    def endpoint(self) -> str:
        return "/" + self.path.split("/")[1]


@dataclass(frozen=True)
class Answer:
    """A status, the scimType of an error, the comparable part of the body, and the ETag."""

    status: int
    scim_type: str | None
    body: Any
    tag: str | None

    @property
    def good(self) -> bool:
        return self.status < 400


class _Storage(InMemoryStorage):
    """Gives a new resource the id that our service gave it."""

    def __init__(self) -> None:
        super().__init__()
        self.allotted: dict[tuple[str, str], str] = {}

    def generate_id(self, resource_type: Any, resource: Any) -> str:
        name = resource.model_dump()[_name_key(resource_type.endpoint)]
        return self.allotted.pop((resource_type.endpoint, name), None) or super().generate_id(
            resource_type, resource
        )


def _name_key(endpoint: str) -> str:
    return "userName" if endpoint == "/Users" else "displayName"


class Pair:
    """The two services."""

    def __init__(self, api: Any) -> None:
        self.api = api
        console, tenant = api.site.console, api.site.console.tenant("default")
        set_policy(tenant, "strict", dict.fromkeys(RFC, True), console.metadata())
        tenant.close()
        self.storage = _Storage()
        provider = ScimProvider.from_discovery(
            [Schema.model_validate(one) for one in self._served("/Schemas")],
            [ResourceType.model_validate(one) for one in self._served("/ResourceTypes")],
            config=load_default_service_provider_config(),
        )
        self.service = ScimService(provider)
        self.handler = ScimHandler(self.service, self.storage)
        self.tags: dict[str, tuple[str, str]] = {}

    def _served(self, path: str) -> list[dict[str, Any]]:
        resources: list[dict[str, Any]] = self.api.get(path).json["Resources"]
        return resources

    def clear(self) -> None:
        """Forget all resources."""
        for path in ("/Groups", "/Users", "/Roles", "/Entitlements"):
            for resource in self._served(path):
                assert self.api.ask("DELETE", f"{path}/{resource['id']}").status_code == 204
        self.storage.resources = []
        self.storage.allotted.clear()
        self.tags.clear()

    def ask(self, asked: Asked) -> tuple[Answer, Answer]:
        """Ask both; ours first, because it allots the ids."""
        holders = self._groups_of(asked)
        before = self._read_active(asked)
        ours = self._ours(asked)
        self._allot(asked, ours)
        theirs = self._theirs(asked, _filled(asked, before))
        if ours.good and theirs.good:
            self._let_go(asked, holders)
            self._note(asked, ours, theirs)
        return ours, theirs

    # Asking

    def _ours(self, asked: Asked) -> Answer:
        response = self.api.ask(
            asked.method,
            asked.path,
            asked.body,
            query_string=asked.query,
            headers=self._headers(asked, 0),
        )
        body = response.get_json(silent=True) if response.data else None
        return _answer(response.status_code, body, response.headers.get("ETag"))

    def _theirs(self, asked: Asked, body: Any) -> Answer:
        headers = {"Content-Type": "application/scim+json", **self._headers(asked, 1)}
        data = b"" if body is None else json.dumps(body).encode()
        request = ScimRequest(asked.method, HOST + BASE, asked.path, asked.query, headers, data)
        try:
            response = self.handler.handle(request)
        except SCIMException as error:
            response = self.service.error_response(error)
        shown = copy.deepcopy(response.body)
        return _answer(int(response.status), _jsonable(shown), response.headers.get("ETag"))

    def _headers(self, asked: Asked, whose: int) -> dict[str, str]:
        if asked.condition is None:
            return {}
        name, which = asked.condition
        now = self.tags.get(asked.path, ('W/"none"',) * 2)[whose]
        return {name: {"now": now, "old": 'W/"none"', "*": "*"}[which]}

    # Keeping the two alike

    def _read_active(self, asked: Asked) -> Any:
        if asked.method not in ("PUT", "PATCH") or asked.endpoint != "/Users":
            return None
        return (self.api.get(asked.path).json or {}).get("active")

    def _allot(self, asked: Asked, ours: Answer) -> None:
        if not ours.good or asked.method != "POST" or not isinstance(ours.body, dict):
            return
        for path, body, location in created(asked, ours):
            name = body[_name_key(path)]
            self.storage.allotted[path, name] = location.rpartition("/")[2]

    def _groups_of(self, asked: Asked) -> list[str]:
        if asked.method != "DELETE":
            return []
        id_ = asked.path.rpartition("/")[2]
        found = self.api.get("/Groups", query_string={"filter": f'members.value eq "{id_}"'})
        return [group["id"] for group in found.json["Resources"]]

    def _let_go(self, asked: Asked, holders: list[str]) -> None:
        """Remove a deleted member from their groups, as ours does by itself."""
        id_ = asked.path.rpartition("/")[2]
        remove = {"op": "remove", "path": f'members[value eq "{id_}"]'}
        for group in holders:
            path = f"/Groups/{group}"
            patched = Asked("PATCH", path, {"schemas": [PATCH_URN], "Operations": [remove]})
            assert self._theirs(patched, patched.body).good
            self.compare_now(path)

    def compare_now(self, path: str) -> tuple[Answer, Answer]:
        """Read a resource on both sides, and remember its versions."""
        asked = Asked("GET", path)
        both = self._ours(asked), self._theirs(asked, None)
        self.tags[path] = both[0].tag or "", both[1].tag or ""
        return both

    def _note(self, asked: Asked, ours: Answer, theirs: Answer) -> None:
        if asked.path == "/Bulk":
            for one in ours.body["Operations"]:
                if one["status"] != "failed" and one["method"] != "DELETE":
                    self.compare_now(one["location"].removeprefix(HOST + BASE))
        elif asked.method == "POST" and asked.path == asked.endpoint:
            path = f"{asked.endpoint}/{ours.body.get('id')}"
            self.tags[path] = ours.tag or "", theirs.tag or ""


def created(asked: Asked, ours: Answer) -> list[tuple[str, dict[str, Any], str]]:
    """Return the endpoint, body and location of each resource that a request created."""
    if asked.path == "/Bulk":
        operations = zip(asked.body["Operations"], ours.body["Operations"], strict=False)
        return [
            (said["path"], said["data"], done["location"])
            for said, done in operations
            if said["method"] == "POST" and done["status"] == "201"
        ]
    if asked.path == asked.endpoint and ours.status == 201:
        return [(asked.path, asked.body, ours.body["id"])]
    return []


def _filled(asked: Asked, active: Any) -> Any:
    """Return a body for theirs with our defaults filled in."""
    if asked.path == "/Bulk":
        return asked.body | {
            "Operations": [
                said | {"data": _DEFAULTS.get(said["path"], {}) | said["data"]}
                if said["method"] == "POST"
                else said
                for said in asked.body["Operations"]
            ]
        }
    if not isinstance(asked.body, dict) or asked.path.endswith("/.search"):
        return asked.body
    if asked.method == "PATCH" and active is not None:
        return asked.body | {"Operations": list(keeping_active(active, asked.body["Operations"]))}
    given = {name.lower() for name, value in asked.body.items() if value is not None}
    defaults = dict(_DEFAULTS.get(asked.endpoint, {})) if asked.method == "POST" else {}
    if asked.method == "PUT" and active is not None:
        defaults = {"active": active}
    missing = {name: value for name, value in defaults.items() if name not in given}
    return {k: v for k, v in asked.body.items() if k.lower() not in missing} | missing


def keeping_active(active: bool, operations: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Replace operations that unassign `active` by its current value."""
    for one in operations:
        named, value = one.get("path") == "active", one.get("value")
        empty = one["op"] == "remove" or (one["op"] == "replace" and value is None)
        yield {"op": "replace", "path": "active", "value": active} if named and empty else one
        given = value if named else value.get("active") if isinstance(value, dict) else None
        if isinstance(given, bool) and one.get("path", "active") == "active":
            active = given


def _jsonable(body: Any) -> Any:
    return None if body is None else json.loads(json.dumps(body, default=str))


def _answer(status: int, body: Any, tag: str | None) -> Answer:
    if status >= 400:
        return Answer(status, (body or {}).get("scimType"), None, None)
    return Answer(status, None, normal(body), tag)


def normal(body: Any) -> Any:
    """Remove values that always differ: times, versions, attributes that their storage lacks."""
    if isinstance(body, list):
        return [normal(item) for item in body]
    if not isinstance(body, dict):
        return body
    shown = {name: normal(value) for name, value in body.items() if name != "groups"}
    if isinstance(shown.get("meta"), dict):
        for name in ("created", "lastModified", "version"):
            shown["meta"].pop(name, None)
    if isinstance(shown.get("members"), list):
        values = [{"value": one["value"]} for one in shown["members"] if one.get("value")]
        shown["members"] = values
    if "Operations" in shown:
        shown["Operations"] = [_outcome(one) for one in shown["Operations"]]
    else:
        shown = {name: _unordered(value) for name, value in shown.items() if name != "Resources"}
        shown |= {"Resources": body_list} if (body_list := _resources(body)) is not None else {}
    return {name: value for name, value in shown.items() if value not in ([], {}, None)}


def _resources(body: dict[str, Any]) -> list[Any] | None:
    return None if "Resources" not in body else [normal(item) for item in body["Resources"]]


def _outcome(one: dict[str, Any]) -> dict[str, Any]:
    if int(one["status"]) >= 400:  # which-fault-first
        return {"method": one.get("method"), "bulkId": one.get("bulkId"), "status": "failed"}
    return {name: one.get(name) for name in ("method", "bulkId", "status", "location")}


def _unordered(value: Any) -> Any:
    return sorted(value, key=_text) if isinstance(value, list) else value


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
