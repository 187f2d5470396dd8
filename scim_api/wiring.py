"""Opens a ledger with its projections, side files, tree heads and background jobs."""

import sys
from collections.abc import Sequence
from contextlib import closing, suppress
from functools import partial
from pathlib import Path

from ledger.background import Job, Upkeep, exclusive_lock
from ledger.contract import LedgerBusy, LedgerError, NotMigrated, Progress, Projector
from ledger.create import create, migrate
from ledger.events import Metadata
from ledger.open_files import OPEN
from ledger.signing.anchors import anchors
from ledger.signing.keys import HEAD_FILE, KEY_FILE, Keys
from ledger.signing.known_heads import Ask, AskedLately, HeadSources, ask_url, known
from ledger.signing.note import KnownHead
from ledger.signing.rollback import must_be_newest
from ledger.signing.tree_heads import Signer, TreeHeads
from ledger.sqlite.connection import undo_cut_off
from ledger.sqlite.ledger import SQLiteLedger
from ledger.verify.report import Compared
from projections import runner
from projections.compare import compare
from projections.current.configuration import Configuration
from projections.current.credentials import Credentials
from projections.current.resources import Resources
from projections.current.stored_indexes import StoredIndexes
from projections.history.history import History, HistoryJob
from projections.runner import StoredProjection
from projections.tree import StoredTree
from scim_api import logs
from scim_api import settings as settings_
from scim_api.auth.notices import ExpiryNotices
from scim_api.erasure.purge import Purges
from scim_api.protocol.schema.resource_types import KINDS
from scim_api.request_log.store import REQUESTS_FILE, Bounds, RequestLog
from scim_api.settings import Settings
from scim_api.tenants.tenants import Tenant, Tenants, ledger_names
from scim_api.tenants.usage import USAGE_FILE, Usage

DEFAULTS = settings_.load({})
BUILDER = "scim_api.server.build_history"  # a program of its own, which nothing imports
SERVICE_ENDS = 3.0  # seconds, for workers whose master was killed


def jobs_of(tenant: Tenant) -> Sequence[Job]:
    """Return the background jobs of a ledger."""
    ledger, heads = tenant.ledger, tenant.heads
    command = (sys.executable, "-m", BUILDER, str(ledger.path))
    history = HistoryJob(tenant.history, command)
    return Upkeep(ledger), history, Signer(heads), Purges(tenant), ExpiryNotices(tenant)


def open_tenants(settings: Settings) -> Tenants:
    """Return the ledgers of the data directory, opened when first used."""
    ask = AskedLately()
    return Tenants(settings.data_dir, lambda path: open_tenant(path, settings, ask=ask))


def keys_of(path: Path, settings: Settings) -> Keys:
    """Return where the key of a ledger's tree heads is."""
    folder = settings.key_dir / path.parent.name if settings.key_dir else path.parent
    return Keys(folder, settings.signing_key)


def known_names(settings: Settings) -> list[str]:
    """Return the names of all ledgers, also of those of which only the key is there."""
    keys = settings.key_dir.glob("*/signing.*") if settings.key_dir else ()
    signing = (each.parent.name for each in keys if each.name in (KEY_FILE, HEAD_FILE))
    return sorted({*ledger_names(settings.data_dir), *signing})


def open_tenant(path: Path, settings: Settings = DEFAULTS, *, ask: Ask | None = None) -> Tenant:
    """Open one ledger with its projections; raises LedgerUnavailable.

    One that lacks events over which a known head was signed is not opened: see signing.rollback.
    With `ask`, the heads that the network knows count too.
    """
    tenant = wire(path, settings)
    try:
        _must_be_built(tenant)
        must_be_newest(tenant.heads, known_heads(tenant, settings, ask=ask))
    except BaseException:
        tenant.ledger.close()
        raise
    return tenant


def _must_be_built(tenant: Tenant) -> None:
    """Raise NotMigrated unless the projections are those of this version."""
    if outdated(tenant):
        raise NotMigrated(tenant.ledger.path)


def must_be_migrated(path: Path) -> None:
    """Raise LedgerError unless this version can serve a ledger; the file stays as it is."""
    tenant = wire(path, read_only=True)
    try:
        _must_be_built(tenant)
        tenant.catalogue()
    finally:
        tenant.ledger.close()


def _must_not_be_in_use(path: Path) -> None:
    """Raise LedgerBusy for a ledger that has to be migrated while a service serves it.

    Another migration keeps the lock for a moment only, as this does.
    """
    with exclusive_lock(path) as alone:
        if alone:
            return
    try:
        must_be_migrated(path)
    except NotMigrated:
        with exclusive_lock(path, timeout=SERVICE_ENDS) as alone:
            if not alone:
                raise LedgerBusy(f"{path} is in use by a service: stop it first") from None


def known_heads(tenant: Tenant, settings: Settings, *, ask: Ask | None) -> list[KnownHead]:
    """Return the newest heads known outside the ledger's file."""
    return known(
        tenant.heads, head_sources(tenant.heads.keys, settings, ask=ask), logs.LOGGER.warning
    )


