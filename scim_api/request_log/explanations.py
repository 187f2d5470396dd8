"""Why a request was refused or changed nothing: the rule, the RFC, where to look in Okta.

A table: the first entry that fits a record is its explanation.
"""

from dataclasses import replace

from ledger.user_agents import OKTA
from scim_api.request_log.explanation_cases import (
    ANOTHER,
    CONNECTOR,
    NOT_OKTA,
    PUSH,
    TASKS,
    TOKEN,
    Addresses,
    Case,
    Explanation,
    means,
)
from scim_api.request_log.malformed import MALFORMED
from scim_api.request_log.missing import MISSING
from scim_api.request_log.records import Row

_TABLE: tuple[tuple[Case, Explanation], ...] = (
    means(
        Case(200),
        "What was asked for was so already: nothing was recorded, and the version stayed.",
        "RFC 7644 §3.5.1, §3.5.2",
        "None: Okta repeats itself at every push and reactivation.",
        "Nothing. `position` is the event that made the version it was compared with.",
    ),
    *MALFORMED,
    *MISSING,
    means(
        Case(401),
        "Every request but one for ServiceProviderConfig has a live token of this service.",
        "RFC 7644 §2, RFC 6750 §3.1",
        f"{TOKEN} Then press Test Connector Configuration.",
        "scim-ledger token list shows which are live; make one with scim-ledger token create"
        " NAME, and paste it whole.",
    ),
    means(
        Case(403),
        "A token opens what its scopes allow; discovery takes no filter.",
        "RFC 7644 §3.12, §4, RFC 6750 §3.1",
        TOKEN,
        "Use a token that may: scim-ledger token list, scim-ledger token create.",
    ),
    means(
        Case(405),
        "Each address takes the methods that RFC 7644 gives it.",
        "RFC 7644 §3.2, RFC 9110 §15.5.6",
        f"{CONNECTOR} It ends before /Users.",
        "The Allow header of the answer names the methods; so does /openapi.json.",
    ),
    means(
        Case(409, "uniqueness", resource_type="Group"),
        "No two groups have the same displayName, whatever its case.",
        "RFC 7644 §3.3, §3.12",
        "Push Groups: link the group to the one that is here, once Import has read it.",
        "Let the client use the one that is here, or rename one of the two. The detail has the id"
        " of the one that has the name.",
    ),
    means(
        Case(409, "uniqueness"),
        "A userName, and every attribute that is declared unique, is one resource's alone.",
        "RFC 7644 §3.3, §3.12, RFC 7643 §2.2",
        "Assignments: the userName that the app gives the person, and Provisioning >"
        " Integration: Unique identifier field for users. If it is the same person, assign again.",
        "scim-ledger user show ID with the id of the detail tells who has it. Let the client use"
        " that one, or give one of the two another value.",
    ),
    means(
        Case(409),
        "A bulk operation that refers to another is carried out only if that one was.",
        "RFC 7644 §3.7.1, §3.7.3",
        NOT_OKTA,
        "Mend the operation that the others refer to, and send all again.",
    ),
    means(
        Case(411),
        "A body says how long it is, or comes in chunks.",
        "RFC 9110 §15.5.12",
        f"{NOT_OKTA} Look at the proxy in front.",
        "Let the client or the proxy send Content-Length.",
    ),
    means(
        Case(412),
        "With If-Match a change is made only to the version that the client read.",
        "RFC 7644 §3.14, RFC 9110 §13.1.1",
        f"{NOT_OKTA} It names no versions.",
        "Read the resource again and repeat the change.",
    ),
    means(
        Case(413),
        "A body, a PATCH or a bulk request has a size that can be done at once.",
        "RFC 7644 §3.7.4, §3.12",
        f"{PUSH} Okta sends large groups in parts by itself.",
        "Send less at once; the bounds stand in docs/operating.md.",
    ),
    means(
        Case(414),
        "An address has at most 8190 bytes.",
        "RFC 9110 §15.5.15",
        NOT_OKTA,
        "Shorten the filter, or POST it to /.search.",
    ),
    means(
        Case(415),
        "A body is application/scim+json or application/json, in UTF-8, not compressed.",
        "RFC 7644 §3.8, §8.1",
        f"{NOT_OKTA} Look at the proxy in front.",
        "Send Content-Type: application/scim+json.",
    ),
    means(
        Case(429, method="GET"),
        "Only so many clients may wait for events, or search through everything, at once.",
        "RFC 6585 §4, RFC 9110 §10.2.3",
        NOT_OKTA,
        "Ask again after Retry-After. Close feeds that nobody reads, or raise SCIM_FEEDS; search"
        " with eq for a userName, an externalId, an id or an e-mail address.",
    ),
    means(
        Case(429),
        "Changes wait for their turn to write, but not for ever.",
        "RFC 6585 §4, RFC 9110 §10.2.3",
        "None: Okta repeats it by itself after Retry-After, ten times at most.",
        "If it is frequent: scim-ledger doctor, and no backup of the file by hand; another"
        " process holds the write lock. SCIM_WRITE_PATIENCE is the longest wait.",
    ),
    means(
        Case(431),
        "A request has at most 60 headers of 8190 bytes.",
        "RFC 6585 §5",
        f"{NOT_OKTA} Look at the proxy in front.",
        "Send fewer or shorter headers.",
    ),
    means(
        Case(500),
        "This is a fault of this service; nothing was half done.",
        "RFC 7644 §3.12",
        TASKS,
        "Find the request id in the service's log on stderr: it tells where. Then retry.",
    ),
    means(
        Case(501),
        "/Me is for a token that belongs to a user, and nobody signs up there.",
        "RFC 7644 §3.11",
        NOT_OKTA,
        "Make such a token: scim-ledger token create NAME --user USERNAME.",
    ),
    means(
        Case(503),
        "The ledger cannot be read or written now, or its history is being built.",
        "RFC 7644 §3.12, RFC 9110 §15.6.4",
        f"{TASKS} Retry it once the cause is gone.",
        "scim-ledger doctor and /readyz say why: a full disk, rights, damage.",
    ),
)


_OTHER = Explanation(
    "The request was refused.", "RFC 9110 §15", TASKS, "The detail says what was wrong."
)
_HERE = Addresses()


def explain(row: Row, site: Addresses = _HERE) -> Explanation:
    """Return what a record means to a service at some addresses."""
    place = site.place(row.path)
    found = next((explanation for case, explanation in _TABLE if case.fits(row, place)), _OTHER)
    okta = found.okta if row.family == OKTA else ANOTHER
    return replace(found, okta=okta, next=found.next.replace("{base}", site.url))
