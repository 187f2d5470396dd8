"""What every ledger promises, whatever keeps it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ledger.events import Event, Metadata, Recorded

NO_STREAM = 0


class LedgerError(Exception):
    """Something about the ledger, said in a sentence for its operator."""


class WrongExpectedVersion(LedgerError):
    """The stream moved on since it was read."""

    def __init__(self, stream: str, expected: int, actual: int) -> None:
        super().__init__(f"stream {stream}: expected version {expected}, found {actual}")
        self.stream = stream
        self.expected = expected
        self.actual = actual


class StreamErased(LedgerError):
    """What the stream was about is forgotten: nothing is recorded of it any more."""

    def __init__(self, stream: str) -> None:
        super().__init__(f"stream {stream} was erased; nothing can be recorded in it any more")
        self.stream = stream


class LedgerBusy(LedgerError):
    """No turn to write came within the time allowed; nothing was written."""


class LedgerUnavailable(LedgerError):
    """The ledger's file cannot be read or written: full disk, damage, rights, a foreign file.

    The message is for the operator and names the file; `reason` is fit for anyone.
    """

    def __init__(self, message: str, *, reason: str = "unreadable") -> None:
        super().__init__(message)
        self.reason = reason


class NotMigrated(LedgerError):
    """The projections are those of another version of the program."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"the projections of {name} are of another version; run `scim-ledger migrate`"
        )


class BesideUnavailable(LedgerUnavailable):
    """A file beside the ledger cannot be read or written; the ledger itself may well be."""


class LedgerMissing(LedgerUnavailable):
    """There is no ledger where one was looked for."""


class LedgerMisnamed(LedgerError):
    """What cannot be the name of a ledger was given as one."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name!r} cannot name a ledger: use lower-case letters, digits and hyphens"
        )
        self.name = name


@dataclass(frozen=True, slots=True)
class Append:
    """Events for one stream, and the version the stream must have for them to be written."""

    stream: str
    expected_version: int
    events: Sequence[Event]


class Projector(Protocol):
    """Follows the ledger inside the append's transaction.

    `project` gets the ledger's own connection and each event in order. What it raises undoes
    the whole append.
    """

    @property
    def name(self) -> str: ...

    def project(self, connection: Any, recorded: Recorded) -> None: ...


class Ledger(Protocol):
    """An append-only sequence of events, dense from position 1."""

    @property
    def origin(self) -> str: ...

    def append(self, appends: Sequence[Append], metadata: Metadata) -> list[Recorded]:
        """Record events of one or several streams in one transaction.

        The events MUST be durable, and every inline projector's rows with them, when this
        returns. It MUST write nothing when it raises: WrongExpectedVersion, StreamErased,
        LedgerBusy, LedgerUnavailable, or what a projector raised.
        """
        ...

    def last_position(self) -> int:
        """Return the position of the newest event."""
        ...

    def read_all(self, after: int = 0, upto: int | None = None) -> Iterator[Recorded]:
        """Yield events by position, each chunk its own read, so that no reader pins the log."""
        ...

    def read_stream(self, stream: str) -> list[Recorded]:
        """Return a stream's events by version."""
        ...
