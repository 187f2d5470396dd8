"""Where ours and scim2-server may differ: predicates, by their names in docs/disagreements.md."""

EXCUSES = {}
TWO_FAULTS = (  # of a path with a filter, and a value that does not fit
    {"invalidValue", "noTarget"},
    {"invalidValue", "invalidFilter"},
)


def excuse(name):
    """Register a predicate of (asked, ours, theirs) that are not the same."""

    def registered(predicate):
        EXCUSES[name] = predicate
        return predicate

    return registered


def excuse_of(asked, ours, theirs):
    """Return the name of the disagreement that explains two different answers, or None."""
    return next((name for name, holds in EXCUSES.items() if holds(asked, ours, theirs)), None)


def is_refused(answer, *scim_types):
    return answer.status == 400 and answer.scim_type in scim_types


def operations(asked):
    return asked.body["Operations"] if asked.method == "PATCH" else []


def parameters(asked):
    return asked.body if asked.path.endswith("/.search") else asked.query or {}


_LISTS = ("emails", "roles")


@excuse("which-fault-first")
def _(asked, ours, theirs):
    if ours.good or theirs.good:
        return False
    several = len(operations(asked)) > 1 or len(parameters(asked)) > 1
    filtered = any("[" in (one.get("path") or "") for one in operations(asked))
    named = {ours.scim_type, theirs.scim_type}
    several = several or (filtered and named in TWO_FAULTS)
    nulls = any(one.get("value", 0) is None for one in operations(asked))
    several = several or (nulls and theirs.scim_type == "invalidValue")
    return several or ours.status != theirs.status


@excuse("unknown-attribute")
def _(asked, ours, theirs):
    name = isinstance(asked.body, dict) and asked.body.get("name")
    given = name == {"unknown": "a"} or "unknown" in (asked.body or {})
    return given and is_refused(ours, "invalidValue") and is_refused(theirs, "invalidSyntax")


@excuse("unknown-at-the-root")
def _(asked, ours, theirs):
    unknown = parameters(asked).get("filter") == 'unknown eq "a"'
    at_root = asked.path in ("", "/", "/.search")
    return unknown and at_root and ours.good and is_refused(theirs, "invalidFilter")


@excuse("sort-by-nothing")
def _(asked, ours, theirs):
    sorts = "sortBy" in parameters(asked)
    return sorts and is_refused(ours, "invalidValue") and is_refused(theirs, "invalidPath")


@excuse("sort-order-case")
def _(asked, ours, theirs):
    sorts = parameters(asked).get("sortOrder") == "Descending"
    return sorts and ours.good and is_refused(theirs, "invalidValue")


@excuse("empty-user-name")
def _(asked, ours, theirs):
    empty = isinstance(asked.body, dict) and asked.body.get("userName") in ("", " ")
    return empty and is_refused(ours, "invalidValue") and theirs.good


@excuse("booleans-in-other-words")
def _(asked, ours, theirs):
    said = [one.get("value") for one in operations(asked)]
    said += [asked.body.get("active")] if isinstance(asked.body, dict) else []
    loose = any(value in ("true", "True") or (value == 1 and value is not True) for value in said)
    return loose and is_refused(ours, "invalidValue") and theirs.good


@excuse("unknown-operation")
def _(asked, ours, theirs):
    unknown = any(one["op"] == "zap" for one in operations(asked))
    return unknown and is_refused(ours, "invalidSyntax") and is_refused(theirs, "invalidValue")


@excuse("part-of-no-values")
def _(asked, ours, theirs):
    written = (one for one in operations(asked) if one["op"] in ("add", "replace"))
    parts = ("emails.", "roles.")
    paths = [(one.get("path") or "").lower().rpartition(":")[2] for one in written]
    return any(path.startswith(parts) for path in paths) and (
        (ours.good and (theirs.good or is_refused(theirs, "noTarget")))
        or (is_refused(ours, "invalidValue") and theirs.good)
    )


@excuse("attributes-and-excluded")
def _(asked, ours, theirs):
    both = {"attributes", "excludedAttributes"} <= parameters(asked).keys()
    return both and ours.good and is_refused(theirs, "invalidValue")


@excuse("schemas-of-a-part")
def _(asked, ours, theirs):
    named = "attributes" in parameters(asked) or "excludedAttributes" in parameters(asked)
    return named and ours.good and theirs.good and _bare(ours.body) == _bare(theirs.body)


def _bare(body):
    """Return an answer without the extensions that `schemas` names."""
    if isinstance(body, list):
        return [_bare(item) for item in body]
    if not isinstance(body, dict):
        return body
    return {name: _bare(value) for name, value in body.items() if name != "schemas"}


