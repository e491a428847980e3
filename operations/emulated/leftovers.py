"""What a destroyed stack has left in the emulated account: it is asked itself, by the tags that everything has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from typing import Any, Final

UPTIME_REGION: Final = "us-east-1"  # of Route 53's health checks, and of whom they tell
_ENDED: Final = {"PendingDeletion", "INACTIVE", "deleted", "deleting", "DELETE_IN_PROGRESS"}


def leftovers(url: str, region: str, known: Collection[str] = ()) -> list[str]:
    """What still stands there, a sentence each; nothing for what AWS, too, shows for a while after its end.

    Args:
        url: the emulated account's.
        region: the stack's.
        known: ARNs of which something is said already.
    """
    found = []
    for place in sorted({region, UPTIME_REGION}):
        account = _Account(url, place)
        found += [sentence for arn in account.tagged() if arn not in known and (sentence := _judged(account, arn))]
    counted = Counter(found)
    return [sentence if number == 1 else f"{sentence} ({number} of them)" for sentence, number in counted.items()]


class _Account:
    """One region of the emulated account."""

    def __init__(self, url: str, region: str) -> None:
        self._url, self._region = url, region

    def client(self, service: Any) -> Any:
        """A client of one service; the account takes any credentials."""
        import boto3

        return boto3.client(
            service,
            endpoint_url=self._url,
            region_name=self._region,
            aws_access_key_id="emulated",
            aws_secret_access_key="emulated",  # noqa: S106 - of nobody
        )

    def tagged(self) -> Iterator[str]:
        """ARNs of everything with tags."""
        for page in self.client("resourcegroupstaggingapi").get_paginator("get_resources").paginate():
            for resource in page["ResourceTagMappingList"]:
                yield resource["ResourceARN"]


def _judged(account: _Account, arn: str) -> str:
    """A sentence about what stands, "" for what has ended."""
    service, kind = arn.split(":")[2], arn.split(":", 5)[5].replace("/", ":").split(":")[0]
    state = _STATES.get((service, kind))
    if state is not None and state(account, arn) in _ENDED:
        return f"waits for its end, for days, as AWS has it: a {kind} of {service}" if kind in ("key", "secret") else ""
    name = arn.rpartition("/")[2]
    if (service, kind) == ("ecs", "task-definition"):
        return f"retained on purpose, for rollbacks: the task definition {name}"
    if (service, kind) == ("rds", "snapshot"):
        identifier = arn.rpartition("snapshot:")[2]
        if identifier.startswith("rds:"):
            return f"left by the emulator: {identifier}, which RDS takes away with its database"
        return f"retained on purpose: the database's last snapshot, {identifier}"
    return f"still in the account: {arn}"


def _key(account: _Account, arn: str) -> str:
    return str(account.client("kms").describe_key(KeyId=arn)["KeyMetadata"]["KeyState"])


def _secret(account: _Account, arn: str) -> str:
    return (
        "PendingDeletion" if account.client("secretsmanager").describe_secret(SecretId=arn).get("DeletedDate") else ""
    )


def _gateway(account: _Account, arn: str) -> str:
    asked = account.client("ec2").describe_nat_gateways(NatGatewayIds=[arn.rpartition("/")[2]])
    return str(asked["NatGateways"][0]["State"])


def _cluster(account: _Account, arn: str) -> str:
    return str(account.client("ecs").describe_clusters(clusters=[arn])["clusters"][0]["status"])


def _service(account: _Account, arn: str) -> str:
    _rest, cluster, name = arn.rsplit("/", 2)
    return str(account.client("ecs").describe_services(cluster=cluster, services=[name])["services"][0]["status"])


def _definition(account: _Account, arn: str) -> str:
    return str(account.client("ecs").describe_task_definition(taskDefinition=arn)["taskDefinition"]["status"])


def _cache(account: _Account, arn: str) -> str:
    groups = account.client("elasticache").describe_replication_groups(ReplicationGroupId=arn.rpartition(":")[2])
    return str(groups["ReplicationGroups"][0]["Status"])


_STATES: Final[dict[tuple[str, str], Callable[[_Account, str], str]]] = {
    ("kms", "key"): _key,
    ("secretsmanager", "secret"): _secret,
    ("ec2", "natgateway"): _gateway,
    ("ecs", "cluster"): _cluster,
    ("ecs", "service"): _service,
    ("ecs", "task-definition"): _definition,
    ("elasticache", "replicationgroup"): _cache,
}
