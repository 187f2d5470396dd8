"""What a code or a refresh token is redeemed for: once, and never after its grant has ended."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from ledger import clock
from ledger.contract import Append, Connection
from ledger.events import GRANT, REUSE_DETECTED, Event
from projections.current.credentials import Credential, Secret, Use
from scim_api.auth import tokens
from scim_api.auth.oauth import clients
from scim_api.auth.oauth.arrived import arrived
from scim_api.auth.oauth.client_authentication import (
    Authenticated,
    must_not_be_paused,
    must_still_hold,
)
from scim_api.auth.oauth.consent import fits
from scim_api.auth.oauth.errors import InvalidGrant, OAuthError
from scim_api.auth.oauth.issuing import (
    Issued,
    Lifetimes,
    issued_event,
    new_pair,
    new_salt,
    successors,
)
from scim_api.auth.oauth.scopes import granted
from scim_api.auth.oauth.settling import Decided
from scim_api.tenants.tenants import Tenant

GRACE = timedelta(seconds=60)  # for which a redeemed refresh token still gives its successors

_AGAIN = " Connect the client again, with a new one-time code: scim-ledger connect."
_IN_OKTA = "In Okta, press Authenticate in the app's provisioning settings."


@dataclass(frozen=True, slots=True)
class Redemption:
    """A code or refresh token of a ledger, presented by a client that proved who it is."""

    tenant: Tenant
    by: Authenticated
    lifetimes: Lifetimes
    use: Use
    text: str
    form: Mapping[str, str]
    scope: str  # what is asked for, of a refresh token

    def decide(self, connection: Connection) -> Decided[Issued]:
        """Decide what it is redeemed for, from the state that a connection shows."""
        try:
            grant, secret = self._found(connection)
            if secret.spent_at:
                return self._spent(connection, grant, secret, secret.spent_at)
            self._must_be_live(secret)
            return self._redeemed(grant, secret)
        except OAuthError as error:
            return Decided(error)

    def _found(self, connection: Connection) -> tuple[Credential, Secret]:
        """Return the grant, which lives, and what is known of what was presented."""
        known, client = self.tenant.credentials, self.by.client
        secret = known.secret(connection, tokens.digest(self.text), self.use)
        grant = known.get(connection, secret.credential) if secret else None
        if secret is None or grant is None or grant.client != client.client_id:
            raise InvalidGrant(
                "oauth.grant_unknown",
                "The {what} is unknown, was given to another client, or the access that it gave"
                " has ended." + _AGAIN,
                what=self._name,
                okta=_IN_OKTA,
            )
        if grant.revoked_at:
            raise InvalidGrant(
                "oauth.grant_ended",
                "The access that was consented to has ended." + _AGAIN,
                okta=_IN_OKTA,
            )
        must_not_be_paused(must_still_hold(self.by, self.tenant, connection))
        return grant, secret

    def _spent(
        self, connection: Connection, grant: Credential, secret: Secret, spent_at: str
    ) -> Decided[Issued]:
        """Decide about what was redeemed before: a refresh token a moment ago, or anything else."""
        just_now = clock.now() <= clock.from_iso(spent_at) + GRACE
        if self.use == Use.REFRESH and secret.salt and just_now:
            return Decided(self._again(connection, grant, secret.salt))
        error = InvalidGrant(
            "oauth.reuse",
            "The {what} was used before, so somebody else may have it: all access that it gave"
            " has ended." + _AGAIN,
            what=self._name,
            okta=_IN_OKTA,
        )
        detected = Event(REUSE_DETECTED, {"of": _OF[self.use], **self.by.used()})
        return Decided(error, [self._append(grant, detected)])

    def _again(self, connection: Connection, grant: Credential, salt: str) -> Issued:
        """Return the same tokens as a moment ago: an answer got lost, or two workers asked."""
        access, refresh = successors(self._ledger, self.text, salt)
        found = self.tenant.credentials.secret(connection, tokens.digest(access), Use.ACCESS)
        if found is None or found.expires_at is None:  # it was revoked since
            return Issued(grant.id, access, clock.timestamp(), sorted(grant.scopes), refresh)
        scopes = (found.scopes or "").split()
        return Issued(grant.id, access, found.expires_at, scopes, refresh)

    def _must_be_live(self, secret: Secret) -> None:
        if not secret.is_live(clock.timestamp()):
            raise InvalidGrant(
                "oauth.grant_expired",
                "The {what} has expired." + _AGAIN,
                what=self._name,
                okta=_IN_OKTA,
            )

    def _redeemed(self, grant: Credential, secret: Secret) -> Decided[Issued]:
        now = clock.now()
        expires_at = clock.timestamp(now + self.lifetimes.access)
        effects: dict[str, Any] = {
            "grant_type": _GRANT_TYPES[self.use],
            "redeems": secret.sha256,
            **self.by.effects(),
        }
        if self.use == Use.CODE:
            self._must_fit(grant)
            effects["arrived"] = arrived(self.form)
            with_refresh = clients.REFRESH_TOKEN in self.by.client.grants
            pair = new_pair(self._ledger, with_refresh)
            scopes = tuple(sorted(grant.scopes))
        else:
            salt = effects["salt"] = new_salt()
            pair = successors(self._ledger, self.text, salt)
            scopes = granted(self.scope, grant.scopes)
        issued = Issued(grant.id, pair[0], expires_at, scopes, pair[1])
        event = issued_event(issued, self.lifetimes, now, effects)
        return Decided(issued, [self._append(grant, event)])

    def _must_fit(self, grant: Credential) -> None:
        """Raise InvalidGrant unless a code comes with what its consent was asked for with."""
        uri, verifier = self.form.get("redirect_uri"), self.form.get("code_verifier")
        challenge = grant.details.get("challenge")
        if uri is not None and uri != grant.details.get("redirect_uri"):
            raise InvalidGrant(
                "oauth.redirect_uri",
                "redirect_uri is not the one with which the code was asked for.",
            )
        if (challenge is None) != (verifier is None):  # also none where one was removed: RFC 9700
            raise InvalidGrant(
                "oauth.verifier",
                "The code was asked for {with_} code_challenge: code_verifier {must}.",
                with_="with a" if challenge else "without",
                must="is missing" if challenge else "must not be there",
            )
        if challenge and not fits(challenge, verifier or ""):
            raise InvalidGrant(
                "oauth.verifier", "code_verifier does not fit the code_challenge of the code."
            )

    def _append(self, grant: Credential, event: Event) -> Append:
        return Append(f"{GRANT}-{grant.id}", grant.version, [event])

    @property
    def _ledger(self) -> str:
        return self.tenant.ledger.tenant

    @property
    def _name(self) -> str:
        return _NAMES[self.use]


_NAMES = {Use.CODE: "authorization code", Use.REFRESH: "refresh token"}
_OF = {Use.CODE: "code", Use.REFRESH: "refresh_token"}
_GRANT_TYPES = {Use.CODE: clients.AUTHORIZATION_CODE, Use.REFRESH: clients.REFRESH_TOKEN}
