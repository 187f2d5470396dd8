"""What Okta sends, as conversations: each file is a list of requests, each with what is expected.

A step's `when` names the shape of Okta's traffic it stands for; `{id}` is the id of the user last
created or found. `expect.body` is a part of the answer; `recorded` are the events the step causes.
"""

import json
from pathlib import Path

import pytest

CONVERSATIONS = sorted((Path(__file__).parent / "okta").glob("*.json"))
HEADERS = {
    "Accept": "application/scim+json",
    "Accept-Charset": "utf-8",
    "User-Agent": "Okta SCIM Client 1.0.0",
    "Authorization": "Bearer {token}",
    "Accept-Encoding": "gzip,deflate",
    "Connection": "Keep-Alive",
}


def filled_in(value, id_, token):
    return json.loads(json.dumps(value).replace("{id}", id_).replace("{token}", token))


def id_in(answer, known):
    """Return the id of the one user an answer is about, or the one known before."""
    resources = answer.get("Resources", [answer])
    return resources[0].get("id", known) if len(resources) == 1 else known


def is_part(expected, found):
    """Tell whether everything expected is found; lists have to be of the same length."""
    if isinstance(expected, dict):
        return isinstance(found, dict) and all(
            is_part(v, found.get(k)) for k, v in expected.items()
        )
    if isinstance(expected, list):
        same = isinstance(found, list) and len(expected) == len(found)
        return same and all(map(is_part, expected, found))
    return expected == found and type(expected) is type(found)


@pytest.mark.parametrize("path", CONVERSATIONS, ids=lambda path: path.stem)
def test_okta_is_answered_as_it_expects(api, path):
    id_ = ""
    for step in json.loads(path.read_text()):
        before = api.types()
        headers = filled_in(HEADERS | step.get("headers", {}), id_, api.token)
        body = filled_in(step.get("body"), id_, api.token)
        media_type = "application/scim+json; charset=utf-8" if body else None

        response = api.ask(
            step["method"],
            step["path"].replace("{id}", id_),
            body,
            headers=headers,
            content_type=media_type,
        )

        expected = step["expect"]
        assert response.status_code == expected["status"], (step["when"], response.text)
        if response.status_code < 400 and "/Users" in step["path"]:
            id_ = id_in(response.json, id_)
            assert "password" not in response.text, step["when"]
        wanted = filled_in(expected.get("body", {}), id_, api.token)
        assert is_part(wanted, response.json), (step["when"], response.json)
        assert api.types()[len(before) :] == expected["recorded"], step["when"]
