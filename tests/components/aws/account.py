"""An account read with plain boto3, as an auditor would: what does not hold is said in a sentence each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3

WORLD = ("0.0.0.0/0", "::/0")


class Account:
    """An emulated account.

    Args:
        endpoint: where its server is.
        region: of the stack.
    """

    def __init__(self, endpoint: str, region: str) -> None:
        self._endpoint, self.region = endpoint, region

    def client(self, service: str, region: str | None = None) -> Any:
        return boto3.client(
            service,  # type: ignore[call-overload]
            endpoint_url=self._endpoint,
            region_name=region or self.region,
            aws_access_key_id="emulated",
            aws_secret_access_key="emulated",
        )

    def every(self, service: str, operation: str, key: str, **arguments: Any) -> list[dict[str, Any]]:
        """All pages of a listing."""
        client = self.client(service)
        if not client.can_paginate(operation):
            return list(getattr(client, operation)(**arguments)[key])
        pages = client.get_paginator(operation).paginate(**arguments)
        return [item for page in pages for item in page[key]]


def database_problems(account: Account) -> Iterator[str]:
    """Encrypted with a customer key, private, in two zones, 7 days of backups, protected."""
    found = account.every("rds", "describe_db_instances", "DBInstances")
    if len(found) != 1:
        yield f"There are {len(found)} databases."
    for it in found:
        wanted = {
            "StorageEncrypted": True,
            "PubliclyAccessible": False,
            "MultiAZ": True,
            "BackupRetentionPeriod": 7,
            "DeletionProtection": True,
            "Engine": "postgres",
        }
        for key, value in wanted.items():
            if it[key] != value:
                yield f"The database's {key} is {it[key]!r}."
        if ":key/" not in it.get("KmsKeyId", ""):
            yield "The database has no customer key."


def cache_problems(account: Account) -> Iterator[str]:
    """TLS, AUTH, encryption at rest, and a replica to fail over to."""
    found = account.every("elasticache", "describe_replication_groups", "ReplicationGroups")
    if len(found) != 1:
        yield f"There are {len(found)} caches."
    for it in found:
        for key in ("TransitEncryptionEnabled", "AtRestEncryptionEnabled", "AuthTokenEnabled"):
            if it[key] is not True:
                yield f"The cache's {key} is {it[key]!r}."
        if it["AutomaticFailover"] not in ("enabled", "enabling") or it["MultiAZ"] != "enabled":
            yield "The cache does not fail over to another zone."


def network_problems(account: Account, *, task_group: str, lnd: tuple[str, int]) -> Iterator[str]:
    """From the world 443 on the load balancer alone; tasks leave for the world on 443, and for LND on its port."""
    (balancer,) = account.every("elbv2", "describe_load_balancers", "LoadBalancers")
    open_groups = set()
    for group in account.every("ec2", "describe_security_groups", "SecurityGroups"):
        for rule in group["IpPermissions"]:
            cidrs = {it["CidrIp"] for it in rule["IpRanges"]} | {it["CidrIpv6"] for it in rule.get("Ipv6Ranges", [])}
            if cidrs & set(WORLD):
                open_groups.add(group["GroupId"])
                if (rule.get("FromPort"), rule.get("ToPort"), rule["IpProtocol"]) != (443, 443, "tcp"):
                    yield f"{group['GroupName']} is open to the world on {rule.get('FromPort', 'every port')}."
        if group["GroupId"] == task_group:
            yield from _egress_problems(group, lnd)
    if open_groups != set(balancer["SecurityGroups"]):
        yield f"Groups open to the world are {open_groups}, not the load balancer's alone."
    for listener in account.every(
        "elbv2", "describe_listeners", "Listeners", LoadBalancerArn=balancer["LoadBalancerArn"]
    ):
        if (listener["Port"], listener["Protocol"]) != (443, "HTTPS") or "TLS13" not in listener.get("SslPolicy", ""):
            yield f"A listener speaks {listener['Protocol']} on {listener['Port']} by {listener.get('SslPolicy')}."


def _egress_problems(group: dict[str, Any], lnd: tuple[str, int]) -> Iterator[str]:
    leaving = {
        (range_["CidrIp"], rule.get("FromPort"), rule.get("ToPort"))
        for rule in group["IpPermissionsEgress"]
        for range_ in rule["IpRanges"]
    }
    wanted = {("0.0.0.0/0", 443, 443), (lnd[0], lnd[1], lnd[1])}
    if leaving != wanted:
        yield f"Tasks may leave for {sorted(leaving)}, not for {sorted(wanted)} alone."
    inside = {rule.get("FromPort") for rule in group["IpPermissionsEgress"] if rule["UserIdGroupPairs"]}
    if inside != {5432, 6379}:
        yield f"Tasks may reach groups on {inside}, not the database and the cache alone."


def secret_problems(account: Account) -> Iterator[str]:
    """Every secret is rotated and under a customer key."""
    found = account.every("secretsmanager", "list_secrets", "SecretList")
    if not found:
        yield "There are no secrets."
    for it in found:
        if it["Name"].startswith("rds!"):
            continue  # RDS rotates its own.
        if not it.get("RotationEnabled"):
            yield f"The secret {it['Name']} is not rotated."
        if ":key/" not in it.get("KmsKeyId", ""):
            yield f"The secret {it['Name']} has no customer key."


def secret_policy_problems(account: Account, administrators: list[str]) -> Iterator[str]:
    """Every secret, RDS' too, denies everybody but the administrators, who rotates it, and who injects it."""
    client = account.client("secretsmanager")
    for it in account.every("secretsmanager", "list_secrets", "SecretList"):
        name = it["Name"].rpartition("/")[2]
        found = client.get_resource_policy(SecretId=it["ARN"]).get("ResourcePolicy")
        if found is None:
            yield f"The secret {it['Name']} has no policy."
            continue
        (statement,) = json.loads(found)["Statement"]
        let_in = statement["Condition"]["StringNotEquals"]["aws:PrincipalArn"]
        others = sorted(set(let_in) - set(administrators))
        if statement["Effect"] != "Deny" or not set(administrators) <= set(let_in):
            yield f"The secret {it['Name']} locks its administrators out."
        known = [role["Arn"] for role in account.every("iam", "list_roles", "Roles")]
        linked = [arn for arn in others if "/aws-service-role/" in arn]
        if any(arn not in known for arn in set(others) - set(linked)):
            yield f"The secret {it['Name']} names a role that is not there: {others}."
        if it["Name"].startswith("rds!") != bool(linked):
            yield f"The secret {it['Name']} and RDS' own role do not go together."
        if not 1 <= len(others) <= 3:
            yield f"The secret {name} lets in {others}."


