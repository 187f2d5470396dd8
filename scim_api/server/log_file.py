"""The service's log in a file: every process opens it again when the master gets USR1."""

import os
from pathlib import Path
from typing import Any

from gunicorn.glogging import Logger

from ledger import owners
from scim_api import logs


def trouble_with(path: Path) -> str | None:
    """Return why a log cannot be written there, None where it can; the file is made."""
    try:
        os.close(logs.open_file(path))
    except OSError as error:
        denied = owners.denial(path, write=True) or owners.denial(path.parent, write=True)
        return f"the log {path} (SCIM_LOG_FILE) cannot be written: {denied or error.strerror}"
    return None


class Log(Logger):  # type: ignore[misc]
    """gunicorn's log; `file` is set once the service listens: what fails before is on stderr."""

    file: Path | None = None

    def begin(self, file: Path | None) -> None:
        """Write to a file from now on, if one is given."""
        self.file = file
        self.reopen_files()

    def reopen_files(self) -> Any:
        """Open the file by its name; where that fails, go on with the one that is open."""
        super().reopen_files()
        if self.file is None:
            return
        try:
            logs.into_file(self.file)
        except OSError:
            self.error("the log goes on in the file that is open: %s", trouble_with(self.file))
