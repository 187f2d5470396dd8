"""The Flask application: addresses, errors, request ids, the log line of each request."""

import time
from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask, Response, g, request
from werkzeug.middleware.proxy_fix import ProxyFix

from scim_api import health, routes
from scim_api.http import error_response, request_id
from scim_api.logs import LOGGER
from scim_api.settings import Settings
from scim_api.tenants import Tenants

WsgiApp = Callable[[dict[str, Any], Any], Iterable[bytes]]


def application(settings: Settings, tenants: Tenants) -> Flask:
    """Return the application that serves SCIM over the given ledgers."""
    app = Flask("scim_ledger", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body
    app.url_map.merge_slashes = False  # would redirect; clients do not follow
    app.url_map.strict_slashes = False
    app.register_blueprint(routes.blueprint(settings, tenants))
    app.register_blueprint(health.blueprint(settings.data_dir, tenants))
    app.before_request(_begin)
    app.after_request(_finish)
    app.register_error_handler(Exception, _failed)
    wsgi_app: Any = tidy_path(app.wsgi_app)
    if settings.trusted_proxies:
        count = settings.trusted_proxies
        wsgi_app = ProxyFix(wsgi_app, x_for=count, x_proto=count, x_host=count)
    app.wsgi_app = wsgi_app  # type: ignore[method-assign]
    return app


def tidy_path(wsgi_app: WsgiApp) -> WsgiApp:
    """Make `//Users` and `/Users/` the same as `/Users`: admins type base URLs with slashes."""

    def tidied(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path.endswith("/") or "//" in path:
            environ["PATH_INFO"] = "/" + "/".join(part for part in path.split("/") if part)
        return wsgi_app(environ, start_response)

    return tidied


def _begin() -> None:
    g.request_id = request_id(request)
    g.started = time.perf_counter()


def _failed(error: Exception) -> Response:
    response = error_response(error, request)
    if response.status_code >= 500:
        LOGGER.error(
            "request failed", exc_info=error, extra={"fields": {"request_id": g.request_id}}
        )
    return response


def _finish(response: Response) -> Response:
    response.headers["X-Request-Id"] = g.request_id
    response.headers["Cache-Control"] = "no-store"
    LOGGER.info("request", extra={"fields": _line(response)})
    return response


def _line(response: Response) -> dict[str, Any]:
    """Return what is logged of a request: the address's pattern, for an address can hold a name."""
    line: dict[str, Any] = {
        "request_id": g.request_id,
        "method": request.method,
        "route": request.url_rule.rule if request.url_rule else None,
        "status": response.status_code,
        "milliseconds": round((time.perf_counter() - g.started) * 1000, 2),
    }
    principal = g.get("principal")
    if principal:
        line |= {"ledger": principal.tenant.name, "credential": principal.credential.id}
    tolerated = g.get("tolerated")
    if tolerated:
        line["tolerated"] = sorted(tolerated)
    return line
