"""Everything under /ledger/v1/tlog: head, tiles, entries, as any C2SP tlog-tiles client reads them.

Where the operator wants it, without a token: hashes and headers hold no personal data.
"""

from dataclasses import dataclass

from flask import Blueprint, Response, request

from ledger.signing.tile_paths import TileName
from ledger.signing.tree_heads import TreeHeads
from scim_api.audit.paths import BASE
from scim_api.audit.proof_views import TEXT, newest_of
from scim_api.audit.routes import refuse_as_of
from scim_api.auth.scopes import opening_ledger
from scim_api.protocol.errors import NotFound
from scim_api.settings import Settings
from scim_api.tenants.tenants import Tenant, Tenants
from scim_api.web.context import exchange_of
from scim_api.web.guard import guard

BYTES = "application/octet-stream"
SECONDS = 5  # for which a head may be kept by a cache
FOR_EVER = 365 * 24 * 3600  # what a tile's name stands for never changes


def blueprint(settings: Settings, tenants: Tenants) -> Blueprint:
    """Return the log's addresses: those of the token's ledger, and those that name one."""
    tlog = Blueprint("tlog", __name__, url_prefix=f"{BASE}/tlog")
    guard(tlog, tenants, BASE, opening_ledger, lambda *_: settings.tlog_public)
    tlog.before_request(refuse_as_of)
    views = LogViews(tenants)
    for named in ("", "/<ledger>"):
        for rule, view in (
            ("/checkpoint", views.checkpoint),
            ("/tile/<level>/<path:number>", views.tile),
        ):
            name = f"{view.__name__}{'_of' if named else ''}"
            tlog.add_url_rule(named + rule, name, view, provide_automatic_options=False)
    return tlog


@dataclass(frozen=True, slots=True)
class LogViews:
    """The log of a ledger: nothing that its newest head does not cover."""

    tenants: Tenants

    def checkpoint(self, ledger: str | None = None) -> Response:
        """GET the newest head, a signed note."""
        newest = newest_of(self._heads(ledger))
        return _cacheable(Response(newest.note, content_type=TEXT), f"max-age={SECONDS}")

    def tile(self, level: str, number: str, ledger: str | None = None) -> Response:
        """GET a tile, or a bundle of entries, full or partial."""
        heads = self._heads(ledger)
        name = TileName.parse(f"{level}/{number}")
        if name is None:
            raise NotFound(
                "tile.name", "This is not the name of a tile, such as tile/0/x001/067.p/89."
            )
        if name.reach > (size := newest_of(heads).size):
            raise NotFound(
                "tile.unknown",
                "The newest tree head covers {size} events and has no such tile.",
                size=size,
            )
        if name.level is None:
            content = heads.tree.entries(name.number, name.width)
        else:
            content = heads.tree.hashes(name.level, name.number, name.width)
        return _cacheable(Response(content, content_type=BYTES), f"max-age={FOR_EVER}, immutable")

    def _heads(self, named: str | None) -> TreeHeads:
        """Return the heads of the ledger that is asked for; raises NotFound."""
        principal = exchange_of(request).authenticated
        tenant = principal.tenant if principal else self._tenant(named)
        if tenant is None or named not in (None, _id(tenant)):
            raise NotFound(
                "tile.ledger",
                "There is no log at this address. The address names the ledger by the part of its"
                " origin after the slash; with a single ledger it can be left out.",
            )
        return tenant.heads

    def _tenant(self, named: str | None) -> Tenant | None:
        """Return the ledger that is named, or the only one; what was proved by no token."""
        opened = self.tenants.opened()
        if named is None:
            return self.tenants.only()
        return next((tenant for tenant in opened if _id(tenant) == named), None)


def _id(tenant: Tenant) -> str:
    """Return what tells a log from all others: its origin's random part."""
    return tenant.ledger.origin.rpartition("/")[2]


def _cacheable(response: Response, how: str) -> Response:
    """Let an answer be kept: by all where no token was asked for, else by the client alone."""
    shared = "private" if exchange_of(request).authenticated else "public"
    response.headers["Cache-Control"] = f"{shared}, {how}"
    return response
