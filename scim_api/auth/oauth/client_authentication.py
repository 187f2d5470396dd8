"""How a client proves to the authorization server that it is the one of its client id."""

from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from urllib.parse import unquote_plus

from ledger import clock
from ledger.contract import Connection
from projections.current.credentials import NOTHING, Credential, Secret, Use
from scim_api.auth import tokens
from scim_api.auth.networks import may_come_from
from scim_api.auth.oauth import clients
from scim_api.auth.oauth.assertions import AssertionRefused, Verified, subject_of, verify
from scim_api.auth.oauth.clients import Client
from scim_api.auth.oauth.errors import InvalidClient, InvalidRequest, UnauthorizedClient
from scim_api.auth.oauth.key_sets import KeySets, KeysUnavailable
from scim_api.auth.oauth.trust import Trust
from scim_api.protocol.errors import Unavailable
from scim_api.tenants.tenants import Tenant, Tenants

BASIC, POST, JWT = "client_secret_basic", "client_secret_post", "private_key_jwt"
FEDERATED = "federated_jwt"  # an assertion that another service signed
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"  # RFC 7523 §2.2

_ABOUT = "code", "refresh_token", "token"
_CHALLENGE = {"WWW-Authenticate": 'Basic realm="OAuth", charset="UTF-8"'}


@dataclass(frozen=True, slots=True)
class Authenticated:
    """A client that proved who it is, and by what method."""

    client: Client
    method: str
    address: str
    secret: str | None = None  # the hash of the secret that it has sent
    assertion: Verified | None = None

    def refusal(self, code: str, template: str) -> InvalidClient:
        """Return the refusal of what counts no more."""
        return InvalidClient(code, template, headers=_CHALLENGE if self.method == BASIC else None)

    def effects(self) -> dict[str, str]:
        """Return what is recorded of the proof, with tokens that are issued for it."""
        return {"client_authentication": self.method, **self.used()}

    def used(self) -> dict[str, str]:
        """Return what is recorded of an assertion that is not to be used again."""
        used = self.assertion
        if used is None or used.sha256 is None or used.expires_at is None:
            return {}
        return {"assertion_sha256": used.sha256, "assertion_expires_at": used.expires_at}


@dataclass(frozen=True, slots=True)
class Presented:
    """What a request presents to prove who sends it."""

    client_id: str | None
    secret: str | None
    assertion: str | None
    method: str
    by_header: bool
    about: tuple[str, ...] = ()  # the codes and tokens that the request is about

    def refusal(self, code: str, template: str) -> InvalidClient:
        """Return the refusal of it (RFC 6749 §5.2)."""
        return InvalidClient(code, template, headers=_CHALLENGE if self.by_header else None)


def authenticate(
    presented: Presented,
    address: str,
    endpoints: Sequence[str],
    tenants: Tenants,
    key_sets: KeySets,
    *,
    recognised: Callable[[Client], None] = lambda _: None,
) -> Authenticated:
    """Return the client that sends a request from an address; raises OAuthError.

    An assertion of its own must be meant for one of our endpoints. Raises Unavailable where the
    keys of an assertion cannot be had. `recognised` gets the client that is named, before anything
    is proved.
    """
    client_id = presented.client_id
    if client_id is None and presented.assertion:
        client_id = subject_of(presented.assertion)
    client = clients.find(tenants, client_id) if client_id else None
    if client is None:
        clients.must_not_be_missed(client_id or "", presented.about, tenants)
        raise presented.refusal(
            "oauth.client_unknown",
            "No client has this client id. Compare it with: scim-ledger client list."
            if client_id
            else "The request names no client: send client id and secret by Basic, or in the form.",
        )
    recognised(client)
    if presented.assertion is None:
        sha256 = _must_have_secret(presented, client)
        proved = Authenticated(client, presented.method, address, secret=sha256)
    else:
        proved = _asserted(presented.assertion, client, address, endpoints, key_sets)
    _must_come_from(client.credential, address)
    return proved


