"""Files and folders that are there whole or not at all, also after a power cut."""

import os
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from ledger import owners


@contextmanager
def new_file(path: Path, *, mode: int = 0o600, replace: bool = False) -> Iterator[Path]:
    """Yield an empty draft, which takes its name when the block ends well; durable then.

    Raises FileExistsError where there is a file, unless it is to be replaced.
    """
    with _naming(path), _draft(path, mode) as draft:
        yield draft
        _sync(draft)
        if replace:
            os.replace(draft, path)
        else:
            os.link(draft, path)  # fails if somebody was quicker, unlike a rename
        sync_folder(path.parent)


@contextmanager
def _draft(path: Path, mode: int = 0o600) -> Iterator[Path]:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    os.close(owners.create(draft, mode))
    try:
        yield draft
    finally:
        for each in (draft, *path.parent.glob(f"{draft.name}-*")):  # logs of an unfinished database
            each.unlink(missing_ok=True)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Let an error of the disk name the file that was to be written, not its draft or nothing."""
    try:
        yield
    except FileExistsError:
        raise
    except OSError as error:
        named = Path(os.fsdecode(error.filename or ""))
        if not named.name or named.name.startswith(f".{path.name}."):
            error.filename = str(path)
        raise


def write_whole(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Write a file, in place of any that is there; durable when this returns."""
    with new_file(path, mode=mode, replace=True) as draft:
        draft.write_bytes(content)


def write_new(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Write a file where none is, whole or not at all; raises FileExistsError."""
    with new_file(path, mode=mode) as draft:
        draft.write_bytes(content)


def write_together(files: Mapping[Path, Iterable[bytes]]) -> None:
    """Write new files, all or none; durable when this returns.

    They take their names, one after the other, when all are written. Raises FileExistsError, with
    the name in `filename2`, and what an iterable raises.
    """
    named: list[Path] = []
    with ExitStack() as stack:
        drafts = {path: stack.enter_context(_draft(path)) for path in files}
        for path, draft in drafts.items():
            with _naming(path), open(draft, "wb") as file:
                file.writelines(files[path])
            _sync(draft)
        try:
            for path, draft in drafts.items():
                os.link(draft, path)
                named.append(path)
        except BaseException:
            for path in named:
                path.unlink()
            raise
    for folder in {path.parent for path in files}:
        sync_folder(folder)


def write_once(path: Path, content: bytes) -> None:
    """Write a new file under its own name: a WORM mount lets nothing be renamed or removed.

    Raises FileExistsError. Only here can a power cut leave a part of a file.
    """
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o444)
    try:
        with _naming(path), open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            owners.hand_over(descriptor, path.parent)
            os.fsync(descriptor)
    except BaseException:
        with suppress(OSError):
            path.unlink()
        raise
    sync_folder(path.parent)


def make_folder(path: Path, *, mode: int = 0o700) -> None:
    """Make a folder and those above it, where they are not there yet; durable when this returns."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    for folder in reversed(missing):
        owners.create_folder(folder, mode if folder == path else 0o777)
        sync_folder(folder.parent)


def sync_file(path: Path) -> None:
    """Make sure that a file stays as it is, and its name with it."""
    _sync(path)
    sync_folder(path.parent)


def _sync(path: Path) -> None:
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Make sure that what was named or renamed in a folder stays so."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
