"""The cache of a stack in AWS (`railyard:aws:Cache`):

- ElastiCache Redis 7: a primary and replicas in other zones, with automatic failover;
- TLS in transit, an AUTH token, the customer's key at rest, daily snapshots;
- a parameter group that keeps what rate limits and locks need instead of evicting it;
- slow commands and the engine's log in log groups with a retention.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.arguments import ArgumentError
from components.settings.cloud import TOO_SMALL_NODES
from components.tags import check_tags, named

PORT = 6379


@dataclass(frozen=True, kw_only=True)
class CacheArgs:
    """Arguments of `Cache`.

    Attributes:
        replication_group_id: letters, digits and hyphens, beginning with a letter, 40 at most.
        subnet_ids: of the data subnets, in at least two zones.
        security_group_id: of the cache.
        kms_key_arn: the customer's key at rest.
        log_key_arn: the key of the log groups.
        auth_token: 16 to 128 printable characters; the first one, later ones are set by its rotation.
        node_type: with at least 1 GB memory.
        replicas: beside the primary, each in another zone.
        version: "7.0" or "7.1".
        snapshot_days: days that daily snapshots are kept.
        log_retention_days: of the log groups.
        tags: the required tags, and more.
    """

    replication_group_id: str
    subnet_ids: Sequence[pulumi.Input[str]]
    security_group_id: pulumi.Input[str]
    kms_key_arn: pulumi.Input[str]
    log_key_arn: pulumi.Input[str]
    auth_token: pulumi.Input[str]
    node_type: str = "cache.t4g.small"
    replicas: int = 1
    version: str = "7.1"
    snapshot_days: int = 7
    log_retention_days: int = 90
    tags: Mapping[str, str]

    def __post_init__(self) -> None:
        def refuse(key: str, what: str, fix: str) -> None:
            raise ArgumentError("CacheArgs", key, what, fix)

        if not re.fullmatch(r"[a-z](-?[a-z0-9]){0,39}", self.replication_group_id):
            what = f"is {self.replication_group_id!r}, which ElastiCache refuses"
            fix = "Begin with a letter; go on with letters, digits and single hyphens, 40 at most."
            refuse("replication_group_id", what, fix)
        if len(self.subnet_ids) < 2:
            refuse("subnet_ids", f"has {len(self.subnet_ids)}", "Give subnets in at least two zones.")
        if self.node_type in TOO_SMALL_NODES:
            what = f"is {self.node_type!r}, which has less than 1 GB memory"
            refuse("node_type", what, "Use cache.t4g.small or a larger one.")
        if not 1 <= self.replicas <= 5:
            refuse("replicas", f"is {self.replicas}", "Use 1 to 5: without a replica there is nothing to fail over to.")
        if self.version not in ("7.0", "7.1"):
            refuse("version", f"is {self.version!r}", "Use Redis 7.0 or 7.1.")
        if not 1 <= self.snapshot_days <= 35:
            refuse("snapshot_days", f"is {self.snapshot_days}", "Keep snapshots for 1 to 35 days.")
        check_tags("CacheArgs", self.tags)


class Cache(pulumi.ComponentResource):
    """The replication group: `address` of the primary, `port`, `replication_group_id`, `arn`."""

    def __init__(self, name: str, args: CacheArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("railyard:aws:Cache", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        self.port = PORT
        group = self._group()
        self.replication_group_id: pulumi.Output[str] = group.replication_group_id
        self.address: pulumi.Output[str] = group.primary_endpoint_address
        self.arn: pulumi.Output[str] = group.arn
        self.register_outputs(
            {"replicationGroupId": self.replication_group_id, "address": self.address, "arn": self.arn}
        )

    def _tags(self, suffix: str) -> dict[str, str]:
        return named(self._args.tags, f"{self._name}-{suffix}")

    def _log(self, kind: str) -> aws.elasticache.ReplicationGroupLogDeliveryConfigurationArgs:
        group = aws.cloudwatch.LogGroup(
            f"{self._name}-{kind}",
            name=f"/aws/elasticache/{self._args.replication_group_id}/{kind}",
            retention_in_days=self._args.log_retention_days,
            kms_key_id=self._args.log_key_arn,
            tags=self._tags(kind),
            opts=self._child,
        )
        return aws.elasticache.ReplicationGroupLogDeliveryConfigurationArgs(
            destination=group.name, destination_type="cloudwatch-logs", log_format="json", log_type=kind
        )

    def _group(self) -> aws.elasticache.ReplicationGroup:
        args = self._args
        subnets = aws.elasticache.SubnetGroup(
            f"{self._name}-subnets", subnet_ids=list(args.subnet_ids), tags=self._tags("subnets"), opts=self._child
        )
        parameters = aws.elasticache.ParameterGroup(
            f"{self._name}-parameters",
            family="redis7",
            description="Keys are never evicted, memory is left for replication",
            parameters=[
                aws.elasticache.ParameterGroupParameterArgs(name="maxmemory-policy", value="noeviction"),
                aws.elasticache.ParameterGroupParameterArgs(name="reserved-memory-percent", value="25"),
            ],
            tags=self._tags("parameters"),
            opts=self._child,
        )
        return aws.elasticache.ReplicationGroup(
            f"{self._name}-redis",
            replication_group_id=args.replication_group_id,
            description="Rate limits and locks of the payment service",
            engine="redis",
            engine_version=args.version,
            node_type=args.node_type,
            num_cache_clusters=1 + args.replicas,
            automatic_failover_enabled=True,
            multi_az_enabled=True,
            port=PORT,
            parameter_group_name=parameters.name,
            subnet_group_name=subnets.name,
            security_group_ids=[args.security_group_id],
            at_rest_encryption_enabled=True,
            kms_key_id=args.kms_key_arn,
            transit_encryption_enabled=True,
            transit_encryption_mode="required",
            auth_token=args.auth_token,
            auto_minor_version_upgrade=True,
            snapshot_retention_limit=args.snapshot_days,
            snapshot_window="01:00-02:00",
            maintenance_window="sun:04:30-sun:05:30",
            log_delivery_configurations=[self._log("slow-log"), self._log("engine-log")],
            tags=self._tags("redis"),
            # From the first rotation on, the token is its function's to set.
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["authToken"]),
        )
