"""Files that are whole after a kill or a power cut: written aside, synced, renamed."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from components.local.accounts import account_named, give_to


def write_durably(path: Path, content: str, mode: int, account: str = "") -> None:
    """Replace `path` by `content` in one step; a reader sees the old file or the new one.

    The rename is also what makes Envoy notice: it watches for files moved into place.

    Args:
        mode: permission bits from the first byte on, whatever the umask.
        account: name of the owner; the account we run under if empty.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o711)
    unfinished = path.parent / f".{path.name}.unfinished"
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        give_to(unfinished, account_named(account))
        unfinished.rename(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def mode_of(path: Path) -> str:
    """The permission bits of `path` as they are written in settings: "0600"."""
    return f"{stat.S_IMODE(path.stat().st_mode):04o}"


def end_of(path: Path, since_byte: int = 0) -> str:
    """The end of a log, no more than 8 KiB; "" when there is none."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(since_byte if since_byte <= size else 0, size - 8192))
            return file.read().decode("utf-8", errors="replace")
    except FileNotFoundError:
        return ""


def last_line(path: Path, since_byte: int = 0) -> str:
    """The last line of a log that is not empty, no more than 300 characters; "" when there is none.

    When a line before it names the error (PostgreSQL writes "database system is shut down" last), that one goes first.
    """
    lines = [line.strip() for line in end_of(path, since_byte).splitlines() if line.strip()]
    if not lines:
        return ""
    last = lines[-1][:300]
    telling = [line for line in lines[-20:] if any(word in line for word in ("FATAL:", "PANIC:"))]
    if telling and telling[-1] != lines[-1]:
        return f"{telling[-1][:300]} … {last}"
    return last
