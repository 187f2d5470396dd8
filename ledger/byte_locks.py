"""Locks on single bytes of a file, held by whoever has the file open (fcntl(2), F_OFD_SETLK)."""

import errno
import fcntl
import os
import struct


def take(descriptor: int, place: int) -> bool:
    """Lock a byte, unless it is locked by another open file; return whether it is locked here.

    The file has to be open for writing. The lock ends with it, at the latest.
    """
    try:
        _set(descriptor, fcntl.F_WRLCK, place)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return False
        raise
    return True


def release(descriptor: int, place: int, count: int = 1) -> None:
    """Unlock so many bytes, those of them that are locked here."""
    _set(descriptor, fcntl.F_UNLCK, place, count)


def _set(descriptor: int, kind: int, place: int, count: int = 1) -> None:
    wanted = struct.pack("hhqqi4x", kind, os.SEEK_SET, place, count, 0)
    fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, wanted)
