"""Files and folders that are there whole or not at all, also after a power cut."""

import os
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path


def write_whole(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Write a file, in place of any that is there; durable when this returns."""
    draft = _draft(path, [content], mode)
    try:
        os.replace(draft, path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_new(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Write a file where none is, whole or not at all; raises FileExistsError."""
    write_together({path: [content]}, mode=mode)


def write_together(files: Mapping[Path, Iterable[bytes]], *, mode: int = 0o600) -> None:
    """Write new files of one folder, all or none; durable when this returns.

    They take their names, one after the other, when all are written. Raises FileExistsError, with
    the name in `filename2`, and what an iterable raises.
    """
    drafts: dict[Path, Path] = {}
    named: list[Path] = []
    try:
        for path, content in files.items():
            drafts[path] = _draft(path, content, mode)
        for path, draft in drafts.items():
            os.link(draft, path)  # fails if somebody was quicker, unlike a rename
            named.append(path)
    except BaseException:
        for path in named:
            path.unlink()
        raise
    finally:
        for draft in drafts.values():
            draft.unlink()
    for folder in {path.parent for path in files}:
        sync_folder(folder)


def _draft(path: Path, content: Iterable[bytes], mode: int) -> Path:
    """Write a durable file next to a path, to be named as it when it is whole."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode)
    try:
        with open(descriptor, "wb") as file:
            file.writelines(content)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    return draft


def make_folder(path: Path, *, mode: int = 0o700) -> None:
    """Make a folder and those above it, where they are not there yet; durable when this returns."""
    missing = [folder for folder in (path, *path.parents) if not folder.is_dir()]
    path.mkdir(parents=True, exist_ok=True, mode=mode)
    for folder in missing:
        sync_folder(folder.parent)


def sync_file(path: Path) -> None:
    """Make sure that a file stays as it is, and its name with it."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make sure that what was named or renamed in a folder stays so."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
