"""The context of one request: id, settings, principal, tolerances used, the past, log line."""

import re
import time
from collections.abc import Mapping
from contextvars import ContextVar, Token
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from werkzeug.urls import iri_to_uri

from ledger import clock
from ledger.events import Metadata
from ledger.user_agents import OKTA, family
from projections.current.reader import ResourceReader
from projections.history.history import Past
from scim_api.auth.authenticate import Principal, recognise
from scim_api.auth.refusals import no_token
from scim_api.protocol.conditions import Conditions, conditions
from scim_api.protocol.errors import ScimError, TooManyRequests
from scim_api.protocol.policy import Tolerances
from scim_api.protocol.schema.attributes import ResourceType
from scim_api.request_log.records import Outcome, known_method, without_tokens
from scim_api.service.reader import PastReader, Reader, Source
from scim_api.service.service import Service
from scim_api.settings import Settings
from scim_api.tenants.tenants import Tenant, Tenants
from scim_api.web.limits import Limits
from scim_api.web.proxies import is_host

_EXCHANGE: ContextVar["Exchange"] = ContextVar("exchange")
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}
_uri = lru_cache(maxsize=256)(iri_to_uri)  # every client knows the service by one name
_REQUEST_ID = re.compile(r"(?=.*\d)[A-Za-z0-9-]{16,64}")  # no person's name has a digit


