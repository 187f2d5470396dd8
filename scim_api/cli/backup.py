"""Commands about the ledger itself: verify, backup."""

from pathlib import Path

import click

from ledger.sqlite import backup as backup_
from scim_api.cli.terminal import HELP, Progress, Site, examples, ledger_option, pass_site
from scim_api.cli.verify import verify_command


@click.command("backup", context_settings=HELP)
@click.argument("file", type=click.Path(path_type=Path))
@ledger_option
@pass_site
@examples("scim-ledger backup /backups/ledger-2026-11-24.db")
def backup_command(site: Site, file: Path, ledger: str) -> None:
    """Copy a ledger to FILE while the service runs.

    The database must not be copied by hand: part of it is in the log beside it. To restore, stop
    the service, put FILE in place of ledger.db, remove ledger.db-wal and ledger.db-shm, and run
    scim-ledger recover --new-incarnation.
    """
    progress = Progress("copying pages")
    size = backup_.backup(site.path(ledger), file, progress)
    progress.end()
    click.echo(f"{file}: {size:,} bytes; check it with: scim-ledger verify --file {file}", err=True)


COMMANDS: list[click.Command] = [verify_command, backup_command]
