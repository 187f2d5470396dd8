"""Restoring a backup: all is decided and drafted, then one rename puts it in place.

Until that rename the ledger is as it was, and after it the restored one is there. The draft's
folder keeps the new head till the end, so that the same command finishes what was cut off.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ledger import clock, erasure
from ledger.atomic_files import make_folder, new_file, sync_file, sync_folder, write_whole
from ledger.background import exclusive_lock, file_lock
from ledger.contract import (
    Append,
    LedgerBusy,
    LedgerError,
    LedgerUnavailable,
    Progress,
    no_progress,
)
from ledger.erasure import Justification
from ledger.events import ERASED, HOLD_PLACED, Event, Metadata, Recorded
from ledger.signing import renewal
from ledger.signing.keys import HEAD_FILE, KEY_FILE, NEXT_FILE, Keys, KeyUnusable
from ledger.signing.known_heads import HeadSources, newest_trusted
from ledger.signing.note import KnownHead
from ledger.signing.renewal import Renewal
from ledger.signing.rollback import contradictions
from ledger.sqlite.alone import alone
from ledger.sqlite.connection import DAMAGED, JOURNAL, LOG_FILES
from ledger.verify.report import MEMORY_FILE, Options, Report, Verified
from projections.current.credentials import Credential
from scim_api.auth.credentials import KINDS, credentials_of, revoke
from scim_api.auth.oauth import connect_codes
from scim_api.erasure.purge import finish
from scim_api.recovery.draft import (
    DRAFT,
    NotRestored,
    check_backup,
    make_draft,
    must_be_good,
    must_have_key_folder,
    take_keys,
)
from scim_api.recovery.survey import Replaced, Survey, survey
from scim_api.service.members import leave_groups
from scim_api.settings import Settings
from scim_api.tenants.tenants import LEDGER_FILE, Tenant
from scim_api.wiring import head_sources, keys_of, open_tenant, wire

GRACE = "salt"  # without it a refresh token that was redeemed before has no grace again
PATIENCE = 30.0  # seconds for the files to be rewritten after erasures that were repeated


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore ended with."""

    origin: str
    verifier_key: str | None
    events: int
    verified: int
    kept_in: Path | None
    repeated: Sequence[str] = ()
    revoked: Sequence[str] = ()


