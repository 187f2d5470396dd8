"""The order of bulk operations: what others refer to goes first; a circle goes together."""

from collections.abc import Collection, Iterator, Sequence

Needs = Sequence[Collection[int]]


def in_order(needs: Needs) -> list[list[int]]:
    """Return groups of operations in the order to carry them out, each group at once.

    `needs[i]` are the operations that i refers to. A group of several is a circle: each of them
    refers to each other, directly or through others. All else keeps the order of the request.
    """
    search = _Search(needs)
    for start in range(len(needs)):
        if start not in search.number:
            search.walk(start)
    return search.groups


class _Search:
    """Tarjan's strongly connected components, without recursion: a chain may be 1000 long."""

    def __init__(self, needs: Needs) -> None:
        self.needs = needs
        self.groups: list[list[int]] = []
        self.number: dict[int, int] = {}  # in the order of being reached
        self._lowest: dict[int, int] = {}  # the earliest one that can be reached again
        self._open: list[int] = []  # reached, and of no group yet
        self._grouped: set[int] = set()

    def walk(self, start: int) -> None:
        """Group everything that can be reached from one operation, what it needs first."""
        path = [(start, self._enter(start))]
        while path:
            node, rest = path[-1]
            new = self._next(node, rest)
            if new is not None:
                path.append((new, self._enter(new)))
                continue
            path.pop()
            if path:
                self._reaches(path[-1][0], self._lowest[node])
            if self._lowest[node] == self.number[node]:
                self._close(node)

    def _enter(self, node: int) -> Iterator[int]:
        self.number[node] = self._lowest[node] = len(self.number)
        self._open.append(node)
        return iter(sorted(self.needs[node]))

    def _next(self, node: int, rest: Iterator[int]) -> int | None:
        """Return the next operation that was not reached before."""
        for need in rest:
            if need not in self.number:
                return need
            if need not in self._grouped:
                self._reaches(node, self.number[need])
        return None

    def _reaches(self, node: int, number: int) -> None:
        self._lowest[node] = min(self._lowest[node], number)

    def _close(self, node: int) -> None:
        at = self._open.index(node)
        group = sorted(self._open[at:])
        del self._open[at:]
        self._grouped.update(group)
        self.groups.append(group)
