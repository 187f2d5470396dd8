"""The ledger's own stream: what is done to the ledger itself, recorded among all else."""

from ledger.contract import Append, Ledger, WrongExpectedVersion
from ledger.events import Event, Metadata, Recorded


def stream_of(tenant: str) -> str:
    """Return the stream of what is done to a ledger itself; `tenant` is its own id."""
    return f"Ledger-{tenant}"


def next_append(ledger: Ledger, event: Event) -> Append:
    """Return what appends an event to the ledger's own stream as it is now."""
    stream = stream_of(ledger.tenant)
    return Append(stream, ledger.version(stream), [event])


def record(ledger: Ledger, event: Event, metadata: Metadata) -> Recorded:
    """Append an event to the ledger's own stream, whoever else does so at the time."""
    while True:
        try:
            [recorded] = ledger.append([next_append(ledger, event)], metadata)
            return recorded
        except WrongExpectedVersion:
            continue  # each round somebody else's event was recorded
