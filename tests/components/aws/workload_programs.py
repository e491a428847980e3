"""Programs that declare one component of the service half each, as somebody would who uses it alone."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import pulumi

from tests.components.aws.declaring import ACCOUNT, REGION, TAGS

KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234abcd"
IMAGE = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/payments@sha256:{'4d' * 32}"
CERTIFICATE = f"arn:aws:acm:{REGION}:{ACCOUNT}:certificate/1"
CRITICAL, WARN = (f"arn:aws:sns:{REGION}:{ACCOUNT}:{name}" for name in ("critical", "warn"))
GROUPS = [f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:targetgroup/{slot}/1" for slot in ("blue", "green")]
RULES = [f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:listener-rule/app/it/1/2/{kind}" for kind in ("a1", "b2")]
LISTENER = f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:listener/app/it/1/2"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/it"
DATABASE = f"arn:aws:rds:{REGION}:{ACCOUNT}:db:pay402-prod"
CLUSTER = f"arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/it"
SECRET = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:it"
PRIVATE = ("subnet-a", "subnet-b", "subnet-c")
HOST = "pay.example.com"
PAGERDUTY = "https://events.pagerduty.invalid/planted"
RAILS = ("lnd", "solana")


def _made(file: str, name: str, **given: Any) -> object:
    module = importlib.import_module(f"components.aws.{file}")
    return getattr(module, name)("it", getattr(module, f"{name}Args")(**{"tags": TAGS, **given}))


def _module(name: str) -> Any:
    return importlib.import_module(f"components.aws.{name}")


def private_bucket(**changes: Any) -> object:
    return _made("private_bucket", "PrivateBucket", **{"kms_key_arn": KEY, "lock_years": 7, **changes})


def audit_archive(**changes: Any) -> object:
    return _made("audit_archive", "AuditArchive", **{"kms_key_arn": KEY, **changes})


def channel_backups(**changes: Any) -> object:
    return _made("channel_backups", "ChannelBackups", **{"kms_key_arn": KEY, **changes})


def load_balancer(**changes: Any) -> object:
    given = {
        "vpc_id": "vpc-1",
        "public_subnet_ids": PRIVATE,
        "security_group_id": "sg-load-balancer",
        "host": HOST,
        "certificate_arn": CERTIFICATE,
        "test_secret": "planted-test-secret",
    }
    return _made("load_balancer", "LoadBalancer", **{**given, **changes})


def waf(**changes: Any) -> object:
    return _made("waf", "Waf", **{"load_balancer_arn": "arn:lb", "kms_key_arn": KEY, **changes})


def certificate(**changes: Any) -> object:
    return _made("certificate", "Certificate", **{"host": HOST, "zone_id": "Z1", **changes})


def alias(**changes: Any) -> object:
    given = {"host": HOST, "zone_id": "Z1", "target_dns_name": "lb.example.net", "target_zone_id": "Z2"}
    return _made("certificate", "Alias", **{**given, "health_path": "/health", **changes})


def cdn(**changes: Any) -> object:
    given = {"host": "static.example.com", "api_host": HOST, "account_id": ACCOUNT, "certificate_arn": CERTIFICATE}
    return _made("cdn", "Cdn", **{**given, **changes})


def notifications(**changes: Any) -> object:
    given = {
        "account_id": ACCOUNT,
        "emails": ["alerts@example.com"],
        "pagerduty_url": pulumi.Output.secret(PAGERDUTY),
    }
    return _made("notifications", "Notifications", **{**given, **changes})


def slack(**changes: Any) -> object:
    given = {
        "account_id": ACCOUNT,
        "topic_arns": {"warn": WARN, "critical": CRITICAL},
        "critical_topic_arn": CRITICAL,
        "secret_arn": SECRET,
        "secret_key_arn": KEY,
        "log_key_arn": KEY,
    }
    return _made("slack", "Slack", **{**given, **changes})


def logs(**changes: Any) -> object:
    return _made("logs", "Logs", **{"kms_key_arn": KEY, **changes})


def subject(**changes: Any) -> Any:
    given = {"rails": RAILS, "database_storage_gib": 100, "database_maximum_connections": 400}
    return _module("alarm_table").Subject(**{**given, **changes})


def alarms(**changes: Any) -> object:
    given = {
        "subject": subject(),
        "region": "us-east-1",
        "cluster": "it",
        "web_service": "it-web",
        "worker_service": "it-worker",
        "load_balancer": "app/it/1",
        "target_group": "targetgroup/blue/1",
        "alternate_target_group": "targetgroup/green/1",
        "database": "pay402-prod",
        "cache_cluster": "pay402-prod-001",
        "web_acl": "it-acl",
        "health_check": "check-1",
        "schedule_group": "it-tasks",
        "warn_topic_arn": WARN,
        "critical_topic_arn": CRITICAL,
    }
    return _made("alarms", "Alarms", **{**given, **changes})


def dashboards(**changes: Any) -> object:
    given = {
        "region": REGION,
        "rails": RAILS,
        "cluster": "it",
        "web_service": "it-web",
        "worker_service": "it-worker",
        "load_balancer": "app/it/1",
        "database": "pay402-prod",
        "cache_cluster": "pay402-prod-001",
        "web_acl": "it-acl",
        "web_log_group": "/railyard/it/web",
        "alarm_arns": [f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:it-uptime"],
    }
    return _made("dashboards", "Dashboards", **{**given, **changes})


def traffic(**changes: Any) -> Any:
    given = {
        "target_group_arn": GROUPS[0],
        "alternate_target_group_arn": GROUPS[1],
        "production_rule_arn": RULES[0],
        "test_rule_arn": RULES[1],
        "role_arn": ROLE,
        "alarm_names": ["it-payment-failures"],
    }
    return _module("service").Traffic(**{**given, **changes})


def service(**changes: Any) -> object:
    both = {"DATABASE_URL": f"{SECRET}-app:url::", "INVOICE_SECRET": f"{SECRET}-invoice:value::"}
    given = {
        "image": IMAGE,
        "release": "r-1",
        "region": REGION,
        "subnet_ids": PRIVATE,
        "security_group_id": "sg-task",
        "execution_role_arn": ROLE,
        "web_role_arn": f"{ROLE}-web",
        "worker_role_arn": f"{ROLE}-worker",
        "environment": {"APP_ENV": "production", "SOLANA_FEE_PAYER_ADDRESS": "4Nd1"},
        "web_environment": {},
        "worker_environment": {},
        "web_secrets": {**both, "JWT_SECRET": f"{SECRET}-jwt:current::"},
        "worker_secrets": {**both, "SOLANA_FEE_PAYER": f"{SECRET}-payer:value::", "LND_PAY_MACAROON": SECRET},
        "migrate_secrets": {"DATABASE_OWNER_URL": f"{SECRET}-owner:url::"},
        "log_groups": {role: f"/railyard/it/{role}" for role in ("web", "worker", "migrate")},
        "traffic": traffic(),
    }
    return _made("service", "Service", **{**given, **changes})


def rollout_role(**changes: Any) -> object:
    given = {"account_id": ACCOUNT, "listener_arn": LISTENER, "rule_arns": RULES, "target_group_arns": GROUPS}
    return _made("rollout_role", "RolloutRole", **{**given, **changes})


def autoscaling(**changes: Any) -> object:
    return _made("autoscaling", "Autoscaling", **{"cluster_name": "it", "service_name": "it-web", **changes})


def container(**changes: Any) -> Any:
    given = {
        "name": "tasks",
        "command": ["audit", "verify"],
        "image": IMAGE,
        "environment": {},
        "secrets": {"DATABASE_URL": SECRET},
        "log_group": "/railyard/it/tasks",
        "region": REGION,
    }
    return _module("container").ContainerArgs(**{**given, **changes})


def scheduled_tasks(**changes: Any) -> object:
    given = {
        "account_id": ACCOUNT,
        "cluster_arn": CLUSTER,
        "subnet_ids": PRIVATE,
        "security_group_id": "sg-task",
        "execution_role_arn": ROLE,
        "containers": {
            "app": container(),
            "owner": container(secrets={"DATABASE_OWNER_URL": SECRET}),
            "archive": container(environment={"AUDIT_ARCHIVE_STORE": "s3://it-records"}),
        },
        "archive_role_arn": f"{ROLE}-auditor",
        "topic_arn": CRITICAL,
        "kms_key_arn": KEY,
    }
    return _made("scheduled_tasks", "ScheduledTasks", **{**given, **changes})


def backups(**changes: Any) -> object:
    given = {
        "account_id": ACCOUNT,
        "region": REGION,
        "database_arn": DATABASE,
        "kms_key_arn": KEY,
        "topic_arn": CRITICAL,
        "subnet_group_name": "pay402-prod",
        "security_group_id": "sg-database",
    }
    return _made("backups", "Backups", **{**given, **changes})


def database_events(**changes: Any) -> object:
    given = {"identifier": "it-database", "topic_arn": WARN}
    return _made("database_events", "DatabaseEvents", **{**given, **changes})


def budget(**changes: Any) -> object:
    given = {"monthly_usd": 1500, "topic_arn": WARN, "emails": ["alerts@example.com"]}
    return _made("budget", "Budget", **{**given, **changes})


PROGRAMS: dict[str, Callable[..., object]] = {
    program.__name__: program
    for program in (
        private_bucket,
        audit_archive,
        channel_backups,
        load_balancer,
        waf,
        certificate,
        alias,
        cdn,
        notifications,
        slack,
        logs,
        alarms,
        dashboards,
        service,
        rollout_role,
        autoscaling,
        scheduled_tasks,
        backups,
        database_events,
        budget,
    )
}
"""Component -> what declares it."""
