"""Backups, events, schedules, functions, budgets and clusters, through their whole lives."""

from __future__ import annotations

import json
from pathlib import Path

from providers.base.values import ARCHIVE, SIGNATURE
from tests.providers.aws.documents import KEY_ARN, ROLE_ARN, assumed_by
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


def test_what_runs_by_itself_is_as_it_was_asked_for(world: World, tmp_path: Path) -> None:
    (tmp_path / "index.py").write_text("def handler(event, context): pass\n")
    v = world.make("aws:backup/vault:Vault", "v", kmsKeyArn=KEY_ARN, tags={"a": "b"})
    world.make(
        "aws:backup/vaultLockConfiguration:VaultLockConfiguration",
        "vl",
        backupVaultName=v.id,
        minRetentionDays=7,
        maxRetentionDays=3000,
    )
    p = world.make(
        "aws:backup/plan:Plan",
        "p",
        rules=[
            {
                "ruleName": "daily",
                "targetVaultName": v.id,
                "schedule": "cron(0 5 ? * * *)",
                "startWindow": 60,
                "completionWindow": 180,
                "lifecycle": {"deleteAfter": 7},
                "enableContinuousBackup": True,
            }
        ],
    )
    world.make("aws:backup/selection:Selection", "s", name="s", planId=p.id, iamRoleArn=ROLE_ARN, resources=["arn"])
    world.make(
        "aws:backup/restoreTestingPlan:RestoreTestingPlan",
        "rt",
        name="rt",
        scheduleExpression="cron(0 5 ? * 1 *)",
        recoveryPointSelection={"algorithm": "LATEST_WITHIN_WINDOW"},
    )
    q = world.make("aws:sqs/queue:Queue", "q")
    r = world.make(
        "aws:cloudwatch/eventRule:EventRule",
        "r",
        eventPattern=json.dumps({"source": ["aws.cloudwatch"]}),
        description="d",
        tags={"a": "b"},
    )
    r = world.change(r, description="e")
    cn = world.make(
        "aws:cloudwatch/eventConnection:EventConnection",
        "cn",
        authorizationType="API_KEY",
        authParameters={"apiKey": {"key": "x", "value": "hush"}},
    )
    ad = world.make(
        "aws:cloudwatch/eventApiDestination:EventApiDestination",
        "ad",
        connectionArn=cn["arn"],
        invocationEndpoint="https://hooks.slack.com/x",
        httpMethod="POST",
        invocationRateLimitPerSecond=10,
    )
    t = world.make(
        "aws:cloudwatch/eventTarget:EventTarget",
        "t",
        rule=r.id,
        arn=ad["arn"],
        roleArn=ROLE_ARN,
        inputTransformer={"inputPaths": {"a": "$.detail"}, "inputTemplate": '{"text":"<a>"}'},
        deadLetterConfig={"arn": q["arn"]},
        retryPolicy={"maximumEventAgeInSeconds": 3600, "maximumRetryAttempts": 5},
    )
    t = world.change(t, roleArn="arn:aws:iam::123456789012:role/y")
    g = world.make("aws:scheduler/scheduleGroup:ScheduleGroup", "g")
    s = world.make(
        "aws:scheduler/schedule:Schedule",
        "s",
        groupName=g.id,
        scheduleExpression="rate(1 hour)",
        flexibleTimeWindow={"mode": "OFF"},
        target={
            "arn": "arn:aws:ecs:eu-central-1:123456789012:cluster/c",
            "roleArn": ROLE_ARN,
            "input": "{}",
            "ecsParameters": {
                "taskDefinitionArn": "arn:td",
                "launchType": "FARGATE",
                "networkConfiguration": {"subnets": ["a"], "securityGroups": ["b"], "assignPublicIp": False},
            },
            "retryPolicy": {"maximumRetryAttempts": 3},
        },
        state="ENABLED",
    )
    s = world.change(s, scheduleExpression="rate(2 hours)")
    role = world.make("aws:iam/role:Role", "role", assumeRolePolicy=assumed_by("lambda.amazonaws.com"))
    f = world.make(
        "aws:lambda/function:Function",
        "f",
        runtime="python3.12",
        handler="index.handler",
        role=role["arn"],
        timeout=30,
        memorySize=256,
        code={SIGNATURE: ARCHIVE, "hash": "h1", "path": str(tmp_path)},
        environment={"variables": {"A": "b"}},
        architectures=["arm64"],
        tracingConfig={"mode": "Active"},
        reservedConcurrentExecutions=5,
        loggingConfig={"logFormat": "JSON", "logGroup": "/x"},
        tags={"a": "b"},
    )
    f = world.change(f, timeout=60, environment={"variables": {"A": "c"}})
    world.make(
        "aws:lambda/permission:Permission",
        "pe",
        function=f.id,
        action="lambda:InvokeFunction",
        principal="secretsmanager.amazonaws.com",
        sourceAccount="123456789012",
    )
    sec = world.make("aws:secretsmanager/secret:Secret", "sec")
    world.make("aws:secretsmanager/secretVersion:SecretVersion", "sv", secretId=sec.id, secretString="hush")
    world.make(
        "aws:secretsmanager/secretRotation:SecretRotation",
        "ro",
        secretId=sec.id,
        rotationLambdaArn=f["arn"],
        rotationRules={"automaticallyAfterDays": 30},
        rotateImmediately=False,
    )
    world.make(
        "aws:budgets/budget:Budget",
        "b",
        budgetType="COST",
        limitAmount="900",
        limitUnit="USD",
        timeUnit="MONTHLY",
        notifications=[
            {
                "comparisonOperator": "GREATER_THAN",
                "threshold": 80,
                "thresholdType": "PERCENTAGE",
                "notificationType": "ACTUAL",
                "subscriberEmailAddresses": ["a@example.com"],
            }
        ],
    )
    ps = world.make(
        "aws:ssm/parameter:Parameter", "ps", name="/a/b", type="SecureString", value="hush", tags={"a": "b"}
    )
    ps = world.change(ps, value="hush2")
    bk = world.make("aws:s3/bucket:Bucket", "trail")
    world.make(
        "aws:cloudtrail/trail:Trail", "tr", s3BucketName=bk.id, isMultiRegionTrail=True, enableLogFileValidation=True
    )
    _vpc_id, subnet_ids = subnets(world)
    ek = world.make(
        "aws:eks/cluster:Cluster",
        "ek",
        roleArn=role["arn"],
        version="1.33",
        vpcConfig={"subnetIds": subnet_ids, "endpointPublicAccess": False, "endpointPrivateAccess": True},
        enabledClusterLogTypes=["api"],
        encryptionConfig={"provider": {"keyArn": "arn:k"}, "resources": ["secrets"]},
        accessConfig={"authenticationMode": "API"},
    )
    world.make(
        "aws:eks/nodeGroup:NodeGroup",
        "ng",
        clusterName=ek.id,
        nodeRoleArn=role["arn"],
        subnetIds=subnet_ids,
        scalingConfig={"minSize": 3, "maxSize": 6, "desiredSize": 3},
        instanceTypes=["m7g.large"],
        amiType="AL2023_ARM_64_STANDARD",
    )
    world.make("aws:eks/addon:Addon", "ao", clusterName=ek.id, addonName="vpc-cni")