@dataclass(slots=True)
class Restore:
    """A backup that is verified and waits in a draft, and what is known of what it lacks."""

    path: Path
    settings: Settings
    metadata: Metadata
    draft: Tenant
    survey: Survey
    report: Report
    live: Sequence[Credential]  # the credentials that live in the backup
    of_credentials: Sequence[Recorded]  # what happened to them after it, and is repeated
    progress: Progress = no_progress

    @property
    def living_again(self) -> list[Credential]:
        """Credentials of which nobody can tell whether they were ended after the backup."""
        if self._is_known:
            return []
        ended = self.survey.replaced.losses.ended
        return [each for each in self.live if each.id not in ended]

    @property
    def _is_known(self) -> bool:
        """Whether all that happened after the backup is at hand."""
        replaced = self.survey.replaced
        return self.survey.renewal is None or (replaced.there and replaced.trouble is None)

    def carry_out(self, *, revoke_tokens: bool) -> Restored:
        """Finish the draft, verify it as it will be, and put it in place."""
        draft, heads, decided = self.draft, self.draft.heads, self.survey.renewal
        take_keys(keys_of(self.path, self.settings), heads.keys.folder)
        if decided:
            self._renew(decided)
        else:
            self._put_back_heads()
        continued = self._continue_credentials()
        revoked = self._revoke(every=revoke_tokens)
        lost = self.survey.replaced.losses.holds_and_erasures
        repeated = [each for each in map(self._repeat, lost) if each]
        if self.of_credentials:
            repeated.append(f"{len(self.of_credentials):,} events of credentials")
        if decided or continued or revoked:
            heads.sign()
        verified = self._verify()
        origin, events = draft.ledger.origin, draft.ledger.last_position()
        key = heads.identity().key
        draft.close()
        kept = _put_in_place(self.path, keys_of(self.path, self.settings), self.survey.replaced)
        return Restored(
            origin, str(key) if key else None, events, verified, kept, repeated, revoked
        )

    def _renew(self, decided: Renewal) -> None:
        """Continue under a new origin, until nothing that is known contradicts the draft.

        It says too of names that others know, and that it does not, that they were abandoned.
        """
        heads, known = self.draft.heads, self.survey.comparison.known
        renewal.renew(heads, decided, self.metadata)
        folders = HeadSources(self.settings.anchor_dir, self.settings.witness_dir)
        strange = newest_trusted(folders, heads.identity()).strange
        against = sorted(
            (*(each.known for each in contradictions(heads, known)), *strange),
            key=lambda each: each.head.size,
        )
        more = {each.head.origin: each.note for each in against}
        if more:
            now = renewal.current(heads.identity())
            again = Renewal(now, heads.key(), list(more.values()))
            renewal.renew(heads, again, self.metadata)
        for left in contradictions(heads, known):
            raise NotRestored(f"{left}. Nothing was changed")

    def _put_back_heads(self) -> None:
        """Keep the heads over the same events that were signed after the backup."""
        ledger, known = self.draft.ledger, self.survey.comparison.known
        for stored in self.survey.replaced.heads:
            ledger.add_head(stored.size, stored.note, again=True)
        ours = [each for each in known if each.head.origin == ledger.origin]
        for each in sorted(ours, key=lambda each: each.head.size):
            newest = ledger.newest_head()
            if newest is None or newest.size < each.head.size:
                ledger.add_head(each.head.size, str(each.note))

    def _continue_credentials(self) -> bool:
        """Repeat what happened after the backup to credentials that it has; return whether any did.

        What was ended, paused or replaced stays so, and an OAuth client goes on with the refresh
        token that it was given last. Credentials that were made after the backup are gone.
        """
        ledger, events = self.draft.ledger, dict[str, list[Event]]()
        for each in self.of_credentials:
            effects = {k: v for k, v in each.effects.items() if k != GRACE}
            events.setdefault(each.stream, []).append(Event(each.type, effects))
        appends = [Append(s, ledger.version(s), made) for s, made in events.items()]
        if appends:
            ledger.append(appends, self.metadata)
        return bool(appends)

    def _revoke(self, *, every: bool) -> list[str]:
        """Revoke all that live, if asked to; name them, or those that ended after the backup."""
        after = self.survey.replaced.losses.ended
        chosen = [each for each in self.live if every or each.id in after]
        for each in chosen:
            if each.id not in after:
                revoke(self.draft, self.metadata, each.id, "restore")
        if every or not self._is_known:  # whether they were used since nobody can tell
            connect_codes.cancel_all(self.draft, self.metadata)
        return [f"{each.name} ({each.id})" for each in chosen]

    def _repeat(self, lost: Recorded) -> str | None:
        """Repeat a legal hold, its release or an erasure; return what was done, if anything was.

        Of somebody who came after the backup there is nothing to erase or to hold.
        """
        ledger, effects = self.draft.ledger, lost.effects
        why = Justification(str(effects.get("reason")), str(effects.get("ticket")))
        subject = lost.subject
        stream = lost.stream if lost.type == ERASED else f"User-{subject}"
        if not ledger.version(stream) or erasure.erasure_of(ledger, stream):
            return None
        try:
            if lost.type == ERASED:
                groups = self.draft.resources
                erasure.erase(
                    ledger,
                    stream,
                    why,
                    self.metadata,
                    lambda transaction: [*leave_groups(groups, transaction, subject).values()],
                )
                return f"erased {subject} again ({why.ticket})"
            if lost.type == HOLD_PLACED:
                erasure.place_hold(ledger, stream, why, self.metadata)
                return f"hold {why.ticket} on {subject} placed again"
            erasure.release_hold(ledger, subject, why, self.metadata)
        except LedgerError as error:
            return f"NOT repeated: {error}"
        return f"hold {why.ticket} on {subject} released again"

    def _verify(self) -> int:
        """Verify the draft as it will be; return how many events were."""
        report, heads = self.report, self.draft.heads
        head = report.newest.number if report.newest else 0
        since = (
            Verified(report.origin, report.size, report.root, head, clock.timestamp())
            if report.root
            else None
        )
        note = heads.keys.remembered()
        sources = head_sources(heads.keys, self.settings)
        options = Options(
            own=KnownHead(HEAD_FILE, note) if note else None, since=since, sources=sources
        )
        found = must_be_good(self.draft, self.progress, options, "the ledger as it would be")
        return found.events + found.skipped


