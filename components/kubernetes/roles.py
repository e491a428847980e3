"""An AWS role that one ServiceAccount may assume (`railyard:kubernetes:AccountRole`), and nobody else."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pulumi
from pulumi_aws import iam

from components.arguments import ArgumentError
from components.aws.policy_documents import Statement, allow, document


@dataclass(frozen=True, kw_only=True)
class AccountRoleArgs:
    """Arguments of `AccountRole`.

    Attributes:
        namespace, service_account: who may assume the role.
        oidc_arn: of the cluster's OIDC provider.
        issuer: its URL without https://.
        actions: what the role may do, each named whole.
        resource_arns: to what.
        key_arn: KMS key that it may do `key_actions` with; none when empty.
        statements: what else it may do.
        tags: on the role.
    """

    namespace: pulumi.Input[str]
    service_account: str
    oidc_arn: pulumi.Input[str]
    issuer: pulumi.Input[str]
    actions: tuple[str, ...]
    resource_arns: tuple[pulumi.Input[str], ...]
    key_arn: pulumi.Input[str] = ""
    key_actions: tuple[str, ...] = ("kms:Decrypt",)
    statements: tuple[Statement, ...] = ()
    tags: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for action in (*self.actions, *self.key_actions):
            if "*" in action:
                raise ArgumentError("AccountRoleArgs", "actions", f"has {action!r}", "Name each action whole.")
        if not self.actions or not self.resource_arns:
            raise ArgumentError("AccountRoleArgs", "actions", "or resource_arns is empty", "Say what the role is for.")
        if "*" in self.resource_arns:
            raise ArgumentError("AccountRoleArgs", "resource_arns", "has '*'", "Name the resources.")


class AccountRole(pulumi.ComponentResource):
    """Attributes: `arn`."""

    def __init__(self, name: str, args: AccountRoleArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("railyard:kubernetes:AccountRole", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        trust = pulumi.Output.all(args.namespace, args.oidc_arn, args.issuer).apply(
            lambda known: json.dumps(trust_policy(args.service_account, *known))
        )
        self.role = iam.Role(f"{name}-role", assume_role_policy=trust, tags=args.tags, opts=child)
        statements = [allow("Use", args.actions, args.resource_arns)]
        if not isinstance(args.key_arn, str) or args.key_arn:
            statements.append(allow("UseKey", args.key_actions, [args.key_arn]))
        statements += args.statements
        self.policy = iam.RolePolicy(
            f"{name}-policy",
            role=self.role.id,
            policy=pulumi.Output.json_dumps(document(*statements)),
            opts=child,
        )
        self.arn = self.role.arn
        self.register_outputs({"arn": self.arn})


def trust_policy(service_account: str, namespace: str, oidc_arn: str, issuer: str) -> dict[str, Any]:
    """Trusts tokens that the cluster made for this account and for STS, no others."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Federated": oidc_arn},
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": {
                    "StringEquals": {
                        f"{issuer}:aud": "sts.amazonaws.com",
                        f"{issuer}:sub": f"system:serviceaccount:{namespace}:{service_account}",
                    }
                },
            }
        ],
    }
