"""The ledger's own API in the OpenAPI document: its paths and the schemas of its answers."""

from typing import Any

from scim_api.openapi.messages import NUMBER, TEXT, JsonSchema, ref
from scim_api.openapi.operations import EVERYWHERE, failure

JsonObject = dict[str, Any]

BASE = "/ledger/v1"
_TAG = "ledger"


def paths() -> JsonObject:
    """Return the operations by path and method."""
    return {BASE: {"get": _read("readLedger", "How far the ledger goes", "Ledger")}}


def schemas() -> dict[str, JsonSchema]:
    """Return the schemas by name."""
    return {
        "Ledger": {
            "type": "object",
            "properties": {"ledger": TEXT, "position": NUMBER, "at": TEXT},
            "required": ["ledger", "position", "at"],
        }
    }


def _read(id_: str, summary: str, schema: str) -> JsonObject:
    content = {"application/json": {"schema": ref(schema)}}
    errors = {str(code): failure(code) for code in EVERYWHERE}
    return {
        "operationId": id_,
        "summary": summary,
        "tags": [_TAG],
        "responses": {"200": {"description": "As asked.", "content": content}, **errors},
    }
