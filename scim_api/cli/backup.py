"""backup: copy a ledger, or all of them, while the service runs."""

from pathlib import Path

import click

from ledger import clock
from ledger.sqlite.backup import backup as copy
from scim_api.cli.console import Console, command
from scim_api.cli.ledgers import ALL, Done, for_all, for_one
from scim_api.cli.terminal import Progress


@command("backup", "/backups/ledger-2026-11-24.db", "--all /backups")
@click.argument("file", type=click.Path(path_type=Path))
@ALL
def backup(console: Console, file: Path, every: bool) -> None:
    """Copy a ledger to FILE while the service runs.

    With --all FILE is a folder, and every ledger is copied to a file that is named after it and the
    time. A ledger of an earlier version is copied as it is. Do not copy the database with other
    tools: part of it is in the log next to it. scim-ledger restore puts a backup in place.
    """
    moment = clock.timestamp()[:19].replace("-", "").replace(":", "")

    def make(name: str) -> Done:
        target = file / f"{name}-{moment}Z.db" if every else file
        with Progress(f"copying pages of {name}") as progress:
            size = copy(console.path(name), target, progress)
        says = f"{target}: {size:,} bytes; check it with: scim-ledger verify --file {target}"
        record = {"name": name, "ok": True, "file": str(target), "bytes": size}
        return Done(record, notes=[says])

    (for_all if every else for_one)(console, make, "copied")
