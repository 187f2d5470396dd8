"""doctor: what could go wrong."""

import os
from dataclasses import asdict

from scim_api.cli.console import Console, command
from scim_api.cli.terminal import Exit, end
from scim_api.server.checks import examine


@command("doctor", "", "--json", ledger=False)
def doctor(console: Console) -> None:
    """Check what could go wrong; exit 1 if something is.

    SQLite, permissions, disk, clock, settings and each ledger.
    """
    checks = list(examine(os.environ, console.tenant, console.explain))
    lines = (f"{'ok  ' if c.ok else 'BAD '} {c.check}: {c.says}" for c in checks)
    console.document([asdict(check) for check in checks], *lines)
    if not all(check.ok for check in checks):
        end(Exit.FAILED)
