"""Which requests share threads: none that may wait for the network takes one of writes or reads."""

import json
from types import SimpleNamespace

import pytest

from ledger.contract import LedgerBusy
from scim_api.protocol.errors import answer_to
from scim_api.server.answers import refusal
from scim_api.server.lanes import GRANTS, READS, WAITS, WRITES, lane_of


@pytest.mark.parametrize(
    ("method", "path", "lane"),
    [
        ("POST", "/scim/v2/Users", WRITES),
        ("POST", "/scim/v2/Users/.search", READS),
        ("POST", "/scim/v2/oauth/Users", WRITES),
        ("POST", "/oauthx/token", WRITES),
        ("POST", "/oauth/token", GRANTS),
        ("POST", "/oauth/revoke", GRANTS),
        ("POST", "//oauth//token/", GRANTS),
        ("POST", "/%6fauth/token", GRANTS),
        ("POST", "/oauth%2Ftoken", GRANTS),
        ("GET", "/oauth/authorize", READS),
        ("GET", "/ledger/v1/feed", WAITS),
    ],
)
def test_a_request_is_in_the_lane_of_what_it_may_wait_for(
    method: str, path: str, lane: int
) -> None:
    assert lane_of(SimpleNamespace(method=method, path=path, query="")) == lane


def test_what_is_late_for_the_lane_of_grants_is_refused_in_the_form_of_oauth() -> None:
    error = answer_to(LedgerBusy("no thread was free in time"))
    assert error

    head, body = refusal(error, oauth=True).split(b"\r\n\r\n")
    assert b"429" in head and b"Retry-After: 2" in head
    assert json.loads(body)["error"] == "temporarily_unavailable"
