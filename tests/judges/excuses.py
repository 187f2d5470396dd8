"""Where ours and scim2-server may differ: predicates, by their names in docs/disagreements.md."""

EXCUSES = {}


def excuse(name):
    """Register a predicate of (asked, ours, theirs) that are not the same."""

    def registered(predicate):
        EXCUSES[name] = predicate
        return predicate

    return registered


def excuse_of(asked, ours, theirs):
    """Return the name of the disagreement that two answers come from, if they differ by one."""
    return next((name for name, holds in EXCUSES.items() if holds(asked, ours, theirs)), None)


def is_refused(answer, *scim_types):
    return answer.status == 400 and answer.scim_type in scim_types


def operations(asked):
    return asked.body["Operations"] if asked.method == "PATCH" else []


def parameters(asked):
    return asked.body if asked.path.endswith("/.search") else asked.query


@excuse("which-fault-first")
def _(asked, ours, theirs):
    if ours.good or theirs.good or (ours.status, ours.scim_type) == (
        theirs.status,
        theirs.scim_type,
    ):
        return False
    several = len(operations(asked)) > 1 or len(parameters(asked)) > 1
    return several or ours.status != theirs.status


@excuse("unknown-attribute")
def _(asked, ours, theirs):
    given = asked.method in ("POST", "PUT") and not asked.path.endswith("/.search")
    return given and is_refused(ours, "invalidValue") and is_refused(theirs, "invalidSyntax")


@excuse("sort-by-nothing")
def _(asked, ours, theirs):
    sorts = "sortBy" in (parameters(asked) or {})
    return sorts and is_refused(ours, "invalidValue") and is_refused(theirs, "invalidPath")


@excuse("sort-order-case")
def _(asked, ours, theirs):
    sorts = (parameters(asked) or {}).get("sortOrder") == "Descending"
    return sorts and ours.good and is_refused(theirs, "invalidValue")


@excuse("empty-user-name")
def _(asked, ours, theirs):
    empty = isinstance(asked.body, dict) and asked.body.get("userName") == ""
    return empty and is_refused(ours, "invalidValue") and theirs.good
