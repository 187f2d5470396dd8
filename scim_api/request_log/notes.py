"""Which requests are kept, and in whose log: all that a request itself does for the log."""

from collections.abc import Iterable
from dataclasses import dataclass

from scim_api.auth import claimed_ledger
from scim_api.exchange import Exchange
from scim_api.request_log.outcomes import MAX_PATH, Outcome
from scim_api.request_log.rows import Entry, Served
from scim_api.resource_types import RESOURCE_TYPES
from scim_api.tenants import Tenant, Tenants


def served(rules: Iterable[str], scim: str, ledger: str) -> Served:
    """Return what is served, by the patterns of all addresses and the bases of two interfaces."""
    parts = (part for rule in rules for part in rule.split("/"))
    return Served(scim, ledger, frozenset(part for part in parts if part and "<" not in part))


@dataclass(frozen=True, slots=True)
class Noting:
    """Notes the requests that are to be kept."""

    tenants: Tenants
    served: Served

    def note(self, exchange: Exchange, status: int) -> None:
        """Note a request that was refused, or that changed nothing."""
        path: str = exchange.environ["PATH_INFO"]
        tenant = self._tenant(exchange) if self.served.holds(path) else None
        if tenant and exchange.outcome is not None:
            tenant.requests.note(self._entry(exchange, exchange.outcome, path, status))

    def _tenant(self, exchange: Exchange) -> Tenant | None:
        if exchange.authenticated:
            return exchange.authenticated.tenant
        header = exchange.environ.get("HTTP_AUTHORIZATION")
        return self.tenants.named_by(claimed_ledger(header))

    def _entry(self, exchange: Exchange, outcome: Outcome, path: str, status: int) -> Entry:
        who = exchange.authenticated
        return Entry(
            at=exchange.at,
            id=exchange.id,
            actor=who.credential.id if who else None,
            user=who.credential.user if who else None,
            client=exchange.client,
            method=exchange.environ["REQUEST_METHOD"],
            path=path[:MAX_PATH],
            status=status,
            milliseconds=exchange.milliseconds,
            outcome=outcome,
            types=who.catalogue.resource_types if who else RESOURCE_TYPES,
            served=self.served,
            position=exchange.past.position if exchange.past else None,
        )
