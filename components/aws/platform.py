"""The whole platform on ECS (`railyard:aws:EcsPlatform`): the account's parts composed from the settings, in order.

The foundation first (keys, network, database, cache, registry), then image and secrets, then what runs on them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi

from components.aws.foundation import Foundation, FoundationArgs
from components.aws.registry import Image, ImageArgs
from components.local.release import release_id
from components.settings import Secrets, Settings


@dataclass(frozen=True, kw_only=True)
class EcsPlatformArgs:
    """Arguments of `EcsPlatform`.

    Attributes:
        checkout: root of the checkout; the service is in its `app/`.
        settings: of the stack.
        secrets: of the stack, those that others issued.
        tags: the required tags.
    """

    checkout: Path
    settings: Settings
    secrets: Secrets
    tags: Mapping[str, str]


class EcsPlatform(pulumi.ComponentResource):
    """The stack in AWS; `outputs` is what it exports."""

    def __init__(self, name: str, args: EcsPlatformArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("railyard:aws:EcsPlatform", name, None, opts)
        self._child = pulumi.ResourceOptions(parent=self)
        self.release = release_id(args.checkout / "app")
        self.foundation = Foundation(f"{name}", FoundationArgs(settings=args.settings, tags=args.tags), self._child)
        registry = self.foundation.registry
        self.image = Image(
            f"{name}-image",
            ImageArgs(repository_url=registry.url, registry_id=registry.registry_id, release=self.release),
            self._child,
        )
        self.secrets = self.foundation.stack_secrets(name, args.secrets, [], self)
        self.outputs: dict[str, Any] = {
            "release": self.release,
            "network": args.settings.network,
            "region": args.settings.region,
            "vpcId": self.foundation.network.vpc_id,
        }
        self.register_outputs({"vpcId": self.foundation.network.vpc_id})
