"""A person found, and forgotten: what `erase` and `hold` decide, and in which order it is done."""

import time
from collections.abc import Callable, Collection
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from ledger import erasure
from ledger.contract import Append, LedgerError
from ledger.erasure import Hold, Order
from ledger.events import Metadata
from ledger.sqlite.connection import Connection
from ledger.sqlite.ledger import events_where, stream_version
from ledger.sqlite.scrub import Traces
from projections.history.projector import NEVER
from projections.query.comparison import fold
from scim_api.erasure import mentions
from scim_api.erasure.mentions import Mention, Survey
from scim_api.erasure.purge import Purges
from scim_api.service.departures import departures
from scim_api.tenants.tenants import Tenant

USER = "User"

Progress = Callable[[int, int], None]


class NoSuchPerson(LedgerError):
    """Nobody has, or had last, this id or userName."""


class SeveralPersons(LedgerError):
    """A userName is, or was last, that of several users."""

    def __init__(self, ids: Collection[str]) -> None:
        super().__init__(f"several users have or had this userName: {', '.join(ids)}")
        self.ids = ids


def stream_of(id_: str) -> str:
    """Return the stream of a user."""
    return f"{USER}-{id_}"


def find(tenant: Tenant, user: str) -> str:
    """Return the id of a user, given by id or by userName, also of one who was deleted or erased.

    Raises NoSuchPerson or SeveralPersons.
    """
    with tenant.ledger.reading() as connection:
        if stream_version(connection, stream_of(user)):
            return user
        living = tenant.resources.find_by_name(connection, USER, user)
    found = {living.id: None} if living else {}
    found |= dict.fromkeys(_deleted(tenant, user))
    if len(found) > 1:
        raise SeveralPersons(list(found))
    if not found:
        raise NoSuchPerson(user)
    return next(iter(found))


def _deleted(tenant: Tenant, user_name: str) -> list[str]:
    """Return the ids of those who were deleted with a userName, oldest first."""
    with tenant.history.caught_up() as connection:
        rows = connection.execute(
            "SELECT DISTINCT life.id FROM resource_key JOIN life USING (born) WHERE kind = 'name'"
            " AND key = ? AND life.type = ? AND until = life.died AND died < ? ORDER BY born",
            (fold(user_name), USER, NEVER),
        ).fetchall()
    return [id_ for (id_,) in rows]


@dataclass(frozen=True, slots=True)
class Prospect:
    """What an erasure would forget, and what it leaves."""

    id: str
    events: int
    groups: tuple[str, ...]
    holds: tuple[Hold, ...]
    tokens: tuple[str, ...]  # ids of live credentials that are the person's own
    survey: Survey = field(repr=False)

    @property
    def mentions(self) -> tuple[Mention, ...]:
        """The events of other streams that hold what the person was called by."""
        return self.survey.mentions


def prospect(tenant: Tenant, id_: str, progress: Progress = lambda *_: None) -> Prospect:
    """Look at what the erasure of a user would forget; changes nothing."""
    stream = stream_of(id_)
    events = tenant.ledger.read_stream(stream)
    with tenant.ledger.reading() as connection:
        groups = tenant.resources.memberships.direct_groups(connection, id_)
        holds = erasure.holds_on(connection, id_)
        own = [
            c.id for c in tenant.credentials.all(connection) if c.user == id_ and not c.revoked_at
        ]
    survey = mentions.survey(tenant.ledger, stream, mentions.marks_of(events), progress)
    return Prospect(
        id_, len(events), tuple(id_ for id_, _ in groups), tuple(holds), tuple(own), survey
    )


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What an erasure forgot; `unfinished` says why traces may yet be in the files."""

    position: int
    events: int
    groups: tuple[str, ...]
    written_anew: tuple[Path, ...] = ()
    unfinished: str | None = None


class Erasure:
    """The erasure of one user: the events, then the files."""

    def __init__(self, tenant: Tenant, found: Prospect) -> None:
        self._tenant = tenant
        self._found = found
        self._purges = Purges(tenant)
        self._groups: tuple[str, ...] = ()
        self._traces = Traces(frozenset())

    def carry_out(self, order: Order, metadata: Metadata, patience: float) -> Forgotten:
        """Forget the user, then purge the files for so many seconds; raises Held, StreamErased.

        The turn at the files is taken before, if it is free: or the service might begin to purge
        without knowing what to look for.
        """
        deadline = time.monotonic() + patience
        stream = stream_of(self._found.id)
        with ExitStack() as held:
            has_turn = self._purges.has_turn(held)
            erased = erasure.erase(self._tenant.ledger, stream, order, metadata, self._leave)
            forgotten = Forgotten(erased.position, erased.version - 1, self._groups)
            try:
                if not has_turn:
                    held.enter_context(self._purges.turn(patience))
                anew = self._purges.carry_out(deadline, self._traces_of(erased.position))
            except LedgerError as trouble:
                return replace(forgotten, unfinished=str(trouble))
        return replace(forgotten, written_anew=tuple(anew))

    def _leave(self, connection: Connection) -> list[Append]:
        """Let the user leave its groups; and note what it is called at this last moment."""
        events = events_where(connection, "stream = ?", (stream_of(self._found.id),))
        self._traces = self._found.survey.traces(mentions.marks_of(events))
        left = departures(self._tenant.resources, connection, self._found.id)
        self._groups = tuple(left)
        return list(left.values())

    def _traces_of(self, position: int) -> Traces | None:
        """Return what to look for in the files, None where it is not known of another."""
        alone = self._purges.pending().keys() <= {position}
        return self._traces if alone else None


def finish(tenant: Tenant, patience: float) -> str | None:
    """Finish the erasures that are pending; return why that cannot be, None when it is done."""
    purges = Purges(tenant)
    deadline = time.monotonic() + patience
    if not purges.pending():
        return None
    try:
        with purges.turn(patience):
            purges.carry_out(deadline)
    except LedgerError as trouble:
        return str(trouble)
    return None


def erased_at(tenant: Tenant, id_: str) -> int | None:
    """Return the position of the event that erased a user, None if nothing did."""
    with tenant.ledger.reading() as connection:
        return erasure.erasure_of(connection, stream_of(id_))
