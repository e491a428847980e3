"""The durable record of a running update, one checksummed line an entry, on disk before the engine goes on.

The first line names the checkpoint that the entries build on; before a checkpoint made of them is written, its own
digest is appended. So a later command can tell an unfolded journal from a folded one, and from one whose state has been
changed by somebody else since. Secrets in entries are sealed exactly as in the checkpoint.
"""

from __future__ import annotations

import json
import os
import threading
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from pulumi_embedded.backend.files import MAX_STATE_BYTES, explain, make_folder, read_limited, sync_folder, write_atomic
from pulumi_embedded.errors import EngineError, StateError
from pulumi_embedded.state.resource import ResourceState
from pulumi_embedded.state.sealing import Sealer

_START, _FINISH = "start", "finish"
_SEALED = ("inputs", "outputs", "replacementTrigger")


def _line(entry: dict[str, Any]) -> bytes:
    text = json.dumps(entry, separators=(",", ":"), ensure_ascii=False).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _entry(line: bytes) -> dict[str, Any] | None:
    """Return the entry of one line, None when the line is not whole."""
    checksum, space, text = line.partition(b" ")
    try:
        if not space or int(checksum, 16) != zlib.crc32(text):
            return None
        entry = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) else None


def _seal_entry(entry: dict[str, Any], sealer: Sealer) -> dict[str, Any]:
    return {key: _seal_item(key, value, sealer) for key, value in entry.items()}


def _seal_item(key: str, value: Any, sealer: Sealer) -> Any:
    if isinstance(value, ResourceState):
        value = value.to_json()
    if not isinstance(value, dict) or "urn" not in value:
        return sealer.seal(value, f"journal.{key}")
    # The same places as in the checkpoint, so that a secret has one ciphertext in both.
    return {
        name: sealer.seal(item, f"{value['urn']}.{name}") if name in _SEALED and item is not None else item
        for name, item in value.items()
    }


class JournalWriter:
    """Appends entries. Each is on disk when `append` returns; the cost does not depend on the stack's size."""

    def __init__(self, path: Path, sealer: Sealer, base_digest: str, head: dict[str, Any]) -> None:
        """Start a new journal at `path`.

        Args:
            path: where; there must be none (a left one is folded first).
            sealer: seals the secrets in resources.
            base_digest: SHA-256 (hex) of the checkpoint that the entries build on.
            head: what else the first line says (kind of update, time, process).

        Raises:
            EngineError: the system refuses.
        """
        self._path = path
        self._sealer = sealer
        self._lock = threading.Lock()
        self._bytes = 0
        make_folder(path.parent)
        try:
            self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
            self._write(_line({"kind": _START, "base": base_digest, **head}))
            sync_folder(path.parent)
        except OSError as error:
            raise EngineError(f"the journal {path} cannot be written: {explain(error)}") from None

    def append(self, entry: dict[str, Any]) -> None:
        """Write one entry of the deployment engine; resource states in it have readable secrets.

        Raises:
            EngineError: the system refuses (no space); the update must stop then.
        """
        self.append_many([entry])

    def append_many(self, entries: Sequence[dict[str, Any]]) -> None:
        """Write entries in order, all of them on disk when this returns.

        Raises:
            EngineError: as `append`; or the journal would be too large to be read again, and these are not in it.
        """
        data = b"".join(_line({"kind": "entry", "entry": _seal_entry(entry, self._sealer)}) for entry in entries)
        if self._bytes + len(data) > MAX_STATE_BYTES:
            raise EngineError(
                f"what this update does to the state is more than {MAX_STATE_BYTES // (1024 * 1024)} MB, the most that "
                "this engine reads: keep large contents in files (assets), not in properties; what came before is kept"
            )
        try:
            self._write(data)
        except OSError as error:
            raise EngineError(f"the journal {self._path} cannot be written: {explain(error)}") from None

    def finish(self, checkpoint_digest: str) -> None:
        """Record that the checkpoint with this SHA-256, about to be written, holds everything in this journal."""
        try:
            self._write(_line({"kind": _FINISH, "checkpoint": checkpoint_digest}))
        except OSError as error:
            raise EngineError(f"the journal {self._path} cannot be written: {explain(error)}") from None

    def _write(self, data: bytes) -> None:
        with self._lock:
            self._bytes += len(data)
            while data:
                data = data[os.write(self._descriptor, data) :]
            os.fdatasync(self._descriptor)

    def close(self) -> None:
        """Close the file; it stays."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def remove(self) -> None:
        """Close and remove the file: its entries are in the checkpoint."""
        self.close()
        self._path.unlink(missing_ok=True)
        sync_folder(self._path.parent)

    def __enter__(self) -> JournalWriter:
        """Return the open journal."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file; it stays until `remove`."""
        self.close()


