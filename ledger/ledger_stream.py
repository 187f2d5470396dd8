"""The ledger's own stream: events about the ledger itself."""

from ledger.contract import Append, Ledger, WrongExpectedVersion
from ledger.events import Event, Metadata, Recorded


def stream_of(tenant: str) -> str:
    """Return the name of a ledger's own stream; `tenant` is the ledger's id."""
    return f"Ledger-{tenant}"


def next_append(ledger: Ledger, event: Event) -> Append:
    """Return an append to the ledger's own stream at its present version."""
    stream = stream_of(ledger.tenant)
    return Append(stream, ledger.version(stream), [event])


def record(ledger: Ledger, event: Event, metadata: Metadata) -> Recorded:
    """Append an event to the ledger's own stream; retry when another writer won the race."""
    while True:
        try:
            [recorded] = ledger.append([next_append(ledger, event)], metadata)
            return recorded
        except WrongExpectedVersion:
            continue
