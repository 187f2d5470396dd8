"""GET /ledger/v1/tree-head, /proof/… and /tlog/…: what proves the ledger to others."""

from flask import Response, request

from ledger.contract import StoredHead
from ledger.signing.note import TreeHead
from ledger.signing.tiles import TileName
from ledger.signing.tree_heads import TreeHeads
from scim_api.audit.parameters import number
from scim_api.protocol.errors import InvalidValue, NotFound
from scim_api.tenants.tenants import Tenant, Tenants
from scim_api.web.context import current_exchange
from scim_api.web.messages import plain_json

TEXT = "text/plain; charset=utf-8"
HEAD_SECONDS = 5  # for which a cache may keep a head
TILE_SECONDS = 365 * 24 * 3600  # a tile never changes


def tree_head() -> Response:
    """GET the newest head, and the key that it is checked with."""
    heads = _heads()
    newest = _newest_of(heads)
    heads.proved()
    head = TreeHead.parse(newest.note)
    return plain_json(
        {
            "origin": head.origin,
            "size": head.size,
            "root": head.root.hex(),
            "signed_at": newest.signed_at,
            "note": newest.note,
            "verifier_key": str(heads.key_of(newest)),
        }
    )


def inclusion() -> Response:
    """GET the proof that an event is among the first `size`; by default, under the newest head."""
    heads = _heads()
    position, size = _position(heads), _size(heads, "size")
    if size is None:
        size = _covering(heads, position).size
    if position > size:
        template = "A tree of {size} events has none at position {position}."
        raise InvalidValue("parameter.proof_size", template, size=size, position=position)
    tree = heads.proved()
    leaf, hashes = tree.inclusion(position, size)
    return plain_json(
        {
            "position": position,
            "index": position - 1,
            "size": size,
            "leaf_hash": leaf.hex(),
            "root": tree.root_at(size).hex(),
            "hashes": [each.hex() for each in hashes],
        }
    )


def tlog_proof() -> Response:
    """GET the same under the newest head as text that needs nothing else (C2SP tlog-proof)."""
    heads = _heads()
    position = _position(heads)
    proof = heads.prove(position, _covering(heads, position))
    return Response(proof.text, content_type=TEXT)


def consistency() -> Response:
    """GET the proof that the first `to` events begin with the first `from`."""
    heads = _heads()
    old, new = _size(heads, "from"), _size(heads, "to")
    if old is None:
        raise InvalidValue(
            "parameter.from_size", "from is required: the size of an earlier tree head."
        )
    if new is None:
        new = _newest_of(heads).size
    if old > new:
        raise InvalidValue("parameter.sizes", "from is larger than to, which is {new}.", new=new)
    tree = heads.proved()
    hashes = tree.consistency(old, new) if old else []
    return plain_json(
        {
            "from": old,
            "to": new,
            "from_root": tree.root_at(old).hex(),
            "to_root": tree.root_at(new).hex(),
            "hashes": [each.hex() for each in hashes],
        }
    )


def checkpoint(tenants: Tenants, ledger: str | None) -> Response:
    """GET the newest head, a signed note."""
    newest = _newest_of(_log(tenants, ledger))
    return _cacheable(newest.note, TEXT, f"max-age={HEAD_SECONDS}")


def tile(tenants: Tenants, ledger: str | None, level: str, number: str) -> Response:
    """GET a tile, or a bundle of entries, full or partial; nothing that the head does not cover."""
    heads = _log(tenants, ledger)
    name = TileName.parse(f"{level}/{number}")
    if name is None:
        raise NotFound("tile.name", "This is not the name of a tile, such as tile/0/x001/067.p/89.")
    if name.reach > (size := _newest_of(heads).size):
        template = "The newest tree head covers {size} events and has no such tile."
        raise NotFound("tile.unknown", template, size=size)
    how = f"max-age={TILE_SECONDS}, immutable"
    return _cacheable(heads.proved().tile(name), "application/octet-stream", how)


def _heads() -> TreeHeads:
    return current_exchange().principal.tenant.heads


def _newest_of(heads: TreeHeads) -> StoredHead:
    """Return the newest head; raises NotFound."""
    newest = heads.newest()
    if newest is None:
        raise NotFound(
            "proof.no_head", "No tree head is signed yet. The service signs one within a minute."
        )
    return newest


def _position(heads: TreeHeads) -> int:
    """Read which event is to be proved; raises InvalidValue or NotFound."""
    position = number(request.args, "position")
    if position is None:
        raise InvalidValue(
            "parameter.no_position", "position is required: the position of the event to prove."
        )
    if position < 1:
        raise InvalidValue(
            "parameter.position_from_1", "position must be a whole number, 1 or more."
        )
    if position > (end := heads.ledger.last_position()):
        raise NotFound(
            "proof.no_event", "There is no event at this position. The last one is {end}.", end=end
        )
    return position


def _covering(heads: TreeHeads, position: int) -> StoredHead:
    """Return the newest head if it covers an event; raises NotFound."""
    newest = _newest_of(heads)
    if newest.size < position:
        raise NotFound(
            "proof.not_covered",
            "The newest tree head covers {size} events, and not this one yet. The service signs the"
            " next within a minute.",
            size=newest.size,
        )
    return newest


def _size(heads: TreeHeads, name: str) -> int | None:
    """Read a number of events, None where it is not given; raises InvalidValue."""
    size, end = number(request.args, name), heads.ledger.last_position()
    if size is not None and not 0 <= size <= end:
        template = "{name} must be a number of events. The ledger has {end}."
        raise InvalidValue("parameter.size", template, name=name, end=end)
    return size


def _log(tenants: Tenants, named: str | None) -> TreeHeads:
    """Return the heads of the token's ledger, or of the one that is named; raises NotFound."""
    principal = current_exchange().authenticated
    if principal:
        found: Tenant | None = principal.tenant
    elif named is None:
        tenants.opened()
        found = tenants.only()
    else:
        found = next((each for each in tenants.opened() if _id(each) == named), None)
    if found is None or named not in (None, _id(found)):
        raise NotFound(
            "tile.ledger",
            "There is no log at this address. The address names the ledger by the part of its"
            " origin after the slash; with a single ledger it can be left out.",
        )
    return found.heads


def _id(tenant: Tenant) -> str:
    """Return the random part of a ledger's origin, which names its log."""
    return tenant.ledger.origin.rpartition("/")[2]


def _cacheable(content: str | bytes, content_type: str, how: str) -> Response:
    """Return an answer that shared caches may keep, too, unless a token was needed."""
    shared = "private" if current_exchange().authenticated else "public"
    response = Response(content, content_type=content_type)
    response.headers["Cache-Control"] = f"{shared}, {how}"
    return response
