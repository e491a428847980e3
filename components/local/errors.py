"""The one error of the local platform: a sentence that says what happened, where, and how to mend it."""

from __future__ import annotations

import errno
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class LocalPlatformError(Exception):
    """Something on this machine stands in the way; the message is a whole sentence for a person."""


_REASONS = {
    errno.ENOSPC: "No space is left on the disk that holds {path}: free some and run the command again.",
    errno.EDQUOT: "The disk quota for {path} is used up: free some space and run the command again.",
    errno.EROFS: "{path} is on a read-only file system: choose another state folder with RAILYARD_STATE.",
    errno.EACCES: "This account may not use {path}: give it access, or choose another RAILYARD_STATE.",
    errno.EPERM: "This account may not change {path}: give it access, or choose another RAILYARD_STATE.",
    errno.ENOTDIR: "Part of the path {path} is a file, not a folder: move that file away.",
    errno.EMFILE: "Too many files are open for {path}: raise the limit with `ulimit -n`.",
    errno.ENAMETOOLONG: "The path {path} is too long for this system: choose a shorter RAILYARD_STATE.",
}


# What PostgreSQL (data and write-ahead log), Redis and the service's own libraries print when a disk is full.
_FULL_DISK = re.compile(
    r"No space left on device|wrote only \d+ of \d+ bytes|Check free disk space|Disk quota exceeded"
    r"|could not write init file|unable to persist to disk|Write error (saving|writing)|Errno 28",
    re.IGNORECASE,
)
# Below this a server cannot start, nor even write into its log why.
_LEAST_FREE_BYTES = 1024 * 1024


def says_full(said: str) -> bool:
    """Whether what a server printed comes to a full disk."""
    return _FULL_DISK.search(said) is not None


def with_cure(reason: str, said: str, path: str | Path = "") -> str:
    """`reason`, and that the disk is full where that is what it comes to.

    Args:
        reason: a sentence.
        said: all that the server printed of it.
        path: on the disk in question; looked at when given, because a server may have had no room to say why.
    """
    full = says_full(said)
    if path and not full:
        try:
            full = shutil.disk_usage(path).free < _LEAST_FREE_BYTES
        except OSError:
            full = False
    if not full:
        return reason
    where = f"that holds {path}" if path else "of its data"
    return f"{reason.removesuffix('.')}. The disk {where} is full: free some space and run the command again."


def sentence(error: OSError) -> str:
    """`error` of the operating system as one sentence."""
    path = error.filename if error.filename is not None else "the state folder"
    if isinstance(path, bytes):
        path = path.decode(errors="replace")
    known = _REASONS.get(error.errno or 0)
    if known is not None:
        return known.format(path=path)
    return f"{error.strerror or type(error).__name__} at {path}: look at that path and run the command again."


@contextmanager
def sentences() -> Iterator[None]:
    """Turn errors of the operating system into `LocalPlatformError`; a traceback tells a person nothing."""
    try:
        yield
    except OSError as error:
        raise LocalPlatformError(sentence(error)) from None
