"""The service, its scaling, maintenance and backups: what must hold, a function each; mutants use the same."""

from __future__ import annotations

import json
import re
from typing import Any

from tests.components.aws.declaring import ACCOUNT, Declared, Inputs
from tests.components.aws.properties import WORKLOAD, all_of, statements
from tests.components.aws.workload_programs import (
    CRITICAL,
    DATABASE,
    GROUPS,
    IMAGE,
    KEY,
    LISTENER,
    PRIVATE,
    ROLE,
    RULES,
    WARN,
)

of = WORKLOAD.of


def _policy(declared: Declared, kind: str, name: str = "") -> list[dict[str, Any]]:
    found = declared.of(kind)
    return statements((found[name] if name else next(iter(found.values())))["policy"])


def _containers(declared: Declared) -> list[dict[str, Any]]:
    return [
        container
        for definition in declared.of("ecs/taskDefinition:TaskDefinition").values()
        for container in json.loads(definition["containerDefinitions"])
    ]


# service


@of("service")
def image_by_digest(declared: Declared) -> bool:
    return {it["image"] for it in _containers(declared)} == {IMAGE}


@of("service")
def no_root_user(declared: Declared) -> bool:
    return all(re.fullmatch(r"[1-9]\d*:[1-9]\d*", it["user"]) for it in _containers(declared))


@of("service")
def read_only_root(declared: Declared) -> bool:
    return all(it["readonlyRootFilesystem"] is True and it["privileged"] is False for it in _containers(declared))


@of("service")
def no_capability(declared: Declared) -> bool:
    return all(it["linuxParameters"]["capabilities"] == {"drop": ["ALL"]} for it in _containers(declared))


@of("service")
def health_without_curl_on_the_roles_port(declared: Declared) -> bool:
    found = {it["name"]: it for it in _containers(declared)}
    for name, variable in (("web", "PORT"), ("worker", "WORKER_PORT")):
        command = found[name]["healthCheck"]["command"]
        if command[:3] != ["CMD", "python", "-c"] or f"'{variable}'" not in command[3]:
            return False
    times = found["web"]["healthCheck"]
    return (times["interval"], times["timeout"], times["retries"]) == (30, 3, 3)


@of("service")
def secrets_by_reference_alone(declared: Declared) -> bool:
    for container in _containers(declared):
        if not all(it["valueFrom"].startswith("arn:aws:secretsmanager:") for it in container["secrets"]):
            return False
        if any("SECRET" in it["name"] or "MACAROON" in it["name"] for it in container["environment"]):
            return False
    return True


@of("service")
def wallets_at_the_worker_alone(declared: Declared) -> bool:
    holders = {
        it["name"]
        for it in _containers(declared)
        if {secret["name"] for secret in it["secrets"]} & {"SOLANA_FEE_PAYER", "LND_PAY_MACAROON"}
    }
    return holders == {"worker"}


@of("service")
def two_cpus_and_four_gib(declared: Declared) -> bool:
    kind = "ecs/taskDefinition:TaskDefinition"
    return all_of(declared, kind, lambda it: (it["cpu"], it["memory"]) == ("2048", "4096"))


@of("service")
def no_public_address(declared: Declared) -> bool:
    def inside(inputs: Inputs) -> bool:
        network = inputs["networkConfiguration"]
        return network["assignPublicIp"] is False and network["subnets"] == list(PRIVATE)

    return all_of(declared, "ecs/service:Service", inside)


@of("service")
def three_web_tasks_and_never_fewer(declared: Declared) -> bool:
    web = declared.of("ecs/service:Service")["it-web-service"]
    return bool(web["desiredCount"] == 3 and web["deploymentMinimumHealthyPercent"] == 100)


@of("service")
def a_bad_release_is_rolled_back(declared: Declared) -> bool:
    def guarded(inputs: Inputs) -> bool:
        alarms = inputs["alarms"]
        breaker = inputs["deploymentCircuitBreaker"]
        return (
            alarms == {"alarmNames": ["it-payment-failures"], "enable": True, "rollback": True}
            and breaker == {"enable": True, "rollback": True}
            and inputs["waitForSteadyState"] is True
        )

    return all_of(declared, "ecs/service:Service", guarded)


@of("service")
def traffic_moves_in_steps(declared: Declared) -> bool:
    web = declared.of("ecs/service:Service")["it-web-service"]
    deployment, (balancer,) = web["deploymentConfiguration"], web["loadBalancers"]
    canary = deployment["canaryConfiguration"]
    moved = balancer["advancedConfiguration"]
    return (
        deployment["strategy"] == "CANARY"
        and canary == {"canaryPercent": 10, "canaryBakeTimeInMinutes": "10"}
        and deployment["bakeTimeInMinutes"] == "10"
        and [moved["productionListenerRule"], moved["testListenerRule"]] == RULES
        and [balancer["targetGroupArn"], moved["alternateTargetGroupArn"]] == GROUPS
        and balancer["containerPort"] == 3001
    )


