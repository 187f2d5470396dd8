"""Projections compared with a rebuild, each in a process of its own."""

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, wait
from multiprocessing import get_context
from multiprocessing.queues import SimpleQueue

from ledger.contract import LedgerBusy, Progress, SideFileUnavailable
from ledger.verify.report import Compared
from ledger.verify.workers import FEW, cores
from projections.runner import StoredProjection

Opened = Callable[[], Sequence[StoredProjection]]  # a function that another process can call
Reports = SimpleQueue[tuple[int, int, int]]  # which projection, how far, of how much


def compare(opened: Opened, events: int, progress: Progress, *, few: int = FEW) -> Compared:
    """Compare with a rebuild those projections that are built for the ledger.

    With few events this process does it: starting another takes longer. Raises LedgerBusy, and
    whatever stops a rebuild.
    """
    projections = opened()
    standing = {each.name: each.stands_at() for each in projections}
    if events <= few or cores() < 2:
        differences = [each.check(progress) for each in projections]
        faults = [str(difference) for difference in differences if difference]
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
        " of other events or of another revision; the next read of the past builds it"
    )


def _elsewhere(opened: Opened, count: int, progress: Progress) -> list[str | None]:
    context = get_context("spawn")
    reports: Reports = context.SimpleQueue()
    reached: dict[int, tuple[int, int]] = {}
    with ProcessPoolExecutor(
        min(cores(), count), mp_context=context, initializer=_begin, initargs=(reports,)
    ) as pool:  # the last takes longest, and begins first
        checks = [pool.submit(_check, opened, n) for n in reversed(range(count))]
        while wait(checks, timeout=0.2).not_done:
            while not reports.empty():
                number, done, total = reports.get()
                reached[number] = done, total
            progress(*(sum(numbers) for numbers in zip((0, 0), *reached.values(), strict=True)))
        return [check.result() for check in reversed(checks)]


_reports: Reports | None = None  # of a process that compares for another


def _begin(reports: Reports) -> None:
    global _reports
    _reports = reports


def _check(opened: Opened, number: int) -> str | None:
    """Compare one projection, in a process of its own."""

    def progress(done: int, total: int) -> None:
        if _reports:
            _reports.put((number, done, total))

    try:
        difference = opened()[number].check(progress)
    except (LedgerBusy, SideFileUnavailable):
        raise
    except Exception as error:  # which pickle may not take
        raise RuntimeError(f"{type(error).__name__}: {error}") from None
    return str(difference) if difference else None
