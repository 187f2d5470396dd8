"""Who owns the files of a ledger, and what the service's user could not do with them."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from ledger import owners
from ledger.signing.keys import Keys
from ledger.sqlite.connection import SIDE_FILES

MOST = 20  # files that are named


def wrong_rights(path: Path, keys: Keys, settings_folders: list[Path]) -> Iterator[str]:
    """Yield a sentence for each file, or folder, that has a wrong owner or wrong rights.

    The service's user is the owner of the ledger's folder; if root made that, of the folder above.
    """
    service = service_user(path)
    data_dir = path.parent.parent
    folders = dict.fromkeys((data_dir, path.parent, keys.folder, *settings_folders))
    files = [each for folder in list(folders)[:3] for each in _files_in(folder)]
    yield from _closed(service, list(folders))
    found = [says for file in dict.fromkeys(files) if (says := _wrong(service, file, path))]
    yield from found[:MOST]
    if len(found) > MOST:
        yield f"and {len(found) - MOST:,} more files"


def service_user(path: Path) -> os.stat_result:
    """Return what says who the service runs as: the ledger's folder, or the one above."""
    own, above = os.stat(path.parent), os.stat(path.parent.parent)
    return own if own.st_uid else above


def _files_in(folder: Path) -> list[Path]:
    try:
        return sorted(each for each in folder.iterdir() if each.is_file())
    except OSError:  # told of by its folder
        return []


def _closed(service: os.stat_result, folders: list[Path]) -> Iterator[str]:
    """Yield a sentence for each folder that the service's user, or this one, may not use."""
    user = owners.name_of(service.st_uid)
    above = dict.fromkeys(parent for folder in folders for parent in folder.absolute().parents)
    for folder in dict.fromkeys((*above, *folders)):
        needed = os.R_OK | os.W_OK | os.X_OK if folder in folders else os.X_OK
        try:
            found = os.stat(folder)
        except OSError:
            continue  # it is not there, or under one that is closed
        if not owners.has_rights(service.st_uid, found, needed):
            does = "enter" if needed == os.X_OK else "read and write"
            yield f"{user}, as whom the service runs, cannot {does} {folder}, {_owner(found)}"
        elif not os.access(folder, needed, effective_ids=True):
            yield f"{folder} cannot be used by this process: {owners.denial(folder, write=True)}"


def _wrong(service: os.stat_result, file: Path, ledger: Path) -> str | None:
    """Return what is wrong with the owner or the rights of a file."""
    try:
        found = os.stat(file)
    except OSError:  # removed meanwhile: a log, a draft
        return None
    user = owners.name_of(service.st_uid)
    usable = owners.has_rights(service.st_uid, found, os.R_OK | os.W_OK)
    if found.st_uid != service.st_uid:
        cannot = "" if usable else ", who cannot read and write it"
        mend = f"chown {service.st_uid}:{service.st_gid} {file}"
        return f"{file} is {_owner(found)}, and its folder is for {user}{cannot}: {mend}"
    if not usable:
        return f"{user}, as whom the service runs, cannot read and write {file}: chmod 600 {file}"
    if not os.access(file, os.R_OK | os.W_OK, effective_ids=True):
        return f"{file} cannot be used by this process: {owners.denial(file, write=True)}"
    private = file.name in SIDE_FILES or file.name.startswith(ledger.name)
    if private and stat.S_IMODE(found.st_mode) & 0o077:
        return f"others can open {file}: chmod 600 {file}"
    return None


def _owner(found: os.stat_result) -> str:
    return f"owned by {owners.name_of(found.st_uid)} (mode {stat.S_IMODE(found.st_mode):03o})"
