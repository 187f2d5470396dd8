"""Projections where they are kept: what commands do with each, whatever file it is in."""

from dataclasses import dataclass
from typing import Protocol

from ledger.contract import NotMigrated
from ledger.sqlite.ledger import SQLiteLedger
from projections import runner
from projections.runner import Difference, Progress, Projection, Status


class Kept(Protocol):
    """A projection where its tables are kept: what commands do with it."""

    @property
    def name(self) -> str: ...
    def stands_at(self) -> int: ...
    def status(self) -> Status: ...
    def rebuild(self, progress: Progress) -> int: ...
    def check(self, progress: Progress) -> Difference | None: ...


@dataclass(frozen=True, slots=True)
class Inline:
    """A projection whose tables are in the ledger's own file."""

    ledger: SQLiteLedger
    projection: Projection

    @property
    def name(self) -> str:
        """The projection's name."""
        return self.projection.name

    def stands_at(self) -> int:
        """Return the position that its tables stand for: always the ledger's last."""
        return self.ledger.last_position()

    def status(self) -> Status:
        """Return where it stands; raises NotMigrated."""
        self._must_be_built()
        [found] = runner.status(self.ledger, [self.projection])
        return found

    def rebuild(self, progress: Progress) -> int:
        """Rebuild it; return the position."""
        return runner.rebuild(self.ledger, self.projection, progress)

    def check(self, progress: Progress) -> Difference | None:
        """Prove that a rebuild gives the same rows; raises NotMigrated."""
        self._must_be_built()
        return runner.check(self.ledger, self.projection, progress)

    def _must_be_built(self) -> None:
        """Raise NotMigrated where the tables are missing, or of another revision."""
        if runner.outdated(self.ledger, [self.projection]):
            raise NotMigrated(self.ledger.path.parent.name)
