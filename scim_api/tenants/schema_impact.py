"""What a change of schemas or of required attributes would do to what is recorded already."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ledger.contract import Connection, Ledger, Progress
from projections.current.resources import Resources
from projections.current.uniqueness import form_of, key_of
from projections.query.model import START, Mark, Query
from projections.state import Resource, resource_of
from scim_api.protocol.faults import is_given
from scim_api.protocol.schema.attributes import (
    ABSENT,
    Attribute,
    AttributeAt,
    Mutability,
    ResourceType,
    Schema,
)
from scim_api.protocol.schema.document import SchemaRefused
from scim_api.protocol.schema.resource_types import BUILT_IN_URNS
from scim_api.tenants.catalogue import Catalogue

PAGE = 500  # resources read at once
_SHOWN = 5  # sentences in one refusal
_RESERVED = ("urn:ietf:params:scim:api:", "urn:ietf:params:scim:schemas:core:")


def check_names(schema: Schema, catalogue: Catalogue) -> None:
    """Refuse a URN that is taken, or by which two things could be meant; raises SchemaRefused."""
    urn = schema.id.lower()
    if urn in map(str.lower, BUILT_IN_URNS) or urn.startswith(_RESERVED):
        raise SchemaRefused(f"{schema.id} is built in and cannot be declared again")
    known = [
        each
        for t in catalogue.resource_types
        for each in (t.schema, replace(t.schema, attributes=t.common), *t.extensions)
        if each.id != schema.id
    ]
    for other in known:
        if other.id.lower() == urn:
            raise SchemaRefused(f"{schema.id} differs from {other.id} in upper and lower case only")
    if urn in {name.lower() for other in known for name in _names(other)}:
        raise SchemaRefused(f"{schema.id} is also the full name of an attribute of another schema")
    urns = {other.id.lower() for other in known}
    for name in _names(schema):
        if name.lower() in urns:
            raise SchemaRefused(f"{name} would be the full name of an attribute and a schema's URN")


def _names(schema: Schema) -> Iterator[str]:
    """Yield every name that is written as the schema's URN, a colon, and more."""
    for attribute in schema.attributes:
        whole = f"{schema.id}:{attribute.name}"
        yield whole
        yield from (f"{whole}.{sub.name}" for sub in attribute.sub_attributes)


@dataclass(slots=True)
class Loss:
    """What could be recorded before a change and could not be reached after it."""

    key: str
    sub: str | None
    why: str
    events: int = 0
    first: int = 0  # the position of the first event

    def __str__(self) -> str:
        name = f"{self.key}.{self.sub}" if self.sub else self.key
        events = "1 event has" if self.events == 1 else f"{self.events} events have"
        return f"{name} {self.why}, but {events} recorded it, the first at position {self.first}"


def losses(before: Schema, after: Schema | None) -> list[Loss]:
    """Return what a schema could record and the one in its place, or none at all, could not."""
    found = []
    for old in before.attributes:
        key = f"{before.id}:{old.name}"
        new = after.by_name.get(old.name.lower()) if after else None
        if why := _lost(old, new):
            found.append(Loss(key, None, why))
        elif new:
            lost = ((sub, _lost(sub, new.subs.get(sub.name.lower()))) for sub in old.sub_attributes)
            found += [Loss(key, sub.name, why) for sub, why in lost if why]
    return found


def _lost(old: Attribute, new: Attribute | None) -> str | None:
    if new is None:
        return "would be gone"
    if new.name != old.name:
        return f"would be spelled {new.name}"
    if new.type is not old.type:
        return f"would change its type from {old.type} to {new.type}"
    if new.multi_valued != old.multi_valued:
        return f"would take {'several values' if new.multi_valued else 'one value'}"
    dropped = Mutability.WRITE_ONLY
    return "would be writeOnly" if new.mutability is dropped is not old.mutability else None


