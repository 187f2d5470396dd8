"""Projections compared with a rebuild, each in a process of its own."""

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, wait
from multiprocessing import get_context
from multiprocessing.queues import SimpleQueue

from ledger.contract import LedgerBusy, LedgerUnavailable, NoScratchSpace, NotMigrated, Progress
from ledger.findings import Finding, Kind
from ledger.verify.report import Compared
from ledger.verify.workers import FEW, cores
from projections.runner import CannotFollow, Incomparable, StoredProjection

Opened = Callable[[], Sequence[StoredProjection]]  # a function that another process can call
Found = tuple[int, Finding | None]  # where a projection stands, and its fault
Reports = SimpleQueue[tuple[int, int, int]]  # which projection, how far, of how much


def compare(opened: Opened, events: int, progress: Progress, *, few: int = FEW) -> Compared:
    """Compare with a rebuild those projections that are built for the ledger.

    With few events this process does it: starting another takes longer. What stops a
    comparison is a fault of its projection. Raises LedgerBusy, NotMigrated and NoScratchSpace.
    """
    projections = opened()
    if events <= few or cores() < 2:
        found = [_compared(each, progress) for each in projections]
    else:
        found = _elsewhere(opened, len(projections), progress)
    every = [(each.name, *one) for each, one in zip(projections, found, strict=True)]
    return Compared(
        [fault for _, _, fault in every if fault],
        {name: position for name, position, _ in every if position},
        [_missing(name) for name, position, fault in every if not (position or fault)],
    )


def _compared(projection: StoredProjection, progress: Progress) -> Found:
    """Return where a projection stands, and its fault: how it differs, or what stops a rebuild."""
    position = 0
    try:
        position = projection.stands_at()
        difference = projection.check(progress)
    except (LedgerBusy, NotMigrated, NoScratchSpace):
        raise
    except CannotFollow as error:
        expected = "one that the projections can follow"
        return position, Finding(Kind.EVENT, error.position, "event", expected, error.says)
    except Incomparable as error:
        return position, differing(str(error))
    except LedgerUnavailable as error:
        name = projection.name
        return position, differing(f"projection {name}: the {name} cannot be read: {error}")
    except Exception as error:  # whatever is in the tables
        says = f"cannot be compared with a rebuild: {type(error).__name__}: {error}"
        return position, differing(f"projection {projection.name}: {says}")
    return position, differing(str(difference)) if difference else None


def differing(fault: str) -> Finding:
    """Return the finding that a projection is not what a rebuild gives."""
    return Finding(Kind.PROJECTION, None, "projection", "what a rebuild gives", fault)


def _missing(name: str) -> str:
    return (
        f"the {name} was not compared with a rebuild: there is none yet, or one of another ledger,"
        " of other events or of another revision; the next read of the past builds it"
    )


def _elsewhere(opened: Opened, count: int, progress: Progress) -> list[Found]:
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


def _check(opened: Opened, number: int) -> Found:
    """Compare one projection, in a process of its own."""

    def progress(done: int, total: int) -> None:
        if _reports:
            _reports.put((number, done, total))

    return _compared(opened()[number], progress)