def presented(form: Mapping[str, str], authorization: str | None) -> Presented:
    """Return what a request presents; raises InvalidRequest where that is more than one thing."""
    user, password = _basic(authorization)
    client_id, secret = form.get("client_id"), form.get("client_secret")
    assertion = form.get("client_assertion")
    by_header = bool(authorization and authorization.strip())
    twice = user is not None and (client_id not in (None, user) or secret not in (None, password))
    both = assertion is not None and (user is not None or secret is not None)
    if user is not None and assertion is None and _is_split(user, password, client_id, secret):
        raise InvalidRequest(
            "oauth.split_proof",
            "Client id and secret came in two places: send both by Basic, or both in the form.",
        )
    if twice or both:
        raise InvalidRequest(
            "oauth.two_proofs",
            "The request has two client authentications: send one, by Basic or in the form.",
        )
    if assertion is not None and form.get("client_assertion_type") != ASSERTION_TYPE:
        raise InvalidRequest(
            "oauth.assertion_type", "client_assertion_type must be {type}.", type=ASSERTION_TYPE
        )
    about = tuple(form[name].strip() for name in _ABOUT if name in form)
    if user is not None:
        return Presented(user, password, None, BASIC, by_header, about)
    method = JWT if assertion is not None else POST
    return Presented(client_id, secret, assertion, method, by_header, about)


def _is_split(user: str, password: str | None, client_id: str | None, secret: str | None) -> bool:
    """Return whether a header has only one of the two, and the form the other."""
    return (not password and secret is not None) or (not user and client_id is not None)


def _basic(header: str | None) -> tuple[str | None, str | None]:
    """Return user name and password of a header, which are form-encoded (RFC 6749 §2.3.1)."""
    scheme, _, encoded = (header or "").strip().partition(" ")
    if scheme.lower() != "basic":
        return None, None
    try:
        user, colon, password = b64decode(encoded.strip(), validate=True).decode().partition(":")
    except ValueError:
        user = colon = password = ""
    if not colon:
        raise InvalidClient(
            "oauth.basic_form",
            "The Authorization header is not Basic: client id, colon and secret in base64.",
            headers=_CHALLENGE,
        )
    return unquote_plus(user), unquote_plus(password)


def _asserted(
    text: str, client: Client, address: str, endpoints: Sequence[str], key_sets: KeySets
) -> Authenticated:
    """Return a client that an assertion proves."""
    if client.trust is None:
        raise InvalidClient(
            "oauth.assertion_unexpected",
            "This client is not registered with assertions: it sends its client secret.",
        )
    trust = Trust.of(client.trust, client_id=client.client_id, endpoints=endpoints)
    try:
        verified = verify(text, trust, key_sets, client.tenant.ledger.path.parent)
    except AssertionRefused as error:
        raise InvalidClient(error.code, error.template, **error.arguments) from error
    except KeysUnavailable as error:
        raise Unavailable(
            "oauth.keys",
            "The keys that sign this client's assertions cannot be fetched now.",
            headers={"Retry-After": str(error.retry_after)},
        ) from error
    method = JWT if trust.once else FEDERATED
    return Authenticated(client, method, address, assertion=verified)


def must_still_hold(by: Authenticated, tenant: Tenant, connection: Connection) -> Credential:
    """Return a client as it is now; raise OAuthError if what let it in counts no more.

    It may have been removed, rotated or changed, or its assertion used, since then. `connection`
    shows the newest state of a ledger; that of the client's home is read where this is another.
    """
    _must_be_unused(by, tenant, connection)
    client, home = by.client, by.client.tenant
    if not _is_home(by, tenant):
        home.ledger.check_place()
    with nullcontext(connection) if _is_home(by, tenant) else home.ledger.reading() as newest:
        found = home.credentials.get(newest, client.id)
        if by.secret is not None:
            _must_be_live(home.credentials.secret(newest, by.secret, Use.CLIENT_SECRET), client, by)
    if found is None or found.revoked_at:
        raise by.refusal("oauth.client_removed", "The client was removed.")
    if found.details.get("trust") != client.trust:
        raise by.refusal(
            "oauth.client_changed", "The registration of the client has just changed. Ask again."
        )
    _must_come_from(found, by.address)
    return found


