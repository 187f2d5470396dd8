"""schema: extensions of users and other resources, from a file."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click

from scim_api.cli.console import Console, command, group
from scim_api.cli.lookup import TYPES
from scim_api.cli.terminal import Exit, Failure, Progress, print_json
from scim_api.protocol.discovery import declaration, schemas_of
from scim_api.protocol.schema.document import MAX_FILE, read_schema
from scim_api.protocol.schema.resource_types import BUILT_IN_URNS, USER
from scim_api.tenants import configure

CHARACTERISTICS = ("type", "multiValued", "required", "mutability", "returned", "uniqueness")
LOOKING = "looking at recorded resources"

schema = group(
    "schema",
    """Add schema extensions to resources, without code.

    A schema is a JSON file in the form of RFC 7643 §7, as /Schemas shows it. Its attributes are
    then validated, stored, filtered and listed in /Schemas, and Okta can import them.
    """,
)


@command("add", "badge.json", "team.json --resource-type Group", group=schema)
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--resource-type",
    type=click.Choice(TYPES),
    default=USER.name,
    show_default=True,
    help="What the schema extends.",
)
def add_schema(console: Console, file: Path, resource_type: str) -> None:
    """Add a schema, or replace the one with the same URN.

    Recorded data must stay readable: an attribute that has recorded values cannot be removed, nor
    its type changed. Attributes can always be added.
    """
    with file.open("rb") as opened:
        schema = read_schema(opened.read(MAX_FILE + 1))
    tenant = console.tenant()
    with Progress(LOOKING) as progress:
        changed = configure.add_schema(tenant, schema, resource_type, console.metadata(), progress)
    now = f"{resource_type} has the schema {schema.id}"
    console.change(changed, now, f"{schema.id} was added just so before")


@command("list", "", "--json", group=schema)
def list_schemas(console: Console) -> None:
    """List all schemas, built in and added."""
    types = console.tenant().catalogue().resource_types
    rows = (
        {
            "schema": schema.id,
            "resource_type": ", ".join(t.name for t in types if t.find_schema(schema.id)),
            "attributes": len(schema.attributes),
            "origin": "built in" if schema.id in BUILT_IN_URNS else "added",
        }
        for schema in schemas_of(types)
    )
    console.rows(rows, "no schemas")


@command("show", "urn:example:scim:2.0:User", "urn:example:scim:2.0:User --json", group=schema)
@click.argument("urn")
def show_schema(console: Console, urn: str) -> None:
    """Show the attributes of a schema.

    With --json it is the file that schema add takes.
    """
    schemas = schemas_of(console.tenant().catalogue().resource_types)
    schema = next((each for each in schemas if each.id.lower() == urn.lower()), None)
    if schema is None:
        raise Failure(f"there is no schema {urn}; scim-ledger schema list", Exit.NOT_FOUND)
    if console.as_json:
        print_json(declaration(schema))
    else:
        console.rows(_rows(declaration(schema)["attributes"]), "no attributes")


def _rows(attributes: Iterable[dict[str, Any]], within: str = "") -> Iterator[dict[str, Any]]:
    for attribute in attributes:
        name = within + attribute["name"]
        yield {"attribute": name} | {key: attribute.get(key) for key in CHARACTERISTICS}
        yield from _rows(attribute.get("subAttributes", ()), f"{name}.")


@command("remove", "urn:example:scim:2.0:User", group=schema)
@click.argument("urn")
def remove_schema(console: Console, urn: str) -> None:
    """Remove an added schema that has no recorded values."""
    tenant = console.tenant()
    if urn.lower() in map(str.lower, BUILT_IN_URNS):
        raise Failure(f"{urn} is built in and cannot be removed")
    with Progress(LOOKING) as progress:
        configure.remove_schema(tenant, urn, console.metadata(), progress)
    console.change(True, f"removed {urn}")
