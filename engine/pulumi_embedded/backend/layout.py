"""Stacks in the state folder: their names, paths and checkpoints, as version 1 of the CLI's file backend lays them."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pulumi_embedded.backend.files import (
    MAX_SETTINGS_BYTES,
    MAX_STATE_BYTES,
    copy_atomic,
    read_limited,
    sync_folder,
    write_atomic,
)
from pulumi_embedded.backend.location import Location
from pulumi_embedded.errors import (
    EngineError,
    StackNotFoundError,
    StateError,
    UnsupportedError,
    UsageError,
)
from pulumi_embedded.state.deployment import Deployment, parse_json

ORGANIZATION = "organization"
_NAME = re.compile(r"^[A-Za-z0-9_.-]{1,100}$")
_EXTENSIONS = (".json", ".json.gz", ".json.zst")
_LAYOUT_VERSION = 1


@dataclass(frozen=True, order=True)
class StackName:
    """A stack's full name; the organization is always `organization` in a file backend."""

    project: str
    stack: str

    @property
    def full(self) -> str:
        """`organization/<project>/<stack>`."""
        return f"{ORGANIZATION}/{self.project}/{self.stack}"

    def short(self, project: str | None) -> str:
        """Return the stack's name alone within `project`, the full name elsewhere."""
        return self.stack if project == self.project else self.full


def parse_stack_name(text: str, project: str | None) -> StackName:
    """Read `stack`, `organization/stack` or `organization/project/stack`.

    Raises:
        UsageError: the name is malformed, of another organization, or its project is unknown here.
    """
    if not text:
        raise UsageError("stack name must not be empty")
    parts = text.split("/")
    if len(parts) > 3:
        raise UsageError(f"'{text}' is not a stack name; it has the form stack or organization/project/stack")
    if len(parts) > 1 and parts[0] != ORGANIZATION:
        raise UsageError(f"organization name must be '{ORGANIZATION}' in a file backend, not '{parts[0]}'")
    stack = parts[-1]
    project = parts[1] if len(parts) == 3 else project
    if project is None:
        raise UsageError(
            "no Pulumi.yaml project file found; either run this command from a directory containing a Pulumi "
            "project, or pass the fully qualified stack name (organization/project/stack)"
        )
    for what, name in (("stack", stack), ("project", project)):
        if not _NAME.match(name):
            raise UsageError(
                f"'{name}' is not a {what} name: it may only contain alphanumeric, hyphens, underscores, or periods, "
                "100 at most"
            )
    return StackName(project=project, stack=stack)


@dataclass(frozen=True)
class Checkpoint:
    """A stack's checkpoint as read: where, its content's SHA-256 (hex), and the deployment (None right after init)."""

    path: Path
    digest: str
    deployment: Deployment | None


