"""A secret as a file that only its owner can read (0600). In the state its content is a secret, nowhere plain."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pulumi
import pulumi.dynamic

from components.local.accounts import own_folder
from components.local.provider import Properties
from components.local.text_file import TextFileProvider

OWNER_ONLY = "0600"


@dataclass(frozen=True)
class SecretFileArgs:
    """Arguments of `SecretFile`: absolute `path`, secret `content`."""

    path: pulumi.Input[str]
    content: pulumi.Input[str]


class SecretFileProvider(TextFileProvider):
    """As a text file, in a folder that is closed too.

    It returns the content under the input's key alone, where the engine keeps it a secret.
    """

    def make(self, inputs: Properties) -> tuple[str, Properties]:
        own_folder(Path(inputs["path"]).parent)
        return super().make(inputs)


class SecretFile(pulumi.dynamic.Resource, module="railyard", name="SecretFile"):
    """A 0600 file; its `content` is a secret whatever was passed in."""

    path: pulumi.Output[str]

    def __init__(self, name: str, args: SecretFileArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        properties = {"path": args.path, "content": pulumi.Output.secret(args.content), "mode": OWNER_ONLY}
        opts = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(additional_secret_outputs=["content"]))
        super().__init__(SecretFileProvider(), name, properties, opts)
