"""Logs, alarms, topics, queues, registries, through their whole lives."""

from __future__ import annotations

import json

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


def test_what_is_watched_is_watched_as_asked_for(world: World) -> None:
    key = world.make("aws:kms/key:Key", "key", description="k", enableKeyRotation=True)
    lg = world.make("aws:cloudwatch/logGroup:LogGroup", "lg", name="/x/y", retentionInDays=30, kmsKeyId=key["arn"])
    lg = world.change(lg, retentionInDays=60, tags={"q": "r"})
    mf = world.make(
        "aws:cloudwatch/logMetricFilter:LogMetricFilter",
        "mf",
        name="errors",
        logGroupName=lg.id,
        pattern="ERROR",
        metricTransformation={"name": "Errors", "namespace": "X", "value": "1", "defaultValue": "0"},
    )
    mf = world.change(mf, pattern="WARN")
    world.make(
        "aws:cloudwatch/queryDefinition:QueryDefinition",
        "qd",
        name="q",
        queryString="fields @message",
        logGroupNames=["/x/y"],
    )
    t = world.make(
        "aws:sns/topic:Topic", "t", name="alarms", kmsMasterKeyId=key.id, displayName="Alarms", tags={"a": "b"}
    )
    t = world.change(t, displayName="Other", tags={"a": "c"})
    world.make(
        "aws:sns/topicPolicy:TopicPolicy",
        "tp",
        arn=t.id,
        policy=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Principal": {"Service": "cloudwatch.amazonaws.com"},
                        "Action": "sns:Publish",
                        "Resource": t.id,
                    }
                ],
            }
        ),
    )
    world.make(
        "aws:sns/topicSubscription:TopicSubscription", "ts", topic=t.id, protocol="email", endpoint="a@example.com"
    )
    world.make(
        "aws:sns/topicSubscription:TopicSubscription",
        "ts2",
        topic=t.id,
        protocol="https",
        endpoint="https://events.pagerduty.com/x",
        filterPolicy=json.dumps({"severity": ["critical"]}),
        endpointAutoConfirms=True,
    )
    q = world.make(
        "aws:sqs/queue:Queue",
        "q",
        messageRetentionSeconds=86400,
        sqsManagedSseEnabled=True,
        visibilityTimeoutSeconds=60,
    )
    q = world.change(q, visibilityTimeoutSeconds=90)
    world.make(
        "aws:sqs/queuePolicy:QueuePolicy",
        "qp",
        queueUrl=q.id,
        policy=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": q["arn"]}],
            }
        ),
    )
    ma = world.make(
        "aws:cloudwatch/metricAlarm:MetricAlarm",
        "ma",
        name="cpu",
        comparisonOperator="GreaterThanThreshold",
        evaluationPeriods=1,
        datapointsToAlarm=1,
        metricName="CPU",
        namespace="AWS/ECS",
        period=60,
        statistic="Average",
        threshold=70,
        alarmActions=[t.id],
        okActions=[t.id],
        treatMissingData="breaching",
        dimensions={"ClusterName": "x"},
        alarmDescription="d",
    )
    ma = world.change(ma, threshold=71.5)
    world.make(
        "aws:cloudwatch/metricAlarm:MetricAlarm",
        "ma2",
        name="rate",
        comparisonOperator="GreaterThanThreshold",
        evaluationPeriods=1,
        threshold=5,
        metricQueries=[
            {"id": "e", "expression": "100*f/t", "label": "rate", "returnData": True},
            {
                "id": "f",
                "metric": {
                    "metricName": "F",
                    "namespace": "X",
                    "period": 60,
                    "stat": "Sum",
                    "dimensions": {"rail": "lnd"},
                },
            },
            {"id": "t", "metric": {"metricName": "T", "namespace": "X", "period": 60, "stat": "Sum"}},
        ],
    )
    told = world.provider._account.call("", "cloudwatch", "eu-central-1", "describe_alarms", {"AlarmNames": ["rate"]})
    (rate,) = told["MetricAlarms"]
    stats = {query["Id"]: query.get("MetricStat") for query in rate["Metrics"]}
    assert stats["f"]["Period"] == 60
    assert stats["f"]["Stat"] == "Sum"
    assert stats["f"]["Metric"]["MetricName"] == "F"
    assert stats["f"]["Metric"]["Dimensions"] == [{"Name": "rail", "Value": "lnd"}]
    any_of = world.make(
        "aws:cloudwatch/compositeAlarm:CompositeAlarm",
        "ca",
        alarmName="any",
        alarmRule="ALARM(cpu)",
        alarmActions=["arn:aws:sns:eu-central-1:123456789012:critical"],
        tags={"stack": "test"},
    )
    any_of = world.change(any_of, alarmRule="ALARM(cpu) OR ALARM(rate)", alarmDescription="either")
    assert world.plan(any_of, alarmName="other") == {"alarmName": True}
    asked = {"AlarmNames": ["any"], "AlarmTypes": ["CompositeAlarm"]}
    (said,) = world.provider._account.call("", "cloudwatch", "eu-central-1", "describe_alarms", asked)[
        "CompositeAlarms"
    ]
    assert said["AlarmRule"] == "ALARM(cpu) OR ALARM(rate)"
    assert said["AlarmActions"] == ["arn:aws:sns:eu-central-1:123456789012:critical"]
    world.make("aws:cloudwatch/dashboard:Dashboard", "da", dashboardName="d", dashboardBody=json.dumps({"widgets": []}))
    repo = world.make(
        "aws:ecr/repository:Repository",
        "repo",
        name="payments",
        imageTagMutability="IMMUTABLE",
        imageScanningConfiguration={"scanOnPush": True},
        encryptionConfigurations=[{"encryptionType": "KMS", "kmsKey": key["arn"]}],
        forceDelete=True,
    )
    world.make(
        "aws:ecr/lifecyclePolicy:LifecyclePolicy",
        "lp",
        repository=repo.id,
        policy=json.dumps(
            {
                "rules": [
                    {
                        "rulePriority": 1,
                        "selection": {
                            "tagStatus": "untagged",
                            "countType": "sinceImagePushed",
                            "countUnit": "days",
                            "countNumber": 14,
                        },
                        "action": {"type": "expire"},
                    }
                ]
            }
        ),
    )
    world.make(
        "aws:appautoscaling/policy:Policy",
        "po",
        policyType="TargetTrackingScaling",
        resourceId="service/c/s",
        scalableDimension="ecs:service:DesiredCount",
        serviceNamespace="ecs",
        targetTrackingScalingPolicyConfiguration={
            "targetValue": 70,
            "scaleInCooldown": 300,
            "scaleOutCooldown": 60,
            "predefinedMetricSpecification": {"predefinedMetricType": "ECSServiceAverageCPUUtilization"},
        },
    )
    world.make(
        "aws:appautoscaling/policy:Policy",
        "po2",
        policyType="TargetTrackingScaling",
        resourceId="service/c/s",
        scalableDimension="ecs:service:DesiredCount",
        serviceNamespace="ecs",
        targetTrackingScalingPolicyConfiguration={
            "targetValue": 50,
            "customizedMetricSpecification": {
                "metricName": "Pending",
                "namespace": "Deligate/Payments",
                "statistic": "Average",
                "dimensions": [{"name": "a", "value": "b"}],
            },
        },
    )
    world.make(
        "aws:cloudwatch/logDeliverySource:LogDeliverySource",
        "src",
        name="src",
        logType="ACCESS_LOGS",
        resourceArn="arn:aws:cloudfront::123456789012:distribution/E1",
        region="us-east-1",
    )
    dd = world.make(
        "aws:cloudwatch/logDeliveryDestination:LogDeliveryDestination",
        "dd",
        name="dd",
        outputFormat="json",
        deliveryDestinationConfiguration={"destinationResourceArn": "arn:aws:s3:::logs"},
        region="us-east-1",
    )
    world.make(
        "aws:cloudwatch/logDelivery:LogDelivery",
        "de",
        deliverySourceName="src",
        deliveryDestinationArn=dd["arn"],
        region="us-east-1",
        recordFields=["date"],
    )
