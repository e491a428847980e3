"""Database, cache, keys, secrets and roles, through their whole lives."""

from __future__ import annotations

import functools
import json
from typing import Any

from tests.providers.aws.account_client import client
from tests.providers.aws.documents import ROLE_ARN, allow, assumed_by
from tests.providers.aws.world import World


def subnets(world: World) -> tuple[str, list[str]]:
    """A VPC and three subnets in it; returns their ids."""
    vpc = world.make("aws:ec2/vpc:Vpc", "main", cidrBlock="10.0.0.0/16")
    made = [
        world.make(
            "aws:ec2/subnet:Subnet",
            f"private-{zone}",
            vpcId=vpc.id,
            cidrBlock=f"10.0.{i}.0/24",
            availabilityZone=f"eu-central-1{zone}",
        )
        for i, zone in enumerate("abc")
    ]
    return vpc.id, [subnet.id for subnet in made]


def nodes_of(cache: Any, group: str) -> list[dict[str, Any]]:
    """The nodes of a replication group, as clusters."""
    clusters = cache.describe_cache_clusters(ShowCacheNodeInfo=True)["CacheClusters"]
    return [cluster for cluster in clusters if cluster["ReplicationGroupId"] == group]


def test_data_is_kept_as_it_was_asked_for(world: World, account: str) -> None:
    vpc_id, subnet_ids = subnets(world)
    sg = world.make("aws:ec2/securityGroup:SecurityGroup", "sg", vpcId=vpc_id, description="x")
    key = world.make(
        "aws:kms/key:Key",
        "key",
        description="k",
        enableKeyRotation=True,
        deletionWindowInDays=7,
        policy=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Principal": {"AWS": "arn:aws:iam::123456789012:root"},
                        "Action": "kms:*",
                        "Resource": "*",
                    }
                ],
            }
        ),
    )
    key = world.change(key, description="other", enableKeyRotation=False)
    world.make("aws:kms/alias:Alias", "al", name="alias/x", targetKeyId=key.id)
    sng = world.make("aws:rds/subnetGroup:SubnetGroup", "sng", subnetIds=subnet_ids)
    pg = world.make(
        "aws:rds/parameterGroup:ParameterGroup",
        "pg",
        family="postgres16",
        parameters=[{"name": "rds.force_ssl", "value": "1", "applyMethod": "pending-reboot"}],
    )
    pg = world.change(pg, parameters=[{"name": "log_min_duration_statement", "value": "500"}])
    db = world.make(
        "aws:rds/instance:Instance",
        "db",
        identifier="payments",
        engine="postgres",
        engineVersion="16.9",
        instanceClass="db.t4g.medium",
        allocatedStorage=100,
        maxAllocatedStorage=500,
        storageEncrypted=True,
        kmsKeyId=key["arn"],
        dbName="payments",
        username="payments_owner",
        manageMasterUserPassword=True,
        multiAz=True,
        backupRetentionPeriod=7,
        deletionProtection=False,
        dbSubnetGroupName=sng.id,
        vpcSecurityGroupIds=[sg.id],
        parameterGroupName=pg.id,
        performanceInsightsEnabled=True,
        performanceInsightsRetentionPeriod=7,
        enabledCloudwatchLogsExports=["postgresql", "upgrade"],
        copyTagsToSnapshot=True,
        skipFinalSnapshot=True,
        storageType="gp3",
        backupWindow="02:00-03:00",
        maintenanceWindow="sun:03:30-sun:04:30",
        monitoringInterval=60,
        monitoringRoleArn=ROLE_ARN,
        iamDatabaseAuthenticationEnabled=True,
        caCertIdentifier="rds-ca-rsa2048-g1",
        autoMinorVersionUpgrade=True,
        publiclyAccessible=False,
        tags={"x": "y"},
    )
    db = world.change(db, backupRetentionPeriod=14, tags={"x": "z"})
    csg = world.make("aws:elasticache/subnetGroup:SubnetGroup", "csg", subnetIds=subnet_ids)
    cpg = world.make(
        "aws:elasticache/parameterGroup:ParameterGroup",
        "cpg",
        family="redis7",
        parameters=[{"name": "maxmemory-policy", "value": "noeviction"}],
    )
    rg = world.make(
        "aws:elasticache/replicationGroup:ReplicationGroup",
        "rg",
        description="cache",
        engine="redis",
        engineVersion="7.1",
        nodeType="cache.t4g.small",
        numCacheClusters=3,
        port=6379,
        automaticFailoverEnabled=True,
        multiAzEnabled=True,
        atRestEncryptionEnabled=True,
        transitEncryptionEnabled=True,
        authToken="x" * 32,
        kmsKeyId=key["arn"],
        subnetGroupName=csg.id,
        securityGroupIds=[sg.id],
        parameterGroupName=cpg.id,
        snapshotRetentionLimit=7,
        snapshotWindow="02:00-03:00",
        maintenanceWindow="sun:03:30-sun:04:30",
        autoMinorVersionUpgrade=True,
        applyImmediately=True,
    )
    rg = world.change(rg, snapshotRetentionLimit=5)
    cache = client(account, "elasticache")
    nodes = functools.partial(nodes_of, cache, rg.id)
    assert [node["CacheClusterId"][-4:] for node in nodes()] == ["-001", "-002", "-003"]
    assert len({node["PreferredAvailabilityZone"] for node in nodes()}) == 3
    assert {node["CacheParameterGroup"]["CacheParameterGroupName"] for node in nodes()} == {cpg.id}
    rg = world.change(rg, numCacheClusters=2, maintenanceWindow="mon:03:30-mon:04:30", nodeType="cache.t4g.medium")
    assert len(nodes()) == len(rg["memberClusters"]) == 2
    rg = world.change(rg, numCacheClusters=4, engineVersion="7.2")
    assert {node["EngineVersion"] for node in nodes()} == {"7.2"}
    assert [member[-4:] for member in rg["memberClusters"]] == ["-001", "-002", "-003", "-004"]
    sec = world.make(
        "aws:secretsmanager/secret:Secret", "sec", description="d", kmsKeyId=key["arn"], recoveryWindowInDays=7
    )
    sec = world.change(sec, description="e")
    world.make("aws:secretsmanager/secretVersion:SecretVersion", "sv", secretId=sec.id, secretString="hush")
    role = world.make(
        "aws:iam/role:Role", "role", assumeRolePolicy=assumed_by("ecs-tasks.amazonaws.com"), description="r"
    )
    role = world.change(role, description="q", assumeRolePolicy=assumed_by("lambda.amazonaws.com"))
    rp = world.make("aws:iam/rolePolicy:RolePolicy", "rp", role=role.id, policy=allow("s3:GetObject"))
    rp = world.change(rp, policy=allow("s3:PutObject"))
    pol = world.make("aws:iam/policy:Policy", "pol", policy=allow("s3:GetObject"))
    world.make("aws:iam/rolePolicyAttachment:RolePolicyAttachment", "at", role=role.id, policyArn=pol["arn"])
    world.make(
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
        "at2",
        role=role.id,
        policyArn="arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy",
    )
    oidc = world.make(
        "aws:iam/openIdConnectProvider:OpenIdConnectProvider",
        "oidc",
        url="https://oidc.example.com/id/x",
        clientIdLists=["sts.amazonaws.com"],
        thumbprintLists=["9e99a48a9960b14926bb7f3b02e22da2b0ab7280"],
    )
    world.change(oidc, clientIdLists=["sts.amazonaws.com", "other"], thumbprintLists=["a" * 40])
    other = world.make("aws:iam/role:Role", "other", assumeRolePolicy=assumed_by("ec2.amazonaws.com"))
    profile = world.make("aws:iam/instanceProfile:InstanceProfile", "profile", role=role.id)
    profile = world.change(profile, role=other.id)
    world.change(world.change(profile, role=None), role=other.id)


def test_an_input_that_is_given_no_longer_is_gone_from_the_account(world: World, account: str) -> None:
    secret = world.make(
        "aws:secretsmanager/secret:Secret", "sec", policy=allow("secretsmanager:GetSecretValue", "*", Principal="*")
    )
    secrets = client(account, "secretsmanager")
    assert "ResourcePolicy" in secrets.get_resource_policy(SecretId=secret.id)
    world.change(secret, policy=None)
    assert "ResourcePolicy" not in secrets.get_resource_policy(SecretId=secret.id)
