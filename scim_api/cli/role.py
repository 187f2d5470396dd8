"""Commands about roles and entitlements: resources like any other, and the role of new users."""

from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeVar

import click
import orjson

from ledger.events import Metadata
from projections.query.model import START, Mark, Query
from projections.state import Resource
from scim_api.cli.schema import tell
from scim_api.cli.terminal import (
    HELP,
    Exit,
    Failure,
    Group,
    emit,
    emit_rows,
    examples,
    json_option,
    ledger_option,
    pass_site,
    say,
)
from scim_api.protocol.conditions import Conditions
from scim_api.protocol.errors import ScimError
from scim_api.protocol.policy import Tolerances
from scim_api.protocol.schema.attributes import ResourceType
from scim_api.protocol.schema.resource_types import ENTITLEMENT, ROLE
from scim_api.service.service import Service
from scim_api.tenants import configure
from scim_api.tenants.tenants import Tenant

F = TypeVar("F", bound=Callable[..., Any])

PAGE = 500  # resources read at once


class Site(Protocol):
    """What the program gives these commands."""

    def tenant(self, name: str) -> Tenant: ...
    def metadata(self, via: str) -> Metadata: ...


def _saying(text: str, *lines: str) -> Callable[[F], F]:
    """Give a command its help, with examples."""

    def with_help(function: F) -> F:
        function.__doc__ = text
        return examples(*lines)(function)

    return with_help


def _group(resource_type: ResourceType, word: str, sample: str, about: str) -> click.Group:
    """Return the commands that add, list and remove resources of a type."""

    @click.group(word, cls=Group, context_settings=HELP)
    @_saying(about, f"scim-ledger {word} add {sample}", f"scim-ledger {word} list")
    def group() -> None: ...

    for command in (_adding, _listing, _removing):
        group.add_command(command(resource_type, word, sample))
    return group


def _adding(resource_type: ResourceType, word: str, sample: str) -> click.Command:
    @click.command("add")
    @click.argument("name")
    @click.option("--description", metavar="TEXT", help="What it allows, for people to read.")
    @ledger_option
    @json_option
    @pass_site
    @_saying(
        "Add one, named as Okta shows it; print its id.",
        f"scim-ledger {word} add {sample}",
        f'scim-ledger {word} add {sample} --description "may do everything"',
    )
    def add(site: Site, name: str, description: str | None, ledger: str, as_json: bool) -> None:
        id_ = _add(site, site.tenant(ledger), resource_type, name, description)
        if as_json:
            emit({"id": id_, "name": name})
        else:
            click.echo(id_)

    return add


def _listing(resource_type: ResourceType, word: str, _: str) -> click.Command:
    @click.command("list")
    @ledger_option
    @json_option
    @pass_site
    @_saying("List them.", f"scim-ledger {word} list", f"scim-ledger {word} list --json")
    def list_(site: Site, ledger: str, as_json: bool) -> None:
        nothing = f"none yet; scim-ledger {word} add makes one"
        emit_rows(_rows(site.tenant(ledger), resource_type), as_json, nothing)

    return list_


def _removing(resource_type: ResourceType, word: str, sample: str) -> click.Command:
    @click.command("remove")
    @click.argument("name", metavar="ID|NAME")
    @ledger_option
    @json_option
    @pass_site
    @_saying(
        "Remove one. Users who have it keep the value until their source takes it away.",
        f"scim-ledger {word} remove {sample}",
    )
    def remove(site: Site, name: str, ledger: str, as_json: bool) -> None:
        tenant = site.tenant(ledger)
        found = _find(tenant, resource_type, name)
        if found is None:
            raise Failure(f"there is no {word} {name!r}", Exit.NOT_FOUND)
        _must_not_be_the_default(tenant, found.id)
        metadata = site.metadata("cli")
        _refused_aloud(lambda: _service(tenant, resource_type).delete(found.id, _ANY, metadata))
        tell(as_json, True, f"removed {found.attributes['displayName']} ({found.id})", "")

    return remove


def _must_not_be_the_default(tenant: Tenant, id_: str) -> None:
    default = tenant.catalogue().default_role
    if default and default["value"] == id_:
        raise Failure(
            "created users get this role; first choose another with scim-ledger role default"
        )


_ANY = Conditions()


def _service(tenant: Tenant, resource_type: ResourceType) -> Service:
    catalogue = tenant.catalogue()
    return Service(
        tenant.ledger,
        tenant.resources,
        catalogue.by_name[resource_type.name],
        catalogue,
        Tolerances(catalogue.policy),
    )


def _add(
    site: Site, tenant: Tenant, resource_type: ResourceType, name: str, description: str | None
) -> str:
    body = {"schemas": [resource_type.schema.id], "displayName": name}
    if description:
        body["description"] = description
    metadata = site.metadata("cli")
    return _refused_aloud(lambda: _service(tenant, resource_type).create(body, metadata).id)


T = TypeVar("T")


def _refused_aloud(act: Callable[[], T]) -> T:
    try:
        return act()
    except ScimError as error:
        raise Failure(error.detail) from error


def _find(tenant: Tenant, resource_type: ResourceType, name: str) -> Resource | None:
    with tenant.ledger.reading() as connection:
        return tenant.resources.get(
            connection, resource_type.name, name
        ) or tenant.resources.find_by_name(connection, resource_type.name, name)


def _rows(tenant: Tenant, resource_type: ResourceType) -> Iterator[dict[str, Any]]:
    mark: Mark | None = START
    while mark:
        query = Query(after=mark, count=PAGE)
        with tenant.ledger.reading() as connection:
            page = tenant.resources.search(connection, resource_type.name, query)
        for document in map(orjson.loads, page.documents):
            yield {
                "id": document["id"],
                "name": document["displayName"],
                "type": document.get("type"),
                "description": document.get("description"),
            }
        mark = page.next


role_group = _group(
    ROLE,
    "role",
    "admin",
    "Keep the roles that users can have; Okta's entitlement management reads them from /Roles.",
)
entitlement_group = _group(
    ENTITLEMENT,
    "entitlement",
    "licence-a",
    "Keep what users can be entitled to; Okta's entitlement management reads /Entitlements.",
)


@role_group.command("default")
@click.argument("value", required=False)
@click.option("--none", is_flag=True, help="Give created users no role.")
@ledger_option
@json_option
@pass_site
@examples("scim-ledger role default member", "scim-ledger role default --none")
def default_role(site: Site, value: str | None, none: bool, ledger: str, as_json: bool) -> None:
    """Give each created user a role, unless the request names one itself.

    VALUE is recorded as it is. Okta's entitlement management expects the id of a role there, as
    role list shows it; its name is added for people to read.
    """
    if none is (value is not None) or value == "":
        raise click.UsageError("give either a value or --none")
    tenant = site.tenant(ledger)
    role = None if value is None else _role(tenant, value)
    changed = configure.set_default_role(tenant, role, site.metadata("cli"))
    says = f"created users get the role {value}" if value else "created users get no role"
    if value and role == {"value": value} and (named := _find(tenant, ROLE, value)):
        say(f"note: {value} is the name of the role {named.id}; Okta wants its id", err=True)
    tell(as_json, changed, says, f"{says} as before")


def _role(tenant: Tenant, value: str) -> dict[str, str]:
    with tenant.ledger.reading() as connection:
        role = tenant.resources.get(connection, ROLE.name, value)
    display = {"display": role.attributes["displayName"]} if role else {}
    return {"value": value, **display}


COMMANDS: list[click.Command] = [role_group, entitlement_group]
