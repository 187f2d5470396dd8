"""Puts the three rooms together: the WSGI application and the command line."""

import os

from flask import Flask

from ledger.open_files import OPEN, raise_limit
from projections.query import effort
from scim_api import logs
from scim_api import settings as settings_
from scim_api.application import application
from scim_api.audit.feeds import REFUSING, Feeds
from scim_api.cli.console import Console
from scim_api.cli.program import program
from scim_api.cli.terminal import take_any_character
from scim_api.server.runtime import EXTENSION, OTHER_THREADS, Runtime
from scim_api.settings import Settings
from scim_api.web.limits import Limits
from scim_api.wiring import open_tenants


def create_app(settings: Settings | None = None) -> Flask:
    """Return the WSGI application; the settings are read from the environment unless given."""
    settings = settings or settings_.load(os.environ)
    logs.configure(settings.log_level)
    effort.allow(settings.threads)
    OPEN.divide(
        3 * settings.threads + OTHER_THREADS,  # reads, writes, grants
        settings.feeds + REFUSING,
    )
    tenants, feeds = open_tenants(settings), Feeds(settings.feeds)
    limits = Limits.of(settings)
    app = application(settings, tenants, feeds, limits)
    app.extensions[EXTENSION] = Runtime(settings, tenants, feeds, limits)
    app.cli.add_command(cli)
    return app


def console() -> Console:
    """Return the ledgers that the environment names, as commands use them."""
    return Console(create_app)


cli = program(create_app)


def main() -> None:
    """Run the command line."""
    take_any_character()
    raise_limit()
    cli(prog_name="scim-ledger")


def __getattr__(name: str) -> Flask:
    """Make `gunicorn app:app` and `flask run` work without opening a ledger at import."""
    if name == "app":
        return create_app()
    raise AttributeError(name)
