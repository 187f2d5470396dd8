"""PATCH by properties, and against scim2-models as an independent reading of RFC 7644 §3.5.2."""

import copy

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scim2_models import Context, EnterpriseUser, PatchOp, SCIMException, User

from scim_api.protocol.body import load_resource
from scim_api.protocol.errors import NoTarget, ScimError
from scim_api.protocol.multi_valued import distinct
from scim_api.protocol.patch.message import PATCH_URN
from scim_api.protocol.patch.message import patched as after_patch
from scim_api.protocol.policy import ENTRA, OKTA, STRICT, Tolerances, with_settings
from scim_api.protocol.schema.resource_types import ENTERPRISE_URN, USER, USER_URN

RFC = with_settings(STRICT, {"every_filter_operator": True, "pathless_patch": True})
MANAGER = f"{ENTERPRISE_URN}:manager"
DEPARTMENT = f"{ENTERPRISE_URN}:department"

# Few and short texts, so that values meet; lower case, since scim2-models takes two values that
# differ in case for the same one and we keep both.
texts = st.sampled_from(["a", "b", "c"])
singles = st.sampled_from(["title", "nickName", "displayName", DEPARTMENT])
many = st.sampled_from(["roles", "entitlements"])


def some(**parts):
    return st.fixed_dictionaries({}, optional=parts)


names = some(givenName=texts, familyName=texts, middleName=texts)
values = st.fixed_dictionaries({"value": texts}, optional={"display": texts, "type": texts})


def at_most_one_primary(items):
    return sum(item.get("primary", False) for item in items) < 2


value_lists = st.lists(
    st.builds(lambda value, primary: value | primary, values, some(primary=st.booleans())),
    min_size=1,
    max_size=4,
    unique_by=lambda value: (value["value"], value.get("type")),
).filter(at_most_one_primary)

states = st.fixed_dictionaries(
    {"userName": texts},
    optional={
        "title": texts,
        "nickName": texts,
        "active": st.booleans(),
        "name": names.filter(bool),
        "roles": value_lists,
        "entitlements": value_lists,
        DEPARTMENT: texts,
        MANAGER: st.fixed_dictionaries({"value": texts}),
    },
)

filters = st.builds(
    lambda sub, operator, text: f'[{sub} {operator} "{text}"]',
    st.sampled_from(["value", "type", "display"]),
    st.sampled_from(["eq", "ne", "co"]),
    texts,
)
subs = st.sampled_from(["value", "display", "type"])
writing = st.sampled_from(["add", "replace"])


@st.composite
def operations(draw):
    """Draw one operation that RFC 7644 gives a meaning, now and then an error."""
    kind = draw(
        st.sampled_from(["single", "complex", "list", "filter", "part", "remove", "pathless"])
    )
    op = draw(writing)
    if kind == "single":
        path = draw(st.one_of(singles, st.sampled_from(["userName", "name.givenName"])))
        return {"op": op, "path": path, "value": draw(texts)}
    if kind == "complex":
        return {"op": op, "path": "name", "value": draw(names)}
    if kind == "list":
        return {"op": op, "path": draw(many), "value": draw(value_lists)}
    if kind == "filter":
        value = draw(some(display=texts, type=texts, primary=st.booleans()))
        return {"op": op, "path": draw(many) + draw(filters), "value": value}
    if kind == "part":
        path = f"{draw(many)}{draw(st.one_of(st.just(''), filters))}.{draw(subs)}"
        return {"op": op, "path": path, "value": draw(texts)}
    if kind == "remove":
        return {"op": "remove", "path": draw(removable_paths())}
    return {"op": op, "value": draw(pathless_values())}


@st.composite
def removable_paths(draw):
    whole = st.one_of(
        singles, many, st.sampled_from(["name", "name.givenName", "userName", "id", MANAGER])
    )
    filtered = st.builds(str.__add__, many, filters)
    part = st.builds("{}.{}".format, st.one_of(many, filtered), subs)
    return draw(st.one_of(whole, filtered, part, st.just(ENTERPRISE_URN)))


def pathless_values():
    return some(
        title=texts,
        active=st.booleans(),
        name=names,
        roles=value_lists,
        **{ENTERPRISE_URN: some(department=texts)},
    )


