"""What RDS says of the database (`railyard:aws:DatabaseEvents`), told to a topic: failures, maintenance, and changes of
its configuration. Availability, storage and connections have alarms of their own (`alarm_table/`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.tags import check_tags

# RDS User Guide, "Amazon RDS event categories and event messages".
CATEGORIES = ("configuration change", "failure", "maintenance")


@dataclass(frozen=True, kw_only=True)
class DatabaseEventsArgs:
    """Arguments of `DatabaseEvents`.

    Attributes:
        identifier: of the database.
        topic_arn: where they are told; its policy and its key let RDS' events in.
        tags: of every resource.
    """

    identifier: pulumi.Input[str]
    topic_arn: pulumi.Input[str]
    tags: Mapping[str, str]

    def __post_init__(self) -> None:
        check_tags(type(self).__name__, self.tags)


class DatabaseEvents(pulumi.ComponentResource):
    """The subscription; `subscription_name`."""

    def __init__(self, name: str, args: DatabaseEventsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("railyard:aws:DatabaseEvents", name, None, opts)
        subscription = aws.rds.EventSubscription(
            f"{name}-subscription",
            name=name,
            sns_topic=args.topic_arn,
            source_type="db-instance",
            source_ids=[args.identifier],
            event_categories=list(CATEGORIES),
            enabled=True,
            tags=args.tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.subscription_name: pulumi.Output[str] = subscription.name
        self.register_outputs({"subscriptionName": self.subscription_name})
