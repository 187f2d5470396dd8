"""How a file was saved does not matter to verify.py, and what cannot be read is no forgery."""

import ast
import gzip
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.ledger.export.conftest import command, keys
from tests.ledger.export.notary import VERIFIER, Desk, run
from tests.ledger.saved import HARMLESS, Save

UNREADABLE: dict[str, Save] = {
    "Latin-1": lambda content: b"\xfc" + content,
    "UTF-16 without a mark": lambda content: content.decode().encode("utf-16-le"),
    "half of UTF-16": lambda content: (b"\xff\xfe" + content.decode().encode("utf-16-le"))[:-1],
    "packed": gzip.compress,
    "zeros": lambda content: bytes(len(content)),
    "nothing": lambda _: b"",
    "empty lines": lambda _: b"\r\n\n\r\r\n",
}


class Files:
    """The files of an export, and of a proof, as an auditor has them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        command("export", "--from", "3", "--to", "29", "--output", str(folder / "acme.jsonl"))
        command("prove", "17", "--output", str(folder / "17.tlog-proof"))
        self.key = keys()[-1]

    def save(self, name: str, how: Save) -> None:
        file = self.folder / name
        file.write_bytes(how(file.read_bytes()))

    def check(self) -> subprocess.CompletedProcess[str]:
        export = self.folder / "acme.jsonl"
        return run(export, "--head", f"{export}.tree-head", "--key", self.key)

    def check_proof(self) -> subprocess.CompletedProcess[str]:
        return run("--proof", self.folder / "17.tlog-proof", "--key", self.key)


@pytest.fixture
def files(acme: Path, tmp_path: Path) -> Files:
    return Files(tmp_path)


NAMES = ("acme.jsonl", "acme.jsonl.tree-head", "acme.jsonl.proof.json")


@pytest.mark.parametrize("how", HARMLESS)
def test_a_file_that_was_saved_again_is_verified(files: Files, how: str) -> None:
    for name in (*NAMES, "17.tlog-proof"):
        files.save(name, HARMLESS[how])

    for done in (files.check(), files.check_proof()):
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("how", UNREADABLE)
@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_is_no_text_is_not_called_changed(files: Files, name: str, how: str) -> None:
    files.save(name, UNREADABLE[how])

    done = files.check()

    assert done.returncode == 6, done.stdout
    assert done.stdout.endswith("\nCANNOT BE READ: nothing was verified\n")
    assert "\nfindings " not in done.stdout


def test_lines_that_end_with_cr_alone_are_not_called_changed(files: Files) -> None:
    files.save("acme.jsonl", lambda content: content.replace(b"\n", b"\r"))

    done = files.check()

    assert done.returncode == 6, done.stdout
    assert "lines end with a carriage return alone: save it with newlines" in done.stdout


@pytest.mark.parametrize("name", [*NAMES[1:], "17.tlog-proof"])
def test_a_file_that_is_something_else_is_not_called_changed(files: Files, name: str) -> None:
    files.save(name, lambda _: b"<html>sign in first</html>")

    done = files.check_proof() if name.endswith("tlog-proof") else files.check()

    assert done.returncode == 6, done.stdout
    assert f"{name}' cannot be read as " in done.stdout


def test_a_line_that_is_not_utf_8_is_named_by_the_position_before_it(desk: Desk) -> None:
    desk.lines[16] = desk.lines[16].replace("é".encode(), b"\xe9")
    (desk.folder / "export").write_bytes(b"".join(desk.lines))
    (desk.folder / "head").write_text(desk.heads[0], encoding="utf-8")

    done = run(desk.folder / "export", "--head", desk.folder / "head", "--key", desk.keys[0])

    assert done.returncode == 6
    assert "the line after position 16 is not UTF-8" in done.stdout


def test_an_empty_line_between_others_is_found(desk: Desk) -> None:
    desk.lines.insert(16, b"\n")

    assert desk.verify().found["first_bad_position"] == 17


def test_a_key_may_come_from_a_file_that_was_saved_again(files: Files) -> None:
    files.key = f"\ufeff{files.key}\r\n"

    assert files.check().returncode == 0


def test_a_missing_head_is_said_to_be_next_to_the_export(files: Files, tmp_path: Path) -> None:
    export = tmp_path / "acme.jsonl"

    done = run(export, "--key", files.key)

    assert done.returncode == 2
    assert f"give a tree head by --head: here is {export}.tree-head" in done.stderr


# Old Pythons: the file is parsed as a whole before its first line is run

NEWER = (  # than 2.7
    *(ast.JoinedStr, ast.NamedExpr, ast.AnnAssign, ast.Await, ast.AsyncFunctionDef),
    *(ast.YieldFrom, ast.Nonlocal, ast.MatMult),
)


def is_newer(node: ast.AST) -> bool:
    """Return whether a part of a program is of a syntax that Python 2.7 does not know."""
    if isinstance(node, ast.Call):
        stars = [isinstance(each, ast.Starred) for each in node.args]
        return True in stars[:-1] or [k.arg for k in node.keywords].count(None) > 1
    if isinstance(node, ast.FunctionDef):
        args = node.args
        notes: list[Any] = [node.returns, *(each.annotation for each in args.args)]
        return bool(args.kwonlyargs or args.posonlyargs or any(notes))
    if isinstance(node, ast.Starred):
        return isinstance(node.ctx, ast.Store)
    if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
        return any(isinstance(each, ast.Starred) for each in node.elts)
    if isinstance(node, ast.Dict):
        return None in node.keys
    return isinstance(node, NEWER) or (isinstance(node, ast.Raise) and node.cause is not None)


def test_a_python_2_can_read_it_as_far_as_its_first_lines() -> None:
    source = VERIFIER.read_bytes()
    tree = ast.parse(source, feature_version=(3, 4))

    assert source.isascii()
    assert [ast.unparse(node) for node in ast.walk(tree) if is_newer(node)] == []


def test_a_python_that_is_too_old_is_told_so(tmp_path: Path) -> None:
    older = VERIFIER.read_text().replace("import sys\n", "import sys\nsys.version_info = (3, 8)\n")
    (tmp_path / "verify.py").write_text(older)

    done = run("--help", program=tmp_path / "verify.py")

    assert done.returncode == 2
    assert done.stderr.startswith("verify.py needs Python 3.9 or later; this is ")
    assert done.stderr.count("\n") == 1


def test_what_it_says_is_ascii_whatever_the_export_holds(desk: Desk) -> None:
    desk.lines[16] = json.dumps({"ü": "\x1b[2J"}, ensure_ascii=False).encode() + b"\n"
    desk.change_header(17, stream="ü")

    (desk.folder / "export").write_bytes(b"".join(desk.lines))
    (desk.folder / "head").write_text(desk.heads[0], encoding="utf-8")
    done = run(desk.folder / "export", "--head", desk.folder / "head", "--key", desk.keys[0])

    assert done.returncode == 3
    assert done.stdout.isascii()
    assert "\x1b" not in done.stdout
