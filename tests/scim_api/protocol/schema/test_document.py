"""Operators' schemas are read exactly, or refused with a sentence that says why."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projections.query.model import Type
from scim_api.protocol.discovery import declaration, schema_document
from scim_api.protocol.schema.attributes import Attribute, Mutability, Returned, Schema
from scim_api.protocol.schema.document import MAX_FILE, SchemaRefused, read_schema, schema_of
from scim_api.protocol.schema.resource_types import GROUP, USER
from tests.scim_api.schemas_of_operators import BADGE_URN


def document(*attributes, **members):
    return {"id": BADGE_URN, "name": "Badge", "attributes": list(attributes)} | members


def refusal(refused):
    """Return the sentence with which a document is refused."""
    with pytest.raises(SchemaRefused) as raised:
        schema_of(refused)
    return str(raised.value)


# Read exactly

NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9_$-]{0,20}", fullmatch=True)
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30)
WORDS = st.lists(TEXTS.filter(bool), max_size=3).map(tuple)


def named(attributes):
    return st.lists(attributes, min_size=1, max_size=4, unique_by=lambda a: a.name.lower())


@st.composite
def plain(draw, inside=False):
    type_ = draw(st.sampled_from([type_ for type_ in Type if type_ is not Type.COMPLEX]))
    with_case = type_ in (Type.STRING, Type.REFERENCE, Type.BINARY)
    many = not inside and draw(st.booleans())
    unique = type_ in (Type.STRING, Type.INTEGER) and not many and not inside
    return Attribute(
        draw(NAMES),
        draw(TEXTS),
        type_,
        multi_valued=many,
        required=draw(st.booleans()),
        case_exact=with_case and draw(st.booleans()),
        mutability=draw(st.sampled_from([Mutability.READ_WRITE, Mutability.IMMUTABLE])),
        returned=draw(st.sampled_from(Returned)),
        uniqueness=draw(st.sampled_from(["none", "server", "global"])) if unique else "none",
        canonical_values=draw(WORDS),
        reference_types=draw(WORDS) if type_ is Type.REFERENCE else (),
    )


@st.composite
def nested(draw):
    return Attribute(
        draw(NAMES),
        draw(TEXTS),
        Type.COMPLEX,
        multi_valued=draw(st.booleans()),
        required=draw(st.booleans()),
        returned=draw(st.sampled_from(Returned)),
        sub_attributes=tuple(draw(named(plain(inside=True)))),
    )


@given(attributes=named(plain() | nested()), name=TEXTS.filter(str.strip), description=TEXTS)
def test_a_schema_from_discovery_can_be_added_again_unchanged(attributes, name, description):
    schema = Schema(BADGE_URN, name, description, tuple(attributes))
    shown = schema_document(schema, "https://example.com")

    read = read_schema(json.dumps(shown).encode())

    assert schema_document(read, "https://example.com") == shown


@pytest.mark.parametrize("schema", [USER.extensions[0], GROUP.schema], ids=lambda s: s.name)
def test_the_form_of_built_in_schemas_is_understood(schema):
    assert declaration(schema_of(declaration(schema))) == declaration(schema)


def test_missing_characteristics_have_the_defaults_of_rfc_7643():
    [attribute] = schema_of(document({"name": "code"})).attributes

    assert (attribute.type, attribute.multi_valued, attribute.required) == ("string", False, False)
    assert (attribute.mutability, attribute.returned) == ("readWrite", "default")
    assert (attribute.uniqueness, attribute.case_exact) == ("none", False)


@pytest.mark.parametrize("type_", ["reference", "binary"])
def test_case_matters_in_references_and_binaries_unless_the_file_says_otherwise(type_):
    silent, loud = {"name": "a", "type": type_}, {"name": "b", "type": type_, "caseExact": False}

    attributes = schema_of(document(silent, loud)).attributes

    assert [attribute.case_exact for attribute in attributes] == [True, False]


def test_the_address_of_a_schema_is_of_no_account():
    assert schema_of(document({"name": "code"}, schemas=[], meta={"location": "x"}))


def test_a_sub_attribute_may_be_a_reference():
    subs = [{"name": "value"}, {"name": "$ref", "type": "reference", "referenceTypes": ["User"]}]

    assert schema_of(document({"name": "boss", "type": "complex", "subAttributes": subs}))


# Refused

SIMPLE = {"name": "code"}


def inside(**characteristics):
    sub = {"name": "part", **characteristics}
    return {"name": "whole", "type": "complex", "subAttributes": [{"name": "other"}, sub]}


REFUSED = {
    "no object": ([], "a schema is a JSON object"),
    "no id": ({"name": "x", "attributes": [SIMPLE]}, "the schema has no id"),
    "no name": ({"id": BADGE_URN, "attributes": [SIMPLE]}, "the schema: name must be text"),
    "no attributes": (document(), "needs attributes: a list of at least one"),
    "too many": (document(*({"name": f"a{n}"} for n in range(201))), "more than 200 attributes"),
    "attribute is text": (document("code"), "attributes[0] must be an object"),
    "unknown member": (document(SIMPLE, colour="red"), 'a member "colour", which says nothing'),
    "misspelled": (document(SIMPLE | {"multivalued": True}), "write multiValued"),
    "unknown type": (document(SIMPLE | {"type": "text"}), 'code: type "text" must be one of'),
    "type in another case": (document(SIMPLE | {"type": "datetime"}), "must be one of"),
    "unknown mutability": (document(SIMPLE | {"mutability": "rw"}), "readOnly, readWrite"),
    "unknown returned": (document(SIMPLE | {"returned": "no"}), "always, never, default"),
    "unknown uniqueness": (document(SIMPLE | {"uniqueness": True}), "none, server, global"),
    "flag as text": (document(SIMPLE | {"required": "true"}), "code: required must be true or"),
    "description": (document(SIMPLE | {"description": 1}), "description must be text"),
    "long description": (document(SIMPLE | {"description": "x" * 2001}), "longer than 2000"),
    "canonicalValues": (document(SIMPLE | {"canonicalValues": "a"}), "must be a list"),
    "canonical numbers": (document(SIMPLE | {"canonicalValues": [1]}), "texts in quotes only"),
    "twice": (document({"name": "code"}, {"name": "CODE"}), "declares CODE twice"),
    "twice the same": (document({"name": "c"}, {"name": "c"}), "declares c twice"),
    "sub twice": (
        document({"name": "a", "type": "complex", "subAttributes": [{"name": "b"}, {"name": "B"}]}),
        "declares B twice",
    ),
    "complex without parts": (document(SIMPLE | {"type": "complex"}), "code needs subAttributes"),
    "parts without complex": (
        document(SIMPLE | {"subAttributes": [SIMPLE]}),
        "so its type must be complex",
    ),
    "complex in complex": (
        document(inside(type="complex", subAttributes=[SIMPLE])),
        "whole.part is complex inside a complex attribute",
    ),
    "several inside": (document(inside(multiValued=True)), "multi-valued inside"),
    "unique inside": (
        document(inside(uniqueness="server")),
        "only a whole attribute can be unique",
    ),
    "writeOnly inside": (
        document(inside(mutability="writeOnly", returned="never")),
        "only a whole attribute can be taken",
    ),
    "only readOnly parts": (
        document(
            {
                "name": "a",
                "type": "complex",
                "subAttributes": [{"name": "b", "mutability": "readOnly"}],
            }
        ),
        "a needs a sub-attribute that can be written",
    ),
    "unique and several": (
        document(SIMPLE | {"uniqueness": "server", "multiValued": True}),
        'cannot have uniqueness "server"',
    ),
    "unique boolean": (
        document(SIMPLE | {"uniqueness": "global", "type": "boolean"}),
        'cannot have uniqueness "global"',
    ),
    "required and readOnly": (
        document(SIMPLE | {"required": True, "mutability": "readOnly"}),
        "nobody could supply it",
    ),
    "writeOnly and shown": (document(SIMPLE | {"mutability": "writeOnly"}), '"never"'),
    "writeOnly number": (
        document(SIMPLE | {"mutability": "writeOnly", "returned": "never", "type": "integer"}),
        "must be one string",
    ),
    "referenceTypes of text": (
        document(SIMPLE | {"referenceTypes": ["User"]}),
        "so its type must be reference",
    ),
}


@pytest.mark.parametrize(("refused", "sentence"), REFUSED.values(), ids=REFUSED)
def test_an_unservable_schema_is_refused_with_a_sentence(refused, sentence):
    assert sentence in refusal(refused)


NO_URNS = ["example", "URN:example:a", "urn:x", "urn:x:", "urn::a", "urn:x:ü", "urn:x:a b", 7]
NO_URNS += ["urn:x:" + "a" * 200, "urn:x:a,b", "urn:x:(a)", "urn:x:[a]", 'urn:x:"']


@pytest.mark.parametrize("urn", NO_URNS)
def test_an_id_that_is_no_plain_urn_is_refused(urn):
    assert "URN" in refusal(document(SIMPLE, id=urn))


@pytest.mark.parametrize("name", ["", "1a", 'a"b', "a.b", "a:b", "a b", "ä", "$ref", "a" * 65, 7])
def test_a_name_that_rfc_7643_does_not_allow_is_refused(name):
    assert "must begin with a letter" in refusal(document({"name": name}))


def test_a_byte_order_mark_before_a_schema_is_passed_over():
    data = json.dumps(declaration(USER.extensions[0])).encode("utf-8-sig")

    assert declaration(read_schema(data)) == declaration(USER.extensions[0])


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b'{"id": "\\ud800"}'])
def test_invalid_json_is_refused(data):
    with pytest.raises(SchemaRefused, match="this is not JSON"):
        read_schema(data)


def test_a_file_beyond_the_bound_is_refused():
    with pytest.raises(SchemaRefused, match="larger than"):
        read_schema(b" " * (MAX_FILE + 1))
