"""Commands about what a ledger's users are like: schemas, and attributes that are required."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import click

from ledger.events import Metadata
from scim_api.cli.terminal import (
    HELP,
    Exit,
    Failure,
    Group,
    Progress,
    emit,
    emit_rows,
    examples,
    json_option,
    ledger_option,
    pass_site,
    say,
)
from scim_api.protocol.discovery import declaration, schemas_of
from scim_api.protocol.schema.attributes import Attribute, ResourceType, Schema
from scim_api.protocol.schema.document import MAX_FILE, read_schema
from scim_api.protocol.schema.resource_types import BUILT_IN_URNS, RESOURCE_TYPES, USER
from scim_api.tenants import configure
from scim_api.tenants.catalogue import REQUIRED
from scim_api.tenants.configure import UnknownSchema
from scim_api.tenants.tenants import Tenant


class Site(Protocol):
    """What the program gives these commands."""

    def tenant(self, name: str) -> Tenant: ...
    def metadata(self, via: str) -> Metadata: ...


def tell(as_json: bool, changed: bool, now: str, before: str) -> None:
    """Say what a command changed; `before` is for one that changed nothing."""
    sentence = now if changed else f"nothing changed: {before}"
    if as_json:
        emit({"changed": changed, "says": sentence})
    else:
        say(sentence, err=True)


@contextmanager
def _reading() -> Iterator[Progress]:
    progress = Progress("looking at what is recorded")
    try:
        yield progress
    finally:
        progress.end()


@click.group("schema", cls=Group, context_settings=HELP)
@examples("scim-ledger schema add badge.json", "scim-ledger schema list")
def schema_group() -> None:
    """Add schema extensions to users and other resources, without code.

    A schema is a JSON file in the form of RFC 7643 §7, as /Schemas shows it. From then on its
    attributes are checked, kept, filtered and announced, and Okta can import them.
    """


@schema_group.command("add")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--resource-type",
    type=click.Choice([resource_type.name for resource_type in RESOURCE_TYPES]),
    default=USER.name,
    show_default=True,
    help="What the schema extends.",
)
@ledger_option
@json_option
@pass_site
@examples(
    "scim-ledger schema add badge.json", "scim-ledger schema add team.json --resource-type Group"
)
def add_schema(site: Site, file: Path, resource_type: str, ledger: str, as_json: bool) -> None:
    """Add a schema, or put it in the place of the one with the same URN.

    What would orphan recorded data is refused: an attribute under which something was recorded
    cannot be removed, nor its type changed. Attributes can always be added.
    """
    with file.open("rb") as opened:
        schema = read_schema(opened.read(MAX_FILE + 1))
    tenant = site.tenant(ledger)
    with _reading() as progress:
        changed = configure.add_schema(
            tenant, schema, resource_type, site.metadata("cli"), progress
        )
    now = f"{resource_type} has the schema {schema.id}"
    tell(as_json, changed, now, f"{schema.id} was added just so before")


@schema_group.command("list")
@ledger_option
@json_option
@pass_site
@examples("scim-ledger schema list", "scim-ledger schema list --json")
def list_schemas(site: Site, ledger: str, as_json: bool) -> None:
    """List every schema that is served, built in or added."""
    catalogue = site.tenant(ledger).catalogue()
    rows = (
        {
            "schema": schema.id,
            "resource_type": _extended_by(schema, catalogue.resource_types),
            "attributes": len(schema.attributes),
            "origin": "built in" if schema.id in BUILT_IN_URNS else "added",
        }
        for schema in schemas_of(catalogue.resource_types)
    )
    emit_rows(rows, as_json, "no schemas")


def _extended_by(schema: Schema, resource_types: tuple[ResourceType, ...]) -> str:
    return ", ".join(each.name for each in resource_types if each.find_schema(schema.id))


@schema_group.command("show")
@click.argument("urn")
@ledger_option
@json_option
@pass_site
@examples(
    "scim-ledger schema show urn:example:scim:2.0:User",
    "scim-ledger schema show urn:example:scim:2.0:User --json",
)
def show_schema(site: Site, urn: str, ledger: str, as_json: bool) -> None:
    """Show a schema's attributes; with --json the file to change and add again."""
    schema = _find_schema(site.tenant(ledger), urn)
    if as_json:
        emit(declaration(schema))
    else:
        emit_rows(_attribute_rows(schema), False, "no attributes")


