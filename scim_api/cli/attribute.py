"""attribute: which attributes a user must have."""

from collections.abc import Iterator

import click

from scim_api.cli.console import Console, command, group
from scim_api.cli.terminal import Progress
from scim_api.protocol.schema.attributes import ResourceType
from scim_api.protocol.schema.resource_types import USER
from scim_api.tenants import configure
from scim_api.tenants.catalogue import REQUIRED

attribute = group(
    "attribute",
    """Declare which attributes a user must have.

    A request without one of them is refused, with an error in Okta that names it.
    """,
)
names_argument = click.argument("names", nargs=-1, required=True, metavar="NAME...")


@command(
    "require",
    "emails name.givenName name.familyName",
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
    group=attribute,
)
@names_argument
def require_attributes(console: Console, names: tuple[str, ...]) -> None:
    """Require attributes of every user.

    A sub-attribute makes its attribute required too. Refused while a user lacks one: every change
    of that user, even a deactivation, would fail.
    """
    tenant = console.tenant()
    with Progress("looking at recorded users") as progress:
        new = configure.require(tenant, names, console.metadata(), progress)
    console.change(bool(new), f"required from now on: {', '.join(new)}", "required before")


@command("release", "emails", group=attribute)
@names_argument
def release_attributes(console: Console, names: tuple[str, ...]) -> None:
    """Stop requiring attributes."""
    gone = configure.release(console.tenant(), names, console.metadata())
    now = f"not required any more: {', '.join(gone)}"
    console.change(bool(gone), now, "none of them was declared required")


@command("list", "", "--json", group=attribute)
def list_attributes(console: Console) -> None:
    """List the required attributes, and where each is declared."""
    tenant = console.tenant()
    own = set(tenant.settings().values.get(REQUIRED, ()))
    rows = (
        {"attribute": name, "declared_by": "attribute require" if name in own else "schema"}
        for name in _required_names(tenant.catalogue().by_name[USER.name], own)
    )
    console.rows(rows, "nothing is required")


def _required_names(user: ResourceType, own: set[str]) -> Iterator[str]:
    for key, declared in user.declared.items():
        subs = [f"{key}.{sub.name}" for sub in declared.attribute.sub_attributes if sub.required]
        if declared.attribute.required and (key in own or own.isdisjoint(subs)):
            yield key
        if declared.attribute.required:
            yield from subs
