"""Who is working on a stack: Railyard's own lock, and those the engine left in its backend."""

from __future__ import annotations

import fcntl
import getpass
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from operations.checkout import State
from operations.errors import OperationError


@dataclass(frozen=True)
class EngineLock:
    """A lock file of the engine's backend.

    Attributes:
        alive: whether the process that wrote it may still run; True where that cannot be told (another machine).
    """

    path: Path
    pid: int
    username: str
    hostname: str
    timestamp: str
    alive: bool

    @property
    def holder(self) -> str:
        taken = _moment(self.timestamp)
        since = taken.astimezone().strftime("%Y-%m-%d %H:%M:%S") if taken else self.timestamp
        return f"{self.username}@{self.hostname} (process {self.pid}, since {since})"


def engine_locks(state: State, stack: str) -> list[EngineLock]:
    """The locks on a stack, oldest first. A file that is no lock is left to the engine to judge."""
    found = []
    for path in sorted(state.locks(stack).glob("*.json")):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            pid, hostname = int(content["pid"]), str(content["hostname"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
        timestamp = str(content.get("timestamp", "an unknown time"))
        alive = hostname != socket.gethostname() or _runs_since(pid, timestamp)
        found.append(EngineLock(path, pid, str(content.get("username", "somebody")), hostname, timestamp, alive))
    return sorted(found, key=lambda lock: lock.timestamp)


def _runs_since(pid: int, timestamp: str) -> bool:
    """Whether the process that took a lock at `timestamp` (RFC 3339) still runs: a later one may have its number."""
    import psutil

    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        started = process.create_time()
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True
    taken = _moment(timestamp)
    # The kernel's start times are whole ticks counted from an estimated boot.
    return taken is None or started <= taken.timestamp() + 2


def _moment(timestamp: str) -> datetime | None:
    try:
        return datetime.fromisoformat(timestamp)
    except ValueError:
        return None


@contextmanager
def railyard_lock(state: State, doing: str) -> Iterator[None]:
    """Hold the state folder for one command that changes the stack. The kernel lets go of it however we end.

    Raises:
        OperationError: another command holds it; says who and since when.
    """
    path = state.folder / "railyard.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "r+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            held = file.read().strip() or "another process"
            raise OperationError(f"{held} is working on this stack: wait for it to end, or stop it.") from None
        file.truncate()
        since = datetime.now(tz=UTC).astimezone().strftime("%H:%M:%S")
        file.write(f"./railyard {doing} of {getpass.getuser()} (process {os.getpid()}, since {since})")
        file.flush()
        try:
            yield
        finally:
            file.seek(0)
            file.truncate()
