"""Commands that run the service: serve, init, migrate."""

import errno
import os
import socket
import sys
import time
from typing import Protocol

import click

from ledger.contract import LedgerError
from ledger.events import Metadata
from scim_api import settings as settings_
from scim_api.auth.credentials import issue
from scim_api.cli import doctor as doctor_
from scim_api.cli.terminal import (
    HELP,
    Exit,
    Failure,
    emit_record,
    examples,
    json_option,
    ledger_option,
    pass_site,
)
from scim_api.settings import Settings
from scim_api.tenants.tenants import Tenant, ledger_names

PORT_PATIENCE = 3.0  # seconds


class Site(Protocol):
    """What the program gives these commands."""

    @property
    def settings(self) -> Settings: ...
    def tenant(self, name: str) -> Tenant: ...
    def metadata(self, via: str) -> Metadata: ...
    def create(self, name: str) -> Tenant:
        """Make a ledger with its projections."""
        ...

    def migrate(self, name: str) -> list[str]:
        """Bring a ledger up to date; return what was done."""
        ...


@click.command("serve", context_settings=HELP)
@click.option("--bind", metavar="ADDRESS", help="Address to listen on (SCIM_BIND).")
@click.option("--port", metavar="N", help="Port to listen on (PORT).")
@click.option("--workers", metavar="N", help="Worker processes (WEB_CONCURRENCY).")
@pass_site
@examples("scim-ledger serve", "scim-ledger serve --bind 0.0.0.0 --port 8080 --workers 2")
def serve(site: Site, bind: str | None, port: str | None, workers: str | None) -> None:
    """Serve SCIM with gunicorn; the first time, make the default ledger and a token.

    The token is printed once and kept nowhere. In production (SCIM_ENV=production) no ledger is
    made by itself: run `scim-ledger init` first.
    """
    given = {"SCIM_BIND": bind, "PORT": port, "WEB_CONCURRENCY": workers}
    os.environ.update({name: value for name, value in given.items() if value is not None})
    settings = site.settings
    for sentence in settings_.unknown(os.environ):
        _tell(f"warning: {sentence}", err=True)
    _refuse_unsafe(settings)
    _must_be_free(settings)
    token = _prepare_ledgers(site, settings)
    _announce(settings, token)
    program = [sys.executable, "-m", "gunicorn", "-c", "python:scim_api.server.gunicorn_conf"]
    os.execv(sys.executable, [*program, "app:create_app()"])


def _refuse_unsafe(settings: Settings) -> None:
    for check in doctor_.sqlite_check(settings):
        if not check.ok:
            raise Failure(check.says, Exit.CONFIGURATION)


def _must_be_free(settings: Settings) -> None:
    """Find out before a token is made whether the port is to be had."""
    family = socket.AF_INET6 if ":" in settings.bind else socket.AF_INET
    deadline = time.monotonic() + PORT_PATIENCE
    while True:
        try:
            with socket.socket(family) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((settings.bind.strip("[]"), settings.port))
            return
        except OSError as error:
            if error.errno == errno.EADDRINUSE and time.monotonic() < deadline:
                time.sleep(0.1)  # a service that was killed lets go of it within a second
                continue
            raise Failure(
                f"cannot listen on {settings.bind} port {settings.port}: {error.strerror}."
                " Set PORT or SCIM_BIND to another",
                Exit.CONFIGURATION,
            ) from error


def _prepare_ledgers(site: Site, settings: Settings) -> str | None:
    """Migrate what is there; make the default ledger and its token where there is none at all."""
    names = ledger_names(settings.data_dir)
    if not names and settings.production:
        raise Failure(
            f"there is no ledger in {settings.data_dir}; run: scim-ledger init", Exit.CONFIGURATION
        )
    if not names:
        return issue(site.create("default"), site.metadata("cli"), "first").token
    for name in names:
        try:
            site.migrate(name)
            site.tenant(name).close()
        except (LedgerError, OSError) as trouble:
            _tell(f"warning: ledger {name} cannot be served: {trouble}", err=True)
    return None


def _tell(sentence: str, *, err: bool = False) -> bool:
    """Print a sentence and return whether that was possible: the service starts all the same."""
    try:
        click.echo(sentence, err=err)
    except OSError:
        return False
    return True


def _announce(settings: Settings, token: str | None) -> None:
    base = settings.base_url or settings.local_url
    _tell(f"SCIM base URL: {base}")
    if token:
        if not _tell(f"Bearer token:  {token}"):
            _tell("warning: the token could not be shown: make another", err=True)
        _tell("(shown this once; make another with: scim-ledger token create NAME)")
        _tell(
            "\nNext: in Okta open the app's Provisioning tab, choose Integration, and paste these"
            " two into\n  SCIM connector base URL: the base URL    Authorization (HTTP Header or"
            " API Token): the token\nthen press Test Connector Configuration."
        )
    if settings.base_url is None:
        _tell(
            "\nOkta's cloud reaches this machine only by https: put a proxy with a certificate, or"
            " a tunnel,\nin front of this address; then set SCIM_BASE_URL to the public URL and"
            " SCIM_TRUSTED_PROXIES=1\nso that X-Forwarded headers are believed. SCIM_BIND=0.0.0.0"
            " listens on every address."
        )


@click.command("init", context_settings=HELP)
@ledger_option
@json_option
@pass_site
@examples("scim-ledger init", "scim-ledger init --ledger acme")
def init(site: Site, ledger: str, as_json: bool) -> None:
    """Make a ledger: a tenant of its own, of which no other can see anything."""
    tenant = site.create(ledger)
    emit_record(
        {"ledger": ledger, "origin": tenant.ledger.origin, "file": str(tenant.ledger.path)}, as_json
    )
    click.echo(f"next: scim-ledger token create okta --ledger {ledger}", err=True)


@click.command("migrate", context_settings=HELP)
@pass_site
@examples("scim-ledger migrate")
def migrate(site: Site) -> None:
    """Bring every ledger up to this program's version; does nothing where nothing is to do."""
    names = ledger_names(site.settings.data_dir)
    for name in names:
        steps = site.migrate(name)
        click.echo(f"{name}: {', '.join(steps) if steps else 'up to date'}", err=True)
    if not names:
        click.echo("no ledger yet; scim-ledger init makes one", err=True)


COMMANDS: list[click.Command] = [serve, init, migrate]
