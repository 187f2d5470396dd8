"""What is at hand when a backup is restored: the ledger in its place, keys, known heads."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from ledger.atomic_files import make_folder
from ledger.contract import Ledger, LedgerError, NotMigrated, StoredHead, no_progress
from ledger.create import migrate
from ledger.ledger_stream import stream_of
from ledger.signing import renewal
from ledger.signing.identity import Identity, identity_of
from ledger.signing.key_rule import Current
from ledger.signing.keys import HEAD_FILE, Keys
from ledger.signing.known_heads import Held, newest_trusted
from ledger.signing.note import KnownHead, MalformedNote, Note, TreeHead
from ledger.signing.renewal import Change, Comparison, Renewal
from ledger.sqlite.backup import backup as copy
from ledger.sqlite.ledger import SQLiteLedger
from scim_api.recovery.draft import NotRestored
from scim_api.recovery.losses import Losses, losses
from scim_api.settings import Settings
from scim_api.tenants.tenants import LEDGER_FILE, Tenant
from scim_api.wiring import head_sources

STEP = 5000  # headers compared at once
MOST_HEADS = 100_000  # over the same events: one a day


@dataclass(frozen=True, slots=True)
class Replaced:
    """The ledger in place, as far as it can be read; `trouble` says why no further.

    Its first `common` events are those of the backup; it `differs` where the next one of both is
    another. `heads` are those that the backup lacks.
    """

    there: bool
    trouble: str | None = None
    end: int = 0
    common: int = 0
    differs: bool = False
    identity: Identity | None = None
    losses: Losses = field(default_factory=Losses)
    changes: Sequence[Change] = ()
    before: Current | None = None
    heads: Sequence[StoredHead] = ()


def look_at(path: Path, draft: Tenant) -> Replaced:
    """Read the ledger in place, which stays as it is; raises NotRestored if it is another one."""
    if not path.exists():
        return Replaced(False, f"there is no {path}")
    try:
        ledger = _opened(path, draft.ledger.path.with_name("replaced"))
    except LedgerError as error:
        return Replaced(True, str(error))
    try:
        if ledger.tenant != draft.ledger.tenant:
            raise NotRestored(
                f"{path} is another ledger, {ledger.origin}: the backup is of"
                f" {draft.ledger.origin}. Nothing was changed; see --ledger"
            )
        return _read(ledger, draft)
    finally:
        ledger.close()


def _opened(path: Path, scratch: Path) -> SQLiteLedger:
    """Open a ledger to be read; one of an older version from a copy that is brought up to date."""
    try:
        return SQLiteLedger(path, read_only=True)
    except NotMigrated:
        make_folder(scratch)
        copy(path, scratch / LEDGER_FILE, no_progress)
        migrate(scratch / LEDGER_FILE)
        return SQLiteLedger(scratch / LEDGER_FILE, read_only=True)


def _read(ledger: Ledger, draft: Tenant) -> Replaced:
    common, differs, trouble, end = 0, False, None, 0
    identity, before, changes = None, renewal.current(draft.heads.identity()), list[Change]()
    found, heads = Losses(), list[StoredHead]()
    try:
        end = ledger.last_position()
        common, differs = _common(ledger, draft.ledger)
        found = losses(ledger, common)
        trouble = found.trouble
        found.name_by(draft)
        positions = [each.position for each in ledger.walk_stream(stream_of(ledger.tenant))]
        own = ledger.raw_events_at(positions)
        identity = identity_of(own, ledger.origin)
        lost = [raw for raw in own if raw.position > common]
        before, changes = renewal.lost_changes(before, lost)
        heads = _heads_beyond(draft.ledger.newest_head(), ledger, common)
    except (LedgerError, ValueError, KeyError, TypeError) as error:
        trouble = str(error)
    return Replaced(True, trouble, end, common, differs, identity, found, changes, before, heads)


def _heads_beyond(newest: StoredHead | None, ledger: Ledger, common: int) -> list[StoredHead]:
    """Return the heads that the backup lacks: over the same events all, otherwise the newest."""
    if ledger.last_position() == common:
        return ledger.heads(newest.number if newest else 0, MOST_HEADS)
    last = ledger.newest_head()
    return [last] if last else []


def _common(one: Ledger, other: Ledger) -> tuple[int, bool]:
    """Return how many first events two ledgers share, and whether the next of both are others."""
    shared, most = 0, min(one.last_position(), other.last_position())
    while shared < most:
        upto = min(shared + STEP, most)
        ours, theirs = one.headers(shared + 1, upto), other.headers(shared + 1, upto)
        for n, (a, b) in enumerate(zip(ours, theirs, strict=False)):
            if a != b:
                return shared + n, True
        shared = upto
    return shared, False


@dataclass(frozen=True, slots=True)
class Survey:
    """All that is at hand, and what follows from it.

    `renewal` is None where it is proved that nothing followed the backup: then its ledger goes on
    under its origin. `origin` is the one that the backup has.
    """

    origin: str
    replaced: Replaced
    comparison: Comparison
    renewal: Renewal | None
    kept: int
    kept_at: str

    @property
    def agreed(self) -> int:
        """How many of the backup's events are of the history that ended, as far as is known."""
        decided = self.renewal.agreed if self.renewal else None
        return self.kept if decided is None else decided

    @property
    def lost(self) -> tuple[int, int | None]:
        """How many events are lost at least, and at most; None where nobody can know."""
        sizes = [each.head.size for each in self.comparison.lost(self.kept)]
        known = max((size - self.agreed for size in sizes), default=0)
        seen = self.replaced.losses.events
        most = max(seen, known) if self.renewal is None or self._complete else None
        return max(seen, known), most

    @property
    def _complete(self) -> bool:
        """Whether the replaced ledger shows all that was lost, as far as heads tell."""
        sizes = [each.head.size for each in self.comparison.lost(self.kept)]
        whole = self.replaced.there and self.replaced.trouble is None
        return whole and max(sizes, default=0) <= self.replaced.end


