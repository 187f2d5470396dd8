"""Owners of files: what root makes belongs to the owner of its folder, and who may not open what.

A service runs as a user of its own, and whoever administers it often as root. A file of root's in
the service's folder would lock the service out.
"""

import errno
import os
import pwd
import stat
from contextlib import suppress
from pathlib import Path

_FOLDER = os.R_OK | os.W_OK | os.X_OK
_FILE = os.R_OK | os.W_OK


def create(path: Path, mode: int = 0o600, *, flags: int = os.O_WRONLY) -> int:
    """Make a file where none is and return its descriptor; raises FileExistsError."""
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | flags, mode)
    hand_over(descriptor, path.parent)
    return descriptor


def create_missing(path: Path, mode: int = 0o600) -> None:
    """Make an empty file unless there is one."""
    with suppress(FileExistsError):
        os.close(create(path, mode))


def create_folder(path: Path, mode: int) -> None:
    """Make a folder unless there is one; raises NotADirectoryError where there is a file."""
    try:
        path.mkdir(mode=mode)
    except FileExistsError:
        if path.is_dir():
            return
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path)) from None
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        hand_over(descriptor, path.parent)
    finally:
        os.close(descriptor)


def hand_over(descriptor: int, folder: Path) -> None:
    """Give what root made to the owner of its folder, where the file system lets it.

    By its descriptor: under its name the folder's owner could have put a link to another file.
    """
    if os.geteuid() == 0:
        with suppress(OSError):
            owner = os.stat(folder)
            os.fchown(descriptor, owner.st_uid, owner.st_gid)


def name_of(uid: int) -> str:
    """Return a user's name, or the number of one without a name."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def denial(path: Path, *, write: bool = False) -> str | None:
    """Return why this process may not read a file, or write it; None where nothing denies it.

    The sentence names the file or the folder above it that is closed, its owner and this process's.
    """
    for each in (*reversed(path.absolute().parents), path):
        try:
            found = os.stat(each)
        except OSError:
            return None  # it is not there, or there is another reason
        if each != path and not stat.S_ISDIR(found.st_mode):
            return None
        needed = os.X_OK if each != path else _needed(found) if write else os.R_OK
        if not os.access(each, needed, effective_ids=True):
            if needed & os.W_OK and os.statvfs(each).f_flag & os.ST_RDONLY:
                return f"{each} is on a file system that is mounted read-only"
            mode = stat.S_IMODE(found.st_mode)
            return (
                f"permission denied: {each} belongs to {name_of(found.st_uid)} (mode {mode:03o}),"
                f" and this process runs as {name_of(os.geteuid())}"
            )
    return None


def unreadable(path: Path, error: OSError) -> str:
    """Return a sentence about a file that cannot be read."""
    return f"{path} cannot be read: {denial(path) or error.strerror or error}"


def _needed(found: os.stat_result) -> int:
    """Return the rights that it takes to read and write a file, or the entries of a folder."""
    return _FOLDER if stat.S_ISDIR(found.st_mode) else _FILE


def has_rights(uid: int, found: os.stat_result, needed: int) -> bool:
    """Return whether the rights of a file give a user what is needed of it (R_OK, W_OK, X_OK)."""
    if uid == 0:
        return True
    in_group = found.st_uid != uid and found.st_gid in _groups(uid)
    shift = 6 if found.st_uid == uid else 3 if in_group else 0
    return found.st_mode >> shift & needed == needed


def _groups(uid: int) -> list[int]:
    try:
        user = pwd.getpwuid(uid)
    except KeyError:
        return []
    return os.getgrouplist(user.pw_name, user.pw_gid)
