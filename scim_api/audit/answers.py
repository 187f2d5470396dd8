"""How the ledger's own API answers: plain JSON."""

from typing import Any

import orjson
from flask import Response

from scim_api.web.messages import JSON


def answered(document: Any) -> Response:
    """Return a document as plain JSON."""
    return Response(orjson.dumps(document), content_type=JSON)