@of("service")
def revisions_stay_for_a_rollback(declared: Declared) -> bool:
    return all_of(declared, "ecs/taskDefinition:TaskDefinition", lambda it: it["skipDestroy"] is True)


@of("rollout_role")
def it_moves_this_traffic_alone(declared: Declared) -> bool:
    by_sid = {it["Sid"]: it for it in _policy(declared, "iam/rolePolicy:RolePolicy")}
    return (
        by_sid["MoveTraffic"]["Resource"] == [LISTENER, *RULES]
        and by_sid["Targets"]["Resource"] == GROUPS
        and all(action.split(":")[1].startswith("Describe") for action in by_sid["Look"]["Action"])
    )


@of("rollout_role", "scheduled_tasks", "backups")
def roles_are_taken_for_this_account_alone(declared: Declared) -> bool:
    def ours(inputs: Inputs) -> bool:
        (statement,) = statements(inputs["assumeRolePolicy"])
        return bool(statement["Condition"] == {"StringEquals": {"aws:SourceAccount": ACCOUNT}})

    return all_of(declared, "iam/role:Role", ours)


# scaling


@of("autoscaling")
def three_to_ten_tasks(declared: Declared) -> bool:
    target = declared.one("appautoscaling/target:Target")
    return (target["minCapacity"], target["maxCapacity"]) == (3, 10)


@of("autoscaling")
def at_the_guides_figures(declared: Declared) -> bool:
    found = {
        name: it["targetTrackingScalingPolicyConfiguration"]
        for name, it in declared.of("appautoscaling/policy:Policy").items()
    }
    pending = found["it-pending"]["customizedMetricSpecification"]
    return (
        found["it-cpu"]["targetValue"] == 70
        and found["it-memory"]["targetValue"] == 80
        and found["it-pending"]["targetValue"] == 50
        and (pending["namespace"], pending["metricName"]) == ("Deligate/Payments", "PendingTransactions")
        and found["it-pending"]["disableScaleIn"] is True
    )


# maintenance


def _jobs(declared: Declared) -> dict[str, Inputs]:
    return {str(it["name"]): it for it in declared.of("scheduler/schedule:Schedule").values()}


def _command(schedule: Inputs) -> list[str]:
    (override,) = json.loads(schedule["target"]["input"])["containerOverrides"]
    return list(override["command"]) if override["name"] == "tasks" else []


@of("scheduled_tasks")
def the_audit_log_is_checked_each_day(declared: Declared) -> bool:
    schedule = _jobs(declared)["audit-verify"]
    return (
        schedule["scheduleExpression"] == "cron(30 2 * * ? *)"
        and _command(schedule) == ["--timeout-minutes", "30", "audit", "verify"]
        and schedule["target"]["ecsParameters"]["networkConfiguration"]["assignPublicIp"] is False
    )


@of("scheduled_tasks")
def the_database_is_optimised_each_month_as_its_owner(declared: Declared) -> bool:
    schedule = _jobs(declared)["optimise"]
    return (
        schedule["scheduleExpression"] == "cron(0 3 2 * ? *)"
        and _command(schedule)[2:] == ["maintain", "optimise"]
        and "owner" in schedule["target"]["ecsParameters"]["taskDefinitionArn"]
    )


@of("scheduled_tasks")
def reports_of_a_day_a_week_and_a_month(declared: Declared) -> bool:
    told = {
        name: (it["scheduleExpression"], _command(it)[2:])
        for name, it in _jobs(declared).items()
        if name.startswith("report-")
    }
    report = ["maintain", "report", "--days"]
    return told == {
        "report-daily": ("cron(10 0 * * ? *)", [*report, "1"]),
        "report-weekly": ("cron(20 0 ? * 2 *)", [*report, "7"]),
        "report-monthly": ("cron(30 0 1 * ? *)", [*report, "31"]),
    }


@of("scheduled_tasks")
def the_archive_is_checked_each_week_by_who_may_only_read_it(declared: Declared) -> bool:
    schedule = _jobs(declared)["audit-archive-verify"]
    roles = {name: it.get("taskRoleArn") for name, it in declared.of("ecs/taskDefinition:TaskDefinition").items()}
    return (
        schedule["scheduleExpression"] == "cron(0 4 ? * 1 *)"
        and _command(schedule)[2:] == ["audit", "verify-archive"]
        and "archive" in schedule["target"]["ecsParameters"]["taskDefinitionArn"]
        and roles == {"it-app": None, "it-owner": None, "it-archive": f"{ROLE}-auditor"}
    )


@of("scheduled_tasks")
def one_login_a_definition(declared: Declared) -> bool:
    given = {
        name: [secret["name"] for secret in json.loads(it["containerDefinitions"])[0]["secrets"]]
        for name, it in declared.of("ecs/taskDefinition:TaskDefinition").items()
    }
    return given == {"it-app": ["DATABASE_URL"], "it-archive": ["DATABASE_URL"], "it-owner": ["DATABASE_OWNER_URL"]}


