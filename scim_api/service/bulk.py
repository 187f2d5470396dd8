"""/Bulk: many operations in one request, a transaction and an answer for each (RFC 7644 §3.7)."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ledger import clock
from ledger.contract import LedgerBusy, LedgerUnavailable
from ledger.events import Metadata
from scim_api.protocol.bulk import BulkOperation, BulkRequest, check_id, target_of, wrong
from scim_api.protocol.bulk_order import in_order
from scim_api.protocol.bulk_references import MARK, Swap, reference_names, resolved, resolved_patch
from scim_api.protocol.conditions import conditions
from scim_api.protocol.errors import Conflict, Refusal, ScimError, TooManyRequests
from scim_api.protocol.schema.attributes import ResourceType
from scim_api.protocol.text_scanner import readable, shown
from scim_api.request_log.outcomes import Repetition, repetition
from scim_api.service.reader import Answer
from scim_api.service.service import Service
from scim_api.service.together import Creation, Together, create_together

MAX_SECONDS = 15.0  # of processor time, after which no further operation is begun

RESPONSE_URN = "urn:ietf:params:scim:api:messages:2.0:BulkResponse"

Result = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What bulk operations are carried out with.

    `metadata` makes that of one operation from its method and path; `refusal` says what any error
    is answered with; `note` is told of each operation that was refused or changed nothing.
    """

    resource_types: Iterable[ResourceType]
    service_of: Callable[[ResourceType], Service]
    metadata: Callable[[str, str], Metadata]
    refusal: Callable[[Exception], Refusal]
    note: Callable[[BulkOperation, Refusal | Repetition], None]
    base_url: str


@dataclass(frozen=True, slots=True)
class _Ready:
    """An operation that was found in order, every reference in it swapped for an id."""

    operation: BulkOperation
    resource_type: ResourceType
    id: str
    data: Any

    @property
    def path(self) -> str:
        """The path of the resource."""
        return f"{self.resource_type.endpoint}/{self.id}"

    @property
    def address(self) -> str:
        """The path of a request of its own that would do the same."""
        return self.resource_type.endpoint if self.operation.creates else self.path


def carry_out(request: BulkRequest, surroundings: Surroundings) -> dict[str, Any]:
    """Carry out a request and return the BulkResponse, its results in the request's order."""
    results = _Bulk(request.operations, surroundings).run(request.fail_on_errors)
    return {"schemas": [RESPONSE_URN], "Operations": results}


