"""A file with content that is no secret: settings of servers, the rails' genesis."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pulumi
import pulumi.dynamic

from components.local.durable_file import mode_of, write_durably
from components.local.provider import LocalProvider, Properties


@dataclass(frozen=True)
class TextFileArgs:
    """Arguments of `TextFile`: absolute `path`, `content`, permission bits `mode`."""

    path: pulumi.Input[str]
    content: pulumi.Input[str]
    mode: str = "0644"


class TextFileProvider(LocalProvider):
    """The file by its path; another content or mode on disk is drift, and is written back."""

    replaced_by = frozenset({"path"})

    def make(self, inputs: Properties) -> tuple[str, Properties]:
        write_durably(Path(inputs["path"]), inputs["content"], int(inputs["mode"], 8))
        return inputs["path"], inputs

    def observe(self, identifier: str, recorded: Properties) -> Properties | None:
        path = Path(recorded["path"])
        try:
            return {**recorded, "content": path.read_text(errors="replace"), "mode": mode_of(path)}
        except FileNotFoundError:
            return None

    def remove(self, identifier: str, recorded: Properties) -> None:
        Path(recorded["path"]).unlink(missing_ok=True)


class TextFile(pulumi.dynamic.Resource, module="railyard", name="TextFile"):
    """A file that always has the content it was given."""

    path: pulumi.Output[str]
    content: pulumi.Output[str]

    def __init__(self, name: str, args: TextFileArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        properties = {"path": args.path, "content": args.content, "mode": args.mode}
        super().__init__(TextFileProvider(), name, properties, opts)