@contextmanager
def prepared(
    backup: Path,
    path: Path,
    settings: Settings,
    metadata: Metadata,
    progress: Progress = no_progress,
) -> Iterator[Restore]:
    """Check a backup, draft the ledger to be and survey what is at hand; nothing is in place yet.

    Raises NotRestored, LedgerBusy, LedgerUnavailable.
    """
    must_have_key_folder(settings)
    check_backup(backup, path)
    make_folder(path.parent)
    keys = keys_of(path, settings)
    with exclusive_lock(path) as free, file_lock(path.parent, timeout=0):
        if not free:
            raise LedgerBusy("the ledger is being served; stop the service first")
        with suppress(LedgerUnavailable):  # it is replaced all the same
            if _cut_off(path, settings):
                raise NotRestored("a restore was cut off: without --dry-run this finishes it")
        draft = None
        try:
            draft = make_draft(backup, path, settings, progress)
            what = f"the backup {backup}"
            report = must_be_good(draft, progress, Options(copy=True), what)
            found = survey(path, draft, keys, settings)
            live = [each for each in credentials_of(draft, *KINDS) if not each.revoked_at]
            again = _of_credentials(draft, found.replaced.losses.of_credentials)
            yield Restore(path, settings, metadata, draft, found, report, live, again, progress)
        finally:
            if draft:
                draft.close()
            shutil.rmtree(path.with_name(DRAFT), ignore_errors=True)


def _of_credentials(draft: Tenant, lost: Sequence[Recorded]) -> list[Recorded]:
    """Return what is to be repeated of what happened to credentials after the backup.

    The backup may hold what the replaced ledger got by another restore: that is not.
    """
    with draft.ledger.reading() as connection:
        return [each for each in lost if draft.credentials.lacks(connection, each)]


def left_of(path: Path, settings: Settings) -> list[Path]:
    """Return what a restore that is under way, or was cut off, keeps next to a ledger."""
    draft = path.with_name(DRAFT)
    return [*([draft] if draft.exists() else []), *keys_of(path, settings).torn()]


def complete(path: Path, settings: Settings) -> bool:
    """Finish a restore that was cut off after its ledger was in place; return whether one was.

    What one left that was cut off before is removed. Raises LedgerBusy.
    """
    left, keys, draft = left_of(path, settings), keys_of(path, settings), path.with_name(DRAFT)
    if not left or not path.parent.is_dir():
        return False
    with exclusive_lock(path) as free, file_lock(path.parent, timeout=0):
        if not free:
            raise LedgerBusy("the ledger is being served; stop the service first")
        try:
            finished, origin = _cut_off(path, settings), _origin_of(path, settings)
        except LedgerError:
            return False  # nobody can tell what became of it
        if finished:
            _settle(keys, Keys(draft))
        elif draft.exists():
            keys.discard_foreign(origin)
        shutil.rmtree(draft, ignore_errors=not draft.exists())
        for each in keys.torn():
            each.unlink(missing_ok=True)
    return finished


def _cut_off(path: Path, settings: Settings) -> bool:
    """Return whether the ledger in place is a draft whose head is not remembered yet.

    Raises LedgerError where the ledger cannot be read.
    """
    folder = path.with_name(DRAFT)
    note = Keys(folder).remembered()
    if note is None or (folder / LEDGER_FILE).exists():
        return False
    with closing(wire(path, settings, read_only=True)) as in_place:
        newest = in_place.ledger.newest_head()
    return newest is not None and newest.note == str(note)


