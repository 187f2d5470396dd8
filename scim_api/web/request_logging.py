"""Which requests are logged, and in whose log: what a request itself does for the request log."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from ledger.contract import LedgerError
from scim_api.auth.authenticate import claimed_ledger, presented
from scim_api.protocol.schema.attributes import ResourceType
from scim_api.protocol.schema.resource_types import RESOURCE_TYPES
from scim_api.request_log.records import MAX_PATH, Entry, KnownPaths
from scim_api.tenants.tenants import Tenant, Tenants
from scim_api.web.context import Exchange

_NOBODYS = frozenset(("/livez", "/readyz", "/openapi.json"))  # of no ledger


def known_paths(rules: Iterable[str], scim: str, ledger: str) -> KnownPaths:
    """Return the known addresses: the patterns of all routes and the bases of two interfaces."""
    parts = (part for rule in rules for part in rule.split("/"))
    return KnownPaths(scim, ledger, frozenset(part for part in parts if part and "<" not in part))


# The ledger whose log a request goes to, the id of the credential that is named there and whose own
# it is, if there are any, and the ledger's types.
_Requester = tuple[Tenant, str | None, str | None, Sequence[ResourceType]]


@dataclass(frozen=True, slots=True)
class RequestLogger:
    """Logs requests that were refused or changed nothing."""

    tenants: Tenants
    known: KnownPaths

    def note(self, exchange: Exchange, status: int) -> None:
        """Log a request. Without a token that names a ledger, only below our own addresses.

        A mistyped base URL is the commonest mistake in Okta; network scans are of no interest.
        """
        path: str = exchange.environ["PATH_INFO"]
        requester = self._requester(exchange, path) if path not in _NOBODYS else None
        if requester is None or exchange.outcome is None:
            return
        tenant, actor, user, types = requester
        tenant.requests.note(
            Entry(
                at=exchange.at,
                id=exchange.id,
                actor=actor,
                user=user,
                client=exchange.client,
                method=exchange.environ["REQUEST_METHOD"],
                path=path[:MAX_PATH],
                status=status,
                milliseconds=exchange.milliseconds,
                outcome=exchange.outcome,
                types=types,
                known=self.known,
                position=exchange.past.position if exchange.past else None,
            )
        )

    def _requester(self, exchange: Exchange, path: str) -> _Requester | None:
        if who := exchange.authenticated or exchange.refused:
            credential = who.credential
            return who.tenant, credential.id, credential.user, who.catalogue.resource_types
        if exchange.about:
            return *exchange.about, None, RESOURCE_TYPES
        header = exchange.environ.get("HTTP_AUTHORIZATION")
        token = presented(header)
        try:
            tenant = self.tenants.find(token.tenant) if token else None
        except LedgerError:
            return None  # its ledger cannot be opened, nor the log next to it
        if token and tenant:
            return _bearer(tenant, token.sha256, exchange.at)
        tenant = self.tenants.find_open(claimed_ledger(header))
        if tenant is None and self.known.holds(path):
            tenant = self.tenants.only()
        return (tenant, None, None, RESOURCE_TYPES) if tenant else None


def _bearer(tenant: Tenant, token_sha256: str, now: str) -> _Requester:
    """Return the bearer of a token that was not checked; an ended one counts as a stranger's."""
    with suppress(LedgerError):
        admitted = tenant.find_credential(token_sha256)
        if admitted and admitted[0].state(now) == "live":
            credential, catalogue = admitted
            return tenant, credential.id, credential.user, catalogue.resource_types
    return tenant, None, None, RESOURCE_TYPES
