"""Builds the history of a ledger: `python -m scim_api.server.build_history FILE`.

A worker starts it for a first history: minutes of work, of which its requests notice nothing.
"""

import os
import sys
from contextlib import closing
from pathlib import Path

from scim_api import wiring

NICE = 5  # the service goes first


def main() -> None:
    """Follow the ledger to its end, or until the process that wanted it is gone."""
    parent = os.getppid()
    os.nice(NICE)

    def progress(_: int, __: int) -> None:
        if os.getppid() != parent:
            sys.exit(1)

    with closing(wiring.wire(Path(sys.argv[1]))) as tenant:
        tenant.history.catch_up(progress=progress)


if __name__ == "__main__":
    main()
