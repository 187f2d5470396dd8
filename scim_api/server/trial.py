"""Is this program whole, and fit for the ledgers and settings of the service that becomes it?"""

import pkgutil
from importlib import import_module
from typing import Any

from gunicorn.app.wsgiapp import WSGIApplication

import ledger
import projections
import scim_api
from ledger.contract import LedgerError, LedgerNewer, NotMigrated
from scim_api.server.checks import sqlite_check
from scim_api.server.master import Master
from scim_api.settings import Settings
from scim_api.tenants.tenants import ledger_names, ledger_path
from scim_api.wiring import BUILDER, must_be_migrated

MOST_NAMED = 10  # ledgers
ROOMS = (ledger, projections, scim_api)


def must_fit(settings: Settings) -> None:
    """Raise SystemExit with a sentence unless this program can serve what is served now.

    A ledger that no program can use is no reason: it is the same afterwards.
    """
    check = sqlite_check(settings)
    if not check.ok:
        raise SystemExit(f"Error: {check.says}")
    behind, newer = [], []
    for name in ledger_names(settings.data_dir):
        try:
            must_be_migrated(ledger_path(settings.data_dir, name))
        except NotMigrated:
            behind.append(name)
        except LedgerNewer as error:
            newer.append(str(error))
        except (LedgerError, OSError):
            continue
    if newer:
        raise SystemExit(f"Error: {newer[0]}")
    if behind:
        more = f" and {len(behind) - MOST_NAMED} more" if behind[MOST_NAMED:] else ""
        raise SystemExit(
            f"Error: it would have to migrate {', '.join(behind[:MOST_NAMED])}{more}, for which the"
            " service has to be stopped: see docs/upgrading.md"
        )


_load = WSGIApplication.load


def load_all(application: WSGIApplication) -> Any:
    """Load every module, the master with its worker and log, and the application; let it answer.

    So a program that lacks a part, or has a broken one, fails in its trial and not afterwards.
    """
    for room in ROOMS:
        for module in pkgutil.walk_packages(room.__path__, f"{room.__name__}."):
            import_module(module.name)
    import_module(BUILDER)
    Master(application)
    app = _load(application)
    answer = app.test_client().get("/livez")
    if answer.status_code != 200:
        raise RuntimeError(f"it answered {answer.status_code} to /livez")
    return app


def begin(settings: Settings) -> None:
    """Raise SystemExit unless this program fits; what it lacks is found when gunicorn loads it."""
    must_fit(settings)
    WSGIApplication.load = load_all  # gunicorn has no setting for it