def _origin_of(path: Path, settings: Settings) -> str | None:
    """Return the origin of the ledger in place, with its key in use; None where there is none."""
    if not path.exists():
        return None
    with closing(wire(path, settings, read_only=True)) as in_place:
        with suppress(KeyUnusable):  # one that waits may be in force already
            in_place.heads.key()
        return in_place.ledger.origin


def finish_up(path: Path, settings: Settings) -> str | None:
    """Open the ledger as the service does, and remove the traces of repeated erasures.

    Return what is left to do, if anything is.
    """
    tenant = open_tenant(path, settings)
    try:
        return finish(tenant, PATIENCE)
    finally:
        tenant.close()


def _put_in_place(path: Path, keys: Keys, replaced: Replaced) -> Path | None:
    """Put the draft in place of a ledger, which is kept; return the folder where.

    Raises LedgerBusy if the ledger grew since it was looked at, or if a program has it open.
    """
    folder = path.with_name(DRAFT)
    draft, made = folder / LEDGER_FILE, Keys(folder)
    with alone(draft):  # no log: it is one file
        sync_file(draft)
    at = clock.timestamp().translate(str.maketrans("", "", "-:."))
    kept = path.with_name(f"replaced-{at}")
    with _next_key(keys, folder / KEY_FILE, replaced):
        try:
            with alone(path) as end:
                if end != replaced.end and not replaced.trouble:
                    raise LedgerBusy("events were recorded meanwhile; run the command again")
                _keep(path, [], kept, keys)  # its log is empty, and will be the draft's
                os.replace(draft, path)
        except LedgerUnavailable as error:
            if not (replaced.trouble or error.reason == DAMAGED):
                raise
            logs = [Path(f"{path}{name}") for name in (*LOG_FILES, JOURNAL)]
            _keep(path, logs, kept, keys)  # it is not there, or nobody can read it
            for each in logs:
                each.unlink(missing_ok=True)
            os.replace(draft, path)
    sync_folder(path.parent)
    _settle(keys, made)
    return kept if kept.exists() else None


@contextmanager
def _next_key(keys: Keys, made: Path, replaced: Replaced) -> Iterator[None]:
    """Let a new key wait for its ledger to be put in place; without that it is removed."""
    new = made.read_bytes() if made.exists() and not keys.given else b""
    if replaced.identity and replaced.identity.key:
        with suppress(KeyUnusable):  # one that waits may be in force already
            keys.find(replaced.identity.key)
    if not new or (keys.file.exists() and keys.file.read_bytes() == new):
        yield
        return
    make_folder(keys.folder)
    write_whole(keys.folder / NEXT_FILE, new)
    try:
        yield
    except BaseException:
        keys.discard()
        raise


def _keep(path: Path, logs: Sequence[Path], kept: Path, keys: Keys) -> None:
    """Keep what is replaced; what is only remembered of it is removed."""
    for file in (path, *logs):
        if file.exists():
            make_folder(kept)
            _link(file, kept / file.name)
    apart = keys.folder / kept.name
    for file in (keys.file, keys.folder / HEAD_FILE):
        if file.exists():
            make_folder(apart)
            _link(file, apart / file.name)
    for folder in (kept, apart):
        if folder.exists():
            sync_folder(folder)
    path.with_name(MEMORY_FILE).unlink(missing_ok=True)


def _link(file: Path, kept: Path) -> None:
    """Give a file a second name; where the file system knows no such, copy it."""
    try:
        os.link(file, kept)
    except OSError:
        with new_file(kept) as draft:
            shutil.copyfile(file, draft)


def _settle(keys: Keys, made: Keys) -> None:
    """Put the draft's key to use, and remember its head."""
    if not keys.given and (keys.folder / NEXT_FILE).exists():
        keys.settle()
    note = made.remembered()
    if note:
        keys.remember(note)