def format_time(nanoseconds: int) -> str:
    """Return RFC 3339 in UTC with the nanoseconds, as the CLI writes times."""
    moment = datetime.fromtimestamp(nanoseconds // 1_000_000_000, tz=UTC)
    fraction = f"{nanoseconds % 1_000_000_000:09d}".rstrip("0")
    return moment.strftime("%Y-%m-%dT%H:%M:%S") + (f".{fraction}" if fraction else "") + "Z"


class Layout:
    """The files of one backend. Knows paths and content; takes no lock."""

    def __init__(self, location: Location, now_ns: Callable[[], int]) -> None:
        """Open the folder, writing `meta.yaml` into a new one.

        Raises:
            EngineError: the folder cannot be written.
            UnsupportedError: the folder is of another layout version.
        """
        self.location = location
        self.now_ns = now_ns
        self.root = location.folder / ".pulumi"
        self._check_meta()

    def _check_meta(self) -> None:
        path = self.root / "meta.yaml"
        try:
            text = read_limited(path, MAX_SETTINGS_BYTES).decode(errors="replace")
        except FileNotFoundError:
            if self.legacy_stacks():
                raise EngineError(
                    f"{self.root} has the legacy layout (stacks without projects), which this engine does not work "
                    "in; run `pulumi state upgrade` once, older versions of Pulumi will not read the folder after it"
                ) from None
            write_atomic(path, f"version: {_LAYOUT_VERSION}\n".encode())
            return
        found = re.search(r"^version:\s*(\d+)\s*$", text, re.MULTILINE)
        if not found:
            raise StateError(f"corrupt store: missing version in {path}")
        if int(found[1]) != _LAYOUT_VERSION:
            raise UnsupportedError(f"layout version {found[1]} of the backend {self.location.url}")

    def folder(self, kind: str, name: StackName) -> Path:
        """Return `.pulumi/<kind>/<project>/<stack>` (kind: backups, history)."""
        return self.root / kind / name.project / name.stack

    def lock_folder(self, name: StackName) -> Path:
        """Return where the locks of a stack stand."""
        return self.root / "locks" / ORGANIZATION / name.project / name.stack

    def journal_path(self, name: StackName) -> Path:
        """Return where the journal of a running or interrupted update stands."""
        return self.root / "journals" / name.project / f"{name.stack}.jsonl"

    def crash_folder(self) -> Path:
        """Return where reports of unexpected errors go."""
        return self.root / "crashes"

    def _base(self, name: StackName) -> Path:
        return self.root / "stacks" / name.project / name.stack

    def checkpoint_path(self, name: StackName) -> Path:
        """Return the stack's file: of the plain and compressed ones the newest, the plain one when there is none."""
        candidates = [Path(f"{self._base(name)}{extension}") for extension in _EXTENSIONS]
        present = [(path.stat().st_mtime_ns, index, path) for index, path in enumerate(candidates) if path.is_file()]
        return max(present)[2] if present else candidates[0]

    def exists(self, name: StackName) -> bool:
        """Say whether the stack has a checkpoint."""
        return self.checkpoint_path(name).is_file()

    def stacks(self, project: str | None = None) -> list[StackName]:
        """Return the stacks of a project (every project's when None), sorted."""
        names: set[StackName] = set()
        folders = [self.root / "stacks" / project] if project else _listing(self.root / "stacks")
        for folder in folders:
            if is_name(folder.name):
                stacks = (stack_of_file(path) for path in _listing(folder))
                names.update(StackName(folder.name, stack) for stack in stacks if stack is not None)
        return sorted(names)

    def legacy_stacks(self) -> list[str]:
        """Return the stacks of the legacy layout, which stand beside those of projects."""
        names = (stack_of_file(path) for path in _listing(self.root / "stacks"))
        return sorted({name for name in names if name is not None})

    def read(self, name: StackName) -> Checkpoint:
        """Read a stack's checkpoint.

        Raises:
            StackNotFoundError: there is none.
            StateError: it is damaged (a copy is then kept aside; the file itself stays as it is) or too large.
        """
        path = self.checkpoint_path(name)
        try:
            data = read_limited(path)
        except FileNotFoundError:
            raise StackNotFoundError(name.stack) from None
        try:
            deployment = read_checkpoint(data)
        except StateError as error:
            raise self._damaged(name, path, data, str(error)) from None
        return Checkpoint(path=path, digest=hashlib.sha256(data).hexdigest(), deployment=deployment)

    def _damaged(self, name: StackName, path: Path, data: bytes, reason: str) -> StateError:
        aside = path.with_name(f"{path.name}.corrupt-{hashlib.sha256(data).hexdigest()[:8]}")
        if not aside.exists():
            copy_atomic(path, aside)
        backups = sorted(
            (path for path in _listing(self.folder("backups", name)) if path.name.endswith(_EXTENSIONS)),
            key=lambda path: path.stat().st_mtime_ns,
        )
        mend = (
            f"restore the last backup with `pulumi stack import --stack {name.full} --file {backups[-1]}`"
            if backups
            else f"mend it and bring it back with `pulumi stack import --stack {name.full} --file <file>`"
        )
        return StateError(
            f"the state of stack '{name.stack}' is damaged: {reason}; {path} was not touched and a copy is kept as "
            f"{aside.name}; {mend}"
        )

    def write(self, name: StackName, deployment: Deployment | None) -> str:
        """Replace a stack's checkpoint, the old one becoming `.bak`; return the SHA-256 (hex) of what was written.

        Raises:
            EngineError: the system refuses; the old checkpoint is untouched.
        """
        data = self.encode(name, deployment)
        self.write_encoded(name, data)
        return hashlib.sha256(data).hexdigest()

    def encode(self, name: StackName, deployment: Deployment | None) -> bytes:
        """Return the bytes of a checkpoint file."""
        if deployment is None:
            envelope: dict[str, Any] = {"version": 3, "checkpoint": {"stack": name.full}}
        else:
            envelope = deployment.envelope("checkpoint")
            envelope["checkpoint"] = {"stack": name.full, "latest": envelope["checkpoint"]}
        return json.dumps(envelope, separators=(",", ":"), ensure_ascii=False).encode()

    def write_encoded(self, name: StackName, data: bytes) -> None:
        """Replace a stack's checkpoint by bytes of `encode`.

        Raises:
            EngineError: they are too large to be read again, or the system refuses; the old checkpoint is untouched.
        """
        if len(data) > MAX_STATE_BYTES:
            raise EngineError(
                f"the state of stack '{name.stack}' would have {len(data) // (1024 * 1024)} MB, and this engine reads "
                f"{MAX_STATE_BYTES // (1024 * 1024)} at most: keep large contents in files (assets), not in properties"
            )
        old = self.checkpoint_path(name)
        plain = Path(f"{self._base(name)}.json")
        if old.is_file():
            copy_atomic(old, old.with_name(old.name + ".bak"))
        write_atomic(plain, data)
        if old != plain and old.is_file():
            old.unlink()
            sync_folder(old.parent)

    def remove(self, name: StackName, *, keep_backups: bool) -> None:
        """Remove a stack's files; its last checkpoint stays as `.bak` unless its backups go too."""
        path = self.checkpoint_path(name)
        if keep_backups and path.is_file():
            path.replace(path.with_name(path.name + ".bak"))
        for extra in _listing(path.parent):
            own = extra.name.startswith(f"{name.stack}.json") or extra.name == f"{name.stack}.pulumi-tags"
            if own and not (keep_backups and ".bak" in extra.name) and ".corrupt-" not in extra.name:
                extra.unlink(missing_ok=True)
        _remove_folder(self.folder("history", name))
        if not keep_backups:
            _remove_folder(self.folder("backups", name))
        self.journal_path(name).unlink(missing_ok=True)
        _remove_if_empty(self.journal_path(name).parent)
        _remove_if_empty(path.parent)

    def read_tags(self, name: StackName) -> dict[str, str]:
        """Return a stack's tags."""
        path = Path(f"{self._base(name)}.pulumi-tags")
        try:
            data = parse_json(read_limited(path, MAX_SETTINGS_BYTES), str(path))
        except FileNotFoundError:
            return {}
        tags = data.get("tags") if isinstance(data, dict) else None
        if not isinstance(tags, dict):
            raise StateError(f"{path} is damaged: it has no tags")
        return {str(key): str(value) for key, value in tags.items()}

    def write_tags(self, name: StackName, tags: dict[str, str]) -> None:
        """Replace a stack's tags."""
        path = Path(f"{self._base(name)}.pulumi-tags")
        if tags:
            write_atomic(path, json.dumps({"version": 1, "tags": dict(sorted(tags.items()))}).encode())
        else:
            path.unlink(missing_ok=True)


def read_checkpoint(data: bytes) -> Deployment | None:
    """Return the deployment in a checkpoint file's content, None right after init.

    Raises:
        StateError: it is damaged.
    """
    envelope = parse_json(data, "the file")
    if not isinstance(envelope, dict):
        raise StateError("the file is not a JSON object")
    checkpoint = envelope.get("checkpoint")
    if not isinstance(checkpoint, dict):
        raise StateError("the file has no checkpoint")
    latest = checkpoint.get("latest")
    deployment = Deployment.from_json(latest or {}, envelope.get("version"), envelope.get("features"))
    return deployment if latest else None


def is_name(text: str) -> bool:
    """Say whether `text` can be a stack's or a project's name."""
    return bool(_NAME.match(text))


def stack_of_file(path: Path) -> str | None:
    """Return the name of the stack whose checkpoint `path` is, None of any other file."""
    extension = next((extension for extension in _EXTENSIONS if path.name.endswith(extension)), None)
    if extension is None or not path.is_file():
        return None
    stack = path.name.removesuffix(extension)
    return stack if is_name(stack) else None


def _listing(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise EngineError(f"{folder} cannot be listed: {error.strerror}") from None


def listing(folder: Path) -> Iterator[Path]:
    """Yield the finished files of a folder, oldest name first; nothing when there is no such folder."""
    return (path for path in _listing(folder) if not path.name.startswith(".") and not path.name.endswith(".attrs"))


def _remove_folder(folder: Path) -> None:
    import shutil

    shutil.rmtree(folder, ignore_errors=True)
    _remove_if_empty(folder.parent)


def _remove_if_empty(folder: Path) -> None:
    try:
        os.rmdir(folder)  # noqa: PTH106 - the one call whose refusal of a full folder is wanted
    except OSError:
        return
