"""Quotations: what a client wrote can be told back to it, and taken out of what is kept."""

from hypothesis import given
from hypothesis import strategies as st

from scim_api.protocol.errors import InvalidValue
from scim_api.protocol.quotations import for_okta, meant_for, quoted, told, withheld


def test_a_sentence_is_told_without_marks():
    assert told(f"a {quoted('b')} c {quoted('d')}") == "a b c d"


def test_what_is_quoted_is_withheld_and_nothing_else():
    assert withheld(f"a {quoted('b')} c {quoted('d')}") == "a … c …"


def test_a_hint_for_okta_is_told_to_okta_alone():
    sentence = f"a {quoted('b')}.{for_okta(' In Okta, c.')}"

    assert told(meant_for(sentence, okta=True)) == "a b. In Okta, c."
    assert told(sentence) == "a b."
    assert withheld(sentence) == "a …."
    assert withheld(meant_for(sentence, okta=True)) == "a …. In Okta, c."


@given(st.text(), st.text(alphabet="abc .\ue000\ue001\ue002\ue003", min_size=1))
def test_no_text_can_mark_its_own_end(before, text):
    sentence = f"{told(before)}{quoted(text)}."

    assert withheld(sentence) == f"{told(before)}…."


def test_an_error_tells_all_and_keeps_what_is_ours():
    error = InvalidValue(f"{quoted('jane')} is wrong")

    assert (str(error), error.detail) == ("jane is wrong", "jane is wrong")
    assert error.refusal().plain == "… is wrong"
    assert error.refusal().document()["detail"] == "jane is wrong"
