"""Random resources, PATCH operations and queries, with few values so that they often match."""

from hypothesis import strategies as st

from scim_api.protocol.schema.resource_types import (
    ENTERPRISE_URN,
    ENTITLEMENT_URN,
    GROUP_URN,
    ROLE_URN,
    USER_URN,
)
from tests.scim_api.client import PATCH_URN

BULK_URN = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
MANAGER = f"{ENTERPRISE_URN}:manager"
texts = st.sampled_from(["a", "b", "c", "Ab", "é", "a b", '"'])
names = st.sampled_from(["ann", "ANN", "bob", "cem", "émile"])
kinds = st.sampled_from(["work", "home"])
mails = st.sampled_from(["a@x.org", "b@x.org", "A@x.org"])


def some(**parts):
    return st.fixed_dictionaries({}, optional=parts)


def _plural(values):
    item = st.fixed_dictionaries(
        {"value": values}, optional={"type": kinds, "display": texts, "primary": st.booleans()}
    )
    several = st.lists(
        item, min_size=1, max_size=3, unique_by=lambda one: (one["value"].lower(), one.get("type"))
    )
    return st.one_of(several, several.map(_with_one_primary), several.map(_with_one_primary))


def _with_one_primary(values):
    """Mark the first value, and no other, as primary."""
    return [value | {"primary": place == 0} for place, value in enumerate(values)]


emails, roles = _plural(mails), _plural(texts)
complex_names = some(givenName=texts, familyName=texts, formatted=texts)
extension = some(
    department=texts,
    costCenter=texts,
    manager=st.fixed_dictionaries({"value": texts}),
)
good = {
    "title": texts,
    "displayName": texts,
    "nickName": texts,
    "externalId": texts,
    "active": st.booleans(),
    "name": complex_names,
    "emails": emails,
    "roles": roles,
    ENTERPRISE_URN: extension,
}
_ODD = {
    "title": st.sampled_from([5, None, [], {}, ["a"], ""]),
    "active": st.sampled_from(["true", 1, None, []]),
    "emails": st.sampled_from([{}, [], None, "a@x.org", [5], [{}], [{"value": None}]]),
    "name": st.sampled_from([{}, None, "Ann", [], {"givenName": 5}, {"unknown": "a"}]),
    "userName": st.sampled_from(["", None, 5, " "]),
    "id": st.just("mine"),
    "meta": st.just({"resourceType": "Group"}),
    "unknown": texts,
    "TITLE": texts,
    "schemas": st.sampled_from([None, [], ["urn:x"], [USER_URN.upper()], USER_URN]),
}
odd = st.one_of([st.fixed_dictionaries({name: value}) for name, value in _ODD.items()])


def _with_schemas(user):
    urns = [USER_URN, ENTERPRISE_URN] if ENTERPRISE_URN in user else [USER_URN]
    return {"schemas": urns, **user}


sound_users = st.fixed_dictionaries({"userName": names}, optional=good).map(_with_schemas)
active_users = sound_users.map(lambda user: {"active": True} | user)
users = st.one_of(
    sound_users, sound_users, sound_users, st.builds(lambda a, b: a | b, sound_users, odd)
)


def _grantable(urn):
    return st.fixed_dictionaries(
        {"schemas": st.just([urn]), "displayName": names},
        optional={"type": texts, "description": texts, "externalId": texts},
    )


def groups(ids):
    member = st.fixed_dictionaries({"value": ids})
    members = st.lists(member, max_size=3, unique_by=lambda one: one["value"])
    return st.fixed_dictionaries(
        {"schemas": st.just([GROUP_URN]), "displayName": names},
        optional={"members": members, "externalId": texts},
    )


bodies = {"/Roles": _grantable(ROLE_URN), "/Entitlements": _grantable(ENTITLEMENT_URN)}

# PATCH

operators = st.sampled_from(["eq", "ne", "co", "sw", "gt"])
filters = st.one_of(
    st.builds('[type {} "{}"]'.format, operators, kinds),
    st.builds('[value {} "{}"]'.format, operators, st.sampled_from(["a", "b", "a@x.org"])),
    st.just("[primary eq true]"),
    st.just('[type eq "work" and not (value sw "b")]'),
    st.just("[display pr]"),
)
subs = st.sampled_from([".value", ".display", ".type", ".primary"])
lists = st.sampled_from(["emails", "roles", "EMAILS", f"{USER_URN}:roles"])
singles = st.sampled_from(
    [
        *("title", "nickName", "userName", "externalId", "name.givenName", "NAME.FAMILYNAME"),
        *(f"{ENTERPRISE_URN}:department", f"{MANAGER}.value", f"{USER_URN}:title"),
    ]
)
wholes = st.sampled_from(["active", "name", MANAGER, ENTERPRISE_URN, "id", "meta", "schemas"])
broken = st.sampled_from(
    [
        *("unknown", "name.unknown", "emails[", "emails[type]", "emails[type zz 1].value", "a b"),
        *("name.givenName.x", "urn:x:title", "emails[unknown eq 1]", 'emails[type eq "a"].x', ".a"),
    ]
)
selections = st.builds(str.__add__, lists, filters)
parts = st.builds(str.__add__, st.one_of(lists, selections), subs)
paths = st.one_of(singles, singles, lists, selections, parts, wholes, broken)
values = st.one_of(
    texts,
    texts,
    roles,
    complex_names,
    st.booleans(),
    some(**good),
    st.sampled_from([None, [], {}, 5, "", "True", {"value": "c"}, {"unknown": "a"}]),
    st.fixed_dictionaries({"value": texts}, optional={"primary": st.booleans()}),
)


