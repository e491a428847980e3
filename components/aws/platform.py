"""The whole platform on ECS (`railyard:aws:EcsPlatform`): the account's parts composed from the settings, in order.

Foundation: keys, network, security groups. What runs on it comes below, each part told plain values and outputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi

from components.aws.keys import Keys, KeysArgs
from components.aws.network import Network, NetworkArgs
from components.aws.security_groups import SecurityGroups, SecurityGroupsArgs
from components.settings import Secrets, Settings
from components.tags import check_tags


@dataclass(frozen=True, kw_only=True)
class FoundationArgs:
    """Arguments of `Foundation`.

    Attributes:
        settings: of a stack in a cloud.
        tags: the required tags.
    """

    settings: Settings
    tags: Mapping[str, str]

    def __post_init__(self) -> None:
        check_tags("FoundationArgs", self.tags)


class Foundation(pulumi.ComponentResource):
    """What a stack needs in an account, on whatever the service itself runs: keys, network, security groups."""

    def __init__(self, name: str, args: FoundationArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("railyard:aws:Foundation", name, None, opts)
        settings, tags = args.settings, args.tags
        child = pulumi.ResourceOptions(parent=self)
        self.keys = Keys(
            f"{name}-keys", KeysArgs(account_id=settings.account_id, region=settings.region, tags=tags), child
        )
        self.network = Network(
            f"{name}-network",
            NetworkArgs(
                region=settings.region,
                zones=settings.zones,
                cidr=settings.vpc_cidr,
                nat_gateway_a_zone=settings.nat_gateways == "per-zone",
                log_key_arn=self.keys.operations_key_arn,
                flow_log_retention_days=settings.log_retention_days,
                tags=tags,
            ),
            child,
        )
        lnd_address = settings.lnd_address
        self.security_groups = SecurityGroups(
            f"{name}-groups",
            SecurityGroupsArgs(
                vpc_id=self.network.vpc_id,
                lnd_cidrs=settings.lnd_cidrs if lnd_address else (),
                lnd_port=lnd_address[1] if lnd_address else 8080,
                tags=tags,
            ),
            child,
        )
        self.register_outputs({"vpcId": self.network.vpc_id})


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
        self.foundation = Foundation(
            name,
            FoundationArgs(settings=args.settings, tags=args.tags),
            pulumi.ResourceOptions(parent=self),
        )
        self.outputs: dict[str, Any] = {
            "network": args.settings.network,
            "region": args.settings.region,
            "vpcId": self.foundation.network.vpc_id,
        }
        self.register_outputs({"vpcId": self.foundation.network.vpc_id})
