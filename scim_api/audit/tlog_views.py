"""Everything under /ledger/v1/tlog: head, tiles, entries, as any C2SP tlog-tiles client reads them.

The operator may open it without a token: hashes and headers hold no personal data.
"""

from typing import Any

from flask import Blueprint, Response, request

from ledger.signing.tile_paths import TileName
from ledger.signing.tree_heads import TreeHeads
from scim_api.audit.paths import BASE
from scim_api.audit.proof_views import TEXT, newest_of
from scim_api.audit.routes import refuse_as_of
from scim_api.auth.scopes import scopes_for_ledger
from scim_api.protocol.errors import NotFound
from scim_api.settings import Settings
from scim_api.tenants.tenants import Tenant, Tenants
from scim_api.web.context import exchange_of
from scim_api.web.guard import guard, route

HEAD_SECONDS = 5  # for which a cache may keep a head
TILE_SECONDS = 365 * 24 * 3600  # a tile never changes


def blueprint(settings: Settings, tenants: Tenants) -> Blueprint:
    """Return the log's addresses: those of the token's ledger, and those that name one."""
    tlog = Blueprint("tlog", __name__, url_prefix=f"{BASE}/tlog")
    guard(tlog, tenants, BASE, scopes_for_ledger, lambda *_: settings.tlog_public)
    tlog.before_request(refuse_as_of)
    unnamed: dict[str, Any] = {"tenants": tenants, "ledger": None}
    for base, fixed in (("", unnamed), ("/<ledger>", {"tenants": tenants})):
        route(tlog, "GET", f"{base}/checkpoint", checkpoint, **fixed)
        route(tlog, "GET", f"{base}/tile/<level>/<path:number>", tile, **fixed)
    return tlog


def checkpoint(tenants: Tenants, ledger: str | None) -> Response:
    """GET the newest head, a signed note."""
    newest = newest_of(_heads(tenants, ledger))
    return _cacheable(newest.note, TEXT, f"max-age={HEAD_SECONDS}")


def tile(tenants: Tenants, ledger: str | None, level: str, number: str) -> Response:
    """GET a tile, or a bundle of entries, full or partial; nothing that the head does not cover."""
    heads = _heads(tenants, ledger)
    name = TileName.parse(f"{level}/{number}")
    if name is None:
        raise NotFound("tile.name", "This is not the name of a tile, such as tile/0/x001/067.p/89.")
    if name.reach > (size := newest_of(heads).size):
        template = "The newest tree head covers {size} events and has no such tile."
        raise NotFound("tile.unknown", template, size=size)
    if name.level is None:
        content = heads.tree.entries(name.number, name.width)
    else:
        content = heads.tree.hashes(name.level, name.number, name.width)
    return _cacheable(content, "application/octet-stream", f"max-age={TILE_SECONDS}, immutable")


def _heads(tenants: Tenants, named: str | None) -> TreeHeads:
    """Return the heads of the token's ledger, or of the one that is named; raises NotFound."""
    principal = exchange_of(request).authenticated
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
    shared = "private" if exchange_of(request).authenticated else "public"
    response = Response(content, content_type=content_type)
    response.headers["Cache-Control"] = f"{shared}, {how}"
    return response
