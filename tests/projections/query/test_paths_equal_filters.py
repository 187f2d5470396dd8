"""A filter in a path of a PATCH finds what it finds in a list (RFC 7644 §3.5.2.2)."""

import json
from dataclasses import dataclass, replace
from typing import Any

import orjson
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from projections.current.memberships import Relation
from projections.query.comparison import fold
from projections.query.documents import Documents as Table
from projections.query.model import Query, Type
from scim_api.protocol.filter import parse_filter
from scim_api.protocol.patch.members import MemberChanges
from scim_api.protocol.patch.message import patched
from scim_api.protocol.patch.values import read_value
from scim_api.protocol.policy import Tolerances
from scim_api.protocol.schema.attributes import Attribute, AttributeAt, ResourceType, Schema
from scim_api.protocol.schema.resource_types import GROUP, USER
from tests.projections.filters_drawn import combined
from tests.projections.worlds import GROUPS, HISTORIES, POPULATED, STRANGERS, USERS, Lived, Step
from tests.scim_api.client import patch

PROPERTY = settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
BASE = "https://example.com/scim/v2"
TOLERANCES = Tolerances(base_url=BASE)


def compared(literals: list[str], operators: str) -> st.SearchStrategy[str]:
    words = st.sampled_from(operators.split())
    return st.builds("{} {}".format, words, st.sampled_from(literals)) | st.sampled_from(
        ["pr", "eq null", "ne null"]
    )


def over(names: list[str], literals: list[str], operators: str) -> st.SearchStrategy[str]:
    return st.builds("{} {}".format, st.sampled_from(names), compared(literals, operators))


ALL = "eq ne co sw ew gt ge lt le"
ORDER = "eq ne gt ge lt le"


# Members

IDS = [*USERS, *GROUPS, *STRANGERS]
URIS = ["/Users/u0", "/Groups/g1", f"{BASE}/Users/u1", f"{BASE}/Groups/g0", f"{BASE}/Users/x0"]
PARTS = [BASE, "https://", "https://z", "v2/Users", "scim/v2/Groups/g0", "/u0", "example", "/"]
OF_MEMBERS = combined(
    st.one_of(
        over(["value"], [json.dumps(id_) for id_ in (*IDS, "U0")], ALL),
        over(["$ref"], [json.dumps(uri) for uri in (*URIS, *PARTS)], ALL),
        over(["type"], ['"user"', '"Group"', '"r"'], ALL),
        over(["display"], ['"ada"', '"g0 ADA"', '"STRASSE"', '"b"'], ALL),
    )
)
NESTED: list[Step] = [
    *POPULATED,
    ("join", "g0", ["u0", "u1", "x0", "g1"]),
    ("join", "g1", ["g0", "u0", "u'\"%"]),
]


@dataclass
class Roll:
    """The members of a group of a small world, read from its tables."""

    lived: Lived
    group: int

    def among(self, ids: Any) -> Any:
        return self.lived.resources.memberships.among(self.lived.connection, self.group, ids)

    def all(self) -> list[Relation]:
        return self.lived.resources.memberships.members(self.lived.connection, self.group)

    def known(self, ids: Any) -> Any:
        return self.lived.resources.memberships.known(self.lived.connection, ids)


def finds(lived: Lived, group: str, text: str) -> bool:
    query = Query(filter=parse_filter(text, GROUP, TOLERANCES))
    page = lived.resources.search(lived.connection, "Group", query)
    return group in [json.loads(document)["id"] for *_, document in page.rows]


@PROPERTY
@example(NESTED, f'$ref eq "{BASE}/Users/u0"')
@example(NESTED, '$ref co "v2/Groups" or not ($ref pr)')
@given(HISTORIES, OF_MEMBERS)
def test_a_path_removes_the_members_by_which_a_list_finds_the_group(
    database: Any, history: list[Step], text: str
) -> None:
    lived = Lived(database, history)
    operation = patch({"op": "remove", "path": f"members[{text}]"})

    for group in [id_ for id_ in GROUPS if id_ in lived.world.present]:
        row = lived.resources.row(database, "Group", group)
        assert row
        membership = MemberChanges(Roll(lived, row.position))
        patched(GROUP, {"displayName": "g"}, operation, TOLERANCES, membership)

        found = {
            id_
            for id_ in lived.world.members[group]
            if finds(lived, group, f"members[({text}) and value eq {json.dumps(id_)}]")
        }
        assert set(membership.changes().leaving) == found


# Every other multi-valued attribute

