"""The month's budget (`railyard:aws:Budget`): told at 80 % spent and when the forecast passes 100 %."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.aws.checks import check_between, check_not_empty
from components.tags import check_tags


@dataclass(frozen=True, kw_only=True)
class BudgetArgs:
    """Arguments of `Budget`.

    Attributes:
        monthly_usd: US dollars a month.
        topic_arn: where it is told.
        emails: addresses that are told too.
        tags: of the budget; what carries the same `stack` is counted (an activated cost allocation tag).
    """

    monthly_usd: int
    topic_arn: pulumi.Input[str]
    emails: Sequence[str]
    tags: Mapping[str, str]

    def __post_init__(self) -> None:
        check_tags(type(self).__name__, self.tags)
        check_between(self, "monthly_usd", 1, 10_000_000, "Give US dollars; `railyard cost` estimates them.")
        check_not_empty(self, "emails", "Give the address that is told.")


class Budget(pulumi.ComponentResource):
    """The budget; `budget_name`."""

    def __init__(self, name: str, args: BudgetArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("railyard:aws:Budget", name, None, opts)
        budget = aws.budgets.Budget(
            f"{name}-month",
            name=f"{name}-month",
            budget_type="COST",
            time_unit="MONTHLY",
            limit_amount=str(args.monthly_usd),
            limit_unit="USD",
            cost_filters=[{"name": "TagKeyValue", "values": [f"user:stack${args.tags['stack']}"]}],
            notifications=[
                {
                    "comparison_operator": "GREATER_THAN",
                    "threshold": threshold,
                    "threshold_type": "PERCENTAGE",
                    "notification_type": kind,
                    "subscriber_sns_topic_arns": [args.topic_arn],
                    "subscriber_email_addresses": list(args.emails),
                }
                for threshold, kind in ((80, "ACTUAL"), (100, "FORECASTED"))
            ],
            tags=args.tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.budget_name = budget.name
        self.register_outputs({"budgetName": self.budget_name})