@of("scheduled_tasks")
def what_fails_is_told(declared: Declared) -> bool:
    pattern = json.loads(declared.one("cloudwatch/eventRule:EventRule")["eventPattern"])
    target = declared.one("cloudwatch/eventTarget:EventTarget")
    return (
        pattern["detail"]["containers"] == {"exitCode": [{"anything-but": 0}]}
        and pattern["detail"]["group"] == ["it"]
        and target["arn"] == CRITICAL
        and all("deadLetterConfig" in schedule["target"] for schedule in _jobs(declared).values())
    )


@of("scheduled_tasks")
def it_may_start_this_definition_alone(declared: Declared) -> bool:
    by_sid = {it["Sid"]: it for it in _policy(declared, "iam/rolePolicy:RolePolicy")}
    return all("*" not in resource for it in by_sid.values() for resource in it["Resource"]) and "ecs:cluster" in str(
        by_sid["Start"]["Condition"]
    )


@of("scheduled_tasks")
def the_dead_letters_are_encrypted(declared: Declared) -> bool:
    (denied,) = _policy(declared, "sqs/queuePolicy:QueuePolicy")
    return bool(declared.one("sqs/queue:Queue")["kmsMasterKeyId"] == KEY and denied["Effect"] == "Deny")


# backups


@of("backups")
def seven_daily_four_weekly_twelve_monthly(declared: Declared) -> bool:
    rules = {it["ruleName"]: it for it in declared.one("backup/plan:Plan")["rules"]}
    days = {name: it["lifecycle"]["deleteAfter"] for name, it in rules.items()}
    return days == {"daily": 7, "weekly": 28, "monthly": 372} and "SUN" in rules["weekly"]["schedule"]


@of("backups")
def the_database_is_in_the_plan(declared: Declared) -> bool:
    return bool(declared.one("backup/selection:Selection")["resources"] == [DATABASE])


@of("backups")
def copies_are_encrypted_and_locked(declared: Declared) -> bool:
    lock = declared.one("backup/vaultLockConfiguration:VaultLockConfiguration")
    return bool(declared.one("backup/vault:Vault")["kmsKeyArn"] == KEY and lock["minRetentionDays"] == 7)


@of("backups")
def restores_are_tested_each_week(declared: Declared) -> bool:
    plan = declared.one("backup/restoreTestingPlan:RestoreTestingPlan")
    selection = declared.one("backup/restoreTestingSelection:RestoreTestingSelection")
    return (
        "MON" in plan["scheduleExpression"]
        and selection["protectedResourceArns"] == [DATABASE]
        and selection["restoreMetadataOverrides"]["publiclyAccessible"] == "false"
        and re.fullmatch(r"\w+", plan["name"]) is not None
    )


@of("backups")
def failures_are_told(declared: Declared) -> bool:
    notifications = declared.one("backup/vaultNotifications:VaultNotifications")
    events = set(notifications["backupVaultEvents"])
    return notifications["snsTopicArn"] == CRITICAL and {"BACKUP_JOB_FAILED", "RESTORE_JOB_FAILED"} <= events


@of("database_events")
def what_happens_to_the_database_is_told(declared: Declared) -> bool:
    subscription = declared.one("rds/eventSubscription:EventSubscription")
    return (
        (subscription["sourceType"], subscription["sourceIds"]) == ("db-instance", ["it-database"])
        and {"failure", "maintenance", "configuration change"} <= set(subscription["eventCategories"])
        and (subscription["snsTopic"], subscription["enabled"]) == (WARN, True)
    )


@of("budget")
def told_at_80_percent_and_before_100(declared: Declared) -> bool:
    budget = declared.one("budgets/budget:Budget")
    told = {
        (it["threshold"], it["notificationType"], tuple(it["subscriberSnsTopicArns"])) for it in budget["notifications"]
    }
    return told == {(80, "ACTUAL", (WARN,)), (100, "FORECASTED", (WARN,))} and budget["costFilters"][0]["values"] == [
        "user:stack$staging"
    ]


@of("dashboards")
def the_guides_metrics_are_shown(declared: Declared) -> bool:
    body = json.loads(declared.of("cloudwatch/dashboard:Dashboard")["it-payments"]["dashboardBody"])
    shown = {tuple(it[:2]) for widget in body["widgets"] for it in widget["properties"].get("metrics", ())}
    literal = ("TransactionCount", "SuccessRate", "PendingTransactions", "TotalVolume", "GasPrice")
    return {("Deligate/Payments", name) for name in literal} <= shown


@of("dashboards")
def widgets_do_not_overlap(declared: Declared) -> bool:
    for dashboard in declared.of("cloudwatch/dashboard:Dashboard").values():
        cells = [
            (x, y)
            for widget in json.loads(dashboard["dashboardBody"])["widgets"]
            for x in range(widget["x"], widget["x"] + widget["width"])
            for y in range(widget["y"], widget["y"] + widget["height"])
        ]
        if len(cells) != len(set(cells)) or max(x for x, _ in cells) > 23:
            return False
    return True
