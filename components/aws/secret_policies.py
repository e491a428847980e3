"""Who may touch a secret at all (`railyard:aws:SecretPolicies`), whatever an identity's own policy allows:

- every secret denies every action to all but the roles that use it and the stack's administrators;
- the database's master secret, too, where RDS' service-linked role goes on rotating it.

AWS compares `aws:PrincipalArn`, which for a session is the ARN of its role, with its path and without the session. A
service that calls by itself has none and is denied; ECS, Lambda and the External Secrets operator read by a role.
Not even the account's root user gets past an explicit denial here. Whoever may make roles does: a role of a name that
is listed is let in, so that a stack whose administrators were removed can be mended by making one of them again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.arguments import ArgumentError
from components.aws.policy_documents import Document, document

PRINCIPAL = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:(role|user)/[^*?]+")


@dataclass(frozen=True, kw_only=True)
class GuardedSecret:
    """A secret and who uses it.

    Attributes:
        arn: of the secret.
        readers: ARNs of the roles that read or rotate it.
    """

    arn: pulumi.Input[str]
    readers: Sequence[pulumi.Input[str]]


@dataclass(frozen=True, kw_only=True)
class SecretPoliciesArgs:
    """Arguments of `SecretPolicies`.

    Attributes:
        secrets: by short name.
        administrators: ARNs of IAM roles and users who may do everything with each; whoever deploys the stack has to be
            among them. When it is empty, whoever deploys it is the only one.
    """

    secrets: Mapping[str, GuardedSecret]
    administrators: Sequence[str] = ()

    def __post_init__(self) -> None:
        for arn in self.administrators:
            if not PRINCIPAL.fullmatch(arn):
                fix = "Give the ARN of an IAM role or user, as arn:aws:iam::111122223333:role/railyard-deployer."
                raise ArgumentError("SecretPoliciesArgs", "administrators", f"has {arn!r}", fix)


def secret_policy(principals: Sequence[str], secret_arn: str) -> Document:
    """Nobody but these principals, by whatever other policy."""
    return document(
        {
            "Sid": "NobodyElse",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "secretsmanager:*",
            "Resource": secret_arn,
            "Condition": {"StringNotEquals": {"aws:PrincipalArn": sorted(set(principals))}},
        }
    )


def service_linked_role(account_id: str) -> str:
    """The role by which RDS keeps and rotates the passwords it manages (AWS' AmazonRDSServiceRolePolicy)."""
    return f"arn:aws:iam::{account_id}:role/aws-service-role/rds.amazonaws.com/AWSServiceRoleForRDS"


def deployer() -> pulumi.Output[str]:
    """Who deploys: the IAM user, or the role of the session."""
    caller = aws.get_caller_identity_output()
    context: pulumi.Output[str] = aws.iam.get_session_context_output(arn=caller.arn).issuer_arn
    return context


def _rendered(found: Sequence[str]) -> str:
    secret_arn, *principals = found
    return json.dumps(secret_policy(principals, secret_arn))


class SecretPolicies(pulumi.ComponentResource):
    """A policy a secret; `administrators` as they are in all of them."""

    def __init__(self, name: str, args: SecretPoliciesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("railyard:aws:SecretPolicies", name, None, opts)
        self.administrators: list[pulumi.Input[str]] = list(args.administrators) or [deployer()]
        for key, secret in args.secrets.items():
            aws.secretsmanager.SecretPolicy(
                f"{name}-{key}",
                secret_arn=secret.arn,
                policy=pulumi.Output.all(secret.arn, *self.administrators, *secret.readers).apply(_rendered),
                block_public_policy=True,
                opts=pulumi.ResourceOptions(parent=self),
            )
        self.register_outputs({"administrators": self.administrators})
