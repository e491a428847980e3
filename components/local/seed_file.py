"""A file that is written once and then belongs to somebody else: the judge's weights, the rollback stack's route.

No later `pulumi up` may plan a change to it, so that traffic is never moved by an update.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pulumi
import pulumi.dynamic

from components.local.durable_file import write_durably
from components.local.provider import LocalProvider, Properties


@dataclass(frozen=True)
class SeedFileArgs:
    """Arguments of `SeedFile`: absolute `path`, the `content` it begins with."""

    path: pulumi.Input[str]
    content: pulumi.Input[str]


class SeedFileProvider(LocalProvider):
    """The file by its path. Content found there is kept, on creation as well as later."""

    replaced_by = frozenset({"path"})
    only_at_creation = frozenset({"content"})

    def make(self, inputs: Properties) -> tuple[str, Properties]:
        path = Path(inputs["path"])
        if not path.exists():
            write_durably(path, inputs["content"], 0o644)
        return inputs["path"], inputs

    def observe(self, identifier: str, recorded: Properties) -> Properties | None:
        return recorded if Path(recorded["path"]).exists() else None

    def remove(self, identifier: str, recorded: Properties) -> None:
        Path(recorded["path"]).unlink(missing_ok=True)


class SeedFile(pulumi.dynamic.Resource, module="railyard", name="SeedFile"):
    """A file whose content after its creation is nobody's business here."""

    path: pulumi.Output[str]

    def __init__(self, name: str, args: SeedFileArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(SeedFileProvider(), name, {"path": args.path, "content": args.content}, opts)
