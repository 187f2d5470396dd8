"""What projections know of resource types: names, and by what resources are looked up."""

from dataclasses import dataclass

from projections.query.comparison import fold
from projections.state import Resource


@dataclass(frozen=True, slots=True)
class Kind:
    """What the projection must know of a resource type: names only, no rules.

    `relation` is what is laid on its documents when read: `groups`, `members` or nothing.
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


def display_of(kind: Kind, resource: Resource) -> str:
    """Return what others show of a resource: its displayName, or else its unique name."""
    shown: str = resource.attributes.get("displayName") or resource.attributes[kind.name_attribute]
    return shown


def name_key(kind: Kind, resource: Resource) -> str:
    """Return what the unique names of two resources have in common if they count as the same."""
    return fold(resource.attributes[kind.name_attribute])


def email_keys(resource: Resource) -> set[str]:
    """Return every e-mail address of a resource, folded: clients look users up by any of them."""
    emails = resource.attributes.get("emails", ())
    return {fold(email["value"]) for email in emails if email.get("value")}
