"""The names by which projections know a resource type: its attributes, schema and endpoint."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ResourceKind:
    """The names of one resource type, and no rules.

    `relation` is what is added to its documents when they are read: `groups`, `members` or nothing.
    """

    type: str
    schema: str
    endpoint: str
    name_attribute: str
    relation: str | None = None

    @property
    def keys(self) -> tuple[str, ...]:
        """The attributes by which resources are looked up."""
        return self.name_attribute, "externalId", "emails"

    def display(self, attributes: Mapping[str, Any]) -> str:
        """Return the name that others show for a resource: displayName, or its unique name."""
        shown: str = attributes.get("displayName") or attributes[self.name_attribute]
        return shown