@st.composite
def operations(draw):
    """Draw an operation, most of which make sense."""
    op = draw(st.sampled_from(["add", "replace", "remove", "add", "replace", "remove", "zap"]))
    if op == "remove":
        path = draw(st.one_of(paths, paths, paths, st.none()))
        return {"op": op} | ({} if path is None else {"path": path})
    sound = draw(st.sampled_from(["single", "list", "part", "none", "any"]))
    if sound == "single":
        return {"op": op, "path": draw(singles), "value": draw(texts)}
    if sound == "list":
        value = draw(st.sampled_from([emails, roles]).flatmap(lambda one: one))
        return {"op": op, "path": draw(lists), "value": value}
    if sound == "part":
        path = draw(parts)
        value = draw(st.booleans() if path.endswith("primary") else texts)
        return {"op": op, "path": path, "value": value}
    if sound == "none":
        return {"op": op, "value": draw(some(**good))}
    return {"op": op, "path": draw(paths), "value": draw(values)}


def group_operations(ids):
    """Draw an operation on a group."""
    member = st.fixed_dictionaries({"value": ids})
    members = st.lists(member, min_size=1, max_size=2, unique_by=lambda one: one["value"])
    op = st.sampled_from(["add", "replace"])
    return st.one_of(
        st.fixed_dictionaries({"op": op, "path": st.just("members"), "value": members}),
        st.fixed_dictionaries(
            {"op": op, "value": some(members=members, displayName=names, externalId=texts)}
        ),
        st.fixed_dictionaries(
            {
                "op": st.just("remove"),
                "path": st.one_of(
                    st.sampled_from(["members", "displayName", "externalId", "members.value"]),
                    st.builds('members[value eq "{}"]'.format, ids),
                ),
            }
        ),
        st.fixed_dictionaries({"op": op, "path": st.just("displayName"), "value": names}),
    )


def grantable_operations():
    """Draw an operation on a role or an entitlement."""
    op = st.sampled_from(["add", "replace"])
    path = st.sampled_from(["displayName", "type", "description", "externalId", "title", "id"])
    return st.one_of(
        st.fixed_dictionaries({"op": op, "path": path, "value": texts}),
        st.fixed_dictionaries({"op": op, "value": some(displayName=names, description=texts)}),
        st.fixed_dictionaries({"op": st.just("remove"), "path": path}),
    )


def patch_of(operation):
    return st.lists(operation, min_size=1, max_size=3).map(
        lambda several: {"schemas": [PATCH_URN], "Operations": several}
    )


# Queries

comparisons = st.one_of(
    st.builds(
        '{} {} "{}"'.format,
        st.sampled_from(["userName", "displayName", "externalId", "roles.value", "title"]),
        st.sampled_from(["eq", "ne", "co", "sw", "ew", "gt", "le"]),
        st.sampled_from(["a", "ann", "ANN", "b", "é", "x.org"]),
    ),
    st.builds("emails{}".format, filters),
    st.builds(
        "{} pr".format,
        st.sampled_from(["title", "name", "emails", "emails.display", ENTERPRISE_URN + ":manager"]),
    ),
    st.sampled_from(
        [
            "active eq true",
            "active gt false",
            "title eq null",
            'meta.resourceType eq "User"',
            f'{ENTERPRISE_URN}:department eq "a"',
            "title",
            'unknown eq "a"',
            'title zz "a"',
            "title eq a\\",
            "userName eq 5",
        ]
    ),
)
queried = st.recursive(
    comparisons,
    lambda inner: st.one_of(
        st.builds("{} and {}".format, inner, inner),
        st.builds("{} or {}".format, inner, inner),
        st.builds("not ({})".format, inner),
    ),
    max_leaves=3,
)
attributes = st.lists(
    st.sampled_from(
        [
            *("userName", "title", "emails.value", "name", "NAME.givenName", "id", "unknown"),
            *(ENTERPRISE_URN, f"{ENTERPRISE_URN}:department", "meta", "schemas", "emails"),
        ]
    ),
    min_size=1,
    max_size=3,
).map(",".join)
shown = st.one_of(
    st.just({}),
    st.builds(lambda one: {"attributes": one}, attributes),
    st.builds(lambda one: {"excludedAttributes": one}, attributes),
    st.just({"attributes": "title", "excludedAttributes": "id"}),
)
sorted_by = st.sampled_from(
    ["userName", "title", "name.familyName", "emails", "roles.value", "active", "id", "unknown"]
)
queries = st.builds(
    lambda shows, more: shows | more,
    shown,
    some(
        filter=queried,
        sortBy=sorted_by,
        sortOrder=st.sampled_from(["ascending", "descending", "Descending", "up"]),
        startIndex=st.sampled_from(["-1", "0", "1", "2", "3", "9", "x"]),
        count=st.sampled_from(["0", "1", "2", "5", "-1", "ten"]),
    ),
)
queries_of_all = some(
    filter=st.sampled_from(
        [
            'meta.resourceType eq "User"',
            'meta.resourceType eq "Group" or displayName eq "a"',
            'userName sw "a"',
            "not (displayName pr)",
            'externalId eq "a"',
            "members pr",
            'unknown eq "a"',
        ]
    ),
    count=st.sampled_from(["0", "1", "5"]),
)
conditions = st.one_of(
    st.none(),
    st.none(),
    st.tuples(st.sampled_from(["If-Match", "If-None-Match"]), st.sampled_from(["now", "old", "*"])),
)


def bulk_operation(method, path, data):
    return st.fixed_dictionaries({"method": st.just(method), "path": path, "data": data})