def refuse_losses(ledger: Ledger, type_name: str, lost: list[Loss], progress: Progress) -> None:
    """Refuse a change when any event of a resource type recorded what it loses.

    Reads the whole ledger if there is anything to lose. Raises SchemaRefused.
    """
    end = ledger.last_position() if lost else 0
    for recorded in ledger.read_all(upto=end):
        payload = (recorded.payload or {}) if recorded.category == type_name else {}
        for loss in lost:
            value = payload.get(loss.key)
            if value is not None and (loss.sub is None or _has(value, loss.sub)):
                loss.events += 1
                loss.first = loss.first or recorded.position
        if recorded.position % 1000 == 0:
            progress(recorded.position, end)
    sentences = [str(loss) for loss in lost if loss.events][:_SHOWN]
    if sentences:
        raise SchemaRefused(
            f"{'; '.join(sentences)}. Recorded data would be orphaned: leave the schema as it is"
            " there; what is not mapped in Okta any more does no harm"
        )


def _has(value: Any, sub: str) -> bool:
    """Return whether a value, or any of several, has a sub-attribute."""
    return any(isinstance(item, Mapping) and sub in item for item in _items(value))


def refuse_contradictions(
    connection: Connection,
    resources: Resources,
    before: ResourceType,
    after: ResourceType,
    progress: Progress,
) -> None:
    """Refuse what is newly required or unique and is not so in the resources there are.

    Reads all of a type if there is anything to find. Raises SchemaRefused.
    """
    required, unique = _newly_required(before, after), _newly_unique(before, after)
    lacking: dict[str, list[str]] = {name: [] for name in required}  # ids by attribute
    doubled: dict[str, list[tuple[str, str]]] = {declared.key: [] for declared in unique}
    holders: dict[tuple[str, str], str] = {}
    if not required and not unique:
        return
    for resource in _all(connection, resources, after.name, progress):
        for name, (declared, sub) in required.items():
            if _lacks(resource.attributes.get(declared.key), declared.attribute, sub):
                lacking[name].append(resource.id)
        for declared in unique:
            value, attribute = resource.attributes.get(declared.key), declared.attribute
            if value is not None:
                key = key_of(value, form_of(attribute.type, attribute.case_exact))
                holder = holders.setdefault((declared.key, key), resource.id)
                if holder != resource.id:
                    doubled[declared.key].append((resource.id, holder))
    sentences = [
        f"{name} cannot be required yet: resources without it: {len(ids)}, the first has the id"
        f" {ids[0]}. Give it a value there first"
        for name, ids in lacking.items()
        if ids
    ] + [
        f"{name} cannot be unique: resources that share a value with another: {len(pairs)}; the"
        f" first has the id {pairs[0][0]}, the other {pairs[0][1]}"
        for name, pairs in doubled.items()
        if pairs
    ]
    if sentences:
        raise SchemaRefused("; ".join(sentences[:_SHOWN]))


def _all(
    connection: Connection, resources: Resources, type_name: str, progress: Progress
) -> Iterator[Resource]:
    mark: Mark | None = START
    done = 0
    while mark:
        page = resources.search(connection, type_name, Query(after=mark, count=PAGE))
        yield from map(resource_of, page.documents)
        done, mark = done + len(page.rows), page.next
        progress(done, page.total)


def _newly_required(
    before: ResourceType, after: ResourceType
) -> dict[str, tuple[AttributeAt, Attribute | None]]:
    """Return attributes and sub-attributes, by name, that are required and were not."""
    found: dict[str, tuple[AttributeAt, Attribute | None]] = {}
    for key, declared in after.declared.items():
        old = before.declared.get(key, ABSENT).attribute
        if declared.attribute.required and not old.required:
            found[key] = declared, None
        for sub in declared.attribute.sub_attributes:
            known = old.subs.get(sub.name.lower())
            if sub.required and not (known and known.required):
                found[f"{key}.{sub.name}"] = declared, sub
    return found


def _newly_unique(before: ResourceType, after: ResourceType) -> list[AttributeAt]:
    """Return attributes that are unique and were not, by a comparison as fine or coarser."""
    found = []
    for key, new in after.declared.items():
        old = before.declared.get(key, ABSENT).attribute
        finer = old.case_exact and not new.attribute.case_exact
        if new.attribute.uniqueness != "none" and (old.uniqueness == "none" or finer):
            found.append(new)
    return found


def _lacks(value: Any, attribute: Attribute, sub: Attribute | None) -> bool:
    """Return whether a required value, or a sub-attribute of any of its values, is missing."""
    if sub is None:
        return not is_given(attribute, value)
    return value is not None and not all(
        isinstance(item, Mapping) and is_given(sub, item.get(sub.name)) for item in _items(value)
    )


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