URN = "urn:example:2.0:Devices"
DEVICES = Attribute(
    "devices",
    "Devices of every type.",
    Type.COMPLEX,
    multi_valued=True,
    sub_attributes=(
        Attribute("value", "An exact text.", case_exact=True),
        Attribute("label", "A text."),
        Attribute("since", "A time.", Type.DATE_TIME),
        Attribute("share", "A decimal.", Type.DECIMAL),
        Attribute("count", "A whole number.", Type.INTEGER),
        Attribute("lost", "A boolean.", Type.BOOLEAN),
        Attribute("$ref", "A reference.", Type.REFERENCE, case_exact=True),
        Attribute("primary", "The preferred one.", Type.BOOLEAN),
    ),
)
TAGS = Attribute("tags", "Plain texts.", multi_valued=True)
OWNER = replace(USER, extensions=(Schema(URN, "Devices", "Devices.", (DEVICES, TAGS)),))

TEXTS = ["a", "A", "aB", "b", "ß", "SS", "true", ""]
TIMES = ["2026-01-31T10:00:00Z", "2026-01-31T12:00:00+02:00", "2026-01-30T10:00:00.5Z"]
DEVICE = st.fixed_dictionaries(
    {},
    optional={
        "value": st.sampled_from(TEXTS),
        "label": st.sampled_from(TEXTS),
        "since": st.sampled_from(TIMES),
        "share": st.sampled_from([0, 1, 0.5, -0.5, 1.5]),
        "count": st.integers(-1, 1),
        "lost": st.booleans(),
        "$ref": st.sampled_from(["/Users/a", f"{BASE}/Users/a"]),
        "primary": st.booleans(),
    },
)
OF_DEVICES = combined(
    st.one_of(
        over(["value", "label", "$ref"], [json.dumps(text) for text in (*TEXTS, *URIS)], ALL),
        over(["since"], [json.dumps(text) for text in TIMES], ORDER),
        over(["share"], ["0", "1", "0.5", "-0.5", "1.50", "5e-1"], ORDER),
        over(["count"], ["-1", "0", "1"], ORDER),
        over(["lost", "primary"], ["true", "false", '"True"'], "eq ne"),
    )
)
EMAIL = st.fixed_dictionaries(
    {"value": st.sampled_from(["a@x.org", "A@x.org", "b@x.org"])},
    optional={
        "type": st.sampled_from(["work", "WORK", "home"]),
        "primary": st.booleans(),
        "display": st.sampled_from(TEXTS),
    },
)
OF_EMAILS = combined(
    st.one_of(
        over(["value"], ['"A@X.ORG"', '"@x"', '"b"'], ALL),
        over(["type", "display"], ['"Work"', '"a"', '"ß"', '"h"'], ALL),
        over(["primary"], ["true", "false"], "eq ne"),
    )
)
CASES = st.one_of(
    st.tuples(st.just(f"{URN}:devices"), DEVICE, OF_DEVICES),
    st.tuples(st.just(f"{URN}:tags"), st.sampled_from(TEXTS[:-1]), over(["value"], ['"A"'], ALL)),
    *(st.tuples(st.just(key), EMAIL, OF_EMAILS) for key in ("emails", "roles", "phoneNumbers")),
)


def stored(database: Any, declared: AttributeAt, values: Any) -> None:
    document: dict[str, Any] = {"id": "a", "userName": "a"}
    place = document
    for step in declared.steps[:-1]:
        place = place.setdefault(step, {})
    place[declared.steps[-1]] = values
    database.execute("DELETE FROM resource")
    database.execute("DELETE FROM resource_email")
    if declared.key == "emails":
        database.executemany(
            "INSERT INTO resource_email VALUES (?, 1)", [(fold(one["value"]),) for one in values]
        )
    database.execute(
        "INSERT INTO resource VALUES (1, 'a', 'User', 'a', NULL, '', 1, 0, ?)",
        (orjson.dumps(document),),
    )


def listed(database: Any, text: str, resource_type: ResourceType) -> bool:
    where, parameters = Table().where(parse_filter(text, resource_type, TOLERANCES))
    row = database.execute(f"SELECT 1 FROM resource WHERE {where}", parameters).fetchone()
    return row is not None


@PROPERTY
@example((f"{URN}:devices", {"share": 1}, "share eq 1.0 and not ($ref pr)"))
@example((f"{URN}:devices", {"primary": False}, "value pr"))
@given(CASES)
def test_a_path_removes_the_values_by_which_a_list_finds_the_user(
    database: Any, case: tuple[str, Any, str]
) -> None:
    key, value, text = case
    declared = OWNER.declared[key]
    values = read_value(declared, None, [value], TOLERANCES) or []
    attributes = {"userName": "a", **({key: values} if values else {})}
    operation = patch({"op": "remove", "path": f"{key}[{text}]"})

    stored(database, declared, values)
    left = patched(OWNER, attributes, operation, TOLERANCES)

    removed = bool(values) and key not in left
    assert removed is listed(database, f"{key}[{text}]", OWNER)
