"""The authorization server without HTTP: ledgers, clients, consents and requests in sentences."""

from base64 import b64encode, urlsafe_b64encode
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256

from ledger import clock
from ledger.events import Metadata
from projections.runner import StoredProjection
from scim_api.auth import homes, tokens
from scim_api.auth.oauth import clients, connect_codes, consent
from scim_api.auth.oauth.client_authentication import presented
from scim_api.auth.oauth.clients import BY_CONSENT
from scim_api.auth.oauth.errors import OAuthError
from scim_api.auth.oauth.key_sets import KeySets
from scim_api.auth.oauth.token_endpoint import Request, TokenEndpoint
from scim_api.wiring import open_tenants

ISSUER = "https://scim.example.com"
ENDPOINTS = (ISSUER, f"{ISSUER}/oauth/token")
URI = "https://system-admin.okta.com/admin/app/cpc/acme_scim_1/oauth/callback"
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"  # RFC 7636, appendix B
CHALLENGE = urlsafe_b64encode(sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


class Service:
    """The ledgers of a site, and what clients ask its authorization server for."""

    def __init__(self, site, *names):
        for name in names:
            site.console.create(name).close()
        self.tenants = open_tenants(site.settings)
        self.endpoint = TokenEndpoint(self.tenants, KeySets(()))
        self.tenants.discover()

    def ledger(self, name="acme"):
        return self.tenants.named(name)

    def metadata(self):
        return Metadata("operator", "test", clock.uuid7(), {"id": clock.uuid7()})

    def register(self, ledger="acme", *, name="okta", grants=BY_CONSENT, **registration):
        """Register a client; return it with its secret."""
        registration.setdefault("redirect_uris", [URI])
        made = clients.register(
            self.ledger(ledger), self.metadata(), name, grants=grants, **registration
        )
        return made.client, made.secret

    def connect_code(self, client, ledger="acme", minutes=15):
        expires_at = clock.timestamp(clock.now() + timedelta(minutes=minutes))
        return connect_codes.issue(
            self.ledger(ledger), client, self.metadata(), expires_at=expires_at
        )

    def ask(self, client, **parameters):
        """Return what a client asks for at the authorization endpoint."""
        given = {"client_id": client.client_id, "redirect_uri": URI, "response_type": "code"}
        given |= parameters
        return consent.asked(consent.asking(self.tenants, given), given)

    def consent(self, client, ledger="acme", **parameters):
        """Return the authorization code of a new consent."""
        asked = self.ask(client, **parameters)
        return consent.give(asked, self.connect_code(client, ledger), self.tenants, self.metadata())

    def request(self, form, *, basic=None, authorization=None, address="192.0.2.1", **more):
        if basic:
            encoded = b64encode(f"{basic[0].client_id}:{basic[1]}".encode()).decode()
            authorization = f"Basic {encoded}"
        form = {name: value for name, value in form.items() if value is not None}
        proof = presented(form, authorization)
        return Request(form, proof, address, ENDPOINTS, self.metadata(), **more)

    def token(self, form, **more):
        """Return the document of an answer of the token endpoint."""
        return self.endpoint.issue(self.request(form, **more)).issued.document()

    def redeem(self, client, code, **more):
        """Redeem a code; `client` is one with its secret."""
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": URI, **more}
        return self.token(form, basic=client)

    def refresh(self, client, token, **more):
        form = {"grant_type": "refresh_token", "refresh_token": token, **more}
        return self.token(form, basic=client)

    def of_itself(self, client, **more):
        return self.token({"grant_type": "client_credentials", **more}, basic=client)

    def revoke(self, client, token):
        self.endpoint.revoke(self.request({"token": token}, basic=client))

    def refusal(self, ask, *arguments, **more):
        """Return the error that something is refused with."""
        try:
            ask(*arguments, **more)
        except OAuthError as error:
            return error
        raise AssertionError("nothing was refused")

    def presented(self, token, ledger="acme"):
        """Return the credential of an access token, live or not, as the SCIM door finds it."""
        tenant = self.ledger(ledger)
        found = tenant.find_credential(tokens.digest(token))
        if not found:
            return None
        return homes.in_force(found[0], homes.home_of(found[0], tenant, self.tenants))

    def opens(self, token, ledger="acme"):
        """Return whether an access token lets a request in now."""
        found = self.presented(token, ledger)
        return bool(found and found.state(clock.timestamp()) == "live")

    def events(self, ledger="acme", category="Grant"):
        """Return the events about grants, or the like."""
        found = self.ledger(ledger).ledger.read_all()
        return [event for event in found if event.category == category]

    def types(self, ledger="acme", category="Grant"):
        return [event.type for event in self.events(ledger, category)]

    def must_be_rebuildable(self):
        for tenant in self.tenants:
            assert StoredProjection(tenant.ledger, tenant.credentials).check() is None

    def with_lifetimes(self, **lifetimes):
        own = replace(self.endpoint.lifetimes, **lifetimes)
        self.endpoint = replace(self.endpoint, lifetimes=own)

    def close(self):
        self.tenants.close()
