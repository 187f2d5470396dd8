"""Which requests are kept, and in whose log: all that a request itself does for the log."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ledger.contract import LedgerError
from projections.current.credentials import Credential
from scim_api.auth.authenticate import claimed_ledger, presented
from scim_api.auth.tokens import Token
from scim_api.protocol.schema.attributes import ResourceType
from scim_api.protocol.schema.resource_types import RESOURCE_TYPES
from scim_api.request_log.outcomes import MAX_PATH, Outcome
from scim_api.request_log.records import Entry, Served
from scim_api.tenants.tenants import Tenant, Tenants
from scim_api.web.context import Exchange

_NOBODYS = frozenset(("/livez", "/readyz", "/openapi.json"))  # of no ledger


def served(rules: Iterable[str], scim: str, ledger: str) -> Served:
    """Return what is served, by the patterns of all addresses and the bases of two interfaces."""
    parts = (part for rule in rules for part in rule.split("/"))
    return Served(scim, ledger, frozenset(part for part in parts if part and "<" not in part))


@dataclass(frozen=True, slots=True)
class _Asker:
    """Whose log a request is kept in, and the credential that asked, where it is known."""

    tenant: Tenant
    credential: Credential | None = None
    types: Sequence[ResourceType] = RESOURCE_TYPES


@dataclass(frozen=True, slots=True)
class Noting:
    """Notes the requests that are to be kept."""

    tenants: Tenants
    served: Served

    def note(self, exchange: Exchange, status: int) -> None:
        """Note a request that was refused, or that changed nothing.

        Without a token that names a ledger only at our own addresses: a mistyped base URL is the
        commonest mistake in Okta, and what scans the network is of no interest.
        """
        path: str = exchange.environ["PATH_INFO"]
        asker = self._asker(exchange, path, status) if path not in _NOBODYS else None
        if asker and exchange.outcome is not None:
            asker.tenant.requests.note(self._entry(exchange, asker, exchange.outcome, path, status))

    def _asker(self, exchange: Exchange, path: str, status: int) -> _Asker | None:
        who = exchange.authenticated
        if who:
            return _Asker(who.tenant, who.credential, who.catalogue.resource_types)
        header = exchange.environ.get("HTTP_AUTHORIZATION")
        token = presented(header)
        try:
            tenant = self.tenants.find(token.tenant) if token else None
        except LedgerError:
            return None  # its ledger cannot be opened, and the log beside it is not
        if token and tenant:
            return _bearer(tenant, token, exchange.at, status)
        tenant = self.tenants.opened_by(claimed_ledger(header))
        if tenant is None and self.served.holds(path):
            tenant = self.tenants.only()
        return _Asker(tenant) if tenant else None

    def _entry(
        self, exchange: Exchange, asker: _Asker, outcome: Outcome, path: str, status: int
    ) -> Entry:
        who = asker.credential
        return Entry(
            at=exchange.at,
            id=exchange.id,
            actor=who.id if who else None,
            user=who.user if who else None,
            client=exchange.client,
            method=exchange.environ["REQUEST_METHOD"],
            path=path[:MAX_PATH],
            status=status,
            milliseconds=exchange.milliseconds,
            outcome=outcome,
            types=asker.types,
            served=self.served,
            position=exchange.past.position if exchange.past else None,
        )


def _bearer(tenant: Tenant, token: Token, now: str, status: int) -> _Asker:
    """Return who bears a token that was not looked at yet, or was refused.

    One that has ended is named in its 401 only, and counts as a stranger's everywhere.
    """
    try:
        admitted = tenant.admit(token.sha256)
    except LedgerError:
        return _Asker(tenant)
    if admitted is None or (status != 401 and admitted[0].state(now) != "live"):
        return _Asker(tenant)
    return _Asker(tenant, admitted[0], admitted[1].resource_types)
