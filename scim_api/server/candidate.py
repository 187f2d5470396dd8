"""The program that is installed now, tried before the service becomes it (see trial, master)."""

import os
import re
import subprocess
import tempfile
import time
from contextlib import suppress

TRIAL = "GUNICORN_TRIAL"  # is set where a program is only tried
PATIENCE = 120.0  # seconds

_PLACE = re.compile(r'^ *File "(.+)", line (\d+)', re.MULTILINE)  # in a traceback


class Candidate:
    """The program that is installed now, started as the master was, but only to be tried."""

    def __init__(self, command: list[str], folder: str, environment: dict[str, str]) -> None:
        """Start it; raises OSError."""
        self._how = command, folder, environment
        self._begin()

    def _begin(self) -> None:
        command, folder, environment = self._how
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the trial)
        self._status: int | None = None
        self._until = time.monotonic() + PATIENCE
        self._late = False
        self._process = subprocess.Popen(
            [*command, "--check-config"],
            cwd=folder,
            env={**environment, TRIAL: "1"},
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=self._output,
        )

    def look(self) -> None:
        """Note how it ended, if it did; gunicorn forgets the ends of processes it does not know."""
        if self._status is not None:
            return
        try:
            pid, status = os.waitpid(self._process.pid, os.WNOHANG)
        except ChildProcessError:  # gunicorn was quicker: how it ended is not known
            self._status = 1
            with suppress(OSError):
                self._begin()
            return
        if pid:
            self._status = self._process.returncode = os.waitstatus_to_exitcode(status)

    def over(self) -> bool:
        """Return whether it ended; it is killed when it takes too long."""
        self.look()
        if self._status is None and time.monotonic() > self._until:
            self._late = True
            self.kill()
        return self._status is not None

    def kill(self) -> None:
        if self._status is None:
            self._process.kill()

    def trouble(self) -> str | None:
        """Return in one line what is wrong with the program; None if it is fit."""
        with self._output:
            if self._status == 0:
                return None
            if self._late:
                return f"its trial took longer than {PATIENCE:.0f} s"
            self._output.seek(max(0, self._output.seek(0, os.SEEK_END) - 20_000))
            text = self._output.read().decode(errors="replace")
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        says = lines[-1].removeprefix("Error: ") if lines else f"its trial ended: {self._status}"
        places = _PLACE.findall(text)
        return f"{says} ({places[-1][0]}, line {places[-1][1]})" if places else says
