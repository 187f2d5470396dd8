"""/Bulk: many operations in one request, a transaction and an answer for each (RFC 7644 §3.7)."""

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from ledger import clock
from ledger.contract import LedgerBusy, LedgerUnavailable
from ledger.events import Metadata
from scim_api.protocol.bulk import MARK, BulkOperation, References, Resolve, reference_names
from scim_api.protocol.conditions import conditions
from scim_api.protocol.errors import (
    Conflict,
    InvalidValue,
    Quoted,
    Refusal,
    ScimError,
    TooManyRequests,
)
from scim_api.protocol.schema.attributes import ResourceType
from scim_api.request_log.records import NoChange
from scim_api.service.reader import Answer
from scim_api.service.service import Service

MAX_SECONDS = 15.0  # of processor time, after which no further operation is begun

RESPONSE_URN = "urn:ietf:params:scim:api:messages:2.0:BulkResponse"

Result = dict[str, Any]
Parsed = tuple[ResourceType, str, Any]  # what an operation is about, its id and its data


@dataclass(frozen=True, slots=True)
class BulkContext:
    """What bulk operations need of the request that they came in.

    `metadata` makes that of one operation from its method and path, `refusal` the answer to any
    error; `note` gets each operation that was refused or changed nothing.
    """

    resource_types: Sequence[ResourceType]
    service_of: Callable[[ResourceType], Service]
    metadata: Callable[[str, str], Metadata]
    refusal: Callable[[Exception], Refusal]
    note: Callable[[BulkOperation, Refusal | NoChange], None]
    base_url: str


class Circle(Conflict):
    """An operation refers back to itself through others, or to one that does."""


def carry_out(
    operations: Sequence[BulkOperation], fail_on_errors: int | None, context: BulkContext
) -> dict[str, Any]:
    """Carry out a request and return the BulkResponse, its results in the request's order."""
    results = _Bulk(operations, context).run(fail_on_errors)
    return {"schemas": [RESPONSE_URN], "Operations": results}


def in_order(needs: Sequence[Collection[int]]) -> list[int]:
    """Return the order in which to carry out operations; `needs[i]` are those that i refers to.

    They go before i; otherwise the order of the request is kept. In a circle one goes too early.
    """
    order: dict[int, None] = {}
    for start in range(len(needs)):
        path = {} if start in order else {start: iter(sorted(needs[start]))}
        while path:
            index, rest = next(reversed(path.items()))
            need = next((each for each in rest if each not in order and each not in path), None)
            if need is None:
                del path[index]
                order[index] = None
            else:
                path[need] = iter(sorted(needs[need]))
    return list(order)


