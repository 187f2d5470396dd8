"""The body of /Bulk, read and checked (RFC 7644 §3.7)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from scim_api.protocol.body import names_message
from scim_api.protocol.bulk_references import MARK
from scim_api.protocol.errors import BodyTooLarge, InvalidSyntax, InvalidValue, NotFound
from scim_api.protocol.patch.operations import by_folded_name
from scim_api.protocol.policy import Tolerances
from scim_api.protocol.schema.attributes import ResourceType
from scim_api.protocol.text_scanner import shown

REQUEST_URN = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
MAX_OPERATIONS = 1000
MAX_PAYLOAD = 1_048_576  # bytes

METHODS = ("POST", "PUT", "PATCH", "DELETE")


def wrong(member: str, sentence: str) -> InvalidValue:
    """Return the error for a member of an operation (RFC 7644 §3.7)."""
    return InvalidValue(sentence, attributes=(member,))


@dataclass(frozen=True, slots=True)
class BulkOperation:
    """One operation as it was sent: what is wrong with it is found when it is its turn."""

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
            raise wrong("method", "method must be POST, PUT, PATCH or DELETE.")
        if self.method == "POST" and not self.creates:
            raise wrong("bulkId", "A POST needs a bulkId: a text that no other operation has.")
        if self.method != "DELETE" and self.data is None:
            raise wrong("data", f"A {self.method} needs data: what would be the body of its own.")
        if self.version is not None and not isinstance(self.version, str):
            raise wrong("version", 'version must be text: an ETag such as W/"3".')


@dataclass(frozen=True, slots=True)
class BulkRequest:
    """A request: its operations in order, and after how many errors to stop (None: never)."""

    operations: tuple[BulkOperation, ...]
    fail_on_errors: int | None = None


def bulk_request(body: Any, tolerances: Tolerances) -> BulkRequest:
    """Read a request; raises ScimError if nothing of it can be carried out."""
    if not isinstance(body, dict):
        raise InvalidSyntax("The body must be a JSON object: a BulkRequest.")
    given = by_folded_name(body)
    _check_schemas(given.get("schemas"), tolerances)
    items = given.get("operations")
    if not isinstance(items, list):
        raise InvalidSyntax("The request needs Operations: a list of objects.")
    if len(items) > MAX_OPERATIONS:
        raise BodyTooLarge(
            f"The request has {len(items)} operations. One request takes at most {MAX_OPERATIONS}"
            f" operations (maxOperations) and {MAX_PAYLOAD} bytes (maxPayloadSize): send several."
        )
    operations = tuple(_operation(number, item) for number, item in enumerate(items, 1))
    _check_distinct(operations)
    return BulkRequest(operations, _fail_on_errors(given.get("failonerrors")))


def _check_schemas(urns: Any, tolerances: Tolerances) -> None:
    if names_message(urns, REQUEST_URN, tolerances):
        return
    if not isinstance(urns, list) or not all(isinstance(urn, str) for urn in urns):
        raise InvalidSyntax(f'The request needs "schemas": ["{REQUEST_URN}"].')
    raise InvalidValue(f"schemas must hold {REQUEST_URN}.")


def _operation(number: int, item: Any) -> BulkOperation:
    if not isinstance(item, dict):
        raise InvalidSyntax(f"Number {number} of Operations is not an object.")
    given: Mapping[str, Any] = by_folded_name(item)
    method = given.get("method")
    return BulkOperation(
        method=method.upper() if isinstance(method, str) else method,
        path=given.get("path"),
        bulk_id=given.get("bulkid"),
        version=given.get("version"),
        data=given.get("data"),
    )


def _check_distinct(operations: tuple[BulkOperation, ...]) -> None:
    seen = set()
    for operation in operations:
        bulk_id = operation.bulk_id
        if isinstance(bulk_id, str) and bulk_id in seen:
            raise InvalidValue(
                f"Two operations have the bulkId {shown(bulk_id)}. Each needs one of its own;"
                " nothing was carried out."
            )
        seen.add(bulk_id if isinstance(bulk_id, str) else None)


def _fail_on_errors(value: Any) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InvalidValue("failOnErrors must be a whole number from 1 on, or be left out.")
    return value


def target_of(
    path: Any, types: Mapping[str, ResourceType], *, base_url: str
) -> tuple[ResourceType, str]:
    """Return what a path names: a resource type by its endpoint, and an id ("" if none).

    Raises NotFound, as a request of its own to that path would be answered, or InvalidValue.
    """
    if not isinstance(path, str) or not path:
        raise wrong("path", "The operation needs a path, such as /Users.")
    parts = unquote(path.removeprefix(base_url)).strip("/").partition("/")
    found = types.get(f"/{parts[0]}")
    if found is None:
        raise NotFound(f"path must begin with one of {', '.join(types)}.")
    if "/" in parts[2] and not parts[2].startswith(MARK):
        raise wrong("path", "path must end with the id of a resource, such as /Users/123.")
    return found, parts[2]


def check_id(method: str, id_: str, endpoint: str) -> None:
    """Raise InvalidValue unless a path has an id exactly if its method needs one."""
    if method == "POST" and id_:
        raise wrong("path", f"The path of a POST is {endpoint}, without an id.")
    if method != "POST" and not id_:
        raise wrong("path", f"The path of a {method} is {endpoint}/ and the id of a resource.")
