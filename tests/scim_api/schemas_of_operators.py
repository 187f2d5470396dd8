"""Schemas as operators write them, and how to record them."""

from contextlib import contextmanager

from scim_api.protocol.discovery import declaration
from scim_api.protocol.schema.document import schema_of
from scim_api.tenants import configure

BADGE_URN = "urn:example:scim:2.0:User"

BADGE = {
    "id": BADGE_URN,
    "name": "Badge",
    "description": "What the gate knows of a user.",
    "attributes": [
        {
            "name": "badge",
            "type": "complex",
            "subAttributes": [
                {"name": "number", "type": "integer"},
                {"name": "colour", "type": "string"},
                {"name": "pin", "type": "string", "returned": "never"},
                {"name": "hint", "type": "string", "returned": "request"},
                {"name": "serial", "type": "string", "returned": "always"},
            ],
        },
        {
            "name": "keys",
            "type": "complex",
            "multiValued": True,
            "subAttributes": [{"name": "value", "type": "string"}, {"name": "type"}],
        },
        {"name": "nicknames", "type": "string", "multiValued": True},
        {"name": "shoeSize", "type": "integer"},
        {"name": "remote", "type": "boolean"},
        {"name": "hiredOn", "type": "dateTime", "mutability": "immutable"},
        {"name": "salary", "type": "decimal", "returned": "request"},
        {"name": "riddle", "type": "string", "returned": "never"},
        {"name": "code", "type": "string", "uniqueness": "server"},
        {"name": "mark", "type": "string", "caseExact": True, "returned": "always"},
    ],
}


def changed(document, attributes):
    """Return a schema with other attributes; None takes one away."""
    kept = {attribute["name"]: attribute for attribute in document["attributes"]}
    kept |= attributes
    return document | {"attributes": [a for a in kept.values() if a is not None]}


def setting(document, resource_type="User"):
    """Return the setting by which a ledger has a schema."""
    schema = declaration(schema_of(document))
    return {f"schema:{schema['id']}": {"resourceType": resource_type, "schema": schema}}


def add_schema(site, document=BADGE, resource_type="User", ledger="default"):
    """Add a schema to a ledger as the command does; return whether anything changed."""
    with opened(site, ledger) as (tenant, metadata):
        return configure.add_schema(
            tenant, schema_of(document), resource_type, metadata, lambda done, total: None
        )


def require(site, *names, ledger="default"):
    """Declare attributes required as the command does."""
    with opened(site, ledger) as (tenant, metadata):
        return configure.require(tenant, names, metadata, lambda done, total: None)


@contextmanager
def opened(site, ledger="default"):
    """Open a ledger by itself, as a command does."""
    tenant = site.console.tenant(ledger)
    try:
        yield tenant, site.console.metadata()
    finally:
        tenant.close()
