"""The bare Flask application: parses JSON bodies and answers prepared bytes."""

import os
from pathlib import Path
from typing import Any

import orjson
from flask import Flask, Response, request

ANSWERS = "BENCH_ANSWERS"  # the variable that names the file of prepared answers


def create_app() -> Flask:
    """Return the application; each prepared answer has an address of its own."""
    app = Flask("hello", static_folder=None)
    for place, prepared in orjson.loads(Path(os.environ[ANSWERS]).read_bytes()).items():
        _add(app, place, prepared)
    return app


def _add(app: Flask, place: str, prepared: dict[str, Any]) -> None:
    body, status = prepared["body"].encode(), prepared["status"]
    content_type, reads = prepared["content_type"], prepared["method"] in ("POST", "PUT", "PATCH")

    def hello(id_: str = "") -> Response:
        if reads:
            orjson.loads(request.get_data(cache=False))
        return Response(body, status, content_type=content_type)

    for endpoint in ("Users", "Groups"):
        rule = f"/{place}/{endpoint}" + ("/<id_>" if prepared["names_one"] else "")
        app.add_url_rule(rule, f"{place}{endpoint}", hello, methods=[prepared["method"]])
