"""Okta and Entra as programs that talk to a running service, and what they learn of its secrets."""

import json
import re
import socket
from base64 import b64encode, urlsafe_b64encode
from dataclasses import dataclass, field
from hashlib import sha256
from html import unescape
from secrets import token_urlsafe
from urllib.parse import parse_qs, urlencode, urlsplit

from click.testing import CliRunner

import app
from scim_api.auth.oauth.client_authentication import ASSERTION_TYPE
from tests.scim_api.process import Server
from tests.scim_api.routes.oauth.browser import CALLBACK, FORM

ADMIN_PAGE = "https://acme-admin.okta.com/admin/app/acme_rostr_1/instance/0oa1/"


@dataclass
class Running:
    """A service, its operator, and every secret that anybody was shown."""

    server: Server
    settings: dict
    secrets: set = field(default_factory=set)
    registered: int = 0

    def operator(self, *words, code=0):
        """Run a command; return what it says as JSON."""
        ran = self.say(*words, "--json", code=code)
        return json.loads(ran.stdout) if ran.stdout else None

    def say(self, *words, code=0):
        """Run a command and return how it ended."""
        env = {"SCIM_DATA_DIR": str(self.server.data_dir), **self.settings}
        ran = CliRunner(env=env).invoke(app.cli, list(words), prog_name="scim-ledger")
        assert ran.exit_code == code, ran.output
        return ran

    def register(self, name, *words):
        """Register a client, the next of a name; return its id and its secret."""
        self.registered += 1
        made = self.operator("client", "add", f"{name} {self.registered}", *words)
        return made["client_id"], self.note(made.get("client_secret"))

    def connect_code(self, client_id, ledger):
        return self.note(self.operator("connect", client_id, "--ledger", ledger)["code"])

    def note(self, secret):
        """Note a secret, and return it."""
        self.secrets |= {secret} if secret else set()
        return secret

    def post(self, path, form, headers=None):
        """Send a form; note the secrets in the answer."""
        sent = {"Content-Type": FORM, "Authorization": "", **(headers or {})}
        answer = self.server.ask("POST", path, urlencode(form).encode(), base="", headers=sent)
        if answer.status == 200 and answer.body[:1] == b"{":
            for name in ("access_token", "refresh_token"):
                self.note(answer.json.get(name))
        return answer

    def events(self, ledger, type_=None):
        """Return the events of a ledger, or those of a type."""
        found = self.operator("events", "list", "--ledger", ledger)
        return [each for each in found if type_ in (None, each["type"])]

    def in_each_process(self, access, path="/Users?startIndex=1&count=2"):
        """Return the statuses that the workers answer a SCIM request with."""
        answers = self.server.ask_each("GET", path, headers=bearer(access))
        return {each.status for each in answers}


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


class Okta:
    """One app of one Okta org."""

    def __init__(self, running, client_id, secret, *, by_header=True, pkce=False):
        self.running, self.client_id, self.secret = running, client_id, secret
        self.by_header, self.pkce = by_header, pkce
        self.access = self.refresh_token = None

    def authenticate(self, connect_code, configured="?scope=provision%20offline_access"):
        """Open the page, consent, redeem the code; return the answer of the token endpoint."""
        verifier = self.running.note(token_urlsafe(48)) if self.pkce else None
        code = self.consent(connect_code, verifier, configured)
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK}
        return self.took(self.ask(form | ({"code_verifier": verifier} if verifier else {})))

    def consent(self, connect_code, verifier=None, configured=""):
        """Return the authorization code that a person's consent gives."""
        state = self.running.note(token_urlsafe(300))
        asked = {"response_type": "code", "client_id": self.client_id, "state": state}
        asked["redirect_uri"] = CALLBACK
        if verifier:
            challenge = urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=")
            asked |= {"code_challenge": challenge, "code_challenge_method": "S256"}
        query = f"{configured}{'&' if configured else '?'}{urlencode(asked)}"
        page = self.running.server.ask("GET", f"/oauth/authorize{query}", base="", headers=NOBODY)
        assert page.status == 200, page.body
        hidden = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page.body.decode())
        form = {name: unescape(value) for name, value in hidden}
        form |= {"connect_code": connect_code, "decision": "connect"}
        sent = self.running.post("/oauth/authorize", form)
        assert sent.status == 303, sent.body
        given = parse_qs(urlsplit(sent.headers["Location"]).query)
        assert given["state"] == [state]
        return self.running.note(given["code"][0])

    def ask(self, form, path="/oauth/token"):
        return self.running.post(path, *self._proved(form))

    def refresh(self, token=None):
        form = {"grant_type": "refresh_token", "refresh_token": token or self.refresh_token}
        return self.ask(form)

    def refresh_and_hang_up(self):
        """Refresh, and lose the answer: the service has recorded it before the line is cut."""
        form = {"grant_type": "refresh_token", "refresh_token": self.refresh_token}
        form, headers = self._proved(form)
        body = urlencode(form)
        fields = {"Host": "x", "Content-Type": FORM, "Content-Length": len(body), **headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        with socket.create_connection(("127.0.0.1", self.running.server.port), 20) as line:
            line.sendall(f"POST /oauth/token HTTP/1.1\r\n{head}\r\n{body}".encode())
            assert line.recv(12) == b"HTTP/1.1 200"

    def took(self, answer):
        """Keep the tokens of an answer, and return it."""
        assert answer.status == 200, answer.body
        self.access, self.refresh_token = (
            answer.json[name] for name in ("access_token", "refresh_token")
        )
        return answer

    def scim(self, method, path, body=None):
        headers = bearer(self.access)
        return self.running.server.ask(method, path, body, headers=headers)

    def _proved(self, form):
        """Return a form and headers that prove who sends them."""
        if self.by_header:
            pair = f"{self.client_id}:{self.secret}".encode()
            return form, {"Authorization": f"Basic {b64encode(pair).decode()}"}
        return {**form, "client_id": self.client_id, "client_secret": self.secret}, {}


NOBODY = {"Authorization": ""}


class Entra:
    """A tenant's provisioning app, which has no secret."""

    def __init__(self, running, client_id, secret):
        assert secret is None
        self.running, self.client_id = running, client_id

    def token(self, assertion):
        """Ask for a token by an assertion."""
        return self.running.post("/oauth/token", self._form(assertion))

    def token_in_each_process(self, assertion):
        """Return the statuses that the workers answer an assertion with."""
        body, headers = urlencode(self._form(assertion)).encode(), {"Content-Type": FORM, **NOBODY}
        ask = self.running.server.ask_each
        answers = ask("POST", "/oauth/token", body=body, base="", headers=headers)
        return {each.status for each in answers}

    def _form(self, assertion):
        return {
            "grant_type": "client_credentials",
            "client_id": self.client_id,
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": self.running.note(assertion),
            "resource": "https://scim.example.com",
        }
