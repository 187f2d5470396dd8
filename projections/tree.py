"""The tiles of the tree as a projection: they follow from the events and can be thrown away."""

from contextlib import closing

from ledger.contract import Progress, no_progress
from ledger.signing.tiles import WIDTH
from ledger.signing.tree_heads import TreeHeads
from ledger.verify.tree import check_tiles
from ledger.verify.workers import open_rows
from projections.runner import Status


class StoredTree:
    """The tiles of a ledger."""

    name = "tree"
    revision = 1

    def __init__(self, heads: TreeHeads) -> None:
        self._heads = heads

    def status(self) -> Status:
        with closing(open_rows(self._heads.ledger.path)) as rows, rows.snapshot():
            levels = {level: (hashes, tiles) for level, hashes, _, tiles in rows.tile_levels()}
        lowest = levels.get(1, (0, 0))[0]
        return Status(
            self.name,
            self.revision,
            lowest * WIDTH,
            {"tile": sum(tiles for _, tiles in levels.values())},
        )

    def rebuild(self, progress: Progress = no_progress) -> int:
        """Replace all tiles by others; raises LedgerError where the events were changed."""
        return self._heads.tree.rebuild(progress)

    def check(self, progress: Progress = no_progress) -> str | None:
        """Return how the tiles differ first from those that the events give, None if not."""
        with closing(open_rows(self._heads.ledger.path)) as rows, rows.snapshot():
            found = next(check_tiles(rows, rows.bounds().end, progress), None)
        return f"projection {self.name}: {found}" if found else None
