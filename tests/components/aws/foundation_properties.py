"""What must hold of what each component declares, a property a function; tests and mutants use the same ones."""

from __future__ import annotations

import json
import re
from typing import Any

from components.tags import REQUIRED
from tests.components.aws.declaring import ACCOUNT, Declared, Inputs
from tests.components.aws.foundation_programs import ADMINISTRATORS, KEY, READERS, SECRET, SUBNETS
from tests.components.aws.properties import FOUNDATION, all_of, statements

of = FOUNDATION.of


# keys


@of("keys")
def every_key_rotates(declared: Declared) -> bool:
    return all_of(declared, "kms/key:Key", lambda it: it["enableKeyRotation"] is True)


@of("keys")
def a_deleted_key_can_be_brought_back(declared: Declared) -> bool:
    return all_of(declared, "kms/key:Key", lambda it: it["deletionWindowInDays"] == 30)


@of("keys")
def keys_are_for_this_account(declared: Declared) -> bool:
    def ours(inputs: Inputs) -> bool:
        owner, *services = statements(inputs["policy"])
        account = owner["Principal"] == {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
        return account and all("Condition" in it and ACCOUNT in json.dumps(it["Condition"]) for it in services)

    return all_of(declared, "kms/key:Key", ours) and len(declared.of("kms/key:Key")) == 3


# network


@of("network")
def three_zones_of_each_kind(declared: Declared) -> bool:
    zones: dict[str, set[str]] = {}
    for name, inputs in declared.of("ec2/subnet:Subnet").items():
        zones.setdefault(name.split("-")[1], set()).add(inputs["availabilityZone"])
    return {kind: len(found) for kind, found in zones.items()} == {"public": 3, "private": 3, "data": 3}


@of("network")
def subnets_do_not_overlap(declared: Declared) -> bool:
    import itertools
    from ipaddress import ip_network

    ranges = [ip_network(it["cidrBlock"]) for it in declared.of("ec2/subnet:Subnet").values()]
    apart = not any(one.overlaps(two) for one, two in itertools.combinations(ranges, 2))
    return apart and all(it.subnet_of(ip_network("10.40.0.0/16")) for it in ranges)  # type: ignore[arg-type]


@of("network")
def nothing_gets_a_public_address(declared: Declared) -> bool:
    return all_of(declared, "ec2/subnet:Subnet", lambda it: it["mapPublicIpOnLaunch"] is False)


@of("network")
def a_nat_gateway_a_zone(declared: Declared) -> bool:
    routes = declared.of("ec2/route:Route")
    used = {routes[f"it-private-{index}"]["natGatewayId"] for index in range(3)}
    return len(used) == len(declared.of("ec2/natGateway:NatGateway")) == 3


@of("network")
def data_has_no_way_out(declared: Declared) -> bool:
    return {it["routeTableId"] for it in declared.of("ec2/route:Route").values()} == {
        f"it-{name}-id" for name in ("public", "private-0", "private-1", "private-2")
    }


@of("network")
def the_default_group_lets_nothing_pass(declared: Declared) -> bool:
    group = declared.one("ec2/defaultSecurityGroup:DefaultSecurityGroup")
    return (group["ingress"], group["egress"]) == ([], [])


@of("network")
def all_traffic_is_logged(declared: Declared) -> bool:
    log = declared.one("ec2/flowLog:FlowLog")
    group = declared.one("cloudwatch/logGroup:LogGroup")
    return (log["trafficType"], group["retentionInDays"], group["kmsKeyId"]) == ("ALL", 90, KEY)


@of("network")
def endpoints_answer_the_vpc_alone(declared: Declared) -> bool:
    rule = declared.one("vpc/securityGroupIngressRule:SecurityGroupIngressRule")
    endpoints = declared.of("ec2/vpcEndpoint:VpcEndpoint").values()
    kinds = sorted(it["vpcEndpointType"] for it in endpoints)
    private = all(it.get("privateDnsEnabled") for it in endpoints if it["vpcEndpointType"] == "Interface")
    https = (rule["cidrIpv4"], rule["fromPort"], rule["toPort"]) == ("10.40.0.0/16", 443, 443)
    return https and private and kinds == ["Gateway", *["Interface"] * 6]


# security groups


def _rules(declared: Declared, way: str) -> set[tuple[str, str, int]]:
    """(group, other side, port) of every rule of a way, Ingress or Egress."""
    kind = f"vpc/securityGroup{way}Rule:SecurityGroup{way}Rule"
    found = set()
    for inputs in declared.of(kind).values():
        assert inputs["ipProtocol"] == "tcp"
        assert inputs["fromPort"] == inputs["toPort"]
        other = inputs.get("cidrIpv4") or inputs["referencedSecurityGroupId"]
        found.add((inputs["securityGroupId"], other, inputs["fromPort"]))
    return found


def _group(name: str) -> str:
    return f"it-{name}-id"


@of("security_groups")
def the_world_reaches_443_of_the_load_balancer_alone(declared: Declared) -> bool:
    world = {rule for rule in _rules(declared, "Ingress") if "/" in rule[1]}
    return world == {(_group("load-balancer"), "0.0.0.0/0", 443)}


@of("security_groups")
def groups_name_groups(declared: Declared) -> bool:
    inside = {rule for rule in _rules(declared, "Ingress") if "/" not in rule[1]}
    return inside == {
        (_group("task"), _group("load-balancer"), 3001),
        (_group("database"), _group("task"), 5432),
        (_group("cache"), _group("task"), 6379),
        (_group("database"), _group("function"), 5432),
        (_group("cache"), _group("function"), 6379),
    }


@of("security_groups")
def tasks_leave_on_443_and_for_lnd_alone(declared: Declared) -> bool:
    out = {rule[1:] for rule in _rules(declared, "Egress") if rule[0] == _group("task") and "/" in rule[1]}
    return out == {("0.0.0.0/0", 443), ("10.60.0.10/32", 8080)}


@of("security_groups")
def database_and_cache_open_nothing(declared: Declared) -> bool:
    groups = {_group("database"), _group("cache")}
    inline = any(
        it.get("egress") or it.get("ingress") for it in declared.of("ec2/securityGroup:SecurityGroup").values()
    )
    return not inline and not any(rule[0] in groups for rule in _rules(declared, "Egress"))


# database


def _instance(declared: Declared) -> Inputs:
    return declared.one("rds/instance:Instance")


def _is(component: str, kind: str, name: str, **wanted: Any) -> None:
    """A property that says which inputs the only resource of a type has."""

    def check(declared: Declared) -> bool:
        inputs = declared.one(kind)
        return all(inputs[key] == value for key, value in wanted.items())

    check.__name__ = name
    of(component)(check)


_is("database", "rds/instance:Instance", "in_two_zones", multiAz=True)
_is("database", "rds/instance:Instance", "never_public", publiclyAccessible=False)
_is("database", "rds/instance:Instance", "seven_days_of_backups", backupRetentionPeriod=7, deleteAutomatedBackups=False)
_is("database", "rds/instance:Instance", "protected_against_deletion", deletionProtection=True, skipFinalSnapshot=False)
_is("database", "rds/instance:Instance", "encrypted_with_our_key", storageEncrypted=True, kmsKeyId=KEY)
_is("database", "rds/instance:Instance", "grows_from_100_gb", allocatedStorage=100, maxAllocatedStorage=500)
_is("database", "rds/instance:Instance", "in_its_own_group", vpcSecurityGroupIds=["sg-database"])
_is("database", "rds/instance:Instance", "pinned_postgres_16", engine="postgres", engineVersion="16.15",
    autoMinorVersionUpgrade=False, allowMajorVersionUpgrade=False)  # fmt: skip
_is("database", "rds/instance:Instance", "watched", performanceInsightsEnabled=True, monitoringInterval=60,
    performanceInsightsKmsKeyId=KEY, enabledCloudwatchLogsExports=["postgresql", "upgrade"])  # fmt: skip


@of("database")
def master_password_is_of_rds(declared: Declared) -> bool:
    inputs = _instance(declared)
    kept = inputs["manageMasterUserPassword"] is True and inputs["masterUserSecretKmsKeyId"] == KEY
    return kept and "password" not in inputs and inputs["username"] not in ("admin", "postgres", "rdsadmin")


@of("database")
def tls_is_forced_and_slow_statements_logged(declared: Declared) -> bool:
    group = declared.one("rds/parameterGroup:ParameterGroup")
    set_to = {it["name"]: it["value"] for it in group["parameters"]}
    wanted = {"rds.force_ssl": "1", "log_min_duration_statement": "1000", "password_encryption": "scram-sha-256"}
    used = _instance(declared)["parameterGroupName"]
    return group["family"] == "postgres16" and used is not None and wanted.items() <= set_to.items()


@of("database")
def database_logs_are_kept_for_a_time(declared: Declared) -> bool:
    groups = declared.of("cloudwatch/logGroup:LogGroup")
    names = {it["name"] for it in groups.values()}
    wanted = {f"/aws/rds/instance/pay402-prod/{log}" for log in ("postgresql", "upgrade")}
    return names == wanted and all(it["retentionInDays"] == 90 and it["kmsKeyId"] == KEY for it in groups.values())


# cache

_REDIS = "elasticache/replicationGroup:ReplicationGroup"
_is("cache", _REDIS, "redis_over_tls", transitEncryptionEnabled=True, transitEncryptionMode="required")
_is("cache", _REDIS, "redis_asks_for_its_token", authToken="planted-token" * 4)
_is("cache", _REDIS, "redis_encrypted_with_our_key", atRestEncryptionEnabled=True, kmsKeyId=KEY)
_is(
    "cache",
    _REDIS,
    "fails_over_to_another_zone",
    multiAzEnabled=True,
    automaticFailoverEnabled=True,
    numCacheClusters=2,
)
_is("cache", _REDIS, "redis_in_its_own_group", securityGroupIds=["sg-cache"])
_is("cache", _REDIS, "redis_7_of_a_gigabyte", engine="redis", engineVersion="7.1", nodeType="cache.t4g.small")
_is("cache", _REDIS, "redis_is_saved_daily", snapshotRetentionLimit=7)


@of("cache")
def redis_logs_are_kept_for_a_time(declared: Declared) -> bool:
    delivered = {it["logType"] for it in declared.one(_REDIS)["logDeliveryConfigurations"]}
    kept = all_of(declared, "cloudwatch/logGroup:LogGroup", lambda it: it["retentionInDays"] == 90)
    return kept and delivered == {"slow-log", "engine-log"}


@of("cache")
def nothing_is_evicted(declared: Declared) -> bool:
    group = declared.one("elasticache/parameterGroup:ParameterGroup")
    set_to = {it["name"]: it["value"] for it in group["parameters"]}
    return (group["family"], set_to["maxmemory-policy"]) == ("redis7", "noeviction")


@of("cache")
def both_stores_are_in_the_data_subnets(declared: Declared) -> bool:
    return tuple(declared.one("elasticache/subnetGroup:SubnetGroup")["subnetIds"]) == SUBNETS


# registry

_is("registry", "ecr/repository:Repository", "tags_are_immutable", imageTagMutability="IMMUTABLE")
_is("registry", "ecr/repository:Repository", "scanned_on_push", imageScanningConfiguration={"scanOnPush": True})
_is("registry", "ecr/repository:Repository", "images_outlive_mistakes", forceDelete=False)
_is("registry", "ecr/repository:Repository", "images_encrypted_with_our_key",
    encryptionConfigurations=[{"encryptionType": "KMS", "kmsKey": KEY}])  # fmt: skip


@of("registry")
def kept_images_are_never_ended(declared: Declared) -> bool:
    rules = json.loads(declared.one("ecr/lifecyclePolicy:LifecyclePolicy")["policy"])["rules"]
    tagged = [rule["selection"] for rule in rules if rule["selection"]["tagStatus"] != "untagged"]
    return [(it["tagPrefixList"], it["countNumber"]) for it in tagged] == [(["release-"], 30)]


@of("registry")
def used_by_digest(declared: Declared) -> bool:
    (container,) = json.loads(declared.one("ecs/taskDefinition:TaskDefinition")["containerDefinitions"])
    return re.fullmatch(r"\S+@sha256:[0-9a-f]{64}", container["image"]) is not None


@of("registry")
def built_from_app_alone(declared: Declared) -> bool:
    image = declared.resources[("docker:index/image:Image", "it-image")]
    tagged = str(image["imageName"]).endswith(":release-abc123def456")
    return tagged and (image["build"]["context"], image["build"]["platform"]) == ("app", "linux/amd64")


# roles


def _policy(declared: Declared, role: str) -> list[dict[str, Any]]:
    return statements(declared.of("iam/rolePolicy:RolePolicy")[f"it-{role}"]["policy"])


@of("roles")
def only_ecs_of_this_account_takes_them(declared: Declared) -> bool:
    def ours(inputs: Inputs) -> bool:
        (statement,) = statements(inputs["assumeRolePolicy"])
        condition = statement["Condition"]
        return bool(
            statement["Principal"] == {"Service": "ecs-tasks.amazonaws.com"}
            and condition["StringEquals"] == {"aws:SourceAccount": ACCOUNT}
            and condition["ArnLike"]["aws:SourceArn"].endswith(f":{ACCOUNT}:*")
        )

    return all_of(declared, "iam/role:Role", ours)


@of("roles")
def wildcards_only_where_there_is_nothing_narrower(declared: Declared) -> bool:
    wide = set()
    for name in ("execution", "worker", "auditor"):
        for statement in _policy(declared, name):
            if "*" in statement["Resource"]:
                wide |= {action for action in statement["Action"] if "Condition" not in statement}
            if any("*" in action for action in statement["Action"]):
                return False
    return wide == {"ecr:GetAuthorizationToken"}


@of("roles")
def web_may_do_nothing(declared: Declared) -> bool:
    return set(declared.of("iam/rolePolicy:RolePolicy")) == {"it-execution", "it-worker", "it-auditor"}


@of("roles")
def worker_appends_to_the_archive_alone(declared: Declared) -> bool:
    actions = {action for it in _policy(declared, "worker") for action in it["Action"]}
    return actions == {"s3:PutObject", "kms:GenerateDataKey"}


@of("roles")
def the_auditor_only_reads(declared: Declared) -> bool:
    actions = {action for it in _policy(declared, "auditor") for action in it["Action"]}
    return actions == {"s3:ListBucket", "s3:GetObject", "s3:GetObjectRetention", "kms:Decrypt"}


# secrets


@of("secrets")
def every_secret_is_encrypted_with_our_key(declared: Declared) -> bool:
    return all_of(declared, "secretsmanager/secret:Secret", lambda it: it["kmsKeyId"] == KEY)


@of("secrets")
def every_secret_can_be_brought_back(declared: Declared) -> bool:
    return all_of(declared, "secretsmanager/secret:Secret", lambda it: it["recoveryWindowInDays"] == 30)


@of("secrets")
def every_secret_is_rotated(declared: Declared) -> bool:
    rotations = declared.of("secretsmanager/secretRotation:SecretRotation").values()
    rotated = {it["secretId"] for it in rotations if it["rotationLambdaArn"]}
    days = {it["rotationRules"]["automaticallyAfterDays"] for it in rotations}
    secrets = declared.of("secretsmanager/secret:Secret")
    return len(rotated) == len(secrets) >= 12 and days == {30, 90}


def _plain(value: Any) -> Any:
    """A value without what is marked as a secret in it."""
    if isinstance(value, dict):
        marked = "value" in value and len(value) == 2
        return None if marked else {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


@of("secrets")
def values_are_in_secret_versions_alone(declared: Declared) -> bool:
    versions = [it["secretString"] for it in declared.of("secretsmanager/secretVersion:SecretVersion").values()]
    plain = json.dumps([_plain(it) for it in declared.raw.values()], default=str)
    given = [text for text in ("planted-token", "planted-lndMacaroon", "ab" * 32) if text in json.dumps(versions)]
    return len(given) == 3 and not any(text in plain for text in given)


@of("secrets")
def the_first_rotation_makes_the_database_roles(declared: Declared) -> bool:
    rotations = declared.of("secretsmanager/secretRotation:SecretRotation").items()
    at_once = {name.rsplit("-", 1)[1] for name, it in rotations if it["rotateImmediately"]}
    return at_once == {"owner", "app", "reader"}


@of("secrets")
def only_secrets_manager_of_this_account_calls(declared: Declared) -> bool:
    def ours(inputs: Inputs) -> bool:
        return bool(inputs["principal"] == "secretsmanager.amazonaws.com" and inputs["sourceAccount"] == ACCOUNT)

    return all_of(declared, "lambda/permission:Permission", ours)


@of("secrets")
def a_function_changes_its_own_secrets_alone(declared: Declared) -> bool:
    for name, inputs in declared.of("iam/rolePolicy:RolePolicy").items():
        for statement in statements(inputs["policy"]):
            network = statement["Sid"] == "JoinTheNetwork"
            if "*" in statement["Resource"] and not network:
                return False
            if statement["Sid"] == "RotateTheseSecrets":
                wanted = {"it-signing-key-policy": 3, "it-redis-token-policy": 1, "it-database-login-policy": 3}
                if len(statement["Resource"]) != wanted.get(name, 7):
                    return False
    return True


@of("secrets")
def lambda_takes_the_roles_for_this_account_alone(declared: Declared) -> bool:
    def ours(inputs: Inputs) -> bool:
        (statement,) = statements(inputs["assumeRolePolicy"])
        return bool(statement["Condition"] == {"StringEquals": {"aws:SourceAccount": ACCOUNT}})

    return all_of(declared, "iam/role:Role", ours)


@of("secrets")
def a_failed_rotation_is_told(declared: Declared) -> bool:
    def told(inputs: Inputs) -> bool:
        return bool(inputs["alarmActions"] and inputs["metricName"] == "Errors" and inputs["threshold"] == 0)

    return all_of(declared, "cloudwatch/metricAlarm:MetricAlarm", told)


@of("secrets")
def functions_log_for_a_time(declared: Declared) -> bool:
    kept = all_of(
        declared, "cloudwatch/logGroup:LogGroup", lambda it: it["retentionInDays"] == 90 and it["kmsKeyId"] == KEY
    )
    return kept and len(declared.of("cloudwatch/logGroup:LogGroup")) == 4


# all


def untagged(declared: Declared) -> list[str]:
    """Resources that take tags and miss a required one."""
    takes_none = ("Alias", "Route", "RouteTableAssociation", "RolePolicy", "Permission", "SecretRotation",
                  "SecretVersion", "SecretPolicy", "LifecyclePolicy", "Image", "RandomBytes",
                  "BucketVersioning", "BucketServerSideEncryptionConfiguration", "BucketOwnershipControls",
                  "BucketLifecycleConfiguration", "BucketObjectLockConfiguration", "BucketPublicAccessBlock",
                  "BucketPolicy", "WebAclAssociation", "WebAclLoggingConfiguration", "Record", "CertificateValidation",
                  "OriginAccessControl", "ResponseHeadersPolicy", "TopicPolicy", "TopicSubscription",
                  "EventConnection", "EventApiDestination", "EventTarget", "LogMetricFilter", "QueryDefinition",
                  "Dashboard", "Policy", "QueuePolicy", "Schedule", "Selection", "VaultLockConfiguration",
                  "VaultNotifications", "RestoreTestingSelection")  # fmt: skip
    return [
        f"{kind} {name}"
        for (kind, name), inputs in declared.resources.items()
        if kind.startswith("aws:") and kind.split(":")[2] not in takes_none
        if not set(REQUIRED) <= set(inputs.get("tags", {}))
    ]


@of("secret_policies")
def nobody_else_may_do_anything_with_a_secret(declared: Declared) -> bool:
    policy = declared.one("secretsmanager/secretPolicy:SecretPolicy")
    (statement,) = statements(policy["policy"])
    return bool(
        (statement["Effect"], statement["Principal"], statement["Action"]) == ("Deny", "*", "secretsmanager:*")
        and statement["Resource"] == policy["secretArn"] == SECRET
        and statement["Condition"] == {"StringNotEquals": {"aws:PrincipalArn": sorted([*ADMINISTRATORS, *READERS])}}
    )


@of("secret_policies")
def a_policy_that_opens_it_is_blocked(declared: Declared) -> bool:
    return declared.one("secretsmanager/secretPolicy:SecretPolicy")["blockPublicPolicy"] is True
