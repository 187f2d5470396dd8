"""serve: run the service."""

import errno
import os
import socket
import sys
import time
from pathlib import Path

import click

from ledger import owners
from scim_api import settings as settings_
from scim_api.auth import credentials
from scim_api.cli.console import MOST_NAMED, Console, command
from scim_api.cli.ledgers import Done, attempts
from scim_api.cli.terminal import Exit, Failure
from scim_api.server.checks import sqlite_check
from scim_api.server.log_file import trouble_with
from scim_api.settings import HEADER, Settings
from scim_api.tenants.tenants import ledger_names

PORT_PATIENCE = 3.0  # seconds


@command("serve", "", "--bind 0.0.0.0 --port 8080 --workers 2", ledger=False, json=False)
@click.option("--bind", metavar="ADDRESS", help="Address to listen on (SCIM_BIND).")
@click.option("--port", metavar="N", help="Port to listen on (PORT).")
@click.option("--workers", metavar="N", help="Worker processes (WEB_CONCURRENCY).")
def serve(console: Console, bind: str | None, port: str | None, workers: str | None) -> None:
    """Serve SCIM over HTTP.

    The first start makes the default ledger and a token, which is printed once and kept nowhere.
    In production (SCIM_ENV=production) run `scim-ledger init` first.
    """
    given = {"SCIM_BIND": bind, "PORT": port, "WEB_CONCURRENCY": workers}
    os.environ.update({name: value for name, value in given.items() if value is not None})
    settings = console.settings
    for sentence in settings_.unknown(os.environ):
        _print(f"warning: {sentence}", err=True)
    check = sqlite_check(settings)
    if not check.ok:
        raise Failure(check.says, Exit.CONFIGURATION)
    if settings.log_file and (trouble := trouble_with(settings.log_file)):
        raise Failure(trouble, Exit.CONFIGURATION)
    _must_be_free(settings)
    _introduce(settings, _prepare_ledgers(console))
    program = [sys.executable, "-m", "gunicorn", "-c", "python:scim_api.server.gunicorn_conf"]
    try:
        os.execv(sys.executable, [*program, "app:create_app()"])
    except OSError as error:
        python = Path(sys.executable)
        closed = owners.denial(python) or owners.denial(python.resolve()) or error.strerror
        raise Failure(f"{python} cannot be run: {closed}", Exit.CONFIGURATION) from error


def _must_be_free(settings: Settings) -> None:
    """Check the port before a token is made; raises Failure."""
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
                time.sleep(0.1)  # a service that was killed releases it within a second
                continue
            raise Failure(
                f"cannot listen on {settings.bind} port {settings.port}: {error.strerror}."
                " Set PORT or SCIM_BIND to another",
                Exit.CONFIGURATION,
            ) from error


def _prepare_ledgers(console: Console) -> str | None:
    """Migrate the ledgers; where there is none, make the default one and return its token.

    Where a token would open nothing, none is made.
    """
    if not ledger_names(console.settings.data_dir):
        _must_be_new(console)
        expiry = credentials.usual_expiry()
        made = console.create("default")
        if not console.settings.takes_tokens:
            return None
        return credentials.issue(made, console.metadata(), "first", expires_at=expiry).token

    def prepare(name: str) -> Done:
        console.migrate(name)  # opens it, too
        return Done({"name": name})

    for name, done in attempts(console, prepare):
        if done.code:
            _print(f"warning: ledger {name} cannot be served: {done.says}", err=True)
    return None


def _must_be_new(console: Console) -> None:
    """Raise Failure where the ledgers are away, or a first one is not to be made by itself."""
    settings = console.settings
    if settings.key_dir and (signed := console.names):
        raise Failure(
            f"there is no ledger to serve: {console.whereabouts()}. But SCIM_KEY_DIR,"
            f" {settings.key_dir.absolute()}, has the keys of {', '.join(signed[:MOST_NAMED])}."
            " Nothing was made. Put the ledgers back (is a disk not mounted?), or make a new one"
            " with: scim-ledger init --ledger NAME",
            Exit.CONFIGURATION,
        )
    if settings.production:
        raise Failure(
            f"there is no ledger to serve: {console.whereabouts()}. Put the ledgers there (is a"
            " disk not mounted?), or make the first one with: scim-ledger init",
            Exit.CONFIGURATION,
        )


def _introduce(settings: Settings, token: str | None) -> None:
    """Print what Okta needs; how to call the service follows once it is ready."""
    _print(f"SCIM base URL: {settings.base_url or settings.local_url}")
    if token:
        if not _print(f"Bearer token:  {token}"):
            _print("warning: the token could not be shown: make another", err=True)
        _print(f"(shown this once; it expires in {credentials.LIFETIME.days} days)")
        where = (
            "Authorization (HTTP Header or API Token): the token"
            if HEADER in settings.authentication
            else "Basic Auth, Username: any name, Password: the token"
        )
        _print(
            "\nNext: in Okta open the app's Provisioning tab, choose Integration, and paste these"
            f" two into\n  SCIM connector base URL: the base URL    {where}"
            "\nthen press Test Connector Configuration."
        )
    if settings.base_url is None:
        proxies = (
            ""
            if settings.trusted_proxies
            else " and\nSCIM_TRUSTED_PROXIES=1, so that X-Forwarded headers are believed"
        )
        _print(
            "\nOkta's cloud reaches this machine only by https: put a proxy with a certificate, or"
            " a tunnel,\nin front of this address; then set SCIM_BASE_URL to the public URL"
            f"{proxies}.\nSCIM_BIND=0.0.0.0 listens on every address."
        )


def _print(sentence: str, *, err: bool = False) -> bool:
    """Print a sentence; return whether that was possible: the service starts in any case."""
    try:
        click.echo(sentence, err=err)
    except OSError:
        return False
    return True
