"""Conversations by which clients get their tokens, and the first SCIM requests with them.

The files stand in the folder `oauth` of their client. A step is one of four: what the operator
types (`operator`), what a person at a browser pastes into the page that is open (`person`), an
assertion that another service signs (`signs`), or a request, with the whole path and the query
byte for byte. `keeps` names values of its answer, or of the redirect, for the steps that follow;
`after` are seconds that pass before. `expect.redirect` has the address and the parameters, where
true stands for any value, `shows` and `hides` what a page says or must not say, and `recorded` all
events that the step causes.
"""

import json
import re
from base64 import b64encode
from html import unescape
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from click.testing import CliRunner
from freezegun import freeze_time

import app
from ledger import clock
from scim_api.auth.oauth.client_authentication import ASSERTION_TYPE
from tests.idp.test_idp_conversations import at, filled_in, is_part
from tests.scim_api.auth.oauth.signer import Signer, key_set

HERE = Path(__file__).parent
FILES = sorted(HERE.glob("*/oauth/*.json"))
SIGNER = Signer("microsoft-1")
FORM = "application/x-www-form-urlencoded"
SENT = {"okta": {"User-Agent": "Okta SCIM Client 1.0.0"}}


class Conversation:
    """What was said so far: names for values, and the page that is open in the browser."""

    def __init__(self, api, client, tmp_path):
        self.api, self.sent = api, SENT.get(client, {})
        keys = tmp_path / "keys.json"
        keys.write_text(json.dumps(key_set(SIGNER)))
        self.names = {"keys": str(keys), "assertion_type": ASSERTION_TYPE}
        self.page = ""

    def operator(self, words):
        result = CliRunner().invoke(app.cli, [*words, "--json"], prog_name="scim-ledger")
        assert result.exit_code == 0, result.output
        return 0, {}, result.stdout, json.loads(result.stdout)

    def person(self, code):
        hidden = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', self.page)
        form = {name: unescape(value) for name, value in hidden}
        form |= {"connect_code": code, "decision": "connect"}
        action = unescape(re.search(r'action="([^"]*)"', self.page)[1])
        return self.request("POST", action, form)

    def signs(self, claims):
        now = int(clock.now().timestamp())
        times = {name: now + claims.pop(name, 0) for name in ("iat", "nbf")}
        times["exp"] = now + claims.pop("exp", 3600)
        return 0, {}, "", {"assertion": SIGNER.sign(claims | times)}

    def request(self, method, path, form=None, body=None, headers=()):
        headers = {**self.sent, **dict(headers)}
        scheme, _, pair = headers.get("Authorization", "").partition(" ")
        if scheme == "Basic":
            headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
        more = {"data": urlencode(form), "content_type": FORM} if form is not None else {}
        if body is not None:
            more = {"json": body, "content_type": "application/scim+json"}
        path, _, query = path.partition("?")
        answer = self.api.site.app.test_client().open(
            path, method=method, headers=headers, query_string=query, **more
        )
        if answer.mimetype == "text/html":
            self.page = answer.text
        return (
            answer.status_code,
            answer.headers,
            answer.text,
            answer.json if answer.is_json else {},
        )


def took(talk, step):
    """Take a step; return the status, headers, text and document of its answer."""
    for kind in ("operator", "person", "signs"):
        if kind in step:
            return getattr(talk, kind)(step[kind])
    parts = ("method", "path", "form", "body", "headers")
    return talk.request(**{name: step[name] for name in parts if name in step})


def redirect_of(headers):
    """Return where a browser is sent, and with what."""
    parts = urlsplit(headers.get("Location", ""))
    found = parse_qsl(parts.query)
    assert len(dict(found)) == len(found)
    return parts._replace(query="").geturl(), dict(found)


def must_be_as_expected(step, answer):
    status, headers, text, document = answer
    expected = step.get("expect", {})
    assert status == expected.get("status", 0), (step["when"], text)
    assert is_part(expected.get("body", {}), document), (step["when"], document)
    assert [p for p in expected.get("without", ()) if at(document, p)] == [], step["when"]
    page = unescape(text)
    assert [words for words in expected.get("shows", ()) if words not in page] == [], step["when"]
    assert [words for words in expected.get("hides", ()) if words in page] == [], step["when"]
    if "redirect" in expected:
        address, given = redirect_of(headers)
        wanted = expected["redirect"]
        assert address == wanted["address"], step["when"]
        assert given.keys() == wanted["with"].keys(), step["when"]
        assert all(w in (True, given[name]) for name, w in wanted["with"].items()), step["when"]
    else:
        assert "Location" not in headers or status == 201, step["when"]
    if document.get("token_type") or "error" in document:
        assert headers["Cache-Control"] == "no-store", step["when"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parts[-3]}-{file.stem}")
def test_a_client_gets_its_tokens_as_it_expects(api, tmp_path, monkeypatch, file):
    monkeypatch.setenv("SCIM_DATA_DIR", str(api.site.data_dir))
    talk = Conversation(api, file.parts[-3], tmp_path)
    with freeze_time(clock.now()) as time:
        for described in json.loads(file.read_text()):
            time.tick(described.get("after", 0))
            step, before = filled_in(described, talk.names), api.recorded()

            answer = took(talk, step)

            must_be_as_expected(step, answer)
            _, given = redirect_of(answer[1])
            found = given if given else answer[3]
            talk.names |= {name: str(found[at]) for name, at in step.get("keeps", {}).items()}
            happened = [event.type for event in api.site.events()[before:]]
            assert happened == step.get("recorded", []), step["when"]
