"""Stored documents -> answers: attributes and excludedAttributes, lists (RFC 7644 §3.9, §3.4.2)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from projections.query import Page
from projections.state import located
from scim_api.attributes import Attribute, Declared, ResourceType, Returned

LIST_URN = "urn:ietf:params:scim:api:messages:2.0:ListResponse"


@dataclass(frozen=True)
class Selection:
    """Which attributes an answer shows: payload key -> sub-attributes, None for all of them."""

    only: Mapping[str, set[str] | None] | None
    without: Mapping[str, set[str] | None]

    def apply(self, document: bytes, resource_type: ResourceType) -> bytes:
        """Return a document that shows what was asked for."""
        body = orjson.loads(document)
        answer: dict[str, Any] = {}
        for declared in resource_type.declared.values():
            value = _at(body, declared.steps)
            shown = None if value is None else self._shown(declared, value)
            if shown is not None and shown != {}:
                _put(answer, declared.steps, shown)
        return orjson.dumps(answer)

    def _shown(self, declared: Declared, value: Any) -> Any:
        attribute = declared.attribute
        if attribute.returned is Returned.ALWAYS:
            return value
        if attribute.returned is Returned.NEVER:
            return None
        if self.only is not None:
            if declared.key not in self.only:
                return None
            value = _keep(value, self.only[declared.key])
        if declared.key in self.without:
            value = _drop(value, self.without[declared.key])
        return value


def selection(
    attributes: str | Iterable[str] | None,
    excluded: str | Iterable[str] | None,
    resource_type: ResourceType,
) -> Selection | None:
    """Read the two parameters; None when the default set is asked for. Unknown names do nothing."""
    only = _named(attributes, resource_type) if attributes else None
    without = _named(excluded, resource_type) if excluded else {}
    return Selection(only, without) if only is not None or without else None


def _named(names: str | Iterable[str], resource_type: ResourceType) -> dict[str, set[str] | None]:
    named: dict[str, set[str] | None] = {}
    for name in names.split(",") if isinstance(names, str) else names:
        for declared, sub in _found(name.strip().partition("[")[0], resource_type):
            if sub is None:
                named[declared.key] = None
            elif named.setdefault(declared.key, set()) is not None:
                named[declared.key] = (named[declared.key] or set()) | {sub.name}
    return named


def _found(name: str, resource_type: ResourceType) -> list[tuple[Declared, Attribute | None]]:
    """Find what a name stands for; a schema's URN stands for all of its attributes."""
    schema = resource_type.find_schema(name)
    if schema:
        keys = [f"{schema.id}:{attribute.name}" for attribute in schema.attributes]
        return [(known, None) for key in keys if (known := resource_type.find(key))]
    found = resource_type.find_path(name)
    return [found] if found else []


def _at(body: Mapping[str, Any], steps: tuple[str, ...]) -> Any:
    value: Any = body
    for step in steps:
        value = value.get(step) if isinstance(value, Mapping) else None
    return value


def _put(answer: dict[str, Any], steps: tuple[str, ...], value: Any) -> None:
    for step in steps[:-1]:
        answer = answer.setdefault(step, {})
    answer[steps[-1]] = value


def _keep(value: Any, subs: set[str] | None) -> Any:
    if subs is None:
        return value
    if isinstance(value, list):
        return [kept for item in value if (kept := _keep(item, subs))] or None
    return {name: item for name, item in value.items() if name in subs}


def _drop(value: Any, subs: set[str] | None) -> Any:
    if subs is None:
        return None
    if isinstance(value, list):
        return [kept for item in value if (kept := _drop(item, subs))] or None
    return {name: item for name, item in value.items() if name not in subs}


def answer(
    document: bytes, base_url: bytes, resource_type: ResourceType, chosen: Selection | None
) -> bytes:
    """Return the answer's bytes for one resource."""
    document = located(document, base_url)
    return document if chosen is None else chosen.apply(document, resource_type)


def list_response(total: int, start_index: int, resources: Iterable[bytes]) -> bytes:
    """Return a ListResponse; itemsPerPage is the number of resources returned (RFC 7644 §3.4.2)."""
    items = list(resources)
    head = (
        f'{{"schemas":["{LIST_URN}"],"totalResults":{total},"startIndex":{start_index},'
        f'"itemsPerPage":{len(items)},"Resources":['
    )
    return head.encode() + b",".join(items) + b"]}"


def page_response(
    page: Page, base_url: bytes, resource_type: ResourceType, chosen: Selection | None
) -> bytes:
    """Return the answer's bytes for a page."""
    resources = (answer(item, base_url, resource_type, chosen) for item in page.documents)
    return list_response(page.total, page.start_index, resources)
