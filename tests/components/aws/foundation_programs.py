"""Programs that declare one component each, as somebody would who uses it alone."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import pulumi

from tests.components.aws.declaring import ACCOUNT, REGION, TAGS

KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234abcd"
SUBNETS = ("subnet-a", "subnet-b", "subnet-c")


def _module(name: str) -> Any:
    return importlib.import_module(f"components.aws.{name}")


def keys(**changes: Any) -> object:
    module = _module("keys")
    return module.Keys("it", module.KeysArgs(**{"account_id": ACCOUNT, "region": REGION, "tags": TAGS, **changes}))


def network(**changes: Any) -> object:
    module = _module("network")
    zones = tuple(REGION + letter for letter in "abc")
    given = {
        "account_id": ACCOUNT,
        "region": REGION,
        "zones": zones,
        "cidr": "10.40.0.0/16",
        "log_key_arn": KEY,
        "tags": TAGS,
        **changes,
    }
    return module.Network("it", module.NetworkArgs(**given))


def security_groups(**changes: Any) -> object:
    module = _module("security_groups")
    given = {"vpc_id": "vpc-1", "lnd_cidrs": ("10.60.0.10/32",), "tags": TAGS, **changes}
    return module.SecurityGroups("it", module.SecurityGroupsArgs(**given))


def database(**changes: Any) -> object:
    module = _module("database")
    given = {
        "account_id": ACCOUNT,
        "identifier": "pay402-prod",
        "subnet_ids": SUBNETS,
        "security_group_id": "sg-database",
        "kms_key_arn": KEY,
        "log_key_arn": KEY,
        "tags": TAGS,
        **changes,
    }
    return module.Database("it", module.DatabaseArgs(**given))


def cache(**changes: Any) -> object:
    module = _module("cache")
    given = {
        "replication_group_id": "pay402-prod",
        "subnet_ids": SUBNETS,
        "security_group_id": "sg-cache",
        "kms_key_arn": KEY,
        "log_key_arn": KEY,
        "auth_token": pulumi.Output.secret("planted-token" * 4),
        "tags": TAGS,
        **changes,
    }
    return module.Cache("it", module.CacheArgs(**given))


def registry(**changes: Any) -> object:
    module = _module("registry")
    given = {"repository": "pay402-prod", "kms_key_arn": KEY, "tags": TAGS, **changes}
    made = module.Registry("it", module.RegistryArgs(**given))
    image = module.ImageArgs(repository_url=made.url, registry_id=made.registry_id, release="abc123def456")
    pushed = module.Image("it", image)
    pulumi.export("image", pushed.digest_reference)
    # What a service is told.
    pulumi_aws_ecs_task(pushed.digest_reference)
    return pushed


def pulumi_aws_ecs_task(image: pulumi.Output[str]) -> None:
    """A task definition of that image, whose input shows how the image is named."""
    import pulumi_aws as aws

    containers = pulumi.Output.json_dumps([{"image": image}])
    aws.ecs.TaskDefinition("task", family="task", container_definitions=containers, tags=TAGS)


def roles(**changes: Any) -> object:
    module = _module("roles")
    given = {
        "account_id": ACCOUNT,
        "region": REGION,
        "repository_arn": f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/pay402-prod",
        "secret_arns": [f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:it/jwt-AbCdEf"],
        "secret_key_arn": KEY,
        "log_group_arns": [f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/railyard/web"],
        "archive_arn": "arn:aws:s3:::railyard-audit",
        "archive_key_arn": KEY,
        "tags": TAGS,
        **changes,
    }
    return module.Roles("it", module.RolesArgs(**given))


def secrets(**changes: Any) -> object:
    from components.settings import Rail, generated_for

    module = _module("secrets")
    issued = generated_for("ecs", (Rail.LND, Rail.SOLANA))
    given: dict[str, Any] = {
        "account_id": ACCOUNT,
        "region": REGION,
        "secret_key_arn": KEY,
        "data_key_arn": KEY,
        "log_key_arn": KEY,
        "issued": issued,
        "issued_values": {value.key: pulumi.Output.secret(f"planted-{value.key}") for value in issued},
        "database": module.DatabaseLogins(
            address="db.example.internal",
            port=5432,
            name="payments",
            master_secret_arn=f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:rds!db-1-AbCdEf",
        ),
        "cache": module.CacheToken(
            address="redis.example.internal",
            port=6379,
            replication_group_id="pay402-prod",
            first=pulumi.Output.secret("planted-token"),
        ),
        "function_subnet_ids": SUBNETS,
        "function_security_group_id": "sg-function",
        "alarm_topic_arns": [f"arn:aws:sns:{REGION}:{ACCOUNT}:alarms"],
        "tags": TAGS,
        **changes,
    }
    return module.StackSecrets("it", module.StackSecretsArgs(**given))


ADMINISTRATORS = [f"arn:aws:iam::{ACCOUNT}:role/railyard-deployer", f"arn:aws:iam::{ACCOUNT}:role/railyard-verifier"]
SECRET = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:it/jwt-AbCdEf"
READERS = [f"arn:aws:iam::{ACCOUNT}:role/it-rotation", f"arn:aws:iam::{ACCOUNT}:role/it-execution"]


def secret_policies(**changes: Any) -> object:
    module = _module("secret_policies")
    guarded = module.GuardedSecret(arn=SECRET, readers=READERS)
    given = {"secrets": {"jwt": guarded}, "administrators": ADMINISTRATORS, **changes}
    return module.SecretPolicies("it", module.SecretPoliciesArgs(**given))


PROGRAMS: dict[str, Callable[..., object]] = {
    "keys": keys,
    "network": network,
    "security_groups": security_groups,
    "database": database,
    "cache": cache,
    "registry": registry,
    "roles": roles,
    "secrets": secrets,
    "secret_policies": secret_policies,
}