def _must_be_unused(by: Authenticated, tenant: Tenant, connection: Connection) -> None:
    """Raise InvalidClient for an assertion that was used, as far as a ledger's newest state says.

    That is recorded in the home only, in one append with what it was used for.
    """
    used = by.assertion.sha256 if by.assertion else None
    if used is None:
        return
    if not _is_home(by, tenant) or tenant.credentials.secret(connection, used, Use.ASSERTION):
        raise InvalidClient(
            "oauth.assertion_used",
            "The client assertion was used before, or in another ledger than the client's own:"
            " sign another one for each request.",
        )


def _is_home(by: Authenticated, tenant: Tenant) -> bool:
    return tenant.ledger.tenant == by.client.tenant.ledger.tenant


def must_be_able(client: Client) -> None:
    """Raise UnauthorizedClient for one that would be refused tokens, whatever it is consented to.

    It is asked for as it is now in its home.
    """
    home, now = client.tenant, clock.timestamp()
    with home.ledger.reading() as connection:
        found = home.credentials.get(connection, client.id)
        secrets = home.credentials.secrets(connection, client.id, Use.CLIENT_SECRET)
    if found is None or found.revoked_at:
        raise UnauthorizedClient("oauth.client_removed", "The client was removed.")
    must_not_be_paused(found)
    if client.trust is None and not any(each.is_live(now) for each in secrets):
        raise UnauthorizedClient(
            "oauth.no_secret",
            "The client's secret has ended, so it could get no tokens. Its operator makes a new one"
            " and pastes it into the identity provider: scim-ledger client rotate.",
        )


def _must_have_secret(presented: Presented, client: Client) -> str:
    """Return the hash of a client's secret; raise InvalidClient if none is presented."""
    if not presented.secret:
        raise presented.refusal(
            "oauth.secret_missing", "The request has no client secret, which this client needs."
        )
    token, found = tokens.parse(presented.secret.strip()), None
    if token:
        with client.tenant.ledger.reading() as connection:
            found = client.tenant.credentials.secret(connection, token.sha256, Use.CLIENT_SECRET)
    return _must_be_live(found, client, presented)


def _must_be_live(secret: Secret | None, client: Client, by: Presented | Authenticated) -> str:
    """Return the hash of a live secret of a client; raise InvalidClient for any other."""
    if secret is None or secret.credential != client.id:
        raise by.refusal(
            "oauth.secret_wrong",
            "The client secret is not one of this client: it begins with scls_ and must be pasted"
            " whole.",
        )
    if secret.is_live(clock.timestamp()):
        return secret.sha256
    if secret.spent_at:
        raise by.refusal(
            "oauth.secret_replaced",
            "The client secret was replaced (client rotate), and the time for which both worked is"
            " over. Paste the new one; if it is lost: scim-ledger client rotate.",
        )
    raise by.refusal(
        "oauth.secret_expired",
        "The client secret has ended. Make a new one: scim-ledger client rotate.",
    )


def _must_come_from(client: Credential, address: str) -> None:
    """Raise UnauthorizedClient for a client that is in none of its networks."""
    if not may_come_from(address, client.networks):
        raise UnauthorizedClient(
            "client.network",
            "This client may not be used from {address}. Its operator lists the networks:"
            " scim-ledger client list.",
            address=address,
        )


def must_not_be_paused(client: Credential) -> None:
    """Raise UnauthorizedClient for a client that may do nothing now."""
    if client.allows == NOTHING:
        raise UnauthorizedClient(
            "client.paused",
            "This client is paused. Its operator resumes it: scim-ledger client resume.",
        )
