"""Who is told (`railyard:aws:Notifications`):

- two encrypted topics, `warn` and `critical`, that AWS' monitoring services may publish to, by TLS alone;
- email for both topics, PagerDuty for the critical one;
- Slack, for both: `slack.py`, which needs the secret with the webhook's URL;
- a key of its own: the keys AWS manages cannot be used by CloudWatch's alarms.

A subscription by email has to be confirmed in the mail that it sends.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from components.arguments import ArgumentError
from components.aws.policy_documents import Document, document
from components.tags import check_tags

# These say for which account they publish, so it can be asked for.
PUBLISHERS = ("budgets.amazonaws.com", "cloudwatch.amazonaws.com", "events.rds.amazonaws.com")
# These do not always: with a condition their messages would be lost (EventBridge User Guide, "Amazon SNS permissions";
# AWS Backup Developer Guide, "Notification options").
UNNAMED_PUBLISHERS = ("backup.amazonaws.com", "events.amazonaws.com")

EMAIL = r"[^@\s]+@[^@\s]+\.[^@\s]+"


@dataclass(frozen=True, kw_only=True)
class NotificationsArgs:
    """Arguments of `Notifications`.

    Attributes:
        account_id: of the AWS account: only its own services may publish.
        emails: addresses that are told everything.
        pagerduty_url: secret URL of PagerDuty's CloudWatch integration, https://events.pagerduty.com/integration/...
        region: where the topics are when that is not the provider's region.
        tags: of every resource.
    """

    account_id: pulumi.Input[str]
    emails: Sequence[str]
    pagerduty_url: pulumi.Input[str] | None = None
    region: str | None = None
    tags: Mapping[str, str]

    def __post_init__(self) -> None:
        check_tags(type(self).__name__, self.tags)
        name = type(self).__name__
        if not self.emails:
            raise ArgumentError(name, "emails", "is empty", "Give the address that alarms are mailed to.")
        for email in self.emails:
            if not re.fullmatch(EMAIL, email):
                raise ArgumentError(name, "emails", f"has {email!r}", "Give addresses such as payments@example.com.")
        # A secret: what is wrong with it is said without showing it.
        if isinstance(self.pagerduty_url, str) and not self.pagerduty_url.startswith("https://"):
            raise ArgumentError(name, "pagerduty_url", "is no https URL", "Take it from PagerDuty's integration.")


def key_policy(account_id: pulumi.Input[str]) -> Document:
    """The topics' key: the account administers it, AWS' services use it for what they publish."""
    return document(
        {
            "Sid": "Account",
            "Effect": "Allow",
            "Principal": {"AWS": _root(account_id)},
            "Action": "kms:*",
            "Resource": "*",
        },
        {
            "Sid": "Publishers",
            "Effect": "Allow",
            "Principal": {"Service": list(PUBLISHERS)},
            "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
            "Resource": "*",
            "Condition": {"StringEquals": {"aws:SourceAccount": account_id}},
        },
        {
            "Sid": "UnnamedPublishers",
            "Effect": "Allow",
            "Principal": {"Service": list(UNNAMED_PUBLISHERS)},
            "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
            "Resource": "*",
        },
    )


def topic_policy(topic_arn: pulumi.Input[str], account_id: pulumi.Input[str]) -> Document:
    """Who may publish to a topic: AWS' services on behalf of this account; nobody without TLS."""
    return document(
        {
            "Sid": "Publishers",
            "Effect": "Allow",
            "Principal": {"Service": list(PUBLISHERS)},
            "Action": "sns:Publish",
            "Resource": topic_arn,
            "Condition": {"StringEquals": {"aws:SourceAccount": account_id}},
        },
        {
            "Sid": "UnnamedPublishers",
            "Effect": "Allow",
            "Principal": {"Service": list(UNNAMED_PUBLISHERS)},
            "Action": "sns:Publish",
            "Resource": topic_arn,
        },
        {
            "Sid": "TlsOnly",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "sns:Publish",
            "Resource": topic_arn,
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        },
    )


def _root(account_id: pulumi.Input[str]) -> pulumi.Input[str]:
    if isinstance(account_id, str):
        return f"arn:aws:iam::{account_id}:root"
    return pulumi.Output.concat("arn:aws:iam::", account_id, ":root")


class Notifications(pulumi.ComponentResource):
    """The topics; `warn_arn` and `critical_arn` can be published to, their policies stand."""

    def __init__(self, name: str, args: NotificationsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("railyard:aws:Notifications", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        self._key = aws.kms.Key(
            f"{name}-key",
            description=f"{name}: alarms on their way",
            enable_key_rotation=True,
            deletion_window_in_days=30,
            policy=pulumi.Output.json_dumps(key_policy(args.account_id)),
            region=args.region,
            tags=args.tags,
            opts=self._child,
        )
        self.warn_arn = self._topic("warn")
        self.critical_arn = self._topic("critical")
        if args.pagerduty_url is not None:
            self._subscribe("critical-pagerduty", self.critical_arn, "https", pulumi.Output.secret(args.pagerduty_url))
        self.register_outputs({"warnArn": self.warn_arn, "criticalArn": self.critical_arn})

    def _topic(self, severity: str) -> pulumi.Output[str]:
        args = self._args
        topic = aws.sns.Topic(
            f"{self._name}-{severity}",
            name=f"{self._name}-{severity}",
            display_name=f"{self._name} {severity}",
            kms_master_key_id=self._key.arn,
            region=args.region,
            tags=args.tags,
            opts=self._child,
        )
        policy = aws.sns.TopicPolicy(
            f"{self._name}-{severity}-policy",
            arn=topic.arn,
            policy=pulumi.Output.json_dumps(topic_policy(topic.arn, args.account_id)),
            region=args.region,
            opts=self._child,
        )
        for number, email in enumerate(args.emails):
            self._subscribe(f"{severity}-email-{number}", topic.arn, "email", email)
        arn: pulumi.Output[str] = policy.arn
        return arn

    def _subscribe(self, name: str, topic_arn: pulumi.Input[str], protocol: str, endpoint: pulumi.Input[str]) -> None:
        more: dict[str, Any] = {"endpoint_auto_confirms": True} if protocol == "https" else {}
        aws.sns.TopicSubscription(
            f"{self._name}-{name}",
            topic=topic_arn,
            protocol=protocol,
            endpoint=endpoint,
            region=self._args.region,
            opts=self._child,
            **more,
        )