def _find_schema(tenant: Tenant, urn: str) -> Schema:
    for schema in schemas_of(tenant.catalogue().resource_types):
        if schema.id.lower() == urn.lower():
            return schema
    raise Failure(f"there is no schema {urn}; scim-ledger schema list", Exit.NOT_FOUND)


def _attribute_rows(schema: Schema) -> Iterator[dict[str, Any]]:
    for attribute in schema.attributes:
        yield _attribute_row(attribute.name, attribute)
        for sub in attribute.sub_attributes:
            yield _attribute_row(f"{attribute.name}.{sub.name}", sub)


def _attribute_row(name: str, attribute: Attribute) -> dict[str, Any]:
    return {
        "attribute": name,
        "type": attribute.type.value,
        "several": "yes" if attribute.multi_valued else "no",
        "required": "yes" if attribute.required else "no",
        "mutability": attribute.mutability.value,
        "returned": attribute.returned.value,
        "unique": "no" if attribute.uniqueness == "none" else attribute.uniqueness,
    }


@schema_group.command("remove")
@click.argument("urn")
@ledger_option
@json_option
@pass_site
@examples("scim-ledger schema remove urn:example:scim:2.0:User")
def remove_schema(site: Site, urn: str, ledger: str, as_json: bool) -> None:
    """Remove an added schema, unless something was ever recorded under it."""
    tenant = site.tenant(ledger)
    if urn.lower() in map(str.lower, BUILT_IN_URNS):
        raise Failure(f"{urn} is built in and cannot be removed")
    with _reading() as progress:
        try:
            configure.remove_schema(tenant, urn, site.metadata("cli"), progress)
        except UnknownSchema as error:
            raise Failure(str(error), Exit.NOT_FOUND) from error
    tell(as_json, True, f"removed {urn}", "")


@click.group("attribute", cls=Group, context_settings=HELP)
@examples(
    "scim-ledger attribute require emails name.givenName name.familyName",
    "scim-ledger attribute list",
)
def attribute_group() -> None:
    """Declare which attributes a user must have.

    A request that leaves one out is refused, and the error that Okta shows names it.
    """


@attribute_group.command("require")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@ledger_option
@json_option
@pass_site
@examples(
    "scim-ledger attribute require emails name.givenName name.familyName",
    "scim-ledger attribute require"
    " urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
)
def require_attributes(site: Site, names: tuple[str, ...], ledger: str, as_json: bool) -> None:
    """Declare attributes of users required.

    A sub-attribute makes its attribute required too. Refused while a user lacks one: every change
    of that user, a deactivation as well, would fail.
    """
    tenant = site.tenant(ledger)
    with _reading() as progress:
        new = configure.require(tenant, names, site.metadata("cli"), progress)
    tell(as_json, bool(new), f"required from now on: {', '.join(new)}", "required before")


@attribute_group.command("release")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@ledger_option
@json_option
@pass_site
@examples("scim-ledger attribute release emails")
def release_attributes(site: Site, names: tuple[str, ...], ledger: str, as_json: bool) -> None:
    """Let users do without attributes that were declared required."""
    gone = configure.release(site.tenant(ledger), names, site.metadata("cli"))
    now = f"not required any more: {', '.join(gone)}"
    tell(as_json, bool(gone), now, "none of them was declared required")


@attribute_group.command("list")
@ledger_option
@json_option
@pass_site
@examples("scim-ledger attribute list", "scim-ledger attribute list --json")
def list_attributes(site: Site, ledger: str, as_json: bool) -> None:
    """List the attributes that a user must have, and what says so."""
    tenant = site.tenant(ledger)
    own = set(tenant.settings().values.get(REQUIRED, ()))
    rows = (
        {"attribute": name, "declared_by": "attribute require" if name in own else "schema"}
        for name in _required_names(tenant.catalogue().by_name[USER.name], own)
    )
    emit_rows(rows, as_json, "nothing is required")


def _required_names(user: ResourceType, own: set[str]) -> Iterator[str]:
    for key, declared in user.declared.items():
        subs = [f"{key}.{sub.name}" for sub in declared.attribute.sub_attributes if sub.required]
        if declared.attribute.required and (key in own or own.isdisjoint(subs)):
            yield key
        if declared.attribute.required:
            yield from subs


COMMANDS: list[click.Command] = [schema_group, attribute_group]
