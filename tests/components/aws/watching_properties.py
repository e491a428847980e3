"""Notifications and alarms: what must hold, a function each; mutants use the same."""

from __future__ import annotations

from typing import Any

from tests.components.aws.declaring import ACCOUNT, Declared, Inputs
from tests.components.aws.properties import WORKLOAD, all_of, statements
from tests.components.aws.workload_programs import (
    CRITICAL,
    KEY,
    SECRET,
    WARN,
)

of = WORKLOAD.of


def _policy(declared: Declared, kind: str, name: str = "") -> list[dict[str, Any]]:
    found = declared.of(kind)
    return statements((found[name] if name else next(iter(found.values())))["policy"])


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
