"""The keys a stack encrypts with (`railyard:aws:Keys`), each of the customer, rotated every year, with an alias:

- `data`: database, cache, backups and archives;
- `secret`: Secrets Manager;
- `operations`: log groups, topics of alarms, images.

`data` is left when the stack is destroyed: the archive, the channel backups and the database's last snapshot are left,
too, and nobody could read them without it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.arguments import ArgumentError
from components.aws.policy_documents import Document, Statement, document
from components.tags import check_tags, named

USE = ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"]


@dataclass(frozen=True, kw_only=True)
class KeysArgs:
    """Arguments of `Keys`.

    Attributes:
        account_id: the AWS account, 12 digits.
        region: where the keys are.
        deletion_window_days: how long a deleted key can be brought back, 7 to 30 days.
        rotation_days: days between rotations of the key material, 90 to 2560.
        tags: the required tags, and more.
    """

    account_id: str
    region: str
    deletion_window_days: int = 30
    rotation_days: int = 365
    tags: Mapping[str, str]

    def __post_init__(self) -> None:
        if not (self.account_id.isdigit() and len(self.account_id) == 12):
            what = f"is {self.account_id!r}"
            raise ArgumentError("KeysArgs", "account_id", what, "Use the twelve digits of the AWS account.")
        for key, value, least, most in (
            ("deletion_window_days", self.deletion_window_days, 7, 30),
            ("rotation_days", self.rotation_days, 90, 2560),
        ):
            if not least <= value <= most:
                raise ArgumentError("KeysArgs", key, f"is {value}", f"Use {least} to {most} days.")
        check_tags("KeysArgs", self.tags)


class Keys(pulumi.ComponentResource):
    """The keys, by ARN: `data_key_arn`, `secret_key_arn`, `operations_key_arn`."""

    def __init__(self, name: str, args: KeysArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("railyard:aws:Keys", name, None, opts)
        self._name, self._args = name, args
        self.data_key_arn = self._key("data", "Database, cache, backups and archives", self._owner_alone(), retain=True)
        self.secret_key_arn = self._key("secret", "Secrets Manager", self._owner_alone())
        self.operations_key_arn = self._key("operations", "Logs, alarms and images", self._operations())
        self.register_outputs(
            {
                "dataKeyArn": self.data_key_arn,
                "secretKeyArn": self.secret_key_arn,
                "operationsKeyArn": self.operations_key_arn,
            }
        )

    def _key(self, suffix: str, description: str, policy: Document, *, retain: bool = False) -> pulumi.Output[str]:
        key = aws.kms.Key(
            f"{self._name}-{suffix}",
            description=f"{self._name}: {description}",
            enable_key_rotation=True,
            rotation_period_in_days=self._args.rotation_days,
            deletion_window_in_days=self._args.deletion_window_days,
            policy=json.dumps(policy),
            tags=named(self._args.tags, f"{self._name}-{suffix}"),
            opts=pulumi.ResourceOptions(parent=self, retain_on_delete=retain),
        )
        aws.kms.Alias(
            f"{self._name}-{suffix}",
            name=f"alias/{self._name}-{suffix}",
            target_key_id=key.key_id,
            opts=pulumi.ResourceOptions(parent=self),
        )
        return pulumi.Output.from_input(key.arn)

    def _owner_alone(self) -> Document:
        return document(self._owner())

    def _owner(self) -> Statement:
        """Whom the account's own IAM policies allow; without it a key can never be administered again."""
        return {
            "Sid": "AccountDecides",
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{self._args.account_id}:root"},
            "Action": "kms:*",
            "Resource": "*",
        }

    def _operations(self) -> Document:
        region, account = self._args.region, self._args.account_id
        logs: Statement = {
            "Sid": "LogGroupsOfThisAccount",
            "Effect": "Allow",
            "Principal": {"Service": f"logs.{region}.amazonaws.com"},
            "Action": USE,
            "Resource": "*",
            "Condition": {
                "StringLike": {"kms:EncryptionContext:aws:logs:arn": f"arn:aws:logs:{region}:{account}:log-group:*"}
            },
        }
        alarms: Statement = {
            "Sid": "AlarmsOfThisAccount",
            "Effect": "Allow",
            "Principal": {"Service": ["cloudwatch.amazonaws.com", "budgets.amazonaws.com", "events.amazonaws.com"]},
            "Action": ["kms:Decrypt", "kms:GenerateDataKey*"],
            "Resource": "*",
            "Condition": {"StringEquals": {"aws:SourceAccount": account}},
        }
        return document(self._owner(), logs, alarms)
