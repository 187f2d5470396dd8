"""Erasing a person: whom it would concern, what it would forget, and the order of its steps."""

from dataclasses import dataclass, replace

from ledger import erasure
from ledger.contract import Append, Connection, LedgerError, Progress, no_progress
from ledger.erasure import Hold, Justification
from ledger.events import Metadata
from scim_api.erasure.mentions import Mention, find_mentions, marks_of
from scim_api.erasure.purge import finish
from scim_api.service.members import leave_groups
from scim_api.tenants.tenants import Tenant

USER = "User"


class NoSuchPerson(LedgerError):
    """Nobody has, or had last, this id or userName."""


class SeveralPersons(LedgerError):
    """A userName is, or was last, that of several users."""


def stream_of(id_: str) -> str:
    """Return the stream of a user."""
    return f"{USER}-{id_}"


def find(tenant: Tenant, user: str) -> str:
    """Return the id of a user, given by id or by userName, also of one who was deleted or erased.

    Raises NoSuchPerson or SeveralPersons.
    """
    if tenant.ledger.version(stream_of(user)):
        return user
    with tenant.ledger.reading() as connection:
        living = tenant.resources.find_by_name(connection, USER, user)
    found = [living.id] if living else []
    with tenant.history.caught_up():
        found += tenant.history.lifetimes.deleted_with_name(USER, user)
    found = list(dict.fromkeys(found))
    if len(found) > 1:
        raise SeveralPersons(f"several users have or had this userName: {', '.join(found)}")
    if not found:
        raise NoSuchPerson(user)
    return found[0]


@dataclass(frozen=True, slots=True)
class ErasurePlan:
    """What an erasure would forget, and what it leaves."""

    id: str
    events: int
    groups: tuple[str, ...]
    holds: tuple[Hold, ...]
    tokens: tuple[str, ...]  # ids of live credentials that are the person's own
    mentions: tuple[Mention, ...]  # events of other streams that contain the person's names


def plan(tenant: Tenant, id_: str, progress: Progress = no_progress) -> ErasurePlan:
    """Return what the erasure of a user would forget; changes nothing."""
    ledger, stream = tenant.ledger, stream_of(id_)
    events = ledger.read_stream(stream)
    with ledger.reading() as connection:
        groups = tenant.resources.memberships.direct_groups(connection, id_)
        own = [
            c.id for c in tenant.credentials.all(connection) if c.user == id_ and not c.revoked_at
        ]
    return ErasurePlan(
        id_,
        len(events),
        tuple(id_ for id_, _ in groups),
        tuple(erasure.holds_on(ledger, id_)),
        tuple(own),
        tuple(find_mentions(ledger, stream, marks_of(events), progress)),
    )


@dataclass(frozen=True, slots=True)
class ErasureResult:
    """What an erasure forgot; `unfinished` says why bytes of it may still be in the files."""

    position: int
    events: int
    groups: tuple[str, ...]
    rewritten: tuple[str, ...] = ()  # names of files
    unfinished: str | None = None


def erase(
    tenant: Tenant, id_: str, why: Justification, metadata: Metadata, timeout: float
) -> ErasureResult:
    """Forget a user, then wait so many seconds for the files to be rewritten.

    Raises Held, StreamErased.
    """
    left: dict[str, Append] = {}

    def leave(transaction: Connection) -> list[Append]:
        left.update(leave_groups(tenant.resources, transaction, id_))
        return list(left.values())

    erased = erasure.erase(tenant.ledger, stream_of(id_), why, metadata, leave)
    result = ErasureResult(erased.position, erased.version - 1, tuple(left))
    if unfinished := finish(tenant, timeout):
        return replace(result, unfinished=unfinished)
    files = sorted(tenant.ledger.path.parent.glob("*.db"))
    return replace(result, rewritten=tuple(path.name for path in files))
