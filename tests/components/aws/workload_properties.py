"""What must hold of what each component of the service half declares, a property a function; mutants use the same."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from tests.components.aws.declaring import ACCOUNT, Declared, Inputs
from tests.components.aws.workload_programs import (
    CERTIFICATE,
    CRITICAL,
    DATABASE,
    GROUPS,
    HOST,
    IMAGE,
    KEY,
    LISTENER,
    PRIVATE,
    ROLE,
    RULES,
    SECRET,
    WARN,
)

Check = Callable[[Declared], bool]
CHECKS: dict[str, dict[str, Check]] = {}
"""Component -> name of the property -> the check."""


def of(*components: str) -> Callable[[Check], Check]:
    def keep(check: Check) -> Check:
        for component in components:
            CHECKS.setdefault(component, {})[check.__name__] = check
        return check

    return keep


def failing(component: str, declared: Declared) -> set[str]:
    """Names of the properties of a component that do not hold; one that cannot even be looked up does not."""
    broken = set()
    for name, check in CHECKS[component].items():
        try:
            holds = check(declared)
        except (KeyError, ValueError, IndexError, TypeError):
            holds = False
        if not holds:
            broken.add(name)
    return broken


def all_of(declared: Declared, kind: str, wanted: Callable[[Inputs], bool]) -> bool:
    found = declared.of(kind).values()
    return bool(found) and all(wanted(inputs) for inputs in found)


def statements(document: str) -> list[dict[str, Any]]:
    return list(json.loads(document)["Statement"])


def _policy(declared: Declared, kind: str, name: str = "") -> list[dict[str, Any]]:
    found = declared.of(kind)
    return statements((found[name] if name else next(iter(found.values())))["policy"])


def _containers(declared: Declared) -> list[dict[str, Any]]:
    return [
        container
        for definition in declared.of("ecs/taskDefinition:TaskDefinition").values()
        for container in json.loads(definition["containerDefinitions"])
    ]


# buckets


@of("private_bucket", "audit_archive", "channel_backups", "load_balancer", "cdn")
def no_public_access(declared: Declared) -> bool:
    keys = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
    blocked = all_of(
        declared, "s3/bucketPublicAccessBlock:BucketPublicAccessBlock", lambda it: all(it[key] is True for key in keys)
    )
    return blocked and len(declared.of("s3/bucket:Bucket")) == len(
        declared.of("s3/bucketPublicAccessBlock:BucketPublicAccessBlock")
    )


@of("private_bucket", "audit_archive", "channel_backups", "load_balancer", "cdn")
def tls_only(declared: Declared) -> bool:
    def denies(inputs: Inputs) -> bool:
        (statement,) = [it for it in statements(inputs["policy"]) if it["Sid"] == "TlsOnly"]
        return (
            statement["Effect"] == "Deny"
            and statement["Principal"] == "*"
            and statement["Action"] == "s3:*"
            and len(statement["Resource"]) == 2
            and statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        )

    return all_of(declared, "s3/bucketPolicy:BucketPolicy", denies)


@of("private_bucket", "audit_archive", "channel_backups")
def encrypted_with_our_key(declared: Declared) -> bool:
    def ours(inputs: Inputs) -> bool:
        default = inputs["rules"][0]["applyServerSideEncryptionByDefault"]
        return bool(default == {"sseAlgorithm": "aws:kms", "kmsMasterKeyId": KEY})

    kind = "s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
    return all_of(declared, kind, ours)


@of("private_bucket", "audit_archive", "channel_backups")
def versions_are_kept(declared: Declared) -> bool:
    kind = "s3/bucketVersioning:BucketVersioning"
    return all_of(declared, kind, lambda it: it["versioningConfiguration"] == {"status": "Enabled"})


@of("private_bucket", "audit_archive")
def locked_for_seven_years(declared: Declared) -> bool:
    lock = declared.one("s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration")
    retention = lock["rule"]["defaultRetention"]
    bucket = declared.one("s3/bucket:Bucket")
    return bucket["objectLockEnabled"] is True and retention == {"mode": "COMPLIANCE", "years": 7}


@of("audit_archive")
def nobody_deletes_or_uses_another_key(declared: Declared) -> bool:
    by_sid = {it["Sid"]: it for it in _policy(declared, "s3/bucketPolicy:BucketPolicy")}
    key = {"StringNotEqualsIfExists": {"s3:x-amz-server-side-encryption-aws-kms-key-id": KEY}}
    return (
        by_sid["NobodyDeletes"]["Effect"] == by_sid["OurKeyAlone"]["Effect"] == "Deny"
        and set(by_sid["NobodyDeletes"]["Action"]) == {"s3:DeleteObjectVersion", "s3:BypassGovernanceRetention"}
        and by_sid["OurKeyAlone"]["Condition"] == key
    )


@of("audit_archive", "channel_backups")
def left_when_the_stack_is_destroyed(declared: Declared) -> bool:
    return declared.one("s3/bucket:Bucket")["forceDestroy"] is False


# load balancer


@of("load_balancer")
def https_alone(declared: Declared) -> bool:
    listener = declared.one("lb/listener:Listener")
    return (listener["port"], listener["protocol"], listener["certificateArn"]) == (443, "HTTPS", CERTIFICATE)


@of("load_balancer")
def strong_tls(declared: Declared) -> bool:
    policy = declared.one("lb/listener:Listener")["sslPolicy"]
    return bool(re.fullmatch(r"ELBSecurityPolicy-TLS13-1-2-Res-\d{4}-\d{2}", policy))


@of("load_balancer")
def hsts_and_no_server_header(declared: Declared) -> bool:
    listener = declared.one("lb/listener:Listener")
    hsts = listener["routingHttpResponseStrictTransportSecurityHeaderValue"]
    age = int(re.search(r"max-age=(\d+)", hsts).group(1))  # type: ignore[union-attr]
    return age >= 31_536_000 and "includeSubDomains" in hsts and listener["routingHttpResponseServerEnabled"] is False


@of("load_balancer")
def hardened(declared: Declared) -> bool:
    balancer = declared.one("lb/loadBalancer:LoadBalancer")
    return (
        balancer["dropInvalidHeaderFields"] is True
        and balancer["enableDeletionProtection"] is True
        and balancer["desyncMitigationMode"] == "strictest"
        and balancer["xffHeaderProcessingMode"] == "append"
    )


@of("load_balancer")
def accesses_are_logged(declared: Declared) -> bool:
    balancer = declared.one("lb/loadBalancer:LoadBalancer")
    return balancer["accessLogs"]["enabled"] is True and balancer["connectionLogs"]["enabled"] is True


@of("load_balancer")
def only_the_given_group_decides_who_comes_in(declared: Declared) -> bool:
    balancer = declared.one("lb/loadBalancer:LoadBalancer")
    return balancer["securityGroups"] == ["sg-load-balancer"] and not declared.of("ec2/securityGroup:SecurityGroup")


@of("load_balancer")
def health_is_asked_at_ready_on_3001(declared: Declared) -> bool:
    def right(inputs: Inputs) -> bool:
        health = inputs["healthCheck"]
        slow = health["interval"] * health["unhealthyThreshold"]
        return bool(health["path"] == "/ready" and health["matcher"] == "200" and inputs["port"] == 3001 and slow <= 60)

    return len(declared.of("lb/targetGroup:TargetGroup")) == 2 and all_of(declared, "lb/targetGroup:TargetGroup", right)


@of("load_balancer")
def other_hosts_get_nothing(declared: Declared) -> bool:
    (action,) = declared.one("lb/listener:Listener")["defaultActions"]
    rules = declared.of("lb/listenerRule:ListenerRule").values()
    hosts = [it["conditions"][0]["hostHeader"]["values"] for it in rules]
    return action["fixedResponse"]["statusCode"] == "404" and hosts == [[HOST], [HOST]]


@of("load_balancer")
def the_test_rule_needs_its_secret(declared: Declared) -> bool:
    rule = declared.of("lb/listenerRule:ListenerRule")["it-test"]
    header = rule["conditions"][1]["httpHeader"]
    production = declared.of("lb/listenerRule:ListenerRule")["it-production"]
    return bool(header["values"] == ["planted-test-secret"] and rule["priority"] < production["priority"])


# firewall


@of("waf")
def managed_rules_block(declared: Declared) -> bool:
    rules = declared.one("wafv2/webAcl:WebAcl")["rules"]
    managed = {
        it["statement"]["managedRuleGroupStatement"]["name"]: it
        for it in rules
        if "managedRuleGroupStatement" in it["statement"]
    }
    wanted = {
        "AWSManagedRulesAmazonIpReputationList",
        "AWSManagedRulesCommonRuleSet",
        "AWSManagedRulesKnownBadInputsRuleSet",
        "AWSManagedRulesSQLiRuleSet",
    }
    return set(managed) == wanted and all("none" in it["overrideAction"] for it in managed.values())


@of("waf")
def addresses_are_limited(declared: Declared) -> bool:
    rules = {it["name"]: it for it in declared.one("wafv2/webAcl:WebAcl")["rules"]}
    every, invoices = rules["requests-of-an-address"], rules["invoices-of-an-address"]
    scope = invoices["statement"]["rateBasedStatement"]["scopeDownStatement"]["byteMatchStatement"]
    return (
        every["statement"]["rateBasedStatement"]["limit"] == 10_000
        and invoices["statement"]["rateBasedStatement"]["limit"] == 300
        and scope["searchString"] == "/api/lightning/create-invoice"
        and all("block" in it["action"] for it in (every, invoices))
    )


@of("waf")
def it_protects_the_load_balancer(declared: Declared) -> bool:
    return bool(declared.one("wafv2/webAclAssociation:WebAclAssociation")["resourceArn"] == "arn:lb")


@of("waf")
def its_log_has_no_credentials(declared: Declared) -> bool:
    logging = declared.one("wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration")
    redacted = {it["singleHeader"]["name"] for it in logging["redactedFields"]}
    return {"authorization", "cookie", "x-api-key"} <= redacted


@of("waf", "logs", "slack")
def lines_are_encrypted_and_end(declared: Declared) -> bool:
    def kept(inputs: Inputs) -> bool:
        return bool(inputs["kmsKeyId"] == KEY and 14 <= inputs["retentionInDays"] <= 3653)

    return all_of(declared, "cloudwatch/logGroup:LogGroup", kept)


# names and certificates


@of("certificate")
def validated_by_dns(declared: Declared) -> bool:
    certificate = declared.one("acm/certificate:Certificate")
    record = declared.one("route53/record:Record")
    validation = declared.one("acm/certificateValidation:CertificateValidation")
    return (
        certificate["validationMethod"] == "DNS"
        and record["records"] == ["_y.acm.aws"]
        and len(validation["validationRecordFqdns"]) == 1
    )


@of("alias")
def asked_from_outside_by_https(declared: Declared) -> bool:
    check = declared.one("route53/healthCheck:HealthCheck")
    return (check["type"], check["port"], check["resourcePath"], check["fqdn"]) == ("HTTPS", 443, "/health", HOST)


@of("alias")
def an_alias_of_the_target(declared: Declared) -> bool:
    record = declared.one("route53/record:Record")
    return bool(record["type"] == "A" and record["aliases"][0]["name"] == "lb.example.net")


# static part


@of("cdn")
def https_only_and_modern(declared: Declared) -> bool:
    distribution = declared.one("cloudfront/distribution:Distribution")
    return bool(
        distribution["defaultCacheBehavior"]["viewerProtocolPolicy"] == "https-only"
        and distribution["viewerCertificate"]["minimumProtocolVersion"] == "TLSv1.2_2021"
    )


@of("cdn")
def the_bucket_is_read_by_the_distribution_alone(declared: Declared) -> bool:
    allowed = [
        it for it in _policy(declared, "s3/bucketPolicy:BucketPolicy", "it-files-policy") if it["Effect"] == "Allow"
    ]
    access = declared.one("cloudfront/originAccessControl:OriginAccessControl")
    (origin,) = declared.one("cloudfront/distribution:Distribution")["origins"]
    return (
        [it["Principal"] for it in allowed] == [{"Service": "cloudfront.amazonaws.com"}]
        and [it["Action"] for it in allowed] == ["s3:GetObject"]
        and "AWS:SourceArn" in allowed[0]["Condition"]["StringEquals"]
        and access["signingBehavior"] == "always"
        and origin["originAccessControlId"] == "it-access-id"
    )


@of("cdn")
def security_headers(declared: Declared) -> bool:
    headers = declared.one("cloudfront/responseHeadersPolicy:ResponseHeadersPolicy")["securityHeadersConfig"]
    policy = headers["contentSecurityPolicy"]["contentSecurityPolicy"]
    return (
        headers["strictTransportSecurity"]["accessControlMaxAgeSec"] >= 31_536_000
        and headers["frameOptions"]["frameOption"] == "DENY"
        and headers["contentTypeOptions"]["override"] is True
        and "default-src 'none'" in policy
        and "unsafe" not in policy
    )


# notifications


@of("notifications")
def topics_are_encrypted_with_a_key_that_rotates(declared: Declared) -> bool:
    key = declared.one("kms/key:Key")
    return key["enableKeyRotation"] is True and all_of(
        declared, "sns/topic:Topic", lambda it: ":kms:" in it["kmsMasterKeyId"]
    )


@of("notifications")
def nobody_publishes_in_plain(declared: Declared) -> bool:
    def safe(inputs: Inputs) -> bool:
        found = statements(inputs["policy"])
        allowed = [it for it in found if it["Effect"] == "Allow"]
        (denied,) = [it for it in found if it["Effect"] == "Deny"]
        return (
            all(set(it["Principal"]) == {"Service"} for it in allowed)
            and denied["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
            and allowed[0]["Condition"] == {"StringEquals": {"aws:SourceAccount": ACCOUNT}}
        )

    return all_of(declared, "sns/topicPolicy:TopicPolicy", safe)


@of("notifications")
def email_and_pagerduty_are_told(declared: Declared) -> bool:
    subscriptions = declared.of("sns/topicSubscription:TopicSubscription")
    ways = {(name, it["protocol"]) for name, it in subscriptions.items()}
    return ways == {
        ("it-warn-email-0", "email"),
        ("it-critical-email-0", "email"),
        ("it-critical-pagerduty", "https"),
    }


@of("notifications")
def urls_are_secrets(declared: Declared) -> bool:
    raw = {name: inputs for (_, name), inputs in declared.raw.items()}
    return isinstance(raw["it-critical-pagerduty"]["endpoint"], dict)


@of("slack")
def both_topics_reach_slack(declared: Declared) -> bool:
    found = declared.of("sns/topicSubscription:TopicSubscription").values()
    allowed = {it["sourceArn"] for it in declared.of("lambda/permission:Permission").values()}
    return {(it["topic"], it["protocol"]) for it in found} == {(WARN, "lambda"), (CRITICAL, "lambda")} and allowed == {
        WARN,
        CRITICAL,
    }


@of("slack")
def it_reads_its_secret_alone(declared: Declared) -> bool:
    by_sid = {it["Sid"]: it for it in _policy(declared, "iam/rolePolicy:RolePolicy")}
    variables = declared.one("lambda/function:Function")["environment"]["variables"]
    return bool(
        by_sid["ReadUrl"]["Resource"] == [SECRET]
        and by_sid["DecryptUrl"]["Resource"] == [KEY]
        and variables == {"SLACK_SECRET_ARN": SECRET}
    )


@of("slack")
def a_silent_channel_is_told(declared: Declared) -> bool:
    alarm = declared.one("cloudwatch/metricAlarm:MetricAlarm")
    return bool(alarm["alarmActions"] == [CRITICAL] and alarm["threshold"] == 0)


# alarms


@of("alarms")
def every_alarm_tells_a_topic(declared: Declared) -> bool:
    def told(inputs: Inputs) -> bool:
        topic = CRITICAL if inputs["tags"]["severity"] == "critical" else WARN
        return inputs["actionsEnabled"] is True and inputs["alarmActions"] == inputs["okActions"] == [topic]

    return all_of(declared, "cloudwatch/metricAlarm:MetricAlarm", told)


@of("alarms")
def silence_is_a_failure_where_something_must_answer(declared: Declared) -> bool:
    found = declared.of("cloudwatch/metricAlarm:MetricAlarm")
    must_answer = (
        "service-down", "uptime", "redis-down", "metrics-silent", "lnd-unreachable-warn", "lnd-unreachable-crit",
        "solana-unreachable-crit", "web-cpu", "web-memory", "worker-cpu", "worker-memory", "database-disk-20",
        "database-disk-10", "database-cpu", "cache-cpu",
    )  # fmt: skip
    return all(found[f"it-{name}"]["treatMissingData"] == "breaching" for name in must_answer)


@of("alarms")
def every_missing_data_rule_is_said(declared: Declared) -> bool:
    return all_of(
        declared,
        "cloudwatch/metricAlarm:MetricAlarm",
        lambda it: it["treatMissingData"] in ("breaching", "notBreaching"),
    )


@of("alarms")
def the_guides_namespace_letter_by_letter(declared: Declared) -> bool:
    found = declared.of("cloudwatch/metricAlarm:MetricAlarm")
    return bool(
        found["it-pending-transactions"]["namespace"] == "Deligate/Payments"
        and found["it-pending-transactions"]["metricName"] == "PendingTransactions"
        and found["it-success-rate"]["metricName"] == "SuccessRate"
    )


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
