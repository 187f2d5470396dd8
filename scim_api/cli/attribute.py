"""attribute: which attributes a user must have, and which are indexed."""

from collections.abc import Iterator

import click

from scim_api.cli.console import Console, command, group
from scim_api.cli.lookup import TYPES
from scim_api.cli.terminal import Progress
from scim_api.protocol.schema.attributes import ResourceType
from scim_api.protocol.schema.resource_types import USER
from scim_api.tenants import configure, indexing
from scim_api.tenants.catalogue import REQUIRED

attribute = group(
    "attribute",
    """Declare which attributes a user must have, and which are indexed.

    A request without a required one is refused, with an error in Okta that names it. Filters and
    sorts by an indexed one do not read every resource.
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


type_option = click.option(
    "--resource-type",
    type=click.Choice(TYPES),
    default=USER.name,
    show_default=True,
    help="Whose attributes they are.",
)


@command(
    "index",
    "name.familyName",
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
    "displayName --resource-type Group",
    group=attribute,
)
@names_argument
@type_option
def index_attributes(console: Console, names: tuple[str, ...], resource_type: str) -> None:
    """Index attributes: filters and sorts by them find what they want without reading the rest.

    An index is built while the service runs; if that is cut off, the same command goes on. Every
    later write of such a value costs a little more, so no more than 16 attributes can be indexed.
    """
    with Progress("indexing recorded resources") as progress:
        new = indexing.index(console.tenant(), names, resource_type, console.metadata(), progress)
    console.change(bool(new), f"indexed: {', '.join(new)}", "indexed before")


@command("unindex", "name.familyName", "displayName --resource-type Group", group=attribute)
@names_argument
@type_option
def unindex_attributes(console: Console, names: tuple[str, ...], resource_type: str) -> None:
    """Drop the indexes of attributes."""
    with Progress("dropping indexes") as progress:
        gone = indexing.unindex(
            console.tenant(), names, resource_type, console.metadata(), progress
        )
    now = f"not indexed any more: {', '.join(gone)}"
    console.change(bool(gone), now, "none of them was indexed")


@command("indexes", "", "--json", group=attribute)
def list_indexes(console: Console) -> None:
    """List the indexed attributes. An index that is building is not used yet."""
    console.rows(indexing.indexes(console.tenant()), "nothing is indexed")
