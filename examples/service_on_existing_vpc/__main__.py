"""The payment service on Fargate behind a load balancer, rolled out by canary, in a VPC that is there."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

from components.aws.keys import Keys, KeysArgs
from components.aws.load_balancer import LoadBalancer, LoadBalancerArgs
from components.aws.logs import Logs, LogsArgs
from components.aws.roles import Roles, RolesArgs
from components.aws.rollout_role import RolloutRole, RolloutRoleArgs
from components.aws.security_groups import SecurityGroups, SecurityGroupsArgs
from components.aws.service import Service, ServiceArgs, Traffic
from components.tags import stack_tags

config = pulumi.Config()
account_id, vpc_id = config.require("accountId"), config.require("vpcId")
secret_arns: dict[str, str] = config.require_object("secretArns")
region = aws.config.region or "eu-central-1"
tags = stack_tags(
    project=pulumi.get_project(),
    stack=pulumi.get_stack(),
    environment="staging",
    owner="payments-team",
    cost_center="payments",
)
keys = Keys("pay", KeysArgs(account_id=account_id, region=region, tags=tags))
groups = SecurityGroups("pay", SecurityGroupsArgs(vpc_id=vpc_id, tags=tags))
logs = Logs("pay", LogsArgs(kms_key_arn=keys.operations_key_arn, tags=tags))
balancer = LoadBalancer(
    "pay",
    LoadBalancerArgs(
        vpc_id=vpc_id,
        public_subnet_ids=config.require_object("publicSubnetIds"),
        security_group_id=groups.load_balancer_id,
        host=config.require("host"),
        certificate_arn=config.require("certificateArn"),
        test_secret=config.require_secret("testSecret"),
        tags=tags,
    ),
)
roles = Roles(
    "pay",
    RolesArgs(
        account_id=account_id,
        region=region,
        repository_arn=config.require("repositoryArn"),
        secret_arns=sorted(set(secret_arns.values())),
        secret_key_arn=config.require("secretKeyArn"),
        log_group_arns=list(logs.arns.values()),
        tags=tags,
    ),
)
rollout = RolloutRole(
    "pay",
    RolloutRoleArgs(
        account_id=account_id,
        listener_arn=balancer.listener_arn,
        rule_arns=[balancer.production_rule_arn, balancer.test_rule_arn],
        target_group_arns=[balancer.target_group_arn, balancer.alternate_target_group_arn],
        tags=tags,
    ),
)
errors = aws.cloudwatch.MetricAlarm(
    "pay-errors",
    name="pay-errors",
    alarm_description="The service answers with errors of its own: the rollout goes back.",
    namespace="AWS/ApplicationELB",
    metric_name="HTTPCode_Target_5XX_Count",
    dimensions={"LoadBalancer": balancer.arn_suffix},
    statistic="Sum",
    period=60,
    evaluation_periods=2,
    threshold=5,
    comparison_operator="GreaterThanThreshold",
    treat_missing_data="notBreaching",
    tags=tags,
)
shared = {name: arn for name, arn in secret_arns.items() if name != "JWT_SECRET"}
service = Service(
    "pay",
    ServiceArgs(
        image=config.require("image"),
        release="example",
        region=region,
        subnet_ids=config.require_object("privateSubnetIds"),
        security_group_id=groups.task_id,
        execution_role_arn=roles.execution_role_arn,
        web_role_arn=roles.web_role_arn,
        worker_role_arn=roles.worker_role_arn,
        environment={"APP_ENV": "staging", "NETWORK": "testnet"},
        web_environment={},
        worker_environment={},
        web_secrets=secret_arns,
        worker_secrets=shared,
        migrate_secrets={},
        log_groups=logs.names,
        traffic=Traffic(
            target_group_arn=balancer.target_group_arn,
            alternate_target_group_arn=balancer.alternate_target_group_arn,
            production_rule_arn=balancer.production_rule_arn,
            test_rule_arn=balancer.test_rule_arn,
            role_arn=rollout.arn,
            alarm_names=["pay-errors"],
        ),
        tags=tags,
    ),
    pulumi.ResourceOptions(depends_on=[errors]),
)
pulumi.export("loadBalancer", balancer.dns_name)
pulumi.export("cluster", service.cluster_name)
