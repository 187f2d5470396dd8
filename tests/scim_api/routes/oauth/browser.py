"""A person's browser that an identity provider sends to the authorize page."""

import re
from datetime import timedelta
from html import unescape
from urllib.parse import parse_qs, urlencode, urlsplit

from ledger import clock
from scim_api.auth.oauth import clients, connect_codes
from scim_api.auth.oauth.clients import BY_CONSENT

CALLBACK = "https://system-admin.okta.com/admin/app/cpc/acme_rostr_1/oauth/callback"
FORM = "application/x-www-form-urlencoded"
STATE = "a b&c=d/%?é"


class Browser:
    """Sent by a registered client, whose secret is known."""

    def __init__(self, api, *, uris=(CALLBACK,), **more):
        self.api, self.site = api, api.site
        self.site.runtime.tenants.discover()
        self.tenant = self.site.runtime.tenants.named(api.ledger)
        given = {"grants": BY_CONSENT, "redirect_uris": uris, **more}
        made = clients.register(self.tenant, self._operator, "Okta <Acme>", **given)
        self.client, self.secret = made.client, made.secret

    @property
    def _operator(self):
        return self.site.console.metadata()

    def asked(self, **given):
        """Return what the client asks for; None leaves a parameter out."""
        usual = {"response_type": "code", "client_id": self.client.client_id}
        sent = {**usual, "redirect_uri": CALLBACK, "state": STATE, **given}
        return {name: value for name, value in sent.items() if value is not None}

    def ask(self, method, path="/oauth/authorize", form=None, headers=None, **more):
        if form is not None:
            more |= {"data": form, "content_type": FORM}
        headers = {"Authorization": None, **(headers or {})}
        return self.api.ask(method, path, base="", headers=headers, **more)

    def get(self, **given):
        return self.ask("GET", query_string=urlencode(self.asked(**given)))

    def code(self, minutes=15, client=None):
        """Return a one-time code of the ledger."""
        until = clock.timestamp(clock.now() + timedelta(minutes=minutes))
        client = client or self.client
        return connect_codes.issue(self.tenant, client, self._operator, expires_at=until)

    def submit(self, page, connect_code="", decision="connect", **more):
        """Send the form of a page."""
        assert page.status_code in (200, 403), page.text
        hidden = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page.text)
        form = {name: unescape(value) for name, value in hidden}
        form |= {"connect_code": connect_code, "decision": decision}
        action = unescape(re.search(r'action="([^"]*)"', page.text)[1])
        return self.ask("POST", action, form, **more)

    def consent(self, **given):
        """Return the authorization code that consent gives."""
        return sent_to(self.submit(self.get(**given), self.code()))[1]["code"]


def sent_to(response):
    """Return where a browser is sent and with what, each once."""
    assert response.status_code == 303, response.text
    where = urlsplit(response.headers["Location"])
    found = parse_qs(where.query, strict_parsing=True)
    assert all(len(values) == 1 for values in found.values())
    return where._replace(query="").geturl(), {name: each[0] for name, each in found.items()}
