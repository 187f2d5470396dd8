"""Projections compared with a rebuild side by side, each in a process of its own."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from multiprocessing import get_context
from multiprocessing.queues import SimpleQueue
from typing import Any

from ledger.contract import LedgerBusy
from ledger.verify.report import Compared
from ledger.verify.workers import FEW, cores
from projections.kept import Kept
from projections.runner import Progress

Opened = Callable[[], Sequence[Kept]]  # a function that another process can be told to call
Told = tuple[int, int, int]  # which projection, how far, of how much

_told: "SimpleQueue[Told] | None" = None  # of a process that compares for another


def compare(opened: Opened, events: int, progress: Progress, *, few: int = FEW) -> Compared:
    """Compare the projections that are opened with a rebuild, those that stand for the ledger.

    Of a ledger of few events, sooner read than a process is started, this one compares them.
    Raises LedgerBusy, and whatever stops a rebuild.
    """
    projections = opened()
    standing = {each.name: each.stands_at() for each in projections}
    if events <= few or cores() < 2:
        found = [each.check(progress) for each in projections]
        faults = [str(difference) for difference in found if difference]
    else:
        faults = [fault for fault in _elsewhere(opened, len(projections), progress) if fault]
    return Compared(
        faults,
        {name: position for name, position in standing.items() if position},
        [_missing(name) for name, position in standing.items() if not position],
    )


def _missing(name: str) -> str:
    return (
        f"the {name} was not compared with a rebuild: there is none yet, or one of another ledger,"
        " of other events or of another revision; it is made anew when asked"
    )


def _elsewhere(opened: Opened, count: int, progress: Progress) -> list[str | None]:
    context = get_context("spawn")
    told: SimpleQueue[Told] = context.SimpleQueue()
    with ProcessPoolExecutor(
        min(cores(), count), mp_context=context, initializer=_begin, initargs=(told,)
    ) as pool:  # the last takes longest, and begins first
        checks = [pool.submit(_check, opened, n) for n in reversed(range(count))]
        _tell(checks, told, progress)
        return [check.result() for check in reversed(checks)]


def _tell(checks: Sequence["Future[Any]"], told: "SimpleQueue[Told]", progress: Progress) -> None:
    """Tell how far all are together, until they are done."""
    far: dict[int, tuple[int, int]] = {}
    while wait(checks, timeout=0.2).not_done:
        while not told.empty():
            number, done, total = told.get()
            far[number] = (done, total)
        progress(sum(done for done, _ in far.values()), sum(total for _, total in far.values()))


def _begin(told: "SimpleQueue[Told]") -> None:
    global _told
    _told = told


def _check(opened: Opened, number: int) -> str | None:
    """Compare one projection, in a process that does it for another."""
    told = _told
    assert told is not None
    try:
        difference = opened()[number].check(lambda done, total: told.put((number, done, total)))
    except LedgerBusy:
        raise
    except Exception as error:  # which may not be fit to be handed over
        raise RuntimeError(f"{type(error).__name__}: {error}") from None
    return str(difference) if difference else None
