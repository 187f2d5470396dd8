"""The body of /Bulk and the references between its operations (RFC 7644 §3.7)."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import orjson

from scim_api.protocol.body import names_message
from scim_api.protocol.errors import BodyTooLarge, InvalidSyntax, InvalidValue, NotFound, Quoted
from scim_api.protocol.policy import Tolerances
from scim_api.protocol.schema.attributes import ResourceType
from scim_api.protocol.values import MAX_DEPTH, by_folded_name, deeper_than, dumped, said_by

REQUEST_URN = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
MAX_OPERATIONS = 1000
MAX_PAYLOAD = 1_048_576  # bytes

METHODS = ("POST", "PUT", "PATCH", "DELETE")


@dataclass(frozen=True, slots=True)
class BulkOperation:
    """One operation as it was sent; it is checked when its turn comes."""

    method: Any
    path: Any
    bulk_id: Any
    version: Any
    data: Any

    @property
    def creates(self) -> bool:
        """Whether it is a POST that others can refer to."""
        return self.method == "POST" and isinstance(self.bulk_id, str) and self.bulk_id != ""

    def check(self) -> None:
        """Raise InvalidValue if it lacks what its method needs."""
        if self.method not in METHODS:
            raise _wrong("method", "method", "The method must be POST, PUT, PATCH or DELETE.")
        if self.method == "POST" and not self.creates:
            template = "A POST needs a bulkId: text that no other operation has."
            raise _wrong("bulkId", "no_bulk_id", template)
        if self.method != "DELETE" and self.data is None:
            template = "A {method} needs data: the body of the same request alone."
            raise _wrong("data", "no_data", template, method=self.method)
        if self.version is not None and not isinstance(self.version, str):
            raise _wrong("version", "version", 'The version must be text: an ETag such as W/"3".')

    def target(
        self, types: Mapping[str, ResourceType], *, base_url: str
    ) -> tuple[ResourceType, str]:
        """Return what the path names: a resource type by its endpoint, and an id ("" if none).

        Raises NotFound, as a request of its own to that path would be answered, or InvalidValue.
        """
        if not isinstance(self.path, str) or not self.path:
            raise _wrong("path", "no_path", "The operation needs a path, such as /Users.")
        endpoint, _, id_ = unquote(self.path.removeprefix(base_url)).strip("/").partition("/")
        found = types.get(f"/{endpoint}")
        if found is None:
            raise NotFound(
                "bulk_path.endpoint",
                "The path must begin with one of {endpoints}.",
                endpoints=", ".join(types),
            )
        if "/" in id_ and not id_.startswith(MARK):
            template = "The path must end with the id of a resource, such as /Users/123."
            raise _wrong("path", "path_end", template)
        if self.method == "POST" and id_:
            template = "The path of a POST is {endpoint}, without an id."
            raise _wrong("path", "path_with_id", template, endpoint=found.endpoint)
        if self.method != "POST" and not id_:
            template = "The path of a {method} is {endpoint}/ and a resource's id."
            names = {"method": self.method, "endpoint": found.endpoint}
            raise _wrong("path", "path_without_id", template, **names)
        return found, id_


def _wrong(member: str, rule: str, template: str, /, **arguments: Any) -> InvalidValue:
    return InvalidValue(f"bulk_operation.{rule}", template, attributes=(member,), **arguments)


def bulk_request(body: Any, tolerances: Tolerances) -> tuple[list[BulkOperation], int | None]:
    """Return a request's operations in order, and after how many errors to stop (None: never).

    Raises ScimError if no operation of it can be carried out.
    """
    if not isinstance(body, dict):
        raise InvalidSyntax("body.bulk_object", "The body must be a JSON object: a BulkRequest.")
    given = by_folded_name(body)
    _check_schemas(given.get("schemas"), tolerances)
    items = given.get("operations")
    if not isinstance(items, list):
        raise InvalidSyntax(
            "body.bulk_operations", "The request needs Operations: a list of objects."
        )
    if len(items) > MAX_OPERATIONS:
        raise BodyTooLarge(
            "body.bulk_size",
            "The request has {count} operations. One request takes at most {most_operations}"
            " operations (maxOperations) and {most_bytes} bytes (maxPayloadSize): send several.",
            count=len(items),
            most_operations=MAX_OPERATIONS,
            most_bytes=MAX_PAYLOAD,
        )
    operations = [_operation(number, item) for number, item in enumerate(items, 1)]
    _check_distinct(operations)
    most = given.get("failonerrors")
    if most is not None and (not isinstance(most, int) or isinstance(most, bool) or most < 1):
        raise InvalidValue(
            "bulk_request.fail_on_errors",
            "failOnErrors must be a whole number, 1 or more, or be left out.",
        )
    return operations, most


def _check_schemas(urns: Any, tolerances: Tolerances) -> None:
    if names_message(urns, REQUEST_URN, tolerances):
        return
    if not isinstance(urns, list) or not all(isinstance(urn, str) for urn in urns):
        raise InvalidSyntax(
            "body.bulk_schemas", 'The request needs "schemas": ["{urn}"].', urn=REQUEST_URN
        )
    raise InvalidValue("bulk_request.schemas", "schemas must hold {urn}.", urn=REQUEST_URN)


def _operation(number: int, item: Any) -> BulkOperation:
    if not isinstance(item, dict):
        template = "Operation {number} is not an object."
        raise InvalidSyntax("body.bulk_operation", template, number=number)
    given = by_folded_name(item)
    method, *others = map(given.get, ("method", "path", "bulkid", "version", "data"))
    return BulkOperation(method.upper() if isinstance(method, str) else method, *others)


def _check_distinct(operations: Sequence[BulkOperation]) -> None:
    seen: set[str] = set()
    for bulk_id in (each.bulk_id for each in operations if isinstance(each.bulk_id, str)):
        if bulk_id in seen:
            raise InvalidValue(
                "bulk_request.bulk_id",
                "Two operations have the bulkId {bulk_id}. Each needs one of its own;"
                " nothing was carried out.",
                bulk_id=Quoted(bulk_id),
            )
        seen.add(bulk_id)


# References: `bulkId:x` in paths, values and filters (RFC 7644 §3.7.2)

Resolve = Callable[[str, bool], str | None]
"""Given a bulkId, and whether only a reference can stand there, return the id that it stands for.

