"""Following a ledger in the background, so that its past is at hand when it is asked for."""

from pathlib import Path

from projections.history.history import History


class Follower:
    """Keeps the history of a ledger up to date: a chore, chunk by chunk."""

    def __init__(self, history: History) -> None:
        self._history = history

    @property
    def path(self) -> Path:
        """The ledger's file."""
        return self._history.ledger.path

    def step(self) -> bool:
        """Follow one chunk of events; tell whether there are more."""
        end = self._history.ledger.last_position()
        return self._history.reached < end and self._history.follow(end) < end

    def finish(self) -> None:
        """Do nothing: what was not followed yet is followed later."""
