"""The role with which ECS moves traffic in a rollout (`railyard:aws:RolloutRole`):

- it changes the rules of one listener and the targets of two target groups, and nothing else.

AWS' own policy for this allows the same on every load balancer of the account.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.arguments import ArgumentError
from components.aws.policy_documents import Document, allow, document, service_trust
from components.tags import check_tags

READ = (
    "elasticloadbalancing:DescribeListeners",
    "elasticloadbalancing:DescribeRules",
    "elasticloadbalancing:DescribeTargetGroups",
    "elasticloadbalancing:DescribeTargetHealth",
)


@dataclass(frozen=True, kw_only=True)
class RolloutRoleArgs:
    """Arguments of `RolloutRole`.

    Attributes:
        account_id: of the AWS account.
        listener_arn, rule_arns, target_group_arns: of the load balancer.
        tags: of the role.
    """

    account_id: str
    listener_arn: pulumi.Input[str]
    rule_arns: Sequence[pulumi.Input[str]]
    target_group_arns: Sequence[pulumi.Input[str]]
    tags: Mapping[str, str]

    def __post_init__(self) -> None:
        check_tags(type(self).__name__, self.tags)
        for key, count in (("rule_arns", len(self.rule_arns)), ("target_group_arns", len(self.target_group_arns))):
            if count != 2:
                what = f"has {count} and must have 2"
                raise ArgumentError(type(self).__name__, key, what, "Give both: of the serving release and the next.")


def trust_policy(account_id: str) -> Document:
    """ECS, on behalf of this account."""
    return service_trust("ecs.amazonaws.com", {"StringEquals": {"aws:SourceAccount": account_id}})


def rollout_policy(
    listener_arn: pulumi.Input[str],
    rule_arns: Sequence[pulumi.Input[str]],
    target_group_arns: Sequence[pulumi.Input[str]],
) -> Document:
    """Look at load balancers (AWS has no narrower right), move these rules, register with these groups."""
    return document(
        allow("Look", READ, ["*"]),
        allow(
            "MoveTraffic",
            ["elasticloadbalancing:ModifyListener", "elasticloadbalancing:ModifyRule"],
            [listener_arn, *rule_arns],
        ),
        allow(
            "Targets",
            ["elasticloadbalancing:RegisterTargets", "elasticloadbalancing:DeregisterTargets"],
            target_group_arns,
        ),
    )


class RolloutRole(pulumi.ComponentResource):
    """The role; `arn` is known when its policy stands."""

    def __init__(self, name: str, args: RolloutRoleArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("railyard:aws:RolloutRole", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        role = aws.iam.Role(
            f"{name}-role",
            assume_role_policy=pulumi.Output.json_dumps(trust_policy(args.account_id)),
            tags=args.tags,
            opts=child,
        )
        policy = aws.iam.RolePolicy(
            f"{name}-policy",
            role=role.name,
            policy=pulumi.Output.json_dumps(rollout_policy(args.listener_arn, args.rule_arns, args.target_group_arns)),
            opts=child,
        )
        self.arn: pulumi.Output[str] = pulumi.Output.all(role.arn, policy.id).apply(lambda known: str(known[0]))
        self.register_outputs({"arn": self.arn})
