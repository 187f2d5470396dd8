"""What a worker process starts and closes together with its application."""

from typing import Any

from ledger.background import JobRunner
from ledger.signing.anchors import LOCK_FILE as ANCHORS_LOCK
from scim_api import logs
from scim_api.audit.feeds import Feeds
from scim_api.settings import Settings
from scim_api.tenants.tenants import Tenants
from scim_api.web.limits import Limits
from scim_api.wiring import jobs_of

OTHER_THREADS = 5  # that use ledgers: two for jobs, the opener, feeds, notes
EXTENSION = "scim_ledger"  # where the application keeps it


class Runtime:
    """The open ledgers, the clients that wait for events, and the background jobs."""

    def __init__(self, settings: Settings, tenants: Tenants, feeds: Feeds, limits: Limits) -> None:
        self.tenants, self.feeds, self._lines = tenants, feeds, limits.lines
        self._anchor_url = settings.anchor_url
        self._anchored = bool(settings.anchor_dir or settings.anchor_url)
        self._seconds = settings.shutdown_grace / 3  # of two runners; then notes are written
        self._jobs = JobRunner(tenants.discovered, jobs_of, logs.JobLog())
        # apart from the other jobs: an anchor may be across a slow network
        self._anchors = JobRunner(
            tenants.discovered, lambda each: each.anchors, logs.JobLog(), ANCHORS_LOCK
        )

    def start(self) -> None:
        if self._anchor_url:
            self.tenants.open_in_background()
        else:
            self.tenants.discover()  # no request waits until a thousand are opened
        self._jobs.start()
        if self._anchored:
            self._anchors.start()

    def close(self) -> None:
        """Stop the jobs and the feeds, then close the ledgers and write what the log lacks."""
        self.feeds.close()
        self._jobs.end(self._seconds)
        self._anchors.end(self._seconds)
        self.tenants.close()
        self._lines.settle(ended=True)
        logs.flush()


def runtime_of(worker: Any) -> Runtime | None:
    """Return that of a worker's application; None while it is being loaded, and for any other."""
    extensions = getattr(getattr(worker, "wsgi", None), "extensions", {})
    runtime: Runtime | None = extensions.get(EXTENSION)
    return runtime