class _Bulk:
    """The state of one request: the ids of what it creates, and what has become of them."""

    def __init__(self, operations: Sequence[BulkOperation], context: BulkContext) -> None:
        self._operations = operations
        self._context = context
        self._types = {t.endpoint: t for t in context.resource_types}
        self._names = {t.name: reference_names(t) for t in context.resource_types}
        self._makers = {o.bulk_id: i for i, o in enumerate(operations) if o.creates}
        self._ids = {bulk_id: clock.uuid7() for bulk_id in self._makers}
        self._lost: dict[str, str] = {}  # bulkId -> why it names nothing
        self._circular: set[str] = set()
        self._parsed: dict[int, Parsed] = {}  # operations without references
        self._halted: Exception | None = None
        self._results: dict[int, Result] = {}
        self._errors = 0
        self._started = time.thread_time()

    def run(self, fail_on_errors: int | None) -> list[Result]:
        for index in in_order([self._needs(index) for index in range(len(self._operations))]):
            if fail_on_errors is not None and self._errors >= fail_on_errors:
                break
            if self._halted is None and time.thread_time() - self._started > MAX_SECONDS:
                self._halted = TooManyRequests(
                    "busy.bulk",
                    "This request took too long, and this operation was not carried out. Send the"
                    " operations that are left in another request.",
                    headers={"Retry-After": "2"},
                )
            try:
                if self._halted:
                    raise self._halted
                resource_type, id_, data = self._ready(index)
                answer = self._do(self._operations[index], resource_type, id_, data)
            except Exception as error:  # what others did stays done, and has to be answered
                self._refuse(index, error)
            else:
                self._succeed(index, resource_type, id_, answer)
        return [self._results[index] for index in sorted(self._results)]

    def _needs(self, index: int) -> set[int]:
        """Return the operations whose resources this one refers to, but not itself."""
        found: set[str] = set()
        try:
            parsed = self._read(self._operations[index], lambda bulk_id, _: found.add(bulk_id))
        except ScimError:
            return set()  # it is refused when its turn comes
        if not found:
            self._parsed[index] = parsed
        return {self._makers[bulk_id] for bulk_id in found & self._makers.keys()} - {index}

    def _read(self, operation: BulkOperation, resolve: Resolve) -> Parsed:
        """Check an operation and resolve its references; raises ScimError."""
        operation.check()
        resource_type, id_ = operation.target(self._types, base_url=self._context.base_url)
        if id_.startswith(MARK):
            id_ = resolve(id_.removeprefix(MARK), True) or id_
        references = References(self._names[resource_type.name], resolve)
        return resource_type, id_, references.in_data(operation.method, operation.data)

    def _ready(self, index: int) -> Parsed:
        """Return an operation with an id for each reference; raises ScimError."""
        operation = self._operations[index]
        parsed = self._parsed.get(index) or self._read(operation, partial(self._resolve, index))
        resource_type, id_, data = parsed
        return resource_type, self._ids[operation.bulk_id] if operation.creates else id_, data

    def _resolve(self, index: int, bulk_id: str, strict: bool) -> str | None:
        maker = self._makers.get(bulk_id)
        if bulk_id in self._lost:
            raise Conflict(
                "bulk_reference.lost",
                "This operation refers to the bulkId {bulk_id}, {reason}. Nothing of it was carried"
                " out.",
                bulk_id=Quoted(bulk_id),
                reason=self._lost[bulk_id],
            )
        is_early = maker is not None and maker != index and maker not in self._results
        if bulk_id in self._circular or is_early:
            raise Circle(
                "bulk_reference.circle",
                "The references of this operation lead into a circle at the bulkId {bulk_id}, and"
                " none of a circle is created. Leave one of its references out, and add that with a"
                " PATCH afterwards.",
                bulk_id=Quoted(bulk_id),
            )
        if strict and maker is None:
            raise InvalidValue(
                "bulk_operation.bulk_id",
                "This operation refers to the bulkId {bulk_id}, which no POST of this request has.",
                bulk_id=Quoted(bulk_id),
                attributes=("bulkId",),
            )
        return self._ids.get(bulk_id)

    def _do(
        self, operation: BulkOperation, resource_type: ResourceType, id_: str, data: Any
    ) -> Answer | None:
        """Carry out one operation and return the resource, unless it is gone."""
        endpoint = resource_type.endpoint
        address = endpoint if operation.creates else f"{endpoint}/{id_}"
        metadata = self._context.metadata(operation.method, address)
        service = self._context.service_of(resource_type)
        checks = conditions(operation.version, None)
        match operation.method:
            case "POST":
                return service.create(data, metadata, id_)
            case "PUT":
                return service.replace(id_, data, checks, metadata)
            case "PATCH":
                return service.patch(id_, data, checks, metadata)
        service.delete(id_, checks, metadata)
        return None

    def _succeed(
        self, index: int, resource_type: ResourceType, id_: str, answer: Answer | None
    ) -> None:
        operation = self._operations[index]
        result = _begin(operation)
        resources = f"{self._context.base_url}{resource_type.endpoint}/"
        if answer is None:
            gone = (bulk_id for bulk_id, made in self._ids.items() if made == id_)
            self._lost |= dict.fromkeys(gone, "whose resource this request has deleted")
            result |= {"location": resources + id_, "status": "204"}
        else:
            status = "201" if operation.creates else "200"
            result |= {"location": resources + answer.id, "version": answer.etag, "status": status}
            if operation.creates:
                self._ids[operation.bulk_id] = answer.id  # another, where a user was adopted
            if answer.repeated:
                self._context.note(operation, NoChange.of(answer.row))
        self._results[index] = result

    def _refuse(self, index: int, error: Exception) -> None:
        if isinstance(error, LedgerBusy | LedgerUnavailable):
            self._halted = error  # or each operation to come would wait as long
        operation = self._operations[index]
        if operation.creates and isinstance(error, Circle):
            self._circular.add(operation.bulk_id)
        elif operation.creates:
            self._lost[operation.bulk_id] = "which was not created"
        refusal = self._context.refusal(error)
        self._context.note(operation, refusal)
        document = refusal.document()
        location = self._location(operation)
        result = _begin(operation) | ({"location": location} if location else {})
        self._results[index] = result | {"status": document["status"], "response": document}
        self._errors += 1

    def _location(self, operation: BulkOperation) -> str | None:
        """Return where a refused operation's resource is, unless there is none."""
        if operation.method == "POST":
            return None
        try:
            resource_type, id_ = operation.target(self._types, base_url=self._context.base_url)
        except ScimError:
            return None
        if id_.startswith(MARK):
            bulk_id = id_.removeprefix(MARK)
            if bulk_id not in self._ids or bulk_id in self._lost or bulk_id in self._circular:
                return None
            id_ = self._ids[bulk_id]
        return f"{self._context.base_url}{resource_type.endpoint}/{id_}"


def _begin(operation: BulkOperation) -> Result:
    result: Result = {}
    if isinstance(operation.method, str):
        result["method"] = str(Quoted(operation.method))
    if isinstance(operation.bulk_id, str):
        result["bulkId"] = operation.bulk_id
    return result
