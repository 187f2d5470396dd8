"""Is this program fit for the ledgers and settings of the service that is to become it?"""

from ledger.contract import LedgerError, LedgerNewer, NotMigrated
from scim_api.server.checks import sqlite_check
from scim_api.settings import Settings
from scim_api.tenants.tenants import ledger_names, ledger_path
from scim_api.wiring import must_be_migrated

MOST_NAMED = 10  # ledgers


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
