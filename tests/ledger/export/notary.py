"""An auditor's desk: verify.py as a process of its own, and heads signed without our code."""

import base64
import hashlib
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

VERIFIER = Path(__file__).parents[3] / "ledger" / "export" / "verify.py"


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def naive_root(leaves: list[bytes]) -> bytes:
    """Return RFC 6962's tree hash as its definition has it."""
    if len(leaves) <= 1:
        return leaves[0] if leaves else sha256(b"")
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return sha256(b"\x01" + naive_root(leaves[:split]) + naive_root(leaves[split:]))


def leaves_of(lines: list[bytes]) -> list[bytes]:
    return [sha256(b"\x00" + json.loads(line)["header"].encode()) for line in lines]


@dataclass(frozen=True)
class Notary:
    """A key under a name, and what it signs."""

    name: str
    private: Ed25519PrivateKey

    @classmethod
    def of_seed(cls, name: str, seed: bytes) -> "Notary":
        return cls(name, Ed25519PrivateKey.from_private_bytes(seed))

    @property
    def typed(self) -> bytes:
        return b"\x01" + self.private.public_key().public_bytes_raw()

    @property
    def id(self) -> bytes:
        return sha256(self.name.encode() + b"\n" + self.typed)[:4]

    @property
    def key(self) -> str:
        return f"{self.name}+{self.id.hex()}+{base64.b64encode(self.typed).decode()}"

    def signed(self, message: bytes) -> str:
        """Return the signature of a message, in base64."""
        return base64.b64encode(self.private.sign(message)).decode()

    def signature(self, text: str) -> str:
        """Return the line that signs a note."""
        signed = self.id + self.private.sign(text.encode())
        return f"— {self.name} {base64.b64encode(signed).decode()}\n"

    def head(
        self, lines: list[bytes], *, origin: str | None = None, size: int | None = None
    ) -> str:
        """Return a signed head over lines."""
        root = base64.b64encode(naive_root(leaves_of(lines))).decode()
        text = f"{origin or self.name}\n{len(lines) if size is None else size}\n{root}\n"
        return f"{text}\n{self.signature(text)}"


@dataclass(frozen=True)
class Verdict:
    """What verify.py said."""

    code: int
    found: dict[str, Any]

    @property
    def ok(self) -> bool:
        assert (self.code == 0) == self.found["ok"]
        return self.code == 0

    @property
    def sentences(self) -> list[str]:
        findings: list[str] = self.found["findings"]
        return findings


def run(*words: object, program: Path = VERIFIER) -> subprocess.CompletedProcess[str]:
    """Run verify.py with nothing but the standard library."""
    return subprocess.run(
        [sys.executable, "-I", "-S", str(program), *map(str, words)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def verify(*words: object) -> Verdict:
    done = run(*words, "--json")
    assert done.returncode in (0, 3), done.stderr
    assert done.stderr == ""
    return Verdict(done.returncode, json.loads(done.stdout))


@dataclass
class Desk:
    """An export with its head and key on an auditor's desk, to be verified, or changed before."""

    folder: Path
    lines: list[bytes]
    heads: list[str]
    keys: list[str]
    proof: dict[str, Any] | None = None

    def verify(self) -> Verdict:
        export = self.folder / "export.jsonl"
        export.write_bytes(b"".join(self.lines))
        words: list[object] = [export]
        for number, head in enumerate(self.heads):
            (self.folder / f"head.{number}").write_text(head, encoding="utf-8")
            words += ["--head", self.folder / f"head.{number}"]
        if self.proof is not None:
            (self.folder / "export.jsonl.proof.json").write_text(json.dumps(self.proof))
        for key in self.keys:
            words += ["--key", key]
        return verify(*words)

    def change(self, number: int, **changes: Any) -> None:
        """Change the fields of a line; None takes one away."""
        line = {**json.loads(self.lines[number]), **changes}
        line = {name: value for name, value in line.items() if value is not None}
        self.lines[number] = json.dumps(line, ensure_ascii=False).encode() + b"\n"

    def header(self, number: int) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(json.loads(self.lines[number])["header"])
        return found

    def change_header(self, number: int, **changes: Any) -> None:
        header = json.dumps(
            self.header(number) | changes,
            sort_keys=True,
            separators=(",", ":"),
            ensure_ascii=False,
        )
        self.change(number, header=header)
