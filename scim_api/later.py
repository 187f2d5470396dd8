"""Work off the request path, once, after a while."""

from collections.abc import Callable
from threading import Timer


def later(seconds: float, work: Callable[[], None]) -> Timer | None:
    """Run work in a thread after some seconds; return None if no thread can be started."""
    timer = Timer(seconds, work)
    timer.daemon = True
    try:
        timer.start()
    except RuntimeError:
        return None
    return timer