None leaves the text as it is.
"""

MARK = "bulkId:"
MAX_TEXTS = 4  # JSON texts within each other: a body, an extension, an attribute, one value
_REFERENCE = re.compile(r"(.*/)?bulkId:(.+)", re.DOTALL)
# A quote that is never closed goes to the end, so that both read a text in one go: no path is slow.
_LITERAL = re.compile(r'"(?:[^"\\]|\\.)*+"?|bulkId:[^\s\])("]+', re.DOTALL)  # quoted, or bare
_FILTER = re.compile(r'\[(?:[^"\]]|"(?:[^"\\]|\\.)*+"?)*+\]?', re.DOTALL)


@dataclass(frozen=True, slots=True)
class References:
    """Copies the data of an operation with its references resolved; `resolve` may raise."""

    names: frozenset[str]  # folded, under which text is a reference if it looks like one
    resolve: Resolve
    texts: int = MAX_TEXTS  # that may still stand within each other

    def in_data(self, method: str, data: Any) -> Any:
        """Copy the data of an operation; a PATCH may have references in filters, too."""
        if method != "PATCH":
            return self._value(data, "")
        if not isinstance(data, dict):
            return data  # to be refused
        return {
            name: [self._patch_operation(item) for item in value]
            if name.lower() == "operations" and isinstance(value, list)
            else value
            for name, value in data.items()
        }

    def _patch_operation(self, item: Any) -> Any:
        """Copy one operation of a PATCH: its value belongs to the attribute that its path names."""
        if not isinstance(item, dict):
            return item
        path = next((text for name, text in item.items() if name.lower() == "path"), None)
        name = _last(path) if isinstance(path, str) else ""
        copy = dict(item)
        for key, part in item.items():
            if key.lower() == "value":
                copy[key] = self._value(part, name)
            elif key.lower() == "path" and isinstance(part, str):
                copy[key] = _LITERAL.sub(lambda literal: self._literal(literal[0]), part)
        return copy

    def _value(self, value: Any, name: str) -> Any:
        if isinstance(value, dict):
            return {key: self._value(item, _last(key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self._value(item, name) for item in value]
        return self._text(value, name) if isinstance(value, str) and MARK in value else value

    def _text(self, text: str, name: str) -> str:
        meant = said_by(text) if self.texts else None
        if meant is not None:
            return self._json_text(text, meant, name)
        found = _REFERENCE.fullmatch(text)
        if not found:
            return text
        before, bulk_id = found[1] or "", found[2]
        id_ = self.resolve(bulk_id, name == "$ref" if before else name in self.names)
        return text if id_ is None else before + id_

    def _json_text(self, text: str, meant: Any, name: str) -> str:
        """Resolve in JSON text, which stays text: whether that is tolerated is decided later."""
        if deeper_than(meant, MAX_DEPTH):
            return text  # to be refused
        found = References(self.names, self.resolve, self.texts - 1)._value(meant, name)
        return text if found == meant else dumped(found)

    def _literal(self, literal: str) -> str:
        found = _REFERENCE.fullmatch(_unquoted(literal))
        if not found:
            return literal
        id_ = self.resolve(found[2], not found[1])
        return literal if id_ is None else orjson.dumps((found[1] or "") + id_).decode()


def reference_names(resource_type: ResourceType) -> frozenset[str]:
    """Return the folded names under which a text is a reference, if it looks like one."""
    holders = (
        declared.attribute.name.lower()
        for declared in resource_type.declared.values()
        if "value" in declared.attribute.subs  # may come as the plain value
    )
    return frozenset({"value", "$ref", *holders})


def _last(path: str) -> str:
    """Return the folded name that a path or a key ends in: `value` of `urn:x:manager.value`."""
    return re.split(r"[.:]", _FILTER.sub("", path))[-1].lower()


def _unquoted(literal: str) -> str:
    """Return what a literal says; one that cannot be read says nothing."""
    if not literal.startswith('"'):
        return literal
    try:
        return str(orjson.loads(literal))
    except orjson.JSONDecodeError:
        return ""
