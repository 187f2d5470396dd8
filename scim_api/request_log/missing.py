"""What is missing where a request was refused with 404."""

from scim_api.request_log.explanation_cases import (
    CONNECTOR,
    NOT_OKTA,
    OUTSIDE,
    PUSH,
    Case,
    Explanation,
    means,
)

MISSING: tuple[tuple[Case, Explanation], ...] = (
    means(
        Case(404, resource_type="User", with_id=True),
        "There is no user with this id: it was deleted, or the id is of another service.",
        "RFC 7644 §3.6, §3.12",
        "Assignments: the person's assignment, whose External ID is our id. Remove it and assign"
        " again: Okta then looks the person up by name.",
        "Let the client look the user up by userName, or create it again.",
    ),
    means(
        Case(404, resource_type="Group", with_id=True),
        "There is no group with this id: it was deleted, or the id is of another service.",
        "RFC 7644 §3.6, §3.12",
        f"{PUSH} Unlink it and push it again.",
        "Let the client look the group up by displayName, or create it again.",
    ),
    means(
        Case(404, with_id=True),
        "There is no resource with this id: it was deleted, or the id is of another service.",
        "RFC 7644 §3.6, §3.12",
        "Governance, for entitlements: import them again.",
        "scim-ledger role list and entitlement list show those that are there.",
    ),
    means(
        Case(404, bulk=True),
        "The path of a bulk operation begins with the address of a resource type and ends with an"
        " id that this service gave out.",
        "RFC 7644 §3.7",
        NOT_OKTA,
        "Mend the path as the detail says. An id that is no UUID is shown as …",
    ),
    means(
        Case(404, places=("/Users/*", "/Groups/*", "/Roles/*", "/Entitlements/*")),
        "The id in this address is none that this service gives out: those are UUIDs.",
        "RFC 7643 §3.1, RFC 7644 §3.12",
        "Assignments or Push Groups: the External ID there is another service's. Remove the"
        " assignment, or unlink the group, and make it again: Okta then takes our id.",
        "Let the client look it up by its name and take the id that it finds.",
    ),
    means(
        Case(404, places=("/Schemas/*",)),
        "There is no schema of this URN in this ledger.",
        "RFC 7644 §4",
        f"{NOT_OKTA} It reads the whole list of /Schemas.",
        "scim-ledger schema list names those that are there; scim-ledger schema add FILE adds one.",
    ),
    means(
        Case(404, places=("/ResourceTypes/*",)),
        "There is no resource type of this name.",
        "RFC 7644 §4",
        f"{NOT_OKTA} It reads the whole list of /ResourceTypes.",
        "GET /ResourceTypes names those that are served: by name, such as User, not by address.",
    ),
    means(
        Case(404, places=("/ledger/v1/events/*",)),
        "There is no event at this position: they count from 1 to the ledger's end.",
        "RFC 9110 §15.5.5",
        NOT_OKTA,
        "GET /ledger/v1/events, or scim-ledger events list, shows the newest positions.",
    ),
    means(
        Case(404, places=("/ledger/v1/requests/*",)),
        "No request of this id was refused or changed nothing, or it is no longer kept.",
        "RFC 9110 §15.5.5",
        NOT_OKTA,
        "Give the X-Request-Id of the answer, or how it begins; scim-ledger requests list shows"
        " what is kept.",
    ),
    means(
        Case(404, places=tuple(f"/ledger/v1/*/*/{view}" for view in ("timeline", "blame", "diff"))),
        "There was no resource of this type and id at the moment asked for, or ever.",
        "RFC 9110 §15.5.5",
        NOT_OKTA,
        "Ask for another moment, or look the id up: scim-ledger events list.",
    ),
    means(
        Case(404, places=(OUTSIDE,)),
        "This address is outside the SCIM base: the base URL that the client has is wrong.",
        "RFC 7644 §3.2, §3.13",
        f"{CONNECTOR} Then press Test Connector Configuration.",
        "Make it {base} in the client's settings.",
    ),
    means(
        Case(404),
        "There is nothing at this address.",
        "RFC 7644 §3.2, §3.12",
        f"{CONNECTOR} It ends before /Users.",
        "The base URL is {base}; what follows it has to be an address of this service, as"
        " /openapi.json lists them. A segment that is none of ours is shown as …",
    ),
)
