"""Random filters find the same users in memory, over HTTP, and in scim2-models.

More of a user than tests/scim_api/protocol/test_filter_oracle.py has, and with our own SQL.
What we refuse or read otherwise on purpose is in docs/disagreements.md and is not drawn here.
"""

import os
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from projections.query.matching import matches
from scim_api.protocol.filter import parse_filter
from scim_api.protocol.schema.resource_types import ENTERPRISE_URN, USER, USER_URN
from tests.judges.models import UserFilter, UserModel
from tests.scim_api.client import Site
from tests.scim_api.schemes import Judged

EXAMPLES = int(os.environ.get("JUDGES_EXAMPLES", "1"))


def fixed(examples: int) -> Any:
    """Return a property's settings: the same examples each time, or many new ones."""
    return settings(
        max_examples=examples * EXAMPLES,
        derandomize=EXAMPLES == 1,
        suppress_health_check=list(HealthCheck),
        deadline=None,
    )


texts = st.sampled_from(["a", "A", "ab", "Ba", "%", "_", "\\", '"'])
mails = st.sampled_from(["a@x.org", "A@x.org", "b@y.org"])
kinds = st.sampled_from(["work", "home", "WORK"])


def plural(values: st.SearchStrategy[str]) -> st.SearchStrategy[list[dict[str, Any]]]:
    item = st.fixed_dictionaries(
        {"value": values}, optional={"type": kinds, "display": texts, "primary": st.booleans()}
    )
    unique = st.lists(
        item, min_size=1, max_size=3, unique_by=lambda one: (one["value"].lower(), one.get("type"))
    )
    return unique.filter(lambda items: sum(one.get("primary", False) for one in items) < 2)


addresses = st.lists(
    st.fixed_dictionaries({"locality": texts}, optional={"type": kinds, "postalCode": texts}),
    min_size=1,
    max_size=2,
    unique_by=lambda one: str(one).lower(),
)
DOCUMENTS = st.fixed_dictionaries(
    {
        "schemas": st.just([USER_URN, ENTERPRISE_URN]),
        "userName": texts,
        ENTERPRISE_URN: st.fixed_dictionaries(
            {"department": texts},
            optional={"employeeNumber": texts, "manager": st.fixed_dictionaries({"value": texts})},
        ),
    },
    optional={
        "externalId": texts,
        "title": texts,
        "locale": st.sampled_from(["en", "en-GB"]),
        "name": st.fixed_dictionaries({"familyName": texts}, optional={"givenName": texts}),
        "emails": plural(mails),
        "roles": plural(texts),
        "addresses": addresses,
    },
)

OPERATORS = st.sampled_from("eq ne co sw ew gt ge lt le EQ Co".split())
QUOTED = texts.map(lambda text: '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"')


def compared(names: list[str]) -> st.SearchStrategy[str]:
    test = st.one_of(st.builds("{} {}".format, OPERATORS, QUOTED), st.just("pr"))
    return st.builds("{} {}".format, st.sampled_from(names), test)


def combined(terms: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.recursive(
        terms,
        lambda inner: st.one_of(
            st.builds("{} and {}".format, inner, inner),
            st.builds("{} or {}".format, inner, inner),
            st.builds("not ({})".format, inner),
            st.builds("({})".format, inner),
        ),
        max_leaves=6,
    )


INNER = combined(
    st.one_of(
        compared(["value", "type", "display"]),
        st.sampled_from(["primary eq true", "primary ne true", "primary pr"]),
    )
)
IN_ADDRESSES = combined(compared(["type", "locality", "postalCode"]))
NAMES = [
    *("userName", "externalId", "title", "name.familyName", "NAME.givenName", "emails", "roles"),
    *("emails.value", "emails.type", "emails.display", "roles.value", "addresses.locality"),
    *(f"{ENTERPRISE_URN}:department", f"{ENTERPRISE_URN.upper()}:employeenumber"),
    *(f"{ENTERPRISE_URN}:manager.value", f"{USER_URN}:userName", f"{USER_URN}:emails.value"),
]
FILTERS = combined(
    st.one_of(
        compared(NAMES),
        st.builds("emails[{}]".format, INNER),
        st.builds("roles[{}]".format, INNER),
        st.builds("addresses[{}]".format, IN_ADDRESSES),
        st.sampled_from(["name pr", "emails.primary eq true", f"{ENTERPRISE_URN}:manager pr"]),
        st.sampled_from(["addresses pr", "emails.primary ne true", "roles.primary pr"]),
    )
)


def theirs(text: str, document: dict[str, Any]) -> bool:
    """Return whether scim2-models finds a user."""
    return bool(UserFilter(text).match(UserModel.model_validate(document)))


# Many pairs from each example: a rule that is a little wrong is so for few documents.
SEVERAL = st.lists(DOCUMENTS, min_size=6, max_size=6)
MANY = st.lists(compared(NAMES) | FILTERS, min_size=10, max_size=10)


@fixed(120)
@given(SEVERAL, MANY)
def test_a_filter_in_memory_finds_the_same_users_as_scim2_models(
    documents: list[dict[str, Any]], filters: list[str]
) -> None:
    for text in filters:
        found = [matches(parse_filter(text, USER), document) for document in documents]

        assert found == [theirs(text, document) for document in documents], text


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Any:
    site = Site(tmp_path_factory.mktemp("filters") / "data", SCIM_LOG_LEVEL="error")
    yield Judged(site.make())
    site.close()


@fixed(30)
@given(
    st.lists(DOCUMENTS, min_size=3, max_size=6, unique_by=lambda one: one["userName"].lower()),
    MANY,
)
def test_a_filter_over_http_finds_the_same_users_as_scim2_models(
    api: Any, documents: list[dict[str, Any]], filters: list[str]
) -> None:
    for old in api.get("/Users").json["Resources"]:
        api.delete(old)
    for document in documents:
        assert api.post(document).status_code == 201

    for text in filters:
        found = {user["userName"] for user in api.find(text)}

        assert found == {one["userName"] for one in documents if theirs(text, one)}, text
