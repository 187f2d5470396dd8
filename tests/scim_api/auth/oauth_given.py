"""What an access token stands on, recorded as the token endpoint records it."""

from datetime import timedelta

from ledger import clock
from scim_api.auth import tokens
from scim_api.auth.tokens import Prefix
from tests.scim_api.client import Api

HOUR = timedelta(hours=1)


class Given:
    """An OAuth client of a ledger, a consent that it has, and access tokens for that."""

    def __init__(self, site, ledger="default", scopes=("provision",), home=None, **registered):
        """`home` is the ledger that the client is registered in, if not that of the consent."""
        self.site, self.ledger, self.scopes = site, ledger, list(scopes)
        self.home = home or ledger
        self.client, self.grant = clock.uuid7(), clock.uuid7()
        self.versions = dict.fromkeys((self.client, self.grant), 0)
        self.id, home_id = self._id_of(ledger), self._id_of(self.home)
        self.record(
            f"Client-{self.client}",
            "ClientRegistered",
            name="Okta",
            grants=["authorization_code"],
            redirect_uris=["https://okta.example/callback"],
            scopes=self.scopes,
            **registered,
        )
        self.record(
            f"Grant-{self.grant}",
            "ConsentGiven",
            client=f"{home_id}-{self.client}",
            name="Okta",
            scopes=self.scopes,
            sha256=tokens.digest(tokens.issue(self.id, Prefix.CODE)),
            expires_at=clock.timestamp(),
            redirect_uri="https://okta.example/callback",
            connect_code="c",
            arrived={},
        )

    def _id_of(self, ledger):
        tenant = self.site.console.tenant(ledger)
        tenant.close()
        return tenant.ledger.tenant

    def record(self, stream, type_, **effects):
        """Record an event in a stream of the client or the grant."""
        id_ = stream.partition("-")[2]
        ledger = self.home if id_ == self.client else self.ledger
        self.site.append(ledger, stream, self.versions[id_], (type_, effects))
        self.versions[id_] += 1

    def access(self, scopes=None, lasting=HOUR, of=None):
        """Return a SCIM client with a new access token: of the grant, or of the client itself."""
        token = tokens.issue(self.id, Prefix.ACCESS)
        self.record(
            of or f"Grant-{self.grant}",
            "TokensIssued",
            grant_type="client_credentials" if of else "authorization_code",
            access_sha256=tokens.digest(token),
            access_expires_at=clock.timestamp(clock.now() + lasting),
            scopes=list(scopes or self.scopes),
            client_authentication="client_secret_post",
        )
        return Api(self.site, self.ledger, token)
