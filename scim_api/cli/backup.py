"""backup: copy a ledger while the service runs."""

from pathlib import Path

import click

from ledger.sqlite.backup import backup as copy
from scim_api.cli.console import Console, command
from scim_api.cli.terminal import Progress, note


@command("backup", "/backups/ledger-2026-11-24.db", json=False)
@click.argument("file", type=click.Path(path_type=Path))
def backup(console: Console, file: Path) -> None:
    """Copy a ledger to FILE while the service runs.

    Do not copy the database with other tools: part of it is in the log next to it. To restore, stop
    the service, put FILE in place of ledger.db, remove ledger.db-wal and ledger.db-shm, and run
    scim-ledger recover --new-incarnation.
    """
    with Progress("copying pages") as progress:
        size = copy(console.path(), file, progress)
    note(f"{file}: {size:,} bytes; check it with: scim-ledger verify --file {file}")