@excuse("attribute-twice")
def _(asked, ours, theirs):
    twice = isinstance(asked.body, dict) and {"title", "TITLE"} <= asked.body.keys()
    return twice and is_refused(ours, "invalidSyntax")


@excuse("schemas-of-nothing")
def _(asked, ours, theirs):
    if not isinstance(asked.body, dict) or asked.body.get("schemas") not in (None, [], ["urn:x"]):
        return False
    return is_refused(ours, "invalidValue", "invalidSyntax") and (
        theirs.good or is_refused(theirs, "invalidValue", "invalidSyntax")
    )


@excuse("primary-of-several")
def _(asked, ours, theirs):
    several = any(_marks_several(one) for one in operations(asked))
    return several and is_refused(ours, "invalidValue") and theirs.good


def _marks_several(operation):
    """Return whether an operation may mark more than one value as primary."""
    path, value = (operation.get("path") or "").lower(), operation.get("value")
    if isinstance(value, dict) and not path:
        return any(_marks_several({"value": item}) for item in value.values())
    if isinstance(value, list):
        return sum(one.get("primary") is True for one in value if isinstance(one, dict)) > 1
    chosen = isinstance(value, dict) and value.get("primary") is True and "[" in path
    return chosen or (path.endswith(".primary") and value is True)


@excuse("id-of-a-member")
def _(asked, ours, theirs):
    paths = [one.get("path") for one in operations(asked)]
    return "members.value" in paths and is_refused(ours, "mutability") and theirs.good


@excuse("schemas-in-capitals")
def _(asked, ours, theirs):
    urns = asked.body.get("schemas") if isinstance(asked.body, dict) else None
    capital = isinstance(urns, list) and any(str(urn).startswith("URN:") for urn in urns)
    return capital and is_refused(theirs, "invalidSyntax", "invalidValue")


@excuse("circular-references")
def _(asked, ours, theirs):
    if asked.path != "/Bulk" or not (ours.good and theirs.good):
        return False
    pairs = zip(ours.body["Operations"], theirs.body["Operations"], strict=False)
    refused = [one["bulkId"] for own, one in pairs if own["status"] == "201" != one["status"]]
    return any(f"bulkId:{mark}" in str(asked.body) for mark in refused)


@excuse("values-that-are-the-same")
def _(asked, ours, theirs):
    if not (ours.good and theirs.good and operations(asked)):
        return False
    differ = [name for name in _LISTS if ours.body.get(name) != theirs.body.get(name)]
    counted = all(_repeats(ours.body, theirs.body, name) for name in differ)
    return counted and _folded(ours.body) == _folded(theirs.body)


def _repeats(ours, theirs, name):
    """Return whether a value is in a list twice, or in only one of the two lists."""
    values = [
        [str(one.get("value")).lower() for one in body.get(name, [])] for body in (ours, theirs)
    ]
    return len(values[0]) != len(values[1]) or any(len(set(v)) < len(v) for v in values)


def _folded(body):
    """Return a user whose e-mail addresses and roles differ only by value and type."""
    lists = {
        name: {(str(one.get("value")).lower(), one.get("type")) for one in body.get(name, [])}
        for name in _LISTS
    }
    return {**body, **lists}


@excuse("broken-brackets")
def _(asked, ours, theirs):
    paths = [one.get("path") or "" for one in operations(asked)]
    unknown = any("[unknown" in path for path in paths)
    named = ("invalidPath", "invalidFilter") if unknown else ("invalidFilter", "invalidPath")
    bracket = any("[" in path for path in paths)
    return bracket and is_refused(ours, named[0]) and is_refused(theirs, named[1])


@excuse("add-of-null")
def _(asked, ours, theirs):
    nulls = any(one.get("value", 0) is None for one in operations(asked))
    return nulls and ours.good and is_refused(theirs, "invalidValue")


@excuse("schemas-unknown")
def _(asked, ours, theirs):
    given = [one for one in operations(asked) if one.get("path") == "schemas"]
    written = any(one["op"] in ("add", "replace") for one in given)
    return written and is_refused(ours, "invalidValue") and theirs.good


@excuse("order-in-bulk")
def _(asked, ours, theirs):
    counted = asked.path == "/Bulk" and "failOnErrors" in asked.body
    return counted and "bulkId:" in str(asked.body) and ours.good and theirs.good


def changes_nothing(asked, ours, theirs):
    """Return whether only theirs has a new version though nothing changed."""
    removes = all(one["op"] == "remove" for one in operations(asked))
    return theirs and not ours and (removes or len(operations(asked)) > 1)


EXCUSES["changes-of-nothing"] = lambda *_: False  # it is about versions: see changes_nothing