def _must_be_its_keys(keys: Keys, identity: Identity) -> None:
    """Raise NotRestored where a key or a head at hand is of a ledger with another name.

    Every origin of a ledger begins with the name under which it was made.
    """
    name = identity.origin.partition("/")[0]
    of_others = {
        file: origin
        for file, origin in keys.origins().items()
        if origin.partition("/")[0] != name and origin not in identity.names
    }
    for origin in of_others.values():
        files = ", ".join(map(str, of_others))
        raise NotRestored(
            f"the backup is of {identity.origin}, and what is here is of another ledger, {origin}:"
            f" {files}. Nothing was changed. Restore a backup of that ledger"
            " here, and this one with the --ledger that it had; if this one is to take its place,"
            " move these files away first and keep them"
        )


def survey(path: Path, draft: Tenant, keys: Keys, settings: Settings) -> Survey:
    """Look at all that is at hand; raises NotRestored."""
    replaced = look_at(path, draft)
    _must_be_its_keys(keys, draft.heads.identity())
    sources = head_sources(keys, settings)
    identity = replaced.identity or draft.heads.identity()
    own, failures = _remembered(keys)
    held, strange, warnings = newest_trusted(sources, identity)
    known = Held([*own, *held], strange, [*failures, *warnings])
    comparison = renewal.compare(draft.heads, known, sources)
    kept, kept_at = draft.ledger.end()
    if _nothing_followed(replaced, comparison, draft, own):
        return Survey(draft.ledger.origin, replaced, comparison, None, kept, kept_at)
    before = replaced.before or renewal.current(draft.heads.identity())
    agreed, first_other = comparison.agreed, comparison.first_other
    if replaced.differs and (first_other is None or first_other > replaced.common):
        agreed = replaced.common
    abandoned = _largest(before.origin, [*comparison.lost(kept), *known.heads], replaced.heads)
    decided = Renewal(
        before,
        keys.search(before.key),
        [abandoned] if abandoned else (),
        agreed,
        replaced.changes,
    )
    return Survey(draft.ledger.origin, replaced, comparison, decided, kept, kept_at)


def _nothing_followed(
    replaced: Replaced, comparison: Comparison, draft: Tenant, own: Sequence[KnownHead]
) -> bool:
    """Return whether it is proved that the backup has all that was ever recorded.

    Only the replaced ledger can prove it: whole, with the same events, and no head that is known
    covers more. Somebody who could not be asked may know of one.
    """
    whole = replaced.there and replaced.trouble is None and not comparison.failures
    same = replaced.end == replaced.common == draft.ledger.last_position()
    signed = draft.ledger.newest_head() is not None or bool(replaced.heads)
    return whole and same and (bool(own) or not signed) and not comparison.contradicting


def _largest(origin: str, known: Sequence[KnownHead], stored: Sequence[StoredHead]) -> Note | None:
    """Return the largest known head of an origin, the replaced ledger's own among them."""
    notes = [each.note for each in known]
    with suppress(MalformedNote):
        notes += [Note.parse(each.note) for each in stored[-1:]]
    ours = [note for note in notes if note.is_head_of(origin)]
    return max(ours, key=lambda note: TreeHead.of(note).size, default=None)


def _remembered(keys: Keys) -> tuple[list[KnownHead], list[str]]:
    """Return the head next to the key, and what is wrong with it."""
    file = keys.folder / HEAD_FILE
    try:
        note = keys.remembered()
        found = [KnownHead(str(file), note)] if note else []
        for each in found:
            TreeHead.of(each.note)
    except LedgerError as error:
        return [], [str(error)]
    return found, []
