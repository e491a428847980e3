"""Load balancer and ECS, through their whole lives."""

from __future__ import annotations

import json

from tests.providers.aws.account_client import client
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


def test_a_service_behind_a_load_balancer(world: World, account: str) -> None:
    vpc_id, subnet_ids = subnets(world)
    sg = world.make("aws:ec2/securityGroup:SecurityGroup", "sg", vpcId=vpc_id, description="x")
    world.provider._account.client("s3", "eu-central-1").create_bucket(
        Bucket="logs", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
    )
    lb = world.make(
        "aws:lb/loadBalancer:LoadBalancer",
        "lb",
        subnets=subnet_ids,
        securityGroups=[sg.id],
        dropInvalidHeaderFields=True,
        idleTimeout=60,
        enableDeletionProtection=True,
        accessLogs={"bucket": "logs", "enabled": True, "prefix": "alb"},
        desyncMitigationMode="defensive",
        tags={"a": "b"},
    )
    lb = world.change(lb, idleTimeout=90, enableDeletionProtection=False)
    tgp = world.make(
        "aws:lb/targetGroup:TargetGroup",
        "tgp",
        port=3001,
        protocol="HTTP",
        vpcId=vpc_id,
        targetType="ip",
        deregistrationDelay=30,
        healthCheck={
            "path": "/ready",
            "interval": 10,
            "timeout": 5,
            "healthyThreshold": 2,
            "unhealthyThreshold": 3,
            "matcher": "200",
        },
    )
    tgp = world.change(
        tgp,
        deregistrationDelay=60,
        healthCheck={
            "path": "/health",
            "interval": 10,
            "timeout": 5,
            "healthyThreshold": 2,
            "unhealthyThreshold": 3,
            "matcher": "200",
        },
    )
    acm = world.provider._account.client("acm", "eu-central-1").request_certificate(
        DomainName="x.example.com", ValidationMethod="DNS"
    )["CertificateArn"]
    li = world.make(
        "aws:lb/listener:Listener",
        "li",
        loadBalancerArn=lb.id,
        port=443,
        protocol="HTTPS",
        sslPolicy="ELBSecurityPolicy-TLS13-1-2-2021-06",
        certificateArn=acm,
        defaultActions=[
            {
                "type": "fixed-response",
                "fixedResponse": {"contentType": "text/plain", "messageBody": "no", "statusCode": "404"},
            }
        ],
        routingHttpResponseStrictTransportSecurityHeaderValue="max-age=63072000",
    )
    li = world.change(li, defaultActions=[{"type": "forward", "targetGroupArn": tgp.id}])
    ru = world.make(
        "aws:lb/listenerRule:ListenerRule",
        "ru",
        listenerArn=li.id,
        priority=10,
        actions=[{"type": "forward", "forward": {"targetGroups": [{"arn": tgp.id, "weight": 100}]}}],
        conditions=[{"hostHeader": {"values": ["x.example.com"]}}],
    )
    ru = world.change(ru, priority=20, conditions=[{"httpHeader": {"httpHeaderName": "x-s", "values": ["y"]}}])
    cl = world.make("aws:ecs/cluster:Cluster", "cl", settings=[{"name": "containerInsights", "value": "enabled"}])
    world.make(
        "aws:ecs/clusterCapacityProviders:ClusterCapacityProviders",
        "cp",
        clusterName=cl["name"],
        capacityProviders=["FARGATE"],
        defaultCapacityProviderStrategies=[{"capacityProvider": "FARGATE", "weight": 1, "base": 1}],
    )
    td = world.make(
        "aws:ecs/taskDefinition:TaskDefinition",
        "td",
        family="web",
        cpu="2048",
        memory="4096",
        networkMode="awsvpc",
        requiresCompatibilities=["FARGATE"],
        executionRoleArn="arn:aws:iam::123456789012:role/e",
        taskRoleArn="arn:aws:iam::123456789012:role/t",
        skipDestroy=False,
        runtimePlatform={"cpuArchitecture": "X86_64", "operatingSystemFamily": "LINUX"},
        containerDefinitions=json.dumps(
            [
                {
                    "name": "web",
                    "image": "x@sha256:1",
                    "essential": True,
                    "portMappings": [{"containerPort": 3001}],
                    "readonlyRootFilesystem": True,
                    "user": "10001",
                    "secrets": [{"name": "A", "valueFrom": "arn"}],
                }
            ]
        ),
        volumes=[{"name": "tmp"}],
    )
    sv = world.make(
        "aws:ecs/service:Service",
        "sv",
        cluster=cl.id,
        taskDefinition=td["arn"],
        desiredCount=3,
        launchType="FARGATE",
        networkConfiguration={"subnets": subnet_ids, "securityGroups": [sg.id], "assignPublicIp": False},
        loadBalancers=[{"targetGroupArn": tgp.id, "containerName": "web", "containerPort": 3001}],
        deploymentCircuitBreaker={"enable": True, "rollback": True},
        healthCheckGracePeriodSeconds=60,
        deploymentConfiguration={
            "strategy": "CANARY",
            "bakeTimeInMinutes": 5,
            "canaryConfiguration": {"canaryPercent": 5, "canaryBakeTimeInMinutes": 10},
        },
        alarms={"alarmNames": ["a"], "enable": True, "rollback": True},
        deploymentMinimumHealthyPercent=100,
        deploymentMaximumPercent=200,
        propagateTags="SERVICE",
        enableEcsManagedTags=True,
        tags={"x": "y"},
    )
    sv = world.change(sv, desiredCount=4)
    canary = {"canaryPercent": 10, "canaryBakeTimeInMinutes": 10}
    sv = world.change(
        sv,
        alarms={"alarmNames": ["a", "b"], "enable": True, "rollback": True},
        deploymentConfiguration={"strategy": "CANARY", "bakeTimeInMinutes": 5, "canaryConfiguration": canary},
        availabilityZoneRebalancing="ENABLED",
    )
    (told,) = client(account, "ecs").describe_services(cluster=cl.id, services=[sv["name"]])["services"]
    assert told["deploymentConfiguration"]["strategy"] == "CANARY"
    assert told["deploymentConfiguration"]["canaryConfiguration"] == canary
    assert told["deploymentConfiguration"]["alarms"]["alarmNames"] == ["a", "b"]
    assert (told["healthCheckGracePeriodSeconds"], told["enableECSManagedTags"]) == (60, True)
    assert not world.unobserved["aws:ecs/service:Service"]
    tg = world.make(
        "aws:appautoscaling/target:Target",
        "tg",
        minCapacity=3,
        maxCapacity=10,
        resourceId="service/" + cl["name"] + "/" + sv["name"],
        scalableDimension="ecs:service:DesiredCount",
        serviceNamespace="ecs",
    )
    tg = world.change(tg, maxCapacity=12)
    world.make("aws:cloudwatch/logGroup:LogGroup", "lg", name="/x/y", retentionInDays=30)
    mf = world.make(
        "aws:cloudwatch/logMetricFilter:LogMetricFilter",
        "mf",
        **{"name": "errors"},
        logGroupName="/x/y",
        pattern="ERROR",
        metricTransformation={"name": "Errors", "namespace": "X", "value": "1", "defaultValue": "0"},
    )
    mf = world.change(mf, pattern="WARN")