def message(*operations):
    return {"schemas": [PATCH_URN], "Operations": list(operations)}


def patched(state, *operations, policy=RFC):
    return after_patch(USER, state, message(*operations), Tolerances(policy))


def document(state):
    """Return the SCIM document of a state."""
    body = {"schemas": [USER_URN]}
    for key, value in state.items():
        if key.startswith(ENTERPRISE_URN):
            name = key.removeprefix(f"{ENTERPRISE_URN}:")
            body.setdefault(ENTERPRISE_URN, {})[name] = value
        else:
            body[key] = value
    if ENTERPRISE_URN in body:
        body["schemas"] = [USER_URN, ENTERPRISE_URN]
    return copy.deepcopy(body)


# Properties


@given(states, st.lists(operations(), min_size=1, max_size=4))
def test_the_attributes_given_are_never_changed_and_the_result_always_loads(state, several):
    before = copy.deepcopy(state)
    try:
        after = patched(state, *several, policy=ENTRA)
    except ScimError:
        after = before

    assert state == before
    assert load_resource(USER, document(after), Tolerances(STRICT)) == after


@given(states, many, value_lists)
def test_adding_twice_is_adding_once(state, path, value):
    add = {"op": "add", "path": path, "value": value}

    assert patched(state, add, add) == patched(state, add)


targets = st.one_of(
    st.tuples(many, value_lists), st.tuples(singles, texts), st.tuples(st.just("name"), names)
)


@given(states, targets)
def test_replacing_twice_is_replacing_once(state, target):
    path, value = target
    replace = {"op": "replace", "path": path, "value": value}

    assert patched(state, replace, replace) == patched(state, replace)


@given(states, st.one_of(many, singles))
def test_replacing_with_the_current_value_changes_nothing(state, path):
    assume(path in state)

    assert patched(state, {"op": "replace", "path": path, "value": state[path]}) == state


@given(states, many, value_lists)
def test_an_added_value_is_present(state, path, value):
    after = patched(state, {"op": "add", "path": path, "value": value})

    assert all(any(item.items() <= there.items() for there in after[path]) for item in value)


@given(states, many, filters)
def test_a_filtered_remove_removes_exactly_the_matches(state, path, chosen):
    remove = {"op": "remove", "path": path + chosen}
    after = patched(state, remove)
    rest = after.get(path, [])

    assert patched(after, remove) == after
    assert all(value in state[path] for value in rest)
    if rest:
        with pytest.raises(NoTarget):
            patched(after, {"op": "replace", "path": f"{path}{chosen}.display", "value": "x"})


@given(states, many, value_lists)
def test_removing_the_values_that_were_added_to_none_leaves_none(state, path, value):
    bare = {key: item for key, item in state.items() if key != path}
    add = {"op": "add", "path": path, "value": value}

    after = patched(bare, add, {"op": "remove", "path": path, "value": value}, policy=ENTRA)

    assert after == bare


@given(states, st.lists(operations(), min_size=2, max_size=4))
def test_operations_in_one_request_are_as_in_several(state, several):
    try:
        together = patched(state, *several)
    except ScimError:
        assume(False)

    for operation in several:
        state = patched(state, operation)

    assert state == together


@given(states, st.lists(operations(), min_size=1, max_size=4))
def test_at_most_one_value_is_primary_afterwards(state, several):
    try:
        after = patched(state, *several)
    except ScimError:
        assume(False)

    for path in ("roles", "entitlements"):
        assert at_most_one_primary(after.get(path, []))


nothing = st.sampled_from([None, ""])
emptied = st.fixed_dictionaries(
    {}, optional={"value": nothing, "type": texts, "display": texts, "primary": st.booleans()}
)


@st.composite
def emptyings(draw):
    """Draw an operation that takes something away, or gives what is nothing."""
    op, path = draw(writing), draw(many)
    chosen = draw(st.one_of(st.just(""), filters))
    part = {"path": f"{path}{chosen}.value"}
    return draw(
        st.sampled_from(
            [
                {"op": "remove", "path": "active"},
                {"op": op, "path": f"{USER_URN}:active", "value": draw(nothing)},
                {"op": op, "value": {"active": draw(nothing)}},
                {"op": "remove", **part},
                {"op": op, "value": draw(nothing), **part},
                {"op": op, "value": {f"{path}{chosen}.value": draw(nothing)}},
                {"op": op, "path": path, "value": draw(st.lists(emptied, max_size=3))},
                {"op": op, "path": path + chosen, "value": draw(emptied)},
            ]
        )
    )


