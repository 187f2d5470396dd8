"""Errors: a template filled for the client, and filled without client text for the request log."""

import ast
import re
from pathlib import Path
from string import Formatter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scim_api.protocol import errors
from scim_api.protocol.errors import InvalidValue, Quoted, ScimError

SOURCES = sorted(Path(errors.__file__).parents[1].rglob("*.py"))
NAMES = {
    name
    for name, each in vars(errors).items()
    if isinstance(each, type) and issubclass(each, ScimError)
}


def test_the_answer_shows_client_text_and_the_log_withholds_it():
    error = InvalidValue("value.bad", "{name} of {key} is bad", name=Quoted("jane"), key="title")
    refusal = error.refusal()

    assert (str(error), error.detail) == ("jane of title is bad", "jane of title is bad")
    assert refusal.document()["detail"] == "jane of title is bad"
    assert (refusal.code, refusal.logged) == ("value.bad", "… of title is bad")


def test_a_second_sentence_is_for_okta_alone():
    error = InvalidValue("value.bad", "{name} is bad.", okta="In Okta, map {name}.", name="title")

    assert error.detail == error.refusal().detail == "title is bad."
    assert error.refusal(okta=True).detail == "title is bad. In Okta, map title."
    assert error.refusal(okta=True).logged == "title is bad. In Okta, map title."


@given(st.text())
def test_client_text_is_shortened_and_printable(text):
    shown = Quoted(text)

    assert len(shown) <= 83
    assert shown.isprintable()
    assert InvalidValue("value.bad", "a {text}.", text=shown).refusal().logged == "a …."


def test_the_end_of_a_long_text_is_shown():
    assert Quoted("a" * 100 + "b", most=10) == "aaaaa...aaaab"


def calls():
    """Yield every place where an error is made with a literal code and a template."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            name = getattr(node.func, "id", None) if isinstance(node, ast.Call) else None
            if (
                name in NAMES | {"_wrong"}
                and len([a for a in node.args if isinstance(a, ast.Constant)]) > 1
            ):
                yield pytest.param(node, id=f"{path.name}:{node.lineno}")


@pytest.mark.parametrize("call", [*calls()])
def test_a_template_is_a_literal_and_names_exactly_the_arguments_given(call):
    code, template = map(ast.literal_eval, call.args[-2:])
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    hint = given.pop("okta", None)
    okta = hint.value if isinstance(hint, ast.Constant) else ""
    wanted = {name for _, name, _, _ in Formatter().parse(template + okta) if name is not None}

    assert re.fullmatch(r"[a-z_]+\.[a-z0-9_]+", code)
    assert wanted == given.keys() - {"headers", "attributes"}
