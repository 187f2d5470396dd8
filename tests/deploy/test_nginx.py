"""docs/deploy/nginx.conf in front of a real service: what it lets through, and what it does not."""

import http.client
import json
import os
import shutil
import ssl
import subprocess
import time
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from scim_api.auth.oauth import clients
from tests.scim_api.client import Site, user
from tests.scim_api.process import PATIENCE, Reply, Server, free_port, wait_until

CONFIGURATION = Path(__file__).parents[2] / "docs" / "deploy" / "nginx.conf"
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
NAME = "scim.example.com"
CLIENT = "127.0.0.2"  # from where a client asks; nginx itself asks from 127.0.0.1

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(NGINX is None, reason="nginx is not installed"),
]

MAIN = """
{user}
pid {folder}/nginx.pid;
error_log {folder}/error.log;
daemon off;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    include {folder}/scim-ledger.conf;
}}
"""


def certify(folder):
    """Write a certificate and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    now = datetime.now().astimezone()
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    (folder / "fullchain.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "privkey.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


class Proxy:
    """nginx with the configuration of the handbook, but for ports and the certificate's place."""

    def __init__(self, folder, service):
        self.port = free_port()
        certify(folder)
        text = CONFIGURATION.read_text()
        for ours, theirs in (
            ("127.0.0.1:8000", f"127.0.0.1:{service.port}"),
            ("listen 443 ", f"listen 127.0.0.1:{self.port} "),
            ("/etc/scim-ledger/tls/", f"{folder}/"),
        ):
            assert ours in text
            text = text.replace(ours, theirs)
        (folder / "scim-ledger.conf").write_text(text)
        user = "user root;" if os.geteuid() == 0 else ""  # its workers write into our folder
        (folder / "main.conf").write_text(MAIN.format(folder=folder, user=user))
        self.process = subprocess.Popen([NGINX, "-p", str(folder), "-c", str(folder / "main.conf")])
        assert wait_until(lambda: (folder / "nginx.pid").exists()), (
            folder / "error.log"
        ).read_text()

    def connection(self):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return http.client.HTTPSConnection(
            "127.0.0.1", self.port, context=context, timeout=PATIENCE, source_address=(CLIENT, 0)
        )

    def ask(self, method, path, body=None, *, token=None, host=NAME, **headers):
        with closing(self.connection()) as connection:
            self.send(connection, method, path, body, token=token, host=host, **headers)
            answer = connection.getresponse()
            return Reply(answer.status, dict(answer.getheaders()), answer.read())

    def send(self, connection, method, path, body=None, *, token=None, host=NAME, **headers):
        sent = {"Host": host, **{name.replace("_", "-"): value for name, value in headers.items()}}
        if token:
            sent["Authorization"] = f"Bearer {token}"
        if body is not None:
            sent["Content-Type"] = "application/scim+json"
            body = body if isinstance(body, bytes) else json.dumps(body).encode()
        connection.request(method, path, body, sent)

    def stop(self):
        self.process.terminate()
        self.process.wait(PATIENCE)


@pytest.fixture(scope="module")
def behind(tmp_path_factory):
    """Return a proxy, the token of a client, and that of an auditor."""
    folder = tmp_path_factory.mktemp("nginx")
    settings = {"SCIM_ENV": "production", "SCIM_BASE_URL": f"https://{NAME}/scim/v2"}
    settings["SCIM_TRUSTED_PROXIES"] = 1
    site = Site(folder / "data")
    token = site.make().token
    auditor = site.client(scopes=("audit",)).token
    service = Server(folder, token=token, **settings)
    proxy = Proxy(folder, service)
    proxy.site = site
    yield proxy, token, auditor
    proxy.stop()
    service.clean_up()


def last_event(proxy, auditor):
    return proxy.ask("GET", "/ledger/v1/events?count=1", token=auditor).json["events"][0]


def test_an_answer_has_the_public_address(behind):
    proxy, token, _ = behind

    made = proxy.ask("POST", "/scim/v2/Users", user("a@example.com"), token=token)

    assert made.status == 201
    assert made.headers["Location"].startswith(f"https://{NAME}/scim/v2/Users/")


def test_the_clients_address_is_recorded_whatever_the_client_claims(behind):
    proxy, token, auditor = behind
    claimed = {"X_Forwarded_For": "203.0.113.7", "X_Forwarded_Host": "evil.example.com"}

    proxy.ask("POST", "/scim/v2/Users", user("b@example.com"), token=token, **claimed)

    assert last_event(proxy, auditor)["payload"]["request.address"] == CLIENT


def test_an_answer_and_its_event_have_one_request_id(behind):
    proxy, token, auditor = behind

    made = proxy.ask("POST", "/scim/v2/Users", user("c@example.com"), token=token)

    assert last_event(proxy, auditor)["payload"]["request.id"] == made.headers["X-Request-Id"]


def test_a_large_group_comes_through_and_one_too_large_is_refused_in_words(behind):
    proxy, token, _ = behind
    group = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": "Large"}
    members = [{"value": f"{n:08}-0000-7000-8000-000000000000"} for n in range(60_000)]

    made = proxy.ask("POST", "/scim/v2/Groups", group | {"members": members}, token=token)
    refused = proxy.ask("POST", "/scim/v2/Groups", b" " * (32 * 2**20 + 1), token=token)

    assert (made.status, len(json.dumps(members)) > 2**21) == (201, True)
    assert refused.status == 413
    assert "the most this service takes" in refused.json["detail"]


def test_an_event_arrives_at_a_waiting_client_at_once(behind):
    proxy, token, auditor = behind
    after = last_event(proxy, auditor)["position"]
    with closing(proxy.connection()) as feed:
        proxy.send(feed, "GET", f"/ledger/v1/feed?after={after}", token=auditor)
        stream = feed.getresponse()
        made = proxy.ask("POST", "/scim/v2/Users", user("d@example.com"), token=token)
        began = time.monotonic()
        while f"id: {after + 1}".encode() not in stream.readline():
            pass
        took = time.monotonic() - began

    assert made.status == 201
    assert took < 2.0


def test_oauth_comes_through_however_long_the_state_is(behind):
    proxy, _, _ = behind

    tenant, uri = proxy.site.console.tenant("default"), "https://idp.example.com/cb"
    made = clients.register(
        tenant,
        proxy.site.console.metadata(),
        "okta",
        grants=clients.BY_CONSENT,
        redirect_uris=[uri],
    )
    tenant.close()
    query = urlencode({"client_id": made.client.client_id, "redirect_uri": uri})

    metadata = proxy.ask("GET", "/.well-known/oauth-authorization-server")
    back = proxy.ask("GET", f"/oauth/authorize?{query}&state={'s' * 60_000}")

    assert metadata.json["token_endpoint"] == f"https://{NAME}/oauth/token"
    assert back.status == 303
    assert back.headers["Location"].startswith(f"{uri}?error=unsupported_response_type")
    assert f"&state={'s' * 60_000}&" in back.headers["Location"]


@pytest.mark.parametrize("host", ["evil.example.com", "127.0.0.1", "localhost"])
def test_another_name_is_not_answered(behind, host):
    with pytest.raises((OSError, http.client.HTTPException)):
        behind[0].ask("GET", "/scim/v2/ServiceProviderConfig", host=host)


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_health_is_for_this_network_only(behind, path):
    assert behind[0].ask("GET", path).status == 403  # 127.0.0.2 is not among the addresses


@pytest.mark.parametrize("path", ["/", "/scim", "/scim/v3/Users", "/ledger", "/nginx_status"])
def test_nothing_else_is_there(behind, path):
    assert behind[0].ask("GET", path).status == 404
