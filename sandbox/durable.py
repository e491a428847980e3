"""SQLite as both counterparts use it: one writer, group commit, nothing answered before it is on the disk."""

import asyncio
import fcntl
import os
import queue
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, TypeVar

T = TypeVar("T")
Change = Callable[[sqlite3.Connection], T]
_MAX_GROUP = 256


def write_file(path: Path, data: bytes, *, mode: int) -> None:
    """Replace a file whole and durably: readers see the old or the new bytes, also after a power cut."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.chmod(mode)
    part.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


class FolderInUseError(Exception):
    """Another process works on the folder; the message says so in one sentence."""


def hold_folder(folder: Path) -> BinaryIO:
    """Make the folder, and hold it until the returned file is closed or the process ends, however it ends.

    Raises:
        FolderInUseError: another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = (folder / "lock").open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as refusal:
        file.close()
        raise FolderInUseError(
            f"{folder} is in use by another process; stop it, or use another --data folder"
        ) from refusal
    return file


def connect(path: Path) -> sqlite3.Connection:
    """Open the database; every commit is fsynced (WAL with synchronous=FULL)."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")
    return connection


class Writer:
    """The one writer: a thread that runs waiting changes in one transaction and commits them together.

    A change that raises is undone alone (savepoint); the others of its group are kept.
    """

    def __init__(self, connection: sqlite3.Connection, loop: asyncio.AbstractEventLoop) -> None:
        self._connection = connection
        self._loop = loop
        self._queue: queue.SimpleQueue[tuple[Change[object], asyncio.Future[object]] | None] = queue.SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    async def run(self, change: Change[T]) -> T:
        """Run a change and return its result once it is on the disk.

        Raises:
            Exception: whatever the change raised; then nothing of it is kept.
        """
        if self._closed:
            raise RuntimeError("the writer is closed")
        future: asyncio.Future[T] = self._loop.create_future()
        self._queue.put((change, future))  # type: ignore[arg-type]
        # Once queued, a change happens; a caller that goes away must not be able to half-cancel it.
        return await asyncio.shield(future)

    def close(self) -> None:
        """Finish what is queued and stop."""
        self._closed = True
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while True:
            item = self._queue.get()
            if item is None:
                return
            group, last = self._collect(item)
            self._commit(group)
            if last:
                return

    def _collect(
        self, first: tuple[Change[object], asyncio.Future[object]]
    ) -> tuple[list[tuple[Change[object], asyncio.Future[object]]], bool]:
        group = [first]
        while len(group) < _MAX_GROUP:
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                return group, False
            if item is None:
                return group, True
            group.append(item)
        return group, False

    def _commit(self, group: list[tuple[Change[object], asyncio.Future[object]]]) -> None:
        outcomes: list[tuple[asyncio.Future[object], object, BaseException | None]] = []
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for change, future in group:
                outcomes.append((future, *self._apply(change)))
            self._connection.execute("COMMIT")
        except BaseException as failure:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            outcomes = [(future, None, failure) for _, future in group]
        self._loop.call_soon_threadsafe(_resolve, outcomes)

    def _apply(self, change: Change[object]) -> tuple[object, BaseException | None]:
        self._connection.execute("SAVEPOINT change")
        try:
            result = change(self._connection)
        except Exception as failure:
            self._connection.execute("ROLLBACK TO change")
            self._connection.execute("RELEASE change")
            return None, failure
        self._connection.execute("RELEASE change")
        return result, None


def _resolve(outcomes: list[tuple[asyncio.Future[object], object, BaseException | None]]) -> None:
    for future, result, failure in outcomes:
        if future.done():
            continue
        if failure is None:
            future.set_result(result)
        else:
            future.set_exception(failure)
