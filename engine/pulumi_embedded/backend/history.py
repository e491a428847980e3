"""What happened to a stack: a pair of files for every update, and the last checkpoints as backups."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pulumi_embedded.backend.files import copy_atomic, read_limited, write_atomic
from pulumi_embedded.backend.layout import Layout, StackName, listing
from pulumi_embedded.errors import StateError
from pulumi_embedded.state.deployment import parse_json

KEPT_BACKUPS = 10
_HISTORY = (".history.json", ".history.json.gz", ".history.json.zst")


@dataclass
class UpdateRecord:
    """One update as the history keeps it; times in seconds since 1970, config values sealed as in the settings file."""

    kind: str
    start_time: int
    end_time: int
    result: str
    message: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    resource_changes: dict[str, int] = field(default_factory=dict)
    version: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return the record in the CLI's form."""
        return {
            "kind": self.kind,
            "startTime": self.start_time,
            "message": self.message,
            "environment": self.environment,
            "config": self.config,
            "version": self.version,
            "result": self.result,
            "endTime": self.end_time,
            "resourceChanges": self.resource_changes,
        }

    @classmethod
    def from_json(cls, data: Any, where: str) -> UpdateRecord:
        """Read a record of either engine.

        Raises:
            StateError: it is damaged.
        """
        try:
            return cls(
                kind=str(data["kind"]),
                start_time=int(data.get("startTime", 0)),
                end_time=int(data.get("endTime", 0)),
                result=str(data.get("result", "")),
                message=str(data.get("message", "")),
                environment={str(key): str(value) for key, value in (data.get("environment") or {}).items()},
                config=dict(data.get("config") or {}),
                resource_changes={str(k): int(v) for k, v in (data.get("resourceChanges") or {}).items()},
                version=int(data.get("version", 0)),
            )
        except (KeyError, TypeError, ValueError, AttributeError):
            raise StateError(f"the history file {where} is damaged") from None


def add_update(layout: Layout, name: StackName, record: UpdateRecord) -> None:
    """Write the pair of files of one update: what it was, and the checkpoint it left."""
    folder = layout.folder("history", name)
    stem = f"{name.stack}-{layout.now_ns()}"
    text = json.dumps(record.to_json(), separators=(",", ":"), ensure_ascii=False)
    write_atomic(folder / f"{stem}.history.json", text.encode())
    source = layout.checkpoint_path(name)
    copy_atomic(source, folder / f"{stem}.checkpoint{source.name.removeprefix(name.stack)}")


def add_backup(layout: Layout, name: StackName) -> None:
    """Keep the present checkpoint as a backup, and the last ten of them."""
    source = layout.checkpoint_path(name)
    folder = layout.folder("backups", name)
    copy_atomic(source, folder / f"{name.stack}.{layout.now_ns()}{source.name.removeprefix(name.stack)}")
    backups = sorted(listing(folder), key=_stamp)
    for old in backups[: max(0, len(backups) - KEPT_BACKUPS)]:
        old.unlink(missing_ok=True)
        old.with_name(old.name + ".attrs").unlink(missing_ok=True)


def _stamp(path: Path) -> int:
    return max((int(part) for part in path.name.replace("-", ".").split(".") if part.isdigit()), default=0)


def read_updates(layout: Layout, name: StackName, page_size: int = 0, page: int = 1) -> list[UpdateRecord]:
    """Return the stack's updates, newest first; `page_size` 0 means all of them, pages count from 1."""
    files = [path for path in listing(layout.folder("history", name)) if path.name.endswith(_HISTORY)]
    files.sort(key=_stamp, reverse=True)
    if page_size > 0:
        start = (max(page, 1) - 1) * page_size
        files = files[start : start + page_size]
    records = []
    for path in files:
        records.append(UpdateRecord.from_json(parse_json(read_limited(path), f"the history file {path}"), str(path)))
    return records


def rename_history(layout: Layout, old: StackName, new: StackName) -> None:
    """Move a stack's history under its new name."""
    for path in list(listing(layout.folder("history", old))):
        stem, dash, rest = path.name.rpartition("-")
        if dash and stem == old.stack:
            copy_atomic(path, layout.folder("history", new) / f"{new.stack}-{rest}")
            path.unlink(missing_ok=True)
            path.with_name(path.name + ".attrs").unlink(missing_ok=True)
    for folder in (layout.folder("history", old), layout.folder("history", old).parent):
        try:
            folder.rmdir()
        except OSError:
            return
