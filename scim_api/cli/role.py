"""role and entitlement: what users can be given, and the role of new users."""

from collections.abc import Iterator
from contextlib import contextmanager

import click

from projections.query.model import Query
from scim_api.cli.console import Console, Group, command, group
from scim_api.cli.lookup import PastQuery
from scim_api.cli.terminal import Exit, Failure, note
from scim_api.protocol.conditions import Conditions
from scim_api.protocol.errors import ScimError
from scim_api.protocol.policy import Tolerances
from scim_api.protocol.schema.attributes import ResourceType
from scim_api.protocol.schema.resource_types import ENTITLEMENT, ROLE
from scim_api.service.service import Service
from scim_api.tenants import configure
from scim_api.tenants.tenants import Tenant


def _commands(type_: ResourceType, word: str, sample: str, help_: str) -> Group:
    """Return the commands that add, list and remove resources of a type."""
    commands = group(word, help_, word=word)

    @command("add", sample, f'{sample} --description "may do everything"', group=commands)
    @click.argument("name")
    @click.option("--description", metavar="TEXT", help="What it allows, for people to read.")
    def add(console: Console, name: str, description: str | None) -> None:
        """Add one {word}, named as Okta shows it, and print its id."""
        body = {"schemas": [type_.schema.id], "displayName": name}
        if description:
            body["description"] = description
        with _service(console.tenant(), type_) as service:
            id_ = service.create(body, console.metadata()).id
        console.document({"id": id_, "name": name}, id_)

    @command("list", "", "--json", group=commands)
    def list_(console: Console) -> None:
        """List them."""
        found = PastQuery(console.tenant()).now().search(type_.name, Query())
        rows = (
            {
                "id": document["id"],
                "name": document["displayName"],
                "type": document.get("type"),
                "description": document.get("description"),
            }
            for document in found
        )
        console.rows(rows, f"none yet; scim-ledger {word} add makes one")

    @command("remove", sample, group=commands)
    @click.argument("name", metavar="ID|NAME")
    def remove(console: Console, name: str) -> None:
        """Remove one. Users who have it keep the value until their source removes it."""
        tenant = console.tenant()
        found = PastQuery(tenant).now().get(type_.name, name)
        if found is None:
            raise Failure(f"there is no {word} {name!r}", Exit.NOT_FOUND)
        given = (tenant.catalogue().default_role or {}).get("value")
        if given == found.id:
            raise Failure("new users get this role; first choose another: scim-ledger role default")
        if type_ is ROLE and given in (name, found.attributes["displayName"]):
            note(
                f"warning: new users still get the role {given}, which is no role any more; choose"
                " another: scim-ledger role default"
            )
        with _service(tenant, type_) as service:
            service.delete(found.id, Conditions(), console.metadata())
        console.change(True, f"removed {found.attributes['displayName']} ({found.id})")

    return commands


@contextmanager
def _service(tenant: Tenant, type_: ResourceType) -> Iterator[Service]:
    """Return what changes resources of a type; the command fails with what it refuses."""
    catalogue = tenant.catalogue()
    tolerances, bound = Tolerances(catalogue.policy), catalogue.by_name[type_.name]
    try:
        yield Service(tenant.ledger, tenant.resources, bound, catalogue, tolerances)
    except ScimError as error:
        raise Failure(error.detail) from error


role = _commands(
    ROLE,
    "role",
    "admin",
    "Manage the roles that users can have.\n\nOkta's entitlement management reads them from"
    " /Roles.",
)
entitlement = _commands(
    ENTITLEMENT,
    "entitlement",
    "licence-a",
    "Manage what users can be entitled to.\n\nOkta's entitlement management reads it from"
    " /Entitlements.",
)


@command("default", "member", "--none", group=role)
@click.argument("value", required=False)
@click.option("--none", is_flag=True, help="Give new users no role.")
def default_role(console: Console, value: str | None, none: bool) -> None:
    """Choose the role of new users whose request names none.

    VALUE is recorded as it is. Okta's entitlement management expects the id of a role, as role
    list shows it; the role's name is added for people to read.
    """
    if none is (value is not None) or value == "":
        raise click.UsageError("give either a value or --none")
    tenant = console.tenant()
    named = PastQuery(tenant).now().get(ROLE.name, value) if value else None
    by_id = named is not None and named.id == value
    display = {"display": named.attributes["displayName"]} if named and by_id else {}
    chosen = {"value": value} | display if value else None
    changed = configure.set_default_role(tenant, chosen, console.metadata())
    says = f"created users get the role {value}" if value else "created users get no role"
    if named and not by_id:
        note(f"note: {value} is the name of the role {named.id}; Okta wants its id")
    console.change(changed, says, f"{says} as before")
