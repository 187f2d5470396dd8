"""The ways to authenticate, as clients use them: a judge's requests take them in turn.

JUDGES_SCHEME=basic lets all of them take that one.
"""

import os
import re
import subprocess
from base64 import b64encode
from datetime import timedelta
from itertools import cycle
from urllib.parse import urlencode
from uuid import uuid4

from tests.scim_api.auth.oauth_given import Given
from tests.scim_api.client import Api
from tests.scim_api.process import PROGRAM, environment

SCHEMES = tuple(filter(None, os.environ.get("JUDGES_SCHEME", "header basic oauth").split()))


def basic(label, password, word="Basic"):
    """Return a header of Basic authentication."""
    return f"{word} {b64encode(f'{label}:{password}'.encode()).decode()}"


def header_of(scheme, token, access):
    """Return the Authorization header of a scheme, with a token or an access token."""
    return {
        "header": f"Bearer {token}",
        "basic": basic("okta", token),
        "oauth": f"Bearer {access}",
    }[scheme]


class Judged(Api):
    """A SCIM client whose requests authenticate in each way in turn."""

    def __init__(self, client):
        super().__init__(client.site, client.ledger, client.token)
        access = Given(client.site, client.ledger).access(lasting=timedelta(days=30)).token
        self._headers = cycle([header_of(each, client.token, access) for each in SCHEMES])

    @property
    def authorization(self):
        return next(self._headers)


def access_token(server, ledger="default"):
    """Return an access token of a running service, as a new client requests it."""
    command = [*PROGRAM, "client", "add", f"judge {uuid4()}", "--grant", "client_credentials"]
    made = subprocess.run(
        [*command, "--ledger", ledger],
        env=environment(server.data_dir, **server.settings),
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    [client_id] = re.findall(r"[0-9a-f]{16}-[0-9a-f-]{36}", made)[:1]
    [secret] = re.findall(r"scls_\w+", made)[:1]
    form = urlencode({"grant_type": "client_credentials"}).encode()
    sent = {
        "Authorization": basic(client_id, secret),
        "Content-Type": "application/x-www-form-urlencoded",
    }
    return server.ask("POST", "/oauth/token", form, base="", headers=sent).json["access_token"]