class Exchange:
    """Per-request context: created before Flask sees the request, logged after.

    It reads headers from the WSGI environment: a look through Flask's proxies costs a microsecond.
    """

    __slots__ = (
        *("_base_url", "_started", "about", "address", "at", "authenticated", "environ", "id"),
        *("is_attempt", "limits", "outcome", "past", "refused", "settings", "tolerated"),
    )

    def __init__(self, environ: dict[str, Any], settings: Settings, limits: Limits) -> None:
        """Begin an exchange; the caller's request id is kept."""
        given = environ.get("HTTP_X_REQUEST_ID", "")
        self.environ = environ
        self.settings = settings
        self.limits = limits
        # of the caller, as far as trusted proxies know it; "" on a Unix socket
        self.address: str = environ.get("REMOTE_ADDR", "")
        self.id: str = given if _REQUEST_ID.fullmatch(given) else clock.uuid7()
        self.at = clock.timestamp()
        self.authenticated: Principal | None = None
        self.refused: Principal | None = None  # known, but not let in
        self.is_attempt = False  # refused for what it sent to prove who it is, or from where
        self.about: tuple[Tenant, str | None] | None = None
        self.tolerated: set[str] = set()
        self.past: Past | None = None  # read instead of the present
        self.outcome: Outcome | None = None  # for the request log, where it is kept
        self._base_url = settings.base_url
        self._started = time.perf_counter()

    @property
    def tolerances(self) -> Tolerances:
        """The caller's policy; the tolerances that the request uses are noted here."""
        return Tolerances(self.principal.policy, self.tolerated.add, self.base_url)

    def service(self, resource_type: ResourceType) -> Service:
        """Return the operations on a resource type."""
        who = self.principal
        tenant = who.tenant
        store = tenant.ledger, tenant.resources
        return Service(*store, resource_type, who.catalogue, self.tolerances, who.check)

    def reader(self, resource_type: ResourceType) -> Reader:
        """Return what reads a resource type: as it is, or as it was at the position asked for."""
        kind = PastReader if self.past else Reader
        return kind(*self.source, resource_type, self.memory)

    @property
    def memory(self) -> dict[Any, Any] | None:
        """What is remembered of the state that is read, where it is that of the beginning."""
        reads = self.environ["REQUEST_METHOD"] in ("GET", "HEAD") and not self.past
        return self.principal.memory if reads else None

    @property
    def source(self) -> tuple[Source, ResourceReader]:
        """The file that is read, the ledger's or that of its history, and what reads it."""
        if past := self.past:
            return past.file, past.resources
        tenant = self.principal.tenant
        return tenant.ledger, tenant.resources

    @property
    def principal(self) -> Principal:
        """The authenticated caller; raises Unauthorized if the request has no token."""
        if self.authenticated is None:
            raise no_token(self.settings.authentication)
        return self.authenticated

    def caller(self, tenants: Tenants, now: str) -> Principal:
        """Return whose the request is by its Authorization header, now (a timestamp).

        Raises Unauthorized or Forbidden. A request that lasts asks again later.
        """
        who = self._let_in(tenants, now)
        who.must_be_allowed(writes=False)
        return who

    def admit(self, tenants: Tenants, *, writes: bool = False) -> Principal:
        """Let in whose the request is, and count it: also those of a credential that is paused.

        Raises Unauthorized, Forbidden or TooManyRequests.
        """
        who = self.authenticated = self._let_in(tenants, self.at)
        if self.limits.requests:
            self.limits.count_request(who.credential.id)
        who.must_be_allowed(writes=writes)
        return who

    def _let_in(self, tenants: Tenants, now: str) -> Principal:
        header, schemes = self.environ.get("HTTP_AUTHORIZATION"), self.settings.authentication
        who = recognise(header, self.address, schemes, tenants)
        try:
            who.must_be_let_in(now)
        except ScimError:
            self.refused = who
            raise
        return who

    def count_attempt(self) -> TooManyRequests | None:
        """Count an attempt that is refused; return what answers it instead beyond the rate."""
        self.is_attempt = True
        return self.limits.count_refusal(self.address)

    @property
    def client(self) -> str:
        """The caller's User-Agent, as far as it is short and printable, without tokens."""
        return _client(self.environ.get("HTTP_USER_AGENT", "")[:120])

    @property
    def is_okta(self) -> bool:
        """Whether the caller is Okta, as far as its User-Agent says so."""
        return family(self.client) == OKTA

    @property
    def parameters(self) -> Mapping[str, str]:
        """The parameters of the address, of several of a name the first: as Werkzeug reads them."""
        found: dict[str, str] = {}
        query = self.environ.get("QUERY_STRING", "")
        for part in query.encode("latin1").decode().split("&") if query else ():
            if part:
                name, _, value = part.partition("=")
                found.setdefault(_unquoted(name), _unquoted(value))
        return found

    def conditions(self) -> Conditions:
        """Return what If-Match and If-None-Match ask for."""
        environ = self.environ
        return conditions(environ.get("HTTP_IF_MATCH"), environ.get("HTTP_IF_NONE_MATCH"))

    def check_host(self) -> None:
        """Raise ScimError unless the Host header, if there is one, is a host."""
        host = self.environ.get("HTTP_HOST")
        if host and not is_host(host):
            raise ScimError("host.form", "The Host header is not a host name.")

    @property
    def base_url(self) -> str:
        """The SCIM base URL as clients know it: the setting, or what the request says."""
        if not self._base_url:
            self._base_url = self._origin() + self.settings.base_path
        return self._base_url

    @property
    def base_uri(self) -> str:
        """The SCIM base URL as headers have it: its host is in small letters there."""
        return _uri(self.base_url)

    @property
    def root_url(self) -> str:
        """The URL under which clients find the root of this server, without a slash."""
        return self.settings.root_url or self._origin()

    def _origin(self) -> str:
        """Return scheme and host as the caller named them, without the scheme's own port."""
        environ = self.environ
        host = environ.get("HTTP_HOST") or f"{environ['SERVER_NAME']}:{environ['SERVER_PORT']}"
        scheme = environ["wsgi.url_scheme"]
        return f"{scheme}://{host.removesuffix(_DEFAULT_PORTS.get(scheme, ''))}"

    def metadata(self, via: str, actor: str | None = None, *, browser: bool = False) -> Metadata:
        """Return who causes a change: an opaque id, and the rest where it can be erased.

        It is the credential that was sent, unless another way to authenticate says who it is. Of a
        person's `browser` neither address nor User-Agent are told: nobody could erase them.
        """
        whose = {} if browser else {"client": self.client, "address": self.address}
        return Metadata(
            actor=self.principal.credential.id if actor is None else actor,
            via=via,
            txn=clock.uuid7(),
            request={
                "method": self.environ["REQUEST_METHOD"],
                "path": self.environ["PATH_INFO"],
                **whose,
                "id": self.id,
            },
        )

    def is_about(self, tenant: Tenant | None, credential: str | None = None) -> None:
        """Note whose request it is, for the logs, where that is not said by the SCIM door.

        A refused request may name a credential without proving it.
        """
        self.about = (tenant, credential) if tenant else None

    def count_use(self) -> None:
        """Count the use of the credential and of tolerances, for the operator to see."""
        if who := self.authenticated:
            usage, id_ = who.tenant.usage, who.credential.id
            usage.note(id_, self.client, self.tolerated, self.at, self.address)

    @property
    def milliseconds(self) -> float:
        """How long the request has taken so far."""
        return round((time.perf_counter() - self._started) * 1000, 2)

    def line(self, route: str | None, status: int) -> dict[str, Any]:
        """Return the log line: the route's pattern, for an address can hold a name."""
        line: dict[str, Any] = {
            "request_id": self.id,
            "method": known_method(self.environ["REQUEST_METHOD"]),
            "route": route,
            "status": status,
            "milliseconds": self.milliseconds,
        }
        if who := self.authenticated or self.refused:
            line |= {"ledger": who.tenant.name, "credential": who.credential.id}
        elif self.about:
            tenant, credential = self.about
            line |= {"ledger": tenant.name} | ({"credential": credential} if credential else {})
        if self.tolerated:
            line["tolerated"] = sorted(self.tolerated)
        return line


@lru_cache(maxsize=256)
def _client(agent: str) -> str:
    if not (agent.isascii() and agent.isprintable()):
        agent = "".join(c for c in agent if c.isascii() and c.isprintable())
    return without_tokens(agent) or "unknown"


def _unquoted(text: str) -> str:
    return unquote(text.replace("+", " "), errors="werkzeug.url_quote")


def entered(exchange: Exchange) -> Token[Exchange]:
    """Make an exchange that of this thread, until `left` is called."""
    return _EXCHANGE.set(exchange)


left, current_exchange = _EXCHANGE.reset, _EXCHANGE.get
