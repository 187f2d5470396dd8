"""The Flask application: blueprints, errors, and what is done around every request."""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from flask import Flask, Response, has_request_context, request

from scim_api.audit.feeds import Feeds
from scim_api.audit.parameters import BASE
from scim_api.audit.routes import audit_blueprint, tlog_blueprint
from scim_api.logs import LOGGER, log_request
from scim_api.openapi.document import openapi_blueprint
from scim_api.protocol.errors import NotServed, Refusal, Unavailable
from scim_api.request_log.records import TURNED_AWAY
from scim_api.routes.blueprint import scim_blueprint
from scim_api.routes.oauth.addresses import BASE as OAUTH_BASE
from scim_api.routes.oauth.answers import refused as oauth_refusal
from scim_api.routes.oauth.blueprint import oauth_blueprint
from scim_api.server import health
from scim_api.settings import OAUTH, Settings
from scim_api.tenants.tenants import Tenants
from scim_api.web.context import Exchange, current_exchange, entered, left
from scim_api.web.lean_flask import LeanFlask
from scim_api.web.limits import Limits
from scim_api.web.messages import json_response, refusal_of
from scim_api.web.proxies import WsgiApp, behind, source_of
from scim_api.web.request_logging import RequestLogger, known_paths


def application(settings: Settings, tenants: Tenants, feeds: Feeds, limits: Limits) -> Flask:
    """Return the application that serves SCIM over the given ledgers."""
    app = LeanFlask("scim_ledger")
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body
    app.url_map.merge_slashes = False  # would redirect; clients do not follow
    app.url_map.strict_slashes = False
    app.register_blueprint(scim_blueprint(settings, tenants))
    app.register_blueprint(audit_blueprint(tenants, feeds))
    app.register_blueprint(tlog_blueprint(settings, tenants))
    app.register_blueprint(health.blueprint(settings.data_dir, tenants))
    app.register_blueprint(openapi_blueprint(tenants))
    if OAUTH in settings.authentication:
        app.register_blueprint(oauth_blueprint(settings, tenants))
    app.before_request(lambda: current_exchange().check_host())
    app.register_error_handler(Exception, _failed)
    rules = (rule.rule for rule in app.url_map.iter_rules())
    logger = RequestLogger(tenants, known_paths(rules, settings.base_path, BASE))
    wsgi_app: Any = _surrounded(app.wsgi_app, settings, limits, logger)
    if settings.trusted_proxies:
        wsgi_app = behind(settings.trusted_proxies, wsgi_app)
    app.wsgi_app = wsgi_app  # type: ignore[method-assign]
    return app


def _surrounded(
    wsgi_app: WsgiApp, settings: Settings, limits: Limits, logger: RequestLogger
) -> WsgiApp:
    """Create the exchange before Flask, add headers to its answer, and log it.

    Here that costs a third of what Flask's hooks before and after a request cost.
    """

    def exchanged(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        environ["PATH_INFO"] = _tidied(environ["PATH_INFO"])
        exchange = Exchange(environ, settings, limits)

        def start(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
            headers.append(("X-Request-Id", exchange.id))
            if "Cache-Control" not in dict(headers):
                headers.append(("Cache-Control", "no-store"))
            if exchange.past:
                headers.append(("Ledger-Position", str(exchange.past.position)))
            _account(exchange, int(status[:3]), logger)
            return start_response(status, headers, *error)

        token = entered(exchange)
        try:
            return wsgi_app(environ, start)
        finally:
            left(token)

    return exchanged


def _account(exchange: Exchange, status: int, logger: RequestLogger) -> None:
    """Log, count and note a request; if that fails, the answer is sent all the same."""
    rule = request.url_rule if has_request_context() else None
    try:
        _log(exchange, rule.rule if rule else None, status)
        exchange.count_use()
        if exchange.outcome is not None:
            logger.note(exchange, status)
    except Exception as error:
        fields = {"request_id": exchange.id}
        LOGGER.error("request not accounted for", exc_info=error, extra={"fields": fields})


def _log(exchange: Exchange, route: str | None, status: int) -> None:
    """Write the log line of a request; of those that are turned away again and again, one a minute.

    Only of an attempt that is refused it has the address, or nobody could learn who makes them.
    """
    line, outcome = exchange.line(route, status), exchange.outcome
    if exchange.is_attempt:
        line["address"] = exchange.address
    kind = _kind(exchange, outcome, line) if isinstance(outcome, Refusal) else None
    if kind:
        left_out = exchange.limits.lines.left_out(kind)
        if left_out is None:
            return
        line |= {"refused": kind["refused"], "left_out": left_out}
    log_request(line)


def _kind(exchange: Exchange, refusal: Refusal, line: Mapping[str, Any]) -> dict[str, str] | None:
    """Return of which lines there is one a minute, if the line of a refusal is one of those."""
    if exchange.is_attempt:
        return {"refused": refusal.code, "address": source_of(exchange.address)}
    if refusal.code in TURNED_AWAY and "credential" in line:
        return {"refused": refusal.code, "credential": line["credential"]}
    return None


def _tidied(path: str) -> str:
    """Return `/Users` for `//Users` and `/Users/`: admins type base URLs with slashes."""
    if path.endswith("/") or "//" in path:
        return "/" + "/".join(part for part in path.split("/") if part)
    return path


def _failed(error: Exception) -> Response:
    """Return the answer to a request that failed, whatever went wrong: SCIM JSON."""
    exchange = current_exchange()
    for_scim = f"{request.path}/".startswith(f"{exchange.settings.base_path}/")
    refusal = refusal_of(error, okta=exchange.is_okta, scim=for_scim)
    is_attempt = refusal.status == 401 or refusal.code in ("client.network", "credential.network")
    if is_attempt and (too_many := exchange.count_attempt()):
        error, refusal = too_many, too_many.refusal()
    exchange.outcome = refusal
    if refusal.status >= 500 and not isinstance(error, NotServed | Unavailable):
        fields = {"request_id": exchange.id}
        LOGGER.error("request failed", exc_info=error, extra={"fields": fields})
    if request.path.startswith(f"{OAUTH_BASE}/") and OAUTH in exchange.settings.authentication:
        return oauth_refusal(exchange, error, refusal)
    body = orjson.dumps(refusal.document())
    return json_response(exchange, body, refusal.status, refusal.headers)
