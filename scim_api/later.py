"""Work off the request path, once, after a while."""

from collections.abc import Callable
from threading import Timer


def later(seconds: float, work: Callable[[], None]) -> Timer | None:
    """Let a thread of its own do something after so long; None where no thread is to be had."""
    timer = Timer(seconds, work)
    timer.daemon = True
    try:
        timer.start()
    except RuntimeError:
        return None
    return timer
