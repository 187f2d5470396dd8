"""What is wrong with a request that was refused with 400."""

from scim_api.request_log.explanation_cases import (
    CONNECTOR,
    MAPPINGS,
    NOT_OKTA,
    PAGES,
    PUSH,
    Case,
    Explanation,
    means,
)

MALFORMED: tuple[tuple[Case, Explanation], ...] = (
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
        f"{NOT_OKTA} If it did, something between Okta and this service changes bodies.",
        "Look at what sent it, and at proxies on the way; the detail says what is wrong.",
    ),
    means(
        Case(400, "invalidPath"),
        "The path of a PATCH names an attribute, a value of one, or a part of a value.",
        "RFC 7644 §3.5.2, figure 7",
        MAPPINGS,
        "Correct the external name of the mapped attribute, or add a schema that declares it:"
        " scim-ledger schema add FILE.",
    ),
    means(
        Case(400, "noTarget"),
        "The filter in the path of a PATCH has to find a value to change.",
        "RFC 7644 §3.5.2.2, §3.5.2.3",
        MAPPINGS,
        "Add the value first, or let the policy make it: scim-ledger policy show.",
    ),
    means(
        Case(400, "invalidValue", about=("asOf",)),
        "The past is read, not changed: asOf goes with GET and /.search, and is a moment of it.",
        "RFC 7644 §3.4.2",
        NOT_OKTA,
        "Give asOf once, as an instant with its offset or a position that the ledger has; the"
        " detail says what is wrong with it.",
    ),
    means(
        Case(
            400,
            "invalidValue",
            bulk=True,
            about=("bulkId", "method", "data", "version", "path"),
        ),
        "An operation of a bulk request has a method, a path, the data that its method needs, and"
        " refers by bulkId to what a POST of the same request creates.",
        "RFC 7644 §3.7, §3.7.2",
        NOT_OKTA,
        "Mend the operation as the detail says, and send it again.",
    ),
    means(
        Case(400, "invalidValue", bulk=False, places=("/Bulk",)),
        "A bulk request has the schemas of a BulkRequest, operations, and failOnErrors from 1 on.",
        "RFC 7644 §3.7, §3.7.3",
        NOT_OKTA,
        "Mend what the detail names, and send all again: nothing of it was carried out.",
    ),
    means(
        Case(400, "invalidValue", places=("/.search", "/*/.search")),
        "A search has the schemas of a SearchRequest, and parameters within their bounds.",
        "RFC 7644 §3.4.3",
        f"{NOT_OKTA} It searches with GET.",
        "Mend what the detail names; /openapi.json describes each parameter.",
    ),
    means(
        Case(400, "invalidValue", method="GET"),
        "A parameter of an address has a value of its kind and within its bounds.",
        "RFC 7644 §3.4.2",
        f"{NOT_OKTA} Its lists have startIndex and count, and filters that are in order.",
        "Mend the parameter that the detail names; /openapi.json describes each.",
    ),
    means(
        Case(400, "invalidValue", resource_type="Group"),
        "A value fits its attribute, and required attributes have one; members are ids.",
        "RFC 7644 §3.12, RFC 7643 §4.2",
        f"{PUSH} Members must be assigned to the app first; then Push now.",
        "Mend what the detail names, and let the client send it again.",
    ),
    means(
        Case(400, "invalidValue"),
        "A value fits its attribute's type, and required attributes have one.",
        "RFC 7644 §3.12, RFC 7643 §2.2",
        MAPPINGS,
        "Map or fill in the attribute that the detail names, and let the client send it again. What"
        " is required here: scim-ledger attribute list.",
    ),
    means(
        Case(400, "mutability"),
        "What is readOnly cannot be written, what is immutable cannot change once it is set,"
        " what is required cannot be removed.",
        "RFC 7644 §3.5.2, RFC 7643 §2.2",
        MAPPINGS,
        "Map the attribute for create only, or not at all.",
    ),
    means(
        Case(400, "invalidCursor"),
        "A cursor is good for the token and the query that it was given for.",
        "RFC 9865 §2.1",
        PAGES,
        "Begin the list anew with an empty cursor, and change nothing from page to page.",
    ),
    means(
        Case(400, "expiredCursor"),
        "A cursor can be used for an hour.",
        "RFC 9865 §2.1",
        PAGES,
        "Begin the list anew with an empty cursor.",
    ),
    means(
        Case(400, "invalidCount"),
        "In a list read by cursor, count is a whole number, the same on every page.",
        "RFC 9865 §2.1",
        PAGES,
        "Send the same whole number on every page, or none.",
    ),
    means(
        Case(400),
        "A request is well-formed HTTP.",
        "RFC 9110 §15.5.1, §7.2",
        CONNECTOR,
        "Look at the proxy in front: it has to pass on the Host header as it is.",
    ),
)
