"""Locks of a stack: one file a holder, written first and then compared with the others', as the CLI does.

A holder on this machine that is no longer running is told apart from a living one: the lock also carries when its
process started, so that another process with the same number is not mistaken for it.
"""

from __future__ import annotations

import getpass
import json
import os
import socket
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from pulumi_embedded.backend.files import MAX_SETTINGS_BYTES, read_limited, write_atomic
from pulumi_embedded.backend.layout import Layout, StackName, format_time, listing
from pulumi_embedded.errors import LockedError, StateError


@dataclass(frozen=True)
class Holder:
    """Who holds a lock, since when, and whether that process is known to be gone."""

    path: Path
    pid: int
    username: str
    hostname: str
    since: str
    dead: bool
    recognised: bool = False
    """True when the process `pid` of this machine is certainly the holder, so that it may be told to stop."""

    def sentence(self, url: str) -> str:
        """Return the CLI's line about a lock, with what is known of its process."""
        line = f"{url}: created by {self.username}@{self.hostname} (pid {self.pid}) at {self.since}"
        if self.dead:
            return f"{line}; that process is no longer running, so the lock is stale and `pulumi cancel` may remove it"
        return line


def _process_start(pid: int) -> str | None:
    """Return an identity of the running process `pid` (its start in kernel ticks), None when there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
        fields = stat.rpartition(")")[2].split()
        return None if fields[0] in ("Z", "X") else fields[19]
    except (FileNotFoundError, ProcessLookupError):
        return None if Path("/proc/self/stat").exists() else _exists(pid)
    except (OSError, IndexError):
        return ""


def _exists(pid: int) -> str | None:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except OSError:
        return ""
    return ""


def _boot_id() -> str:
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return ""


def _judge(content: dict[str, Any], own_host: str) -> tuple[bool, bool]:
    """Return whether a lock's holder is known to be gone, and whether it is known to be the process of its number."""
    if content.get("hostname") != own_host:
        return False, False
    boot = content.get("bootId")
    if boot and boot != _boot_id():
        return True, False
    pid = int(content["pid"])
    start = _process_start(pid)
    if start is None:
        return True, False
    recorded = content.get("processStart")
    if recorded and start:
        return recorded != start, recorded == start
    return False, _command_name(pid) == "pulumi"  # the CLI writes no start, but its process has its name


def _command_name(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
    return ""


def _read_holder(path: Path) -> Holder | None:
    try:
        content = json.loads(read_limited(path, MAX_SETTINGS_BYTES))
        since = str(content["timestamp"])
        with suppress(ValueError):
            since = datetime.fromisoformat(since).astimezone().strftime("%Y-%m-%dT%H:%M:%S%z")
        dead, recognised = _judge(content, socket.gethostname())
        return Holder(
            path=path,
            pid=int(content["pid"]),
            username=str(content["username"]),
            hostname=str(content["hostname"]),
            since=since,
            dead=dead,
            recognised=recognised,
        )
    except FileNotFoundError:
        return None  # its holder finished between our listing and our reading
    except (ValueError, KeyError, TypeError, AttributeError, StateError):
        return Holder(path=path, pid=0, username="unknown", hostname="unknown", since="an unknown time", dead=False)


def holders(layout: Layout, name: StackName, own: Path | None = None) -> list[Holder]:
    """Return who holds the stack, `own` lock left out."""
    found = (_read_holder(path) for path in listing(layout.lock_folder(name)) if path != own)
    return [holder for holder in found if holder is not None]


def refusal(layout: Layout, found: list[Holder]) -> LockedError:
    """Return the error that tells who holds the stack since when; its first words are the CLI's."""
    lines = [
        f"the stack is currently locked by {len(found)} lock(s). Either wait for the other process(es) to end or "
        "delete the lock file with `pulumi cancel`."
    ]
    base = layout.location.folder
    lines += [f"  {holder.sentence(f'file://{base / holder.path.relative_to(base)}')}" for holder in found]
    return LockedError("\n".join(lines))


class StackLock:
    """Holds a stack for one command. Use as a context manager."""

    def __init__(self, layout: Layout, name: StackName) -> None:
        """Prepare the lock of this process; nothing is written yet."""
        self._layout = layout
        self._name = name
        self._path = layout.lock_folder(name) / f"{uuid.uuid4()}.json"

    def __enter__(self) -> StackLock:
        """Take the lock.

        Raises:
            LockedError: another process holds it.
        """
        self._refuse_others()
        content = {
            "pid": os.getpid(),
            "username": _username(),
            "hostname": socket.gethostname(),
            "timestamp": format_time(time.time_ns()),
            "processStart": _process_start(os.getpid()) or "",
            "bootId": _boot_id(),
        }
        write_atomic(self._path, json.dumps(content).encode())
        try:
            self._refuse_others()
        except LockedError:
            self._path.unlink(missing_ok=True)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the lock back."""
        self._path.unlink(missing_ok=True)
        remove_empty_lock_folders(self._layout, self._name)

    def _refuse_others(self) -> None:
        found = holders(self._layout, self._name, own=self._path)
        if found:
            raise refusal(self._layout, found)


def remove_empty_lock_folders(layout: Layout, name: StackName) -> None:
    """Leave no empty folder of a stack behind."""
    folder = layout.lock_folder(name)
    while folder != layout.root:
        try:
            folder.rmdir()
        except OSError:
            return
        folder = folder.parent


def _username() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
