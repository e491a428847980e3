"""Bringing a state folder of the legacy layout, stacks without projects, to version 1, as `state upgrade` does.

A legacy stack's files stand directly in `.pulumi/stacks`, its history in `.pulumi/history/<stack>`. Its project is that
of its resources' URNs. Source: pulumi `pkg/backend/diy/backend.go` (`Upgrade`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pulumi_embedded.backend.files import MAX_SETTINGS_BYTES, copy_atomic, read_limited, write_atomic
from pulumi_embedded.backend.layout import (
    Layout,
    StackName,
    is_name,
    listing,
    read_checkpoint,
    stack_of_file,
)
from pulumi_embedded.backend.location import Location
from pulumi_embedded.backend.locks import StackLock
from pulumi_embedded.errors import EngineError, StateError
from pulumi_embedded.state.deployment import Deployment
from pulumi_embedded.urn import urn_project


@dataclass(frozen=True)
class LegacyStack:
    """One stack of the legacy layout; `project` is "" where no resource tells it."""

    path: Path
    name: str
    deployment: Deployment | None
    project: str


def legacy_stacks(location: Location) -> list[LegacyStack]:
    """Return the stacks of the legacy layout, by name.

    Raises:
        StateError: one of them cannot be read; nothing was changed yet.
    """
    found = []
    for path in listing(location.folder / ".pulumi" / "stacks"):
        name = stack_of_file(path)
        if name is None:
            continue
        try:
            deployment = read_checkpoint(read_limited(path))
        except StateError as error:
            raise StateError(
                f"the legacy stack '{name}' ({path}) cannot be read: {error}; nothing was changed"
            ) from None
        resources = deployment.resources if deployment else []
        project = urn_project(str(resources[0].get("urn", ""))) if resources else ""
        found.append(LegacyStack(path, name, deployment, project))
    return found


def upgrade(
    location: Location, stacks: list[LegacyStack], now_ns: Callable[[], int], warn: Callable[[str], None]
) -> int:
    """Move the stacks into version 1; tell those that stay in `warn` and return how many moved.

    The version is written first, as by the CLI: a folder that cannot be written is left as it was.

    Raises:
        EngineError: the folder cannot be written.
    """
    meta = location.folder / ".pulumi" / "meta.yaml"
    try:
        text = read_limited(meta, MAX_SETTINGS_BYTES)
        legacy = re.search(rb"^version:\s*0\s*$", text, re.MULTILINE) is not None
    except FileNotFoundError:
        legacy = True
    if legacy:
        write_atomic(meta, b"version: 1\n")
    layout = Layout(location, now_ns)
    moved = 0
    for stack in stacks:
        if not is_name(stack.project):
            warn(f'Skipping stack "{stack.name}": no project name found')
            continue
        try:
            _move(layout, stack)
            moved += 1
        except EngineError as error:
            warn(f'Skipping stack "{stack.name}": {error}')
    return moved


def _move(layout: Layout, stack: LegacyStack) -> None:
    name = StackName(stack.project, stack.name)
    held = [path for path in listing(layout.root / "locks" / stack.name) if path.is_file()]
    if held:
        raise EngineError(f"the stack is locked by {held[0]}")
    with StackLock(layout, name):
        if layout.exists(name):
            raise EngineError(f"a stack named {name.full} already exists")
        layout.write(name, stack.deployment)
        stack.path.replace(stack.path.with_name(stack.path.name + ".bak"))
        tags = stack.path.parent / f"{stack.name}.pulumi-tags"
        if tags.is_file():
            tags.replace(layout.checkpoint_path(name).parent / tags.name)
        for path in list(listing(layout.root / "history" / stack.name)):
            if path.name.rpartition("-")[0] == stack.name:
                copy_atomic(path, layout.folder("history", name) / path.name)
                path.unlink(missing_ok=True)
