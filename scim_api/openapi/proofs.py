"""Tree heads, proofs and tiles in the OpenAPI document: their paths and their answers' schemas."""

from typing import Any

from scim_api.openapi.messages import NUMBER, TEXT, JsonSchema, ref
from scim_api.openapi.operations import EVERYWHERE, failure

JsonObject = dict[str, Any]

_TAG = "proofs"
_HASH: JsonSchema = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_HASHES: JsonSchema = {"type": "array", "items": _HASH}
_POSITION = "The place of the event that is proved, counted from 1."
_SIZE = "Among how many events; by default, those of the newest tree head."


def paths(base: str) -> JsonObject:
    """Return the operations by path and method."""
    json = _json("TreeHead"), _json("InclusionProof"), _json("ConsistencyProof")
    text = {"text/plain": {"schema": TEXT}}
    position = _query("position", 1, _POSITION, required=True)
    proof = f"{base}/proof/inclusion"
    return _log(base) | {
        f"{base}/tree-head": _get("readTreeHead", "The newest signed tree head", json[0]),
        proof: _get(
            "proveInclusion",
            "That an event is in the ledger",
            json[1],
            position,
            _query("size", 0, _SIZE),
        ),
        f"{proof}.tlog-proof": _get(
            "proveInclusionAsText", "The same as a text with its head", text, position
        ),
        f"{base}/proof/consistency": _get(
            "proveConsistency",
            "That the ledger of later begins with that of before",
            json[2],
            _query("from", 0, "How many events the earlier tree head is over.", required=True),
            _query("to", 0, "How many the later one is over; by default, the newest."),
        ),
    }


def _log(base: str) -> JsonObject:
    """Describe the log: that of the token's ledger, and that of one that is named."""
    note = {"text/plain": {"schema": TEXT}}
    tile = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
    level = _path("level", "0 for leaves, 1 to 63 for hashes of full tiles, or entries.")
    number = _path("number", "The tile's number, in groups of three digits; .p/WIDTH if partial.")
    ledger = _path("ledger", "The part of the ledger's origin behind the slash.")
    found: JsonObject = {}
    for named, of, more in (("", "", ()), ("/{ledger}", "Of", (ledger,))):
        log = f"{base}/tlog{named}"
        found |= {
            f"{log}/checkpoint": _get(
                f"readCheckpoint{of}", "The newest tree head (C2SP tlog-checkpoint)", note, *more
            ),
            f"{log}/tile/{{level}}/{{number}}": _get(
                f"readTile{of}", "Hashes or entries (C2SP tlog-tiles)", tile, *more, level, number
            ),
        }
    return found


def schemas() -> dict[str, JsonSchema]:
    """Return the schemas by name."""
    return {
        "TreeHead": _closed(
            origin=TEXT, size=NUMBER, root=_HASH, signed_at=TEXT, note=TEXT, verifier_key=TEXT
        ),
        "InclusionProof": _closed(
            position=NUMBER, index=NUMBER, size=NUMBER, leaf_hash=_HASH, root=_HASH, hashes=_HASHES
        ),
        "ConsistencyProof": _closed(
            **{"from": NUMBER}, to=NUMBER, from_root=_HASH, to_root=_HASH, hashes=_HASHES
        ),
    }


def _closed(**properties: JsonSchema) -> JsonSchema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _json(schema: str) -> JsonObject:
    return {"application/json": {"schema": ref(schema)}}


def _path(name: str, description: str) -> JsonObject:
    schema = {"type": "string", "minLength": 1}
    return {
        "name": name,
        "in": "path",
        "required": True,
        "schema": schema,
        "description": description,
    }


def _query(name: str, least: int, description: str, *, required: bool = False) -> JsonObject:
    schema = {"type": "integer", "minimum": least}
    found = {"name": name, "in": "query", "schema": schema, "description": description}
    return found | {"required": True} if required else found


def _get(id_: str, summary: str, content: JsonObject, *parameters: JsonObject) -> JsonObject:
    errors = {str(code): failure(code) for code in (*EVERYWHERE, 403, 404)}
    return {
        "get": {
            "operationId": id_,
            "summary": summary,
            "tags": [_TAG],
            "parameters": list(parameters),
            "responses": {"200": {"description": "As asked.", "content": content}, **errors},
        }
    }
