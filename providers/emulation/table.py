"""All of it, by service."""

from __future__ import annotations

from collections.abc import Mapping

from providers.emulation import (
    backup,
    cloudfront,
    cloudwatch,
    ec2,
    elasticache,
    iam,
    logs,
    rds,
    replication_groups,
    secrets,
    services,
    waf,
)
from providers.emulation.operation import Operation

OPERATIONS: Mapping[str, Mapping[str, Operation]] = {
    "backup": backup.OPERATIONS,
    "cloudfront": cloudfront.OPERATIONS,
    "cloudwatch": cloudwatch.OPERATIONS,
    "ec2": ec2.OPERATIONS,
    "elasticache": {**elasticache.OPERATIONS, **replication_groups.OPERATIONS},
    "iam": iam.OPERATIONS,
    "logs": logs.OPERATIONS,
    "rds": rds.OPERATIONS,
    "wafv2": waf.OPERATIONS,
}


def complete_moto() -> None:
    """Add the fields that moto's own operations leave out."""
    rds.complete_instances()
    replication_groups.complete_groups()
    services.complete_services()
    secrets.complete_managed_secrets()
