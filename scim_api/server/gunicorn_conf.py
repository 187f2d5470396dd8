"""gunicorn's configuration, from the environment (see the Procfile)."""

import os
import select
import sys
from contextlib import suppress
from pathlib import Path
from shlex import quote
from shutil import which
from typing import Any

from ledger.open_files import connections, raise_limit
from scim_api import rates
from scim_api import settings as _settings
from scim_api.logs import gunicorn_logging, hold_standard_streams
from scim_api.server.candidate import TRIAL
from scim_api.server.log_file import Log, trouble_with
from scim_api.server.master import tell_ready
from scim_api.settings import HEADER

hold_standard_streams()
raise_limit()
try:
    _checked = _settings.load(os.environ)
except _settings.SettingsError as _error:
    raise SystemExit(f"Error: {_error}") from None
rates.share()  # workers count together

_host = f"[{_checked.bind}]" if ":" in _checked.bind else _checked.bind
bind = f"{_host}:{_checked.port}"
workers = _checked.workers
threads = _checked.threads
worker_class = "scim_api.server.worker.ScimWorker" if hasattr(select, "epoll") else "gthread"
preload_app = False  # no SQLite connection crosses a fork
worker_connections = connections()  # the rest of the open files is for ledgers
keepalive = 75  # Okta keeps its connections
timeout = 90
graceful_timeout = _checked.shutdown_grace
limit_request_line = 8190
limit_request_fields = 60
limit_request_field_size = 8190
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None
control_socket_disable = True
forwarded_allow_ips = ""  # X-Forwarded headers are judged in one place, web.proxies
proc_name = "scim-ledger"
logger_class = Log
logconfig_dict = gunicorn_logging(_checked.log_level)
if _checked.log_file and (_trouble := trouble_with(_checked.log_file)):
    raise SystemExit(f"Error: {_trouble}")


if os.environ.get(TRIAL):
    from scim_api.server import trial

    trial.begin(_checked)


def when_ready(server: Any) -> None:
    """Write the log to its file, if it has one, now that nothing more keeps it from starting."""
    server.log.begin(_checked.log_file)


def post_fork(server: Any, worker: Any) -> None:
    """Leave a worker its own socket only."""
    server.keep_to(worker)


def post_worker_init(worker: Any) -> None:
    """Start the background jobs: one of the workers does them for each ledger."""
    runtime = _runtime_of(worker)
    if runtime:
        runtime.start()
    tell_ready(worker)
    last_of_first = worker.age == workers
    if runtime and last_of_first and not _checked.production:
        _show_how_to_call(_problems(worker.wsgi))


def _runtime_of(worker: Any) -> Any:
    from scim_api.server.runtime import runtime_of  # with the application; not in the master

    return runtime_of(worker)


def _problems(app: Any) -> list[str]:
    """Return the problems that /readyz names."""
    with app.test_request_context("/readyz"):
        found: list[str] = app.view_functions["health.readyz"]().json["problems"]
        return found


def _show_how_to_call(problems: list[str]) -> None:
    """Print how to call the service, now that it is ready, or why it is not."""
    ready = "The service is ready: "
    if problems:
        ready = (
            f"The service runs, but is not ready ({', '.join(problems)}; see scim-ledger doctor): "
        )
    program = Path(sys.executable).with_name("scim-ledger")
    if which("scim-ledger") == str(program):
        program = Path(program.name)
    elif program.is_relative_to(Path.cwd()):
        program = program.relative_to(Path.cwd())
    folder = os.environ.get("SCIM_DATA_DIR")  # without it the command would look elsewhere
    where = f"SCIM_DATA_DIR={quote(folder)} " if folder else ""
    lines: tuple[str, ...] = (
        f"\n{ready}{_checked.base_url or _checked.local_url}",
        f"Make a token:  {where}{program} token create NAME",
        f"Call it:       curl {_how_to_send_a_token()} {_checked.local_url}/Users",
    )
    if not _checked.takes_tokens:
        lines = (lines[0], f"Register a client: {where}{program} client add NAME")
    with suppress(OSError):
        print(*lines, sep="\n", flush=True)


def _how_to_send_a_token() -> str:
    """Return the option of curl, in a way that is on."""
    if HEADER in _checked.authentication:
        return '-H "Authorization: Bearer TOKEN"'
    return "--user okta:TOKEN"


def worker_exit(server: Any, worker: Any) -> None:
    """Write what is kept in memory before a worker ends."""
    if runtime := _runtime_of(worker):
        runtime.close()
