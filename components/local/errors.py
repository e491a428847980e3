"""The one error of the local platform: a sentence that says what happened, where, and how to mend it."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager


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
