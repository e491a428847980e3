"""The folder of the running local stack: made before everything else, removed after everything else."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pulumi
import pulumi.dynamic

from components.local.accounts import own_folder
from components.local.errors import LocalPlatformError
from components.local.leftovers import end_leftovers
from components.local.provider import LocalProvider, Properties

# Only a folder with this file in it is ever removed.
MARK = ".railyard-local-stack"
UNUSABLE_IN_PATHS = (" ;", " #", '"', "'", "[", "]", "*", "?", "\n")


@dataclass(frozen=True)
class FolderArgs:
    """Arguments of `Folder`: `path` is absolute."""

    path: str


class FolderProvider(LocalProvider):
    """The folder by its path; deleting it ends what still runs out of it."""

    replaced_by = frozenset({"path"})

    def problems(self, inputs: Properties) -> dict[str, str]:
        path = inputs.get("path")
        # supervisord's settings take what follows " ;" or " #" for a comment and the others for patterns, unquotable.
        if isinstance(path, str) and any(sign in path for sign in UNUSABLE_IN_PATHS):
            return {
                "path": f"The state folder {path} has a quote, a bracket, a wildcard, or a space before ; or #, in its "
                "path: choose another with RAILYARD_STATE."
            }
        return {}

    def make(self, inputs: Properties) -> tuple[str, Properties]:
        path = Path(inputs["path"])
        # PostgreSQL's account must be able to pass through, though not to list.
        own_folder(path, mode=0o711)
        if os.geteuid() == 0 and path.parent.stat().st_uid == 0:
            path.parent.chmod(path.parent.stat().st_mode | 0o111)
        (path / MARK).touch(mode=0o600)
        return str(path), {"path": str(path)}

    def observe(self, identifier: str, recorded: Properties) -> Properties | None:
        return recorded if (Path(recorded["path"]) / MARK).exists() else None

    def remove(self, identifier: str, recorded: Properties) -> None:
        path = Path(recorded["path"])
        end_leftovers(path, data_folder=path)
        if not path.exists():
            return
        if not (path / MARK).exists():
            raise LocalPlatformError(
                f"{path} was not made by Railyard ({MARK} is missing in it): look into it and remove it by hand."
            )
        # The mark goes last: an interrupted removal can be finished by the next one.
        for entry in path.iterdir():
            if entry.name == MARK:
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
        shutil.rmtree(path)


class Folder(pulumi.dynamic.Resource, module="railyard", name="Folder"):
    """The folder all others live in; `path` is its place."""

    path: pulumi.Output[str]

    def __init__(self, name: str, args: FolderArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(FolderProvider(), name, {"path": args.path}, opts)