@dataclass
class Journal:
    """A journal as read."""

    base_digest: str
    head: dict[str, Any] = field(default_factory=dict)
    entries: list[dict[str, Any]] = field(default_factory=list)
    finished_digests: set[str] = field(default_factory=set)


class JournalError(StateError):
    """A journal that cannot be folded. Whoever holds the lock keeps it aside (`why` is part of its new name)."""

    def __init__(self, why: str, sentence: str) -> None:
        super().__init__(sentence)
        self.why = why


def read_journal(path: Path) -> Journal | None:
    """Return the journal at `path`, None when there is none or it was torn before its first line was whole.

    A last line that is not whole was never acknowledged and is dropped.

    Raises:
        JournalError: a line in the middle is damaged. Nothing is moved: the reader may not hold the lock.
    """
    try:
        lines = read_limited(path).split(b"\n")
    except FileNotFoundError:
        return None
    parsed = [_entry(line) for line in lines if line]
    if parsed and parsed[-1] is None:
        parsed.pop()
    if not parsed:
        return None
    if any(entry is None for entry in parsed) or (parsed[0] or {}).get("kind") != _START:
        raise JournalError("corrupt", f"the journal of an interrupted update, {path}, is damaged in the middle")
    first = parsed[0] or {}
    journal = Journal(base_digest=str(first.get("base", "")), head=first)
    for entry in filter(None, parsed[1:]):
        if entry.get("kind") == _FINISH:
            journal.finished_digests.add(str(entry.get("checkpoint")))
        elif entry.get("kind") == "entry" and isinstance(entry.get("entry"), dict):
            journal.entries.append(entry["entry"])
        else:
            raise JournalError("corrupt", f"the journal of an interrupted update, {path}, is damaged in the middle")
    return journal


def mark_finished(path: Path, checkpoint_digest: str) -> None:
    """Add to a left journal that the checkpoint with this SHA-256 holds its entries; its torn last line goes."""
    finish = _line({"kind": _FINISH, "checkpoint": checkpoint_digest})
    with path.open("rb+") as file:
        if _ends_whole(file):
            file.seek(0, os.SEEK_END)
            file.write(finish)
            file.flush()
            os.fdatasync(file.fileno())
            return
    whole = [line for line in read_limited(path).split(b"\n") if line and _entry(line) is not None]
    write_atomic(path, b"\n".join([*whole, finish]))


def _ends_whole(file: BinaryIO) -> bool:
    """Say whether the last line of a journal is whole: only then may another follow it."""
    size, step = file.seek(0, os.SEEK_END), 1 << 16
    while True:
        start = max(0, size - step)
        file.seek(start)
        tail = file.read()
        if start == 0 or tail.count(b"\n") > 1:
            return tail.endswith(b"\n") and _entry(tail[:-1].rpartition(b"\n")[2]) is not None
        step *= 4


def set_aside(path: Path, why: str) -> Path:
    """Move a journal out of the way, never over another file; return where it is now."""
    number = 1
    while (aside := path.with_name(f"{path.name}.{why}-{number}")).exists():
        number += 1
    path.rename(aside)
    sync_folder(path.parent)
    return aside
