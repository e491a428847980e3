"""Which resources hold data that is gone when they are deleted or replaced."""

from __future__ import annotations

import re
from typing import Any

_HOLDS_DATA = re.compile(
    r"""
    postgres | mysql | mariadb | mongo | cassandra | redis | valkey | memcached | cockroach | clickhouse
    | database | \bdb(instance|cluster)? | :rds/(instance|cluster): | docdb | neptune | redshift
    | dynamodb/(table|globaltable) | elasticache/(cluster|replicationgroup|serverlesscache):
    | opensearch/domain | elasticsearch/domain | memorydb/cluster
    | s3/(bucket|bucketv2|directorybucket): | storage/(bucket|account|blobcontainer)
    | efs/filesystem: | fsx/ | ebs/volume: | backup/vault: | kms/key: | secretsmanager/secret: | ecr/repository:
    | sqs/queue: | kinesis/stream: | msk/cluster | loggroup: | persistentvolume(claim)? | statefulset
    | bigtable | spanner | sql:databaseinstance | volume$ | ledger
    """,
    re.IGNORECASE | re.VERBOSE,
)
_HOLDS_NONE = re.compile(
    r"""policy | subnetgroup | parametergroup | optiongroup | securitygroup | usergroup | \buser$ | role | grant | alias
    | notification | accessblock | versioning | lifecycle | encryptionconfiguration | ownershipcontrols | metric | alarm
    | proxy | subscription | attachment | publicaccess | corsconfiguration | logging | migration | snapshotcopygrant""",
    re.IGNORECASE | re.VERBOSE,
)

LOSING = {"delete", "delete-replaced", "replace"}
"""Operations after which what the resource held is gone."""
WORDS = "data will be lost"


def holds_data(resource_type: str) -> bool:
    """Say whether resources of a type hold data of their own."""
    return bool(_HOLDS_DATA.search(resource_type)) and not _HOLDS_NONE.search(resource_type.rpartition(":")[2])


def loses_data(metadata: dict[str, Any]) -> bool:
    """Say whether a step, as an event tells of it, would lose data: not when the resource is left where it is."""
    old = metadata.get("old") or {}
    if metadata.get("op") not in LOSING or not holds_data(str(metadata.get("type", ""))):
        return False
    return bool(old.get("custom")) and not old.get("retainOnDelete") and not old.get("external")
