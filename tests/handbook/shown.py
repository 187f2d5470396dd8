"""Runs the commands and requests that the handbook shows, and compares their output."""

import json
import re
import shlex
from dataclasses import dataclass

from click.testing import CliRunner

import app

_BLOCK = re.compile(r"^```console\n\$ (.*?)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_HASH = re.compile(r"\b[0-9a-f]{64}\b")
_ORIGIN = re.compile(r"\b(default)/[0-9a-f]{16}\b|\b(Ledger|Settings)-[0-9a-f]{16}\b")
_TIME = re.compile(r"\b20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
_LINK = re.compile(r"http://127\.0\.0\.1:\d+")
_LAST_OF_STORY = "2026-10-31"
_ACCIDENTAL = re.compile(
    rf"{_UUID.pattern}|{_HASH.pattern}|(?<=default/)[0-9a-f]{{16}}|(?<=edger-|tings-)[0-9a-f]{{16}}"
)
BASE = "http://127.0.0.1:8000"


@dataclass(frozen=True)
class Shown:
    """A command or request as the handbook shows it, with its output."""

    command: str
    output: str

    @property
    def words(self):
        return shlex.split(self.command.replace("\\\n", " "))


def shown_in(text):
    """Return each command of a handbook with the output shown."""
    return [Shown(*found.groups()) for found in _BLOCK.finditer(text)]


def with_output(text, run):
    """Return a handbook with the current output of each command.

    Ids, hashes and times of today that the handbook already shows stay: they are another ledger's
    than the one that has just run, but the same in every output.
    """
    before = {shown.command: shown.output for shown in shown_in(text)}
    now = {shown.command: _LINK.sub(BASE, run(shown)) for shown in shown_in(text)}
    known = {}
    for command, output in now.items():
        old, new = _ACCIDENTAL.findall(before[command]), _ACCIDENTAL.findall(output)
        if len(old) == len(new):
            known = dict(zip(new, old, strict=True)) | known

    def again(found):
        command, output = found[1], found[2]
        if _without_accidents(now[command]) != _without_accidents(output):
            output = _ACCIDENTAL.sub(lambda each: known.get(each[0], each[0]), now[command])
        return f"```console\n$ {command}\n{output}```"

    return _BLOCK.sub(again, text)


def alike(output):
    """Return an output without its ids, hashes, today's times and widths, for comparison."""
    return re.sub(r"[ -]{2,}", "  ", _without_accidents(output))


def _without_accidents(output):
    output = _UUID.sub("<id>", output)
    output = _HASH.sub("<hash>", output)
    output = _ORIGIN.sub("<ledger>", output)
    output = _LINK.sub(BASE, output)
    output = _TIME.sub(lambda t: t[0] if t[0] < _LAST_OF_STORY else "<time>", output)
    return re.sub(r'("milliseconds": |milliseconds +)[0-9.]+', r"\1<number>", output)


class Runner:
    """Runs the handbook's commands on the story's ledger and a server of it."""

    def __init__(self, company, server):
        self.company, self.server = company, server

    def __call__(self, shown):
        """Return the output, as a terminal shows it."""
        program, *words = [self._filled(word) for word in shown.words]
        output = {"scim-ledger": self._command, "curl": self._request}[program](words)
        return output if output.endswith("\n") else output + "\n"

    def _filled(self, word):
        for name, id_ in self.company.known.items():
            word = word.replace(f"${name.upper().replace('-', '_')}_ID", id_)
        word = word.replace("$REFUSED_ID", self.company.refused)
        word = word.replace("$REQUEST_ID", self.company.parting)
        return word.replace("$AUDIT_TOKEN", self.company.tokens["auditor"])

    def _command(self, words):
        result = CliRunner().invoke(app.cli, words, prog_name="scim-ledger")
        return result.output

    def _request(self, words):
        url = next(word for word in words if word.startswith(BASE))
        headers = [words[place + 1] for place, word in enumerate(words) if word == "-H"]
        given = dict(header.split(": ", 1) for header in headers)
        reply = self.server.ask("GET", url.removeprefix(BASE), base="", headers=given)
        body = reply.body.decode()
        if "-i" in words:
            wanted = ("Ledger-Position", "ETag")
            head = "".join(f"{n}: {reply.headers[n]}\n" for n in wanted if n in reply.headers)
            return f"HTTP/1.1 {reply.status}\n{head}\n{_pretty(body)}"
        return _pretty(body)


def _pretty(body):
    try:
        return json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except ValueError:
        return body
