"""Builds the history of a ledger: `python -m scim_api.server.build_history FILE`.

A worker starts it for a first history: minutes of work, of which its requests notice nothing.
"""

import os
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

from scim_api import wiring

NICE = 5  # the service goes first
GLANCE = 0.5  # seconds between two looks at whether the service is there


def main() -> None:
    """Follow the ledger to its end, or until the process that wanted it is gone."""
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    os.nice(NICE)
    with closing(wiring.wire(Path(sys.argv[1]))) as tenant:
        tenant.history.catch_up()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(GLANCE)
    os._exit(1)  # what is under way is undone, and followed again


if __name__ == "__main__":
    main()