def head_sources(keys: Keys, settings: Settings, *, ask: Ask | None = ask_url) -> HeadSources:
    """Return where heads of a ledger are known; without `ask`, the network is left out."""
    url = settings.anchor_url if ask else None
    folders = settings.anchor_dir, settings.witness_dir
    return HeadSources(*folders, url, keys, ask or ask_url)


def deliver_heads(path: Path, settings: Settings) -> list[str]:
    """Deliver a ledger's new heads as far as no network is needed; return what went wrong.

    A service does the same. So nothing that went wrong here is lost.
    """
    trouble = list[str]()
    with closing(wire(path, settings)) as tenant:
        for anchor in tenant.anchors:
            try:
                anchor.finish()
            except (LedgerError, OSError) as error:
                trouble.append(f"a tree head is not delivered to {anchor.display_name}: {error}")
    return trouble


def wire(
    path: Path,
    settings: Settings = DEFAULTS,
    *,
    read_only: bool = False,
    keys: Keys | None = None,
) -> Tenant:
    """Open one ledger, whatever the state of its projections.

    Its key is where the settings say, unless `keys` says otherwise.
    """
    OPEN.tidy()
    undo_cut_off(path)
    resources, credentials, configuration = Resources(KINDS), Credentials(), Configuration()
    projectors: list[Projector] = [credentials, configuration, resources]
    bounds = Bounds(settings.request_log_rows, settings.request_log_days)
    ledger = SQLiteLedger(path, projectors, timeout=settings.write_patience, read_only=read_only)
    heads = TreeHeads(ledger, keys or keys_of(path, settings))
    return Tenant(
        path.parent.name,
        ledger,
        resources,
        credentials,
        configuration,
        History(ledger, KINDS, read_only=read_only),
        Usage(path.with_name(USAGE_FILE), ledger),
        RequestLog(path.with_name(REQUESTS_FILE), ledger, bounds),
        heads,
        anchors(heads, settings.anchor_dir, settings.anchor_url),
    )


def projections_of(tenant: Tenant) -> Sequence[StoredProjection]:
    """Return the projections in a ledger's own file, in the order in which they are built."""
    return [
        StoredProjection(tenant.ledger, tenant.credentials),
        StoredProjection(tenant.ledger, tenant.configuration),
        StoredProjection(tenant.ledger, tenant.resources),
        StoredIndexes(tenant.ledger),
    ]


def outdated(tenant: Tenant) -> list[StoredProjection]:
    """Return the projections that have no tables yet, or tables of another revision."""
    return [
        each for each in projections_of(tenant) if runner.outdated(tenant.ledger, [each.projection])
    ]


def stored_projections(
    path: Path, settings: Settings = DEFAULTS, *, read_only: bool = False
) -> Sequence[StoredProjection]:
    """Return a ledger's projections, the history too, whatever their state."""
    tenant = wire(path, settings, read_only=read_only)
    return [*projections_of(tenant), tenant.history]


def rebuildable(
    path: Path, settings: Settings = DEFAULTS
) -> Sequence[StoredProjection | StoredTree]:
    """Return all that is derived from a ledger's events: its projections and the tree's tiles."""
    return [StoredTree(wire(path, settings).heads), *stored_projections(path, settings)]


def create_ledger(path: Path, settings: Settings, *, software: str, metadata: Metadata) -> None:
    """Make a ledger with its projections, or finish one whose making was cut off.

    Raises LedgerError when there is one already.
    """
    name, keys = path.parent.name, keys_of(path, settings)
    if not _is_unfinished(path, settings):
        create(path, name, software=software, metadata=metadata, keys=keys)
    migrate_ledger(path, settings, metadata)


def _is_unfinished(path: Path, settings: Settings) -> bool:
    """Return whether a ledger holds nothing but its opening, and lacks projections."""
    if not path.exists():
        return False
    tenant = wire(path, settings, read_only=True)
    with suppress(LedgerError), closing(tenant):
        return tenant.ledger.last_position() == 1 and bool(outdated(tenant))
    return False


def migrate_ledger(path: Path, settings: Settings, metadata: Metadata) -> list[str]:
    """Bring a ledger's tables, projections and key up to date; return what was done.

    Raises LedgerBusy for tables that the service of an earlier version is using.
    """
    _must_not_be_in_use(path)
    tenant, steps = wire_up_to_date(path, settings)
    must_be_newest(tenant.heads, known_heads(tenant, settings, ask=None))
    if tenant.heads.introduce(metadata):
        steps.append("made the key that signs tree heads")
    if tenant.ledger.newest_head() is None:
        tenant.heads.sign()
    tenant.ledger.close()
    return steps


def wire_up_to_date(
    path: Path, settings: Settings, *, keys: Keys | None = None
) -> tuple[Tenant, list[str]]:
    """Bring a ledger's tables and projections up to date and open it; return what was done too."""
    steps = migrate(path)
    tenant = wire(path, settings, keys=keys)
    for projection in outdated(tenant):
        projection.rebuild()
        steps.append(f"built projection {projection.name}")
    return tenant, steps


def compare_with_rebuild(path: Path, progress: Progress) -> Compared:
    """Compare a ledger's projections with a rebuild, changing no file; raises NotMigrated."""
    tenant = wire(path, read_only=True)
    _must_be_built(tenant)
    opened = partial(stored_projections, path, read_only=True)
    return compare(opened, tenant.ledger.last_position(), progress)
