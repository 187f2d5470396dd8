"""The rows that a resource has in the tables of the current state, but for its memberships."""

from typing import Any

from projections.current.uniqueness import name_key
from projections.kinds import ResourceKind
from projections.query.comparison import fold
from projections.state import Attributes, Resource
from projections.tables import BLOCK, LARGE_BLOCK


def resource_row(
    kind: ResourceKind, position: int, resource: Resource, document: bytes
) -> tuple[Any, ...]:
    """Return the row of table `resource`."""
    attributes = resource.attributes
    return (
        position,
        resource.id,
        resource.type,
        name_key(kind, attributes),
        attributes.get("externalId"),
        kind.display(attributes),
        resource.version,
        0,  # members: they join later
        document,
    )


def blocks_of(type_: str, position: int) -> list[tuple[str, int, int]]:
    """Return the blocks of the census in which a resource counts: type, size and number."""
    return [(type_, size, position // size) for size in (LARGE_BLOCK, BLOCK)]


def email_keys(attributes: Attributes) -> set[str]:
    """Return all e-mail addresses, folded: clients look users up by any of them."""
    emails = attributes.get("emails", ())
    return {fold(email["value"]) for email in emails if email.get("value")}
