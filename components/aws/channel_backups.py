"""Where LND's static channel backups go (`railyard:aws:ChannelBackups`):

- a bucket encrypted with the customer key, versions kept, TLS only, every public access blocked;
- `use`: what the worker may do there: add, read, list, and take old backups away.

It is left when the stack is destroyed, as the node whose channels it saves is not the stack's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import pulumi

from components.aws.checks import check_not_empty
from components.aws.policy_documents import Statement, allow
from components.aws.private_bucket import PrivateBucket, PrivateBucketArgs, objects_of
from components.tags import check_tags

OLD_VERSION_DAYS: Final = 90
KEY_ACTIONS: Final = ("kms:GenerateDataKey", "kms:Decrypt")


@dataclass(frozen=True, kw_only=True)
class ChannelBackupsArgs:
    """Arguments of `ChannelBackups`.

    Attributes:
        kms_key_arn: customer key of the objects.
        retain: leave the bucket and its objects when the stack is destroyed.
        tags: of every resource.
    """

    kms_key_arn: pulumi.Input[str]
    retain: bool = True
    tags: Mapping[str, str]

    def __post_init__(self) -> None:
        check_tags(type(self).__name__, self.tags)
        check_not_empty(self, "kms_key_arn", "Give the ARN of the stack's key for data.")


class ChannelBackups(pulumi.ComponentResource):
    """The bucket; `url` is what LND_BACKUP_STORE is set to, `arn` the bucket's ARN."""

    def __init__(self, name: str, args: ChannelBackupsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("railyard:aws:ChannelBackups", name, None, opts)
        self._key_arn = args.kms_key_arn
        store = PrivateBucket(
            f"{name}-backups",
            PrivateBucketArgs(
                kms_key_arn=args.kms_key_arn,
                old_version_days=OLD_VERSION_DAYS,
                retain=args.retain,
                tags=args.tags,
            ),
            pulumi.ResourceOptions(parent=self),
        )
        self.arn = store.arn
        self.url = pulumi.Output.concat("s3://", store.bucket)
        self.register_outputs({"url": self.url, "arn": self.arn})

    @property
    def use(self) -> list[Statement]:
        """What the worker may do: the newest backup is read back, and those before the last 50 are deleted."""
        objects = objects_of(self.arn)
        return [
            allow("ListChannelBackups", ["s3:ListBucket"], [self.arn]),
            allow("KeepChannelBackups", ["s3:PutObject", "s3:GetObject", "s3:DeleteObject"], [objects]),
            allow("UseKeyOfChannelBackups", list(KEY_ACTIONS), [self._key_arn]),
        ]