class _Bulk:
    """The state of one request: the ids of what it creates, and what has become of them."""

    def __init__(self, operations: Sequence[BulkOperation], surroundings: Surroundings) -> None:
        self._operations = operations
        self._with = surroundings
        self._types = {t.endpoint: t for t in surroundings.resource_types}
        self._names: dict[str, frozenset[str]] = {}
        self._makers = {o.bulk_id: i for i, o in enumerate(operations) if o.creates}
        self._ids = {bulk_id: clock.uuid7() for bulk_id in self._makers}
        self._lost: dict[str, str] = {}  # bulkId -> why it names nothing
        self._halted: Exception | None = None
        self._results: dict[int, Result] = {}
        self._errors = 0
        self._started = time.thread_time()

    def run(self, fail_on_errors: int | None) -> list[Result]:
        for group in in_order([self._needs(operation) for operation in self._operations]):
            if fail_on_errors is not None and self._errors >= fail_on_errors:
                break
            if self._halted is None and time.thread_time() - self._started > MAX_SECONDS:
                self._halted = _too_long()
            if self._halted:
                self._refuse_all(group, self._halted)
            elif len(group) == 1:
                self._one(group[0])
            else:
                self._circle(group)
        return [self._results[index] for index in sorted(self._results)]

    def _needs(self, operation: BulkOperation) -> set[int]:
        """Return the operations whose resources this one refers to, but not itself."""
        found: set[str] = set()

        def note(bulk_id: str, _: bool) -> None:
            found.add(bulk_id)

        try:
            self._read(operation, note)
        except ScimError:
            return set()  # it is refused at its turn
        own = operation.bulk_id if operation.creates else None
        return {self._makers[bulk_id] for bulk_id in found if bulk_id in self._makers} - (
            {self._makers[own]} if own is not None else set()
        )

    def _read(self, operation: BulkOperation, swap: Swap) -> tuple[ResourceType, str, Any]:
        """Return what an operation is about, its id and its data; raises ScimError."""
        operation.check()
        resource_type, id_ = target_of(operation.path, self._types, base_url=self._with.base_url)
        check_id(operation.method, id_, resource_type.endpoint)
        if id_.startswith(MARK):
            id_ = swap(id_.removeprefix(MARK), True) or id_
        names = self._reference_names(resource_type)
        rewrite = resolved_patch if operation.method == "PATCH" else resolved
        return resource_type, id_, rewrite(operation.data, names, swap)

    def _reference_names(self, resource_type: ResourceType) -> frozenset[str]:
        if resource_type.name not in self._names:
            self._names[resource_type.name] = reference_names(resource_type)
        return self._names[resource_type.name]

    def _swap(self, bulk_id: str, strict: bool) -> str | None:
        if bulk_id in self._lost:
            raise Conflict(
                f"This operation refers to the bulkId {shown(bulk_id)}, {self._lost[bulk_id]}."
                " Nothing of it was carried out."
            )
        if strict and bulk_id not in self._ids:
            raise wrong(
                "bulkId",
                f"This operation refers to the bulkId {shown(bulk_id)}, which no POST of this"
                " request has.",
            )
        return self._ids.get(bulk_id)

    def _ready(self, index: int) -> _Ready:
        """Check an operation and swap its references; raises ScimError."""
        operation = self._operations[index]
        resource_type, id_, data = self._read(operation, self._swap)
        own = self._ids[operation.bulk_id] if operation.creates else id_
        return _Ready(operation, resource_type, own, data)

    def _one(self, index: int) -> None:
        try:
            ready = self._ready(index)
            answer = self._do(ready)
        except Exception as error:  # what others did stays done, and has to be told
            self._refuse(index, error)
            return
        self._succeed(index, ready, answer)

    def _do(self, ready: _Ready) -> Answer | None:
        """Carry out one operation and return the resource, unless it is gone."""
        operation = ready.operation
        metadata = self._with.metadata(operation.method, ready.address)
        target = self._with.service_of(ready.resource_type)
        checks = conditions(operation.version, None)
        match operation.method:
            case "POST":
                own = {ready.id: ready.resource_type.name}  # it may refer to itself
                return target.create(ready.data, metadata, ready.id, expected=own)
            case "PUT":
                return target.replace(ready.id, ready.data, checks, metadata)
            case "PATCH":
                return target.patch(ready.id, ready.data, checks, metadata)
        target.delete(ready.id, checks, metadata)
        return None

    def _circle(self, group: Sequence[int]) -> None:
        """Create what refers to each other in one transaction, all or none."""
        faults: dict[int, Exception] = {}
        ready: dict[int, _Ready] = {}
        for index in group:
            try:
                ready[index] = self._ready(index)
            except Exception as error:
                faults[index] = error
        answers = {} if faults else self._together(ready, faults)
        for index in group:
            if index in answers:
                self._succeed(index, ready[index], answers[index])
            else:
                self._refuse(index, faults.get(index) or self._for_others(faults))

    def _together(
        self, ready: Mapping[int, _Ready], faults: dict[int, Exception]
    ) -> dict[int, Answer]:
        """Return what was created; else say in `faults` what is at fault."""
        indexes, made = list(ready), ready.values()
        addresses = {item.address for item in made}
        metadata = self._with.metadata("POST", addresses.pop() if len(addresses) == 1 else "/Bulk")
        service_of = self._with.service_of
        creations = [Creation(service_of(r.resource_type), r.id, r.data) for r in made]
        expected = {item.id: item.resource_type.name for item in made}
        try:
            answers = create_together(creations, metadata, expected)
        except Together as failure:
            faults[indexes[failure.index]] = failure.error
            return {}
        except Exception as error:  # nobody's fault in particular: all get the same answer
            faults.update(dict.fromkeys(indexes, error))
            return {}
        return dict(zip(indexes, answers, strict=True))

    def _for_others(self, faults: Iterable[int]) -> Conflict:
        named = ", ".join(shown(self._operations[index].bulk_id) for index in faults)
        return Conflict(
            "This operation is one of a circle of references, which is created whole or not at"
            f" all; it was refused because of the bulkId {named}. Mend that one and send all again."
        )

    def _succeed(self, index: int, ready: _Ready, answer: Answer | None) -> None:
        operation, base = ready.operation, self._with.base_url
        result = self._begin(operation)
        if answer is None:
            gone = (bulk_id for bulk_id, id_ in self._ids.items() if id_ == ready.id)
            self._lost |= dict.fromkeys(gone, "whose resource this request has deleted")
            result |= {"location": base + ready.path, "status": "204"}
        else:
            location = f"{base}{ready.resource_type.endpoint}/{answer.id}"
            status = "201" if operation.creates else "200"
            result |= {"location": location, "version": answer.etag, "status": status}
        if answer and answer.repeated:
            self._with.note(operation, repetition(answer.row))
        if answer and operation.creates:
            self._ids[operation.bulk_id] = answer.id  # another, where an inactive user was adopted
        self._results[index] = result

    def _refuse_all(self, group: Iterable[int], error: Exception) -> None:
        for index in group:
            self._refuse(index, error)

    def _refuse(self, index: int, error: Exception) -> None:
        if isinstance(error, LedgerBusy | LedgerUnavailable):
            self._halted = error  # or each operation to come would wait as long
        operation = self._operations[index]
        refusal = self._with.refusal(error)
        document = refusal.document()
        self._with.note(operation, refusal)
        result = self._begin(operation)
        location = self._location(operation)
        if location:
            result["location"] = location
        self._results[index] = result | {"status": document["status"], "response": document}
        self._errors += 1
        if operation.creates:
            self._lost[operation.bulk_id] = "which was not created"

    def _begin(self, operation: BulkOperation) -> Result:
        result: Result = {}
        if isinstance(operation.method, str):
            result["method"] = readable(operation.method)
        if isinstance(operation.bulk_id, str):
            result["bulkId"] = operation.bulk_id
        return result

    def _location(self, operation: BulkOperation) -> str | None:
        """Return where a refused operation's resource is, unless there is none."""
        if operation.method == "POST":
            return None
        try:
            resource_type, id_ = target_of(
                operation.path, self._types, base_url=self._with.base_url
            )
        except ScimError:
            return None
        if id_.startswith(MARK):
            bulk_id = id_.removeprefix(MARK)
            id_ = "" if bulk_id in self._lost else self._ids.get(bulk_id, "")
        return f"{self._with.base_url}{resource_type.endpoint}/{id_}" if id_ else None


def _too_long() -> TooManyRequests:
    return TooManyRequests(
        "This request took too long already, and nothing was done about this operation: send those"
        " that are left in a request of their own.",
        headers={"Retry-After": "2"},
    )
