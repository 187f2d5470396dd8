"""LeanFlask does what Flask does, only once."""

import pytest
from flask import Blueprint, Flask, Response
from hypothesis import example, given
from hypothesis import strategies as st
from werkzeug.exceptions import HTTPException
from werkzeug.test import EnvironBuilder

from scim_api.web.lean_flask import LeanFlask, Prepared

BEGINNINGS = "/scim/v2/Users /scim/v2/Me /scim/v2 /ledger/v1/events /ledger/v1/tlog /livez".split()
SEGMENTS = st.one_of(st.sampled_from([".search", "Users", "checkpoint", "x"]), st.text(max_size=3))
ENDS = st.lists(SEGMENTS, max_size=3).map(lambda parts: "".join(f"/{part}" for part in parts))
PATHS = st.builds(str.__add__, st.sampled_from(BEGINNINGS), ENDS)
METHODS = st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "get"])


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    from app import create_app
    from scim_api import settings

    return create_app(settings.load({"SCIM_DATA_DIR": str(tmp_path_factory.mktemp("var"))}))


def found(create, app, environ):
    """Return the rule and arguments of a request, or the error and the methods it names."""
    try:
        return create(app, app.request_class(environ)).match(return_rule=True)
    except HTTPException as error:
        return error.code, getattr(error, "valid_methods", None)


@given(method=METHODS, path=PATHS, upgrade=st.booleans())
@example(method="GET", path="/scim/v2/Users/é", upgrade=False)
@example(method="GET", path="/scim/v2/Users/", upgrade=False)
@example(method="GET", path="/scim/v2/Users/1", upgrade=True)
def test_a_request_goes_where_werkzeug_would_send_it(served, method, path, upgrade):
    environ = EnvironBuilder("/", method=method).get_environ()
    environ["PATH_INFO"] = path.encode().decode("latin1")
    if upgrade:
        environ |= {"HTTP_CONNECTION": "Upgrade", "HTTP_UPGRADE": "websocket"}
    lean = found(LeanFlask.create_url_adapter, served, environ)
    assert lean == found(Flask.create_url_adapter, served, environ)


def test_most_routes_are_found_without_werkzeug(served):
    environ = EnvironBuilder("/scim/v2/Users/1").get_environ()
    adapter = served.create_url_adapter(served.request_class(environ))
    assert adapter.match()[0].rule == "/scim/v2/Users/<id_>"
    assert type(adapter).__name__ == "_Matched"


def _with_hooks(kind):
    """Return an application of a kind that notes in which order its hooks are called."""
    app, outer, inner = kind("hooks"), Blueprint("outer", "outer"), Blueprint("inner", "inner")
    said = []

    def says(word):
        def hook(*response):
            said.append(word)
            return response[0] if response else None

        return hook

    for each in (inner, outer, app):
        for number in (1, 2):
            each.before_request(says(f"before {each.name} {number}"))
            each.after_request(says(f"after {each.name} {number}"))
    inner.add_url_rule("/in", "in", lambda: Response("in"))
    outer.register_blueprint(inner)
    app.register_blueprint(outer)
    client = app.test_client()
    answers = [client.get(path).status_code for path in ("/in", "/nowhere", "/in")]
    return said, answers


def test_hooks_are_called_in_the_order_of_flask():
    assert _with_hooks(LeanFlask) == _with_hooks(Flask)


def test_a_hook_that_answers_keeps_the_view_from_being_called():
    app = LeanFlask("refusing")
    app.before_request(lambda: Prepared(403, {}))
    app.add_url_rule("/", "view", lambda: pytest.fail("called"))
    assert app.test_client().get("/").status_code == 403


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_prepared_answer_is_what_flask_would_send(method):
    headers = {"ETag": 'W/"1"', "Content-Type": "application/json"}
    answers = []
    for made in (Response(b"{}", 200, headers), Prepared(200, headers, b"{}")):
        app = LeanFlask("answers")
        app.add_url_rule("/", "view", lambda made=made: made)
        answer = app.test_client().open("/", method=method)
        answers.append((answer.status, list(answer.headers), answer.data))
    assert answers[0] == answers[1]


def test_no_header_has_a_line_break():
    with pytest.raises(ValueError, match="newline"):
        Prepared(200, {"ETag": "1\r\nX: y"})
