"""How long this thread's request has waited already when it asks for a turn to write."""

from contextvars import ContextVar

_waited: ContextVar[float] = ContextVar("waited", default=0.0)


def have_waited(seconds: float) -> None:
    """Let this thread wait so much less for each turn, until this is called again."""
    _waited.set(seconds)


def left_of(patience: float) -> float:
    """Return what is left of the longest wait for a turn."""
    return max(0.0, patience - _waited.get())