@given(
    states.map(lambda state: {"active": True} | state),
    st.lists(st.one_of(operations(), emptyings()), min_size=1, max_size=4),
    st.sampled_from([OKTA, ENTRA]),
)
def test_no_patch_leaves_an_entry_without_its_value_or_a_user_without_active(
    state, several, policy
):
    try:
        after = patched(state, *several, policy=policy)
    except ScimError:
        assume(False)

    entries = [entry for path in ("roles", "entitlements") for entry in after.get(path, ())]
    assert all(entry["value"] for entry in entries)
    assert after["active"] in (True, False)


# Whatever comes

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=3),
    st.sampled_from(["", "True", "\ud800", "\0", "a"]),
)
keys = st.sampled_from(
    [
        *("userName", "name", "emails", "roles", "active", "schemas", "id", "groups", "password"),
        *("value", "VALUE", "primary", "type", "givenName", "$ref", "name.givenName", "manager"),
        *(ENTERPRISE_URN, MANAGER, USER_URN, f"{USER_URN}:title", 'emails[type eq "a"].value'),
        *("op", "path", "\ud800", "", ".", ":", "["),
    ]
)
json = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(keys, json, max_size=6))
def test_any_body_is_loaded_or_refused_in_words(body):
    body = {"schemas": [USER_URN], "userName": "a"} | body
    try:
        state = load_resource(USER, body)
    except ScimError as error:
        assert error.detail.encode()
    else:
        assert load_resource(USER, document(state), Tolerances(STRICT)) == state


@given(states, st.sampled_from(["add", "Replace", "remove"]), st.none() | keys, json)
def test_any_operation_is_applied_or_refused_in_words(state, op, path, value):
    operation = {"op": op, "path": path, "value": value}
    try:
        after = patched(state, operation, policy=ENTRA)
    except ScimError as error:
        assert error.detail.encode()
    else:
        assert load_resource(USER, document(after), Tolerances(STRICT)) == after


# Against scim2-models
#
# Where the two are known to differ, and ours is meant:
# - a sub-attribute without filter of an attribute without values: we make the first value (a
#   location that does not exist is added to), scim2-models answers success and keeps nothing;
# - an operation that sets primary in several values: we refuse it always, scim2-models only
#   where none of them was primary before;
# - values that become the same by value and type (RFC 7643 §2.4): we make one of them;
# - `manager` without a value, which we take for no manager, and `id` in a value without a path,
#   which we ignore since Okta sends it, are not drawn.


def theirs(state, operation):
    """Return the state after scim2-models applied the operation; raises SCIMException."""
    model = User[EnterpriseUser]
    user = model.model_validate(document(state))
    context = Context.RESOURCE_PATCH_REQUEST
    PatchOp[model].model_validate(message(operation), scim_ctx=context).patch(user)
    body = user.model_dump()
    extension = body.pop(ENTERPRISE_URN, None) or {}
    flat = body | {f"{ENTERPRISE_URN}:{name}": value for name, value in extension.items()}
    return {key: _without_doubles(value) for key, value in flat.items() if key != "schemas"}


def _without_doubles(value):
    return distinct([item for item in value if item]) if isinstance(value, list) else value


def is_known_difference(state, operation):
    path, dot, _ = operation.get("path", "").partition(".")
    return dot and path in ("roles", "entitlements") and path not in state


@settings(max_examples=150)
@given(states, operations())
def test_scim2_models_has_the_same_result(state, operation):
    assume(operation["op"] == "remove" or not is_known_difference(state, operation))
    try:
        ours = patched(state, operation)
    except ScimError as error:
        assume("several values" not in error.detail)
        with pytest.raises((SCIMException, ValidationError)):
            theirs(state, operation)
    else:
        assert ours == theirs(state, operation)
