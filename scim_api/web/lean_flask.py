"""Flask as this service uses it: what stays the same is found once, not with every request.

Routes, hooks and sessions are half of what Flask does for a request. Here a plain address is found
in a table, the hooks of an endpoint are collected at its first request, and there are no sessions.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from flask import Flask, Request, Response
from flask.globals import request_ctx
from flask.sessions import NullSession, SessionInterface
from flask.signals import appcontext_tearing_down, request_tearing_down
from werkzeug.datastructures import Headers
from werkzeug.routing import MapAdapter, Rule
from werkzeug.routing.converters import UnicodeConverter

F = TypeVar("F", bound=Callable[..., Any])

_Found = tuple[Rule, Mapping[str, Any]]


class LeanFlask(Flask):
    """An application whose routes and hooks are complete before its first request."""

    def __init__(self, name: str) -> None:
        super().__init__(name, static_folder=None)
        self.session_interface = _NoSessions()
        self._table: _Table | None = None
        self._before: dict[str | None, Sequence[Callable[[], Any]]] = {}
        self._after: dict[str | None, Sequence[Callable[[Any], Any]]] = {}

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Find the rule of a request in the table, or have Werkzeug look for it."""
        if request is None:
            return None  # no URL is built outside of a request
        if self._table is None:
            self._table = _Table(self.url_map.iter_rules())
        found = self._table.find(request.environ)
        return _Matched(self, found) if found else super().create_url_adapter(request)

    def preprocess_request(self) -> Any:
        """Call the hooks before a view: the application's, then its blueprint's."""
        current = request_ctx.request
        endpoint = current.endpoint
        hooks = self._before.get(endpoint)
        if hooks is None:
            names = (None, *reversed(current.blueprints))
            hooks = [each for name in names for each in self.before_request_funcs.get(name, ())]
            self._before[endpoint] = hooks
        for hook in hooks:
            answer = hook()
            if answer is not None:
                return answer
        return None

    def process_response(self, response: Response) -> Response:
        """Call the hooks after a view: its blueprint's, then the application's."""
        current = request_ctx.request
        endpoint = current.endpoint
        hooks = self._after.get(endpoint)
        if hooks is None:
            names = (*current.blueprints, None)
            found = (reversed(self.after_request_funcs.get(name, ())) for name in names)
            hooks = self._after[endpoint] = [each for some in found for each in some]
        for hook in hooks:
            response = hook(response)
        return response

    def do_teardown_request(self, *error: Any) -> None:
        """Call what is to be called after a request, if there is anything."""
        if self.teardown_request_funcs or request_tearing_down.receivers:
            super().do_teardown_request(*error)

    def do_teardown_appcontext(self, *error: Any) -> None:
        """Call what is to be called after a context, if there is anything."""
        if self.teardown_appcontext_funcs or appcontext_tearing_down.receivers:
            super().do_teardown_appcontext(*error)

    def ensure_sync(self, func: F) -> F:
        """Return a function as it is: none here is asynchronous."""
        return func


class _NoSessions(SessionInterface):
    """Gives every request the same session, which holds nothing and takes nothing."""

    _session = NullSession()

    def open_session(self, app: Flask, request: Request) -> NullSession:
        return self._session


class _Table:
    """The rules without a variable by their path, those that end in one by what is before it."""

    def __init__(self, rules: Any) -> None:
        self._whole: dict[tuple[str, str], _Found] = {}
        self._begun: dict[tuple[str, str], tuple[Rule, str]] = {}
        for rule in rules:
            fixed = rule.defaults or {}
            head, _, last = rule.rule.rpartition("/")
            if "<" in head or rule.arguments - fixed.keys() - {last[1:-1]}:
                continue
            for method in rule.methods or ():
                if "<" not in last:
                    self._whole[method, rule.rule] = rule, fixed
                elif isinstance(rule._converters[last[1:-1]], UnicodeConverter):
                    self._begun[method, head] = rule, last[1:-1]

    def find(self, environ: Mapping[str, Any]) -> _Found | None:
        """Return the rule of a request and the arguments of its view, unless it is unusual."""
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        if "HTTP_UPGRADE" in environ or not path.isascii():
            return None
        found = self._whole.get((method, path))
        if found:
            return found
        head, _, last = path.rpartition("/")
        begun = self._begun.get((method, head))
        if not begun or not last:
            return None
        rule, name = begun
        return rule, {name: last, **(rule.defaults or {})}


class _Matched(MapAdapter):
    """An adapter that knows already what it would find."""

    def __init__(self, app: Flask, found: _Found) -> None:
        super().__init__(app.url_map, "", "/", "", "http", "/", "GET")
        self._found = found

    def match(self, *_: Any, **__: Any) -> Any:
        return self._found


class Prepared(Response):
    """An answer sent as it is; of others Werkzeug searches, copies and rewrites the headers.

    URIs in headers have to be URIs already. Without a body there is no Content-Length.
    """

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes | None = None) -> None:
        length = () if body is None else (("Content-Length", str(len(body))),)
        self.headers = Headers()
        self.headers[:] = (*headers.items(), *length)
        self.status = status
        self._on_close = []
        self.response = [] if body is None else [body]

    def __call__(self, environ: Any, start_response: Any) -> Any:
        start_response(self.status, self.headers.to_wsgi_list())
        return () if environ["REQUEST_METHOD"] == "HEAD" else self.response
