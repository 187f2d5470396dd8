"""Parameters of OAuth requests: a configured query merges with what a client appends."""

from urllib.parse import quote_from_bytes, urlencode

import hypothesis.strategies as st
import pytest
from hypothesis import given

from scim_api.auth.oauth.errors import InvalidRequest
from scim_api.routes.oauth.parameters import merged, once, written

SENT = {
    "response_type": "code",
    "client_id": "c",
    "redirect_uri": "https://a.example/cb?x=y",
    "state": "s?t",
}


@pytest.mark.parametrize("scopes", ["read%20provision", "read+provision"])
@pytest.mark.parametrize("mark", ["&", "?"])
def test_a_configured_query_merges_with_what_a_client_appends(scopes, mark):
    found = merged(f"scope={scopes}&tenant=7{mark}{urlencode(SENT)}")

    assert found == {**SENT, "scope": "read provision", "tenant": "7"}


def test_scopes_of_both_parts_add_up():
    assert merged("scope=read&client_id=c&scope=offline_access")["scope"] == "read offline_access"


def test_what_says_the_same_twice_counts_once():
    assert merged(f"response_type=code&{urlencode(SENT)}") == SENT


@pytest.mark.parametrize("name", ["client_id", "redirect_uri", "state", "code_challenge"])
def test_two_values_of_a_parameter_are_refused_by_its_name(name):
    with pytest.raises(InvalidRequest) as refused:
        merged(f"{name}=a&{name}=b")

    assert name in refused.value.detail


def test_a_form_counts_like_a_query():
    assert merged("scope=read", urlencode(SENT)) == {**SENT, "scope": "read"}


@given(state=st.binary(min_size=1))
def test_any_state_goes_back_as_it_came(state):
    sent = urlencode({**SENT, "state": ""}) + quote_from_bytes(state, safe="")

    found = merged(written(merged(sent)))

    assert found.keys() == SENT.keys()
    assert found["state"].encode(errors="surrogateescape") == state


@given(state=st.text(alphabet="ab?=c_lient", min_size=1))
def test_a_question_mark_after_the_client_id_stays_where_it_is(state):
    assert merged(f"client_id=c&state={state}?scope=x")["state"] == f"{state}?scope=x"


def test_a_parameter_without_a_value_is_none():
    assert once("scope=&grant_type=refresh_token") == {"grant_type": "refresh_token"}


def test_a_form_names_each_parameter_once_even_with_the_same_value():
    with pytest.raises(InvalidRequest) as refused:
        once("code=a&scope=b&code=a")

    assert "code" in refused.value.detail


def test_services_may_be_named_more_than_once():
    assert once("resource=a&scope=x&resource=b")["scope"] == "x"


@pytest.mark.parametrize("read", [merged, once])
def test_more_parameters_than_anybody_sends_are_refused(read):
    with pytest.raises(InvalidRequest):
        read("&".join(f"p{number}=x" for number in range(101)))