def log_problems(account: Account) -> Iterator[str]:
    """Every log group ends its lines, and encrypts them."""
    found = account.every("logs", "describe_log_groups", "logGroups")
    if not found:
        yield "There are no log groups."
    for it in found:
        if not it.get("retentionInDays"):
            yield f"The log group {it['logGroupName']} keeps lines for ever."
        if not it.get("kmsKeyId"):
            yield f"The log group {it['logGroupName']} has no customer key."


def service_problems(account: Account) -> Iterator[str]:
    """Running definitions: by digest, not root, read-only, no plain secret, no public address."""
    client = account.client("ecs")
    (cluster,) = client.list_clusters()["clusterArns"]
    services = client.list_services(cluster=cluster)["serviceArns"]
    if len(services) != 2:
        yield f"There are {len(services)} services."
    for it in client.describe_services(cluster=cluster, services=services)["services"]:
        if it["networkConfiguration"]["awsvpcConfiguration"]["assignPublicIp"] != "DISABLED":
            yield f"{it['serviceName']} has public addresses."
        definition = client.describe_task_definition(taskDefinition=it["taskDefinition"])["taskDefinition"]
        for container in definition["containerDefinitions"]:
            name = f"{it['serviceName']}/{container['name']}"
            if "@sha256:" not in container["image"]:
                yield f"{name} runs {container['image']}, not a digest."
            if container["user"].split(":")[0] in ("", "0", "root"):
                yield f"{name} runs as root."
            if container["readonlyRootFilesystem"] is not True:
                yield f"{name} may write to its root file system."


def alarm_problems(account: Account, rows: dict[str, Any]) -> Iterator[str]:
    """Every row of the table is an alarm with its threshold, period and missing-data rule, wired to a topic."""
    topics = {it["TopicArn"] for it in account.every("sns", "list_topics", "Topics")}
    here = account.every("cloudwatch", "describe_alarms", "MetricAlarms")
    there = account.client("cloudwatch", "us-east-1").describe_alarms()["MetricAlarms"]
    topics |= {it["TopicArn"] for it in account.client("sns", "us-east-1").list_topics()["Topics"]}
    found = {it["AlarmName"]: it for it in [*here, *there]}
    for name, row in rows.items():
        alarm = found.get(name)
        if alarm is None:
            yield f"There is no alarm {name}."
            continue
        if not alarm["AlarmActions"] or not set(alarm["AlarmActions"]) <= topics or not alarm["ActionsEnabled"]:
            yield f"{name} tells no topic."
        if alarm.get("TreatMissingData") != row.missing.value:
            yield f"{name} takes missing data as {alarm.get('TreatMissingData')}."
        period = alarm.get("Period") or next(
            it["MetricStat"]["Period"] for it in alarm["Metrics"] if "MetricStat" in it
        )
        if (period, alarm["EvaluationPeriods"]) != (row.period_seconds, row.periods):
            yield f"{name} looks at {alarm['EvaluationPeriods']} x {period} s."
        if "Threshold" in alarm and not alarm.get("ThresholdMetricId") and alarm["Threshold"] != row.threshold:
            yield f"{name} fires at {alarm['Threshold']}."


def bucket_problems(account: Account, archive: str) -> Iterator[str]:
    """No bucket is public or reached in plain; the archive is locked for 7 years."""
    client = account.client("s3")
    for bucket in client.list_buckets()["Buckets"]:
        name = bucket["Name"]
        block = client.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"]
        if not all(block.values()):
            yield f"The bucket {name} may be public."
        policy = json.loads(client.get_bucket_policy(Bucket=name)["Policy"])
        if not any(it["Effect"] == "Deny" and "aws:SecureTransport" in str(it) for it in policy["Statement"]):
            yield f"The bucket {name} is reached in plain."
    lock = client.get_object_lock_configuration(Bucket=archive)["ObjectLockConfiguration"]["Rule"]["DefaultRetention"]
    if lock["Years"] < 7:
        yield f"The archive is locked for {lock['Years']} years."
