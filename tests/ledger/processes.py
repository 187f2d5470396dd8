"""What the tests run as processes of their own: processes.py NAME ARGUMENT...

`nest NAME ARGUMENT...` forks one such process for each line on stdin, so that a test can kill many.
"""

import os
import resource
import signal
import sys
import threading
from pathlib import Path

from ledger import clock, events
from ledger.contract import NO_STREAM, Append, LedgerUnavailable
from ledger.create import create
from ledger.events import Event, Metadata
from ledger.sqlite.ledger import SQLiteLedger
from projections.current.credentials import Credentials
from projections.current.resources import Resources
from projections.kinds import ResourceKind

KINDS = {
    "User": ResourceKind("User", "urn:ietf:params:scim:schemas:core:2.0:User", "/Users", "userName")
}


def say(*words: object) -> None:
    """Print a line in one write, so that it is there whole or not at all."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def open_ledger(path: str) -> SQLiteLedger:
    return SQLiteLedger(Path(path), [Credentials(), Resources(KINDS)], timeout=50)


def metadata() -> Metadata:
    return Metadata("operator", "test", clock.uuid7(), {"method": "POST"})


def append_user(ledger: SQLiteLedger) -> tuple[int, str]:
    """Append what creates a user and changes it; return position and id of the last event."""
    id_ = clock.uuid7()
    user = [
        Event(events.CREATED, {"userName": f"{id_}@example.com", "active": True}),
        Event(events.DEACTIVATED, {"active": False}),
    ]
    last = ledger.append([Append(f"User-{id_}", NO_STREAM, user)], metadata())[-1]
    return last.position, last.id


def append(path: str, count: str) -> None:
    """Append so many times and tell each position and id once it is acknowledged."""
    ledger = open_ledger(path)
    for _ in range(int(count)):
        say(*append_user(ledger))


def append_for_ever(path: str) -> None:
    ledger = open_ledger(path)
    while True:
        say(*append_user(ledger))


def append_together(path: str) -> None:
    """Append from eight threads at once, without an end."""
    ledger = open_ledger(path)

    def append_on() -> None:
        while True:
            say(*append_user(ledger))

    for _ in range(8):
        threading.Thread(target=append_on).start()


def hold(path: str) -> None:
    """Hold the write lock until stdin ends."""
    with open_ledger(path).writing():
        say("held")
        sys.stdin.read()


def starve(path: str) -> None:
    """Append until no file may grow, tell what was refused, then with room again append once."""
    ledger = open_ledger(path)
    say(*append_user(ledger))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = Path(f"{path}-wal").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100_000, most))
    try:
        while True:
            say(*append_user(ledger))
    except LedgerUnavailable:
        say("refused")
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    say(*append_user(ledger))


def create_for_ever(folder: str) -> None:
    """Make one ledger after another, and tell each that is finished."""
    for n in range(len(os.listdir(folder)), 10**6):
        path = Path(folder) / f"{n:06}" / "ledger.db"
        create(path, "acme", software="scim-ledger test", metadata=metadata())
        say(path)


def rebuild_for_ever(path: str) -> None:
    from projections.runner import StoredProjection

    ledger = open_ledger(path)
    while True:
        StoredProjection(ledger, Resources(KINDS)).rebuild()
        say("rebuilt")


def migrate(name: str) -> None:
    """Bring the ledger of a name up to date, as the command does."""
    import app

    app.console().migrate(name)


def nest(name: str, *arguments: str) -> None:
    """Fork a process for each line on stdin, to live till it is killed; tell birth and death."""
    if name == "migrate":
        import app  # noqa: F401 (what takes long is done before the fork)
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            globals()[name](*arguments)
            signal.pause()
        say("born", child)
        os.waitpid(child, 0)
        say("dead")


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
