"""A PostgreSQL and a Redis in a VPC that is there, for whatever is in one security group."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws
import pulumi_random as random

from components.aws.cache import Cache, CacheArgs
from components.aws.database import Database, DatabaseArgs
from components.aws.keys import Keys, KeysArgs
from components.tags import stack_tags

config = pulumi.Config()
vpc_id, clients = config.require("vpcId"), config.require("clientSecurityGroupId")
subnet_ids: list[str] = config.require_object("subnetIds")
tags = stack_tags(
    project=pulumi.get_project(),
    stack=pulumi.get_stack(),
    environment="staging",
    owner="orders-team",
    cost_center="orders",
)


def group(name: str, port: int) -> aws.ec2.SecurityGroup:
    """A security group that lets the clients in on one port, and nothing out."""
    made = aws.ec2.SecurityGroup(name, vpc_id=vpc_id, description=f"{name}, for its clients", tags=tags)
    aws.vpc.SecurityGroupIngressRule(
        name,
        security_group_id=made.id,
        referenced_security_group_id=clients,
        ip_protocol="tcp",
        from_port=port,
        to_port=port,
        tags=tags,
    )
    return made


region = aws.config.region or "eu-central-1"
keys = Keys("orders", KeysArgs(account_id=config.require("accountId"), region=region, tags=tags))
database = Database(
    "orders-database",
    DatabaseArgs(
        account_id=config.require("accountId"),
        identifier="orders-database",
        database_name="orders",
        subnet_ids=subnet_ids,
        security_group_id=group("orders-database", 5432).id,
        kms_key_arn=keys.data_key_arn,
        log_key_arn=keys.operations_key_arn,
        tags=tags,
    ),
)
token = random.RandomBytes("orders-redis-token", length=32)
cache = Cache(
    "orders-cache",
    CacheArgs(
        replication_group_id="orders-cache",
        subnet_ids=subnet_ids,
        security_group_id=group("orders-cache", 6379).id,
        kms_key_arn=keys.data_key_arn,
        log_key_arn=keys.operations_key_arn,
        auth_token=pulumi.Output.secret(token.hex),
        tags=tags,
    ),
)
pulumi.export("databaseAddress", database.address)
pulumi.export("databaseMasterSecretArn", database.master_secret_arn)
pulumi.export("redisUrl", pulumi.Output.format("rediss://:{0}@{1}:{2}/0", token.hex, cache.address, cache.port))
