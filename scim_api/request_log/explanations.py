"""Why a request was refused or changed nothing: the rule, the RFC, where to look in Okta.

A table: the first entry that fits a record is its explanation.
"""

from scim_api.request_log.explanation_cases import Case, Explanation, means
from scim_api.request_log.rows import Row

_MAPPINGS = "Provisioning > To App > Attribute Mappings, and the app's profile in Profile Editor."
_TASKS = "Dashboard > Tasks: the failed task, with our detail word for word."
_CONNECTOR = "Provisioning > Integration: SCIM connector base URL (catalogue apps: Base URL)."
_TOKEN = "Provisioning > Integration: Authentication Mode HTTP Header, Authorization."
_PUSH = "Push Groups: the group in the list, and its menu."
_NOT_OKTA = "None: Okta does not send this."


_TABLE: tuple[tuple[Case, Explanation], ...] = (
    means(
        Case(200),
        "What was asked for was so already: nothing was recorded, and the version stayed.",
        "RFC 7644 §3.5.1, §3.5.2",
        "None: Okta repeats itself at every push and reactivation.",
        "Nothing. `position` is the event that made the version it was compared with.",
    ),
    means(
        Case(400, "invalidFilter"),
        "A filter is well-formed and compares attributes that exist with values of their type.",
        "RFC 7644 §3.4.2.2",
        "Provisioning > Integration: Unique identifier field for users; userName is right.",
        "Mend the filter at the character that the detail names.",
    ),
    means(
        Case(400, "tooMany"),
        "A list that takes too long over all resources is given up.",
        "RFC 7644 §3.12",
        "Provisioning > Integration: Unique identifier field for users; userName is indexed.",
        "Compare userName, externalId, id or emails.value with eq, or use fewer comparisons.",
    ),
    means(
        Case(400, "invalidSyntax"),
        "A body is JSON in UTF-8, of the shape its request asks for, and whole.",
        "RFC 7644 §3.12",
        f"{_NOT_OKTA} If it did, something between Okta and this service changes bodies.",
        "Look at what sent it, and at proxies on the way; the detail says what is wrong.",
    ),
    means(
        Case(400, "invalidPath"),
        "The path of a PATCH names an attribute, a value of one, or a part of a value.",
        "RFC 7644 §3.5.2, figure 7",
        _MAPPINGS,
        "Correct the external name of the mapped attribute, or add a schema that declares it:"
        " scim-ledger schema add FILE.",
    ),
    means(
        Case(400, "noTarget"),
        "The filter in the path of a PATCH has to find a value to change.",
        "RFC 7644 §3.5.2.2, §3.5.2.3",
        _MAPPINGS,
        "Add the value first, or let the policy make it: scim-ledger policy show.",
    ),
    means(
        Case(400, "invalidValue", method="GET"),
        "A parameter of an address has a value of its kind and within its bounds.",
        "RFC 7644 §3.4.2",
        f"{_NOT_OKTA} Its lists have startIndex and count, and filters that are in order.",
        "Mend the parameter that the detail names; /openapi.json describes each.",
    ),
    means(
        Case(400, "invalidValue", resource_type="Group"),
        "A value fits its attribute, and required attributes have one; members are ids.",
        "RFC 7644 §3.12, RFC 7643 §4.2",
        _PUSH,
        "Mend what the detail names, then Push now. Members must be assigned to the app first.",
    ),
    means(
        Case(400, "invalidValue"),
        "A value fits its attribute's type, and required attributes have one.",
        "RFC 7644 §3.12, RFC 7643 §2.2",
        _MAPPINGS,
        "Map or fill in the attribute that the detail names, then retry the task. What is"
        " required here: scim-ledger attribute list.",
    ),
    means(
        Case(400, "mutability"),
        "What is readOnly cannot be written, what is immutable cannot change once it is set,"
        " what is required cannot be removed.",
        "RFC 7644 §3.5.2, RFC 7643 §2.2",
        f"{_MAPPINGS}.",
        "Map the attribute for create only, or not at all.",
    ),
    means(
        Case(400, "invalidCursor"),
        "A cursor is good for the token and the query that it was given for.",
        "RFC 9865 §2.1",
        f"{_NOT_OKTA} It pages by startIndex.",
        "Begin the list anew with an empty cursor, and change nothing from page to page.",
    ),
    means(
        Case(400, "expiredCursor"),
        "A cursor can be used for an hour.",
        "RFC 9865 §2.1",
        f"{_NOT_OKTA} It pages by startIndex.",
        "Begin the list anew with an empty cursor.",
    ),
    means(
        Case(400, "invalidCount"),
        "A list read by cursor keeps the count that it was begun with.",
        "RFC 9865 §2.1",
        f"{_NOT_OKTA} It pages by startIndex.",
        "Send the same count on every page, or none.",
    ),
    means(
        Case(400),
        "A request is well-formed HTTP.",
        "RFC 9110 §15.5.1, §7.2",
        _CONNECTOR,
        "Look at the proxy in front: it has to pass on the Host header as it is.",
    ),
    means(
        Case(401),
        "Every request has a live token of this service.",
        "RFC 7644 §2, RFC 6750 §3.1",
        _TOKEN,
        "scim-ledger token list shows which are live; make one with scim-ledger token create"
        " NAME, paste it whole, and press Test Connector Configuration.",
    ),
    means(
        Case(403),
        "A token opens what its scopes allow; discovery takes no filter.",
        "RFC 7644 §3.12, §4, RFC 6750 §3.1",
        _TOKEN,
        "Use a token that may: scim-ledger token list, scim-ledger token create.",
    ),
    means(
        Case(404, resource_type="User", with_id=True),
        "There is no user with this id: it was deleted, or the id is of another service.",
        "RFC 7644 §3.6, §3.12",
        "Assignments: the person's assignment, whose External ID is our id.",
        "Remove the assignment and assign again: Okta then looks the person up by name.",
    ),
    means(
        Case(404, resource_type="Group", with_id=True),
        "There is no group with this id: it was deleted, or the id is of another service.",
        "RFC 7644 §3.6, §3.12",
        _PUSH,
        "Unlink the pushed group in Okta and push it again.",
    ),
    means(
        Case(404),
        "There is nothing at this address.",
        "RFC 7644 §3.2, §3.12",
        f"{_CONNECTOR} It ends before /Users.",
        "Compare the path here with the base URL that scim-ledger serve prints at its start."
        " An id that is not of this service is shown as …",
    ),
    means(
        Case(405),
        "Each address takes the methods that RFC 7644 gives it.",
        "RFC 7644 §3.2, RFC 9110 §15.5.6",
        f"{_CONNECTOR} It ends before /Users.",
        "The Allow header of the answer names the methods; so does /openapi.json.",
    ),
    means(
        Case(409, "uniqueness", resource_type="Group"),
        "No two groups have the same displayName, whatever its case.",
        "RFC 7644 §3.3, §3.12",
        "Push Groups: link the group to the one that is here, once Import has read it.",
        "Import, then link instead of creating; or rename one of the two. The detail has the id"
        " of the one that has the name.",
    ),
    means(
        Case(409, "uniqueness"),
        "A userName, and every attribute that is declared unique, is one resource's alone.",
        "RFC 7644 §3.3, §3.12, RFC 7643 §2.2",
        "Assignments: the userName that the app gives the person, and Provisioning >"
        " Integration: Unique identifier field for users.",
        "scim-ledger user show ID with the id of the detail tells who has it. Assign that"
        " person again, or give one of the two another userName.",
    ),
    means(
        Case(409),
        "A bulk operation that refers to another is carried out only if that one was.",
        "RFC 7644 §3.7.1, §3.7.3",
        _NOT_OKTA,
        "Mend the operation that the others refer to, and send all again.",
    ),
    means(
        Case(411),
        "A body says how long it is, or comes in chunks.",
        "RFC 9110 §15.5.12",
        f"{_NOT_OKTA} Look at the proxy in front.",
        "Let the client or the proxy send Content-Length.",
    ),
    means(
        Case(412),
        "With If-Match a change is made only to the version that the client read.",
        "RFC 7644 §3.14, RFC 9110 §13.1.1",
        f"{_NOT_OKTA} It names no versions.",
        "Read the resource again and repeat the change.",
    ),
    means(
        Case(413),
        "A body, a PATCH or a bulk request has a size that can be done at once.",
        "RFC 7644 §3.7.4, §3.12",
        f"{_PUSH} Okta sends large groups in parts by itself.",
        "Send less at once, or raise SCIM_MAX_BODY.",
    ),
    means(
        Case(414),
        "An address has at most 8190 bytes.",
        "RFC 9110 §15.5.15",
        _NOT_OKTA,
        "Shorten the filter, or POST it to /.search.",
    ),
    means(
        Case(415),
        "A body is application/scim+json or application/json, in UTF-8, not compressed.",
        "RFC 7644 §3.8, §8.1",
        f"{_NOT_OKTA} Look at the proxy in front.",
        "Send Content-Type: application/scim+json.",
    ),
    means(
        Case(429, method="GET"),
        "Only so many clients may wait for events at once; reading waits for no turn.",
        "RFC 6585 §4, RFC 9110 §10.2.3",
        _NOT_OKTA,
        "Ask again after Retry-After, close feeds that nobody reads, or raise SCIM_FEEDS.",
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
        f"{_NOT_OKTA} Look at the proxy in front.",
        "Send fewer or shorter headers.",
    ),
    means(
        Case(500),
        "This is a fault of this service; nothing was half done.",
        "RFC 7644 §3.12",
        _TASKS,
        "Find the request id in the service's log on stderr: it tells where. Then retry.",
    ),
    means(
        Case(501),
        "/Me is for a token that belongs to a user, and nobody signs up there.",
        "RFC 7644 §3.11",
        _NOT_OKTA,
        "Make such a token: scim-ledger token create NAME --user USERNAME.",
    ),
    means(
        Case(503),
        "The ledger cannot be read or written now, or its history is being built.",
        "RFC 7644 §3.12, RFC 9110 §15.6.4",
        f"{_TASKS} Retry it once the cause is gone.",
        "scim-ledger doctor and /readyz say why: a full disk, rights, damage.",
    ),
)


_OTHER = Explanation(
    "The request was refused.", "RFC 9110 §15", _TASKS, "The detail says what was wrong."
)


def explain(row: Row) -> Explanation:
    """Return what a record means."""
    return next((explanation for case, explanation in _TABLE if case.fits(row)), _OTHER)
