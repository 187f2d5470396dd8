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
    """Yield every place where an error is made."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", None) in NAMES:
                yield pytest.param(node, id=f"{path.name}:{node.lineno}")


@pytest.mark.parametrize("call", [*calls()])
def test_a_template_is_never_put_together_and_names_exactly_the_arguments_given(call):
    code, template = call.args
    assert not isinstance(template, ast.JoinedStr | ast.BinOp | ast.Call)
    if not isinstance(template, ast.Constant):
        return
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    hint = given.pop("okta", None)
    text = template.value + (hint.value if isinstance(hint, ast.Constant) else "")

    assert {name for _, name, _, _ in Formatter().parse(text) if name is not None} == (
        given.keys() - {"headers", "attributes"}
    )
    if isinstance(code, ast.Constant):
        assert re.fullmatch(r"[a-z_]+\.[a-z0-9_]+", code.value)


def test_a_rule_has_one_template():
    found = {}
    for call in (each.values[0] for each in calls()):
        code, template = (getattr(node, "value", None) for node in call.args)
        assert code is None or found.setdefault(code, template) == template, code
