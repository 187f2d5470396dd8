"""scim2-flask with the storage in memory that scim2-server brings, and a bearer token."""

import os

from flask import Flask, abort, request
from scim2_flask import ScimServer
from scim2_server.memory import InMemoryStorage
from scim2_server.utils import load_default_provider

app = Flask("peer", static_folder=None)
ScimServer(InMemoryStorage(), load_default_provider(), app=app)
_EXPECTED = f"Bearer {os.environ['PEER_TOKEN']}"


@app.before_request
def authenticate() -> None:
    """Refuse a request without the token."""
    if request.headers.get("Authorization") != _EXPECTED:
        abort(401)
