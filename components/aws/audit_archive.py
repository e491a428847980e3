"""The archive of audit and transaction records (`railyard:aws:AuditArchive`):

- a bucket under object lock for 7 years (tn-comp-retention-7y): in compliance mode not even the account's root deletes;
- encrypted with the customer key and nothing else, versions kept, TLS only, every public access blocked;
- the worker's role may add objects (`roles.py`); nobody may delete a version or get round the lock;
- after 90 days objects move to a cold class that is still read at once.

It is left when the stack is destroyed: that is what it is for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import pulumi

from components.aws.checks import check_between, check_not_empty, check_one_of
from components.aws.policy_documents import Statement
from components.aws.private_bucket import PrivateBucket, PrivateBucketArgs, objects_of
from components.tags import check_tags

RETENTION_YEARS = 7


@dataclass(frozen=True, kw_only=True)
class AuditArchiveArgs:
    """Arguments of `AuditArchive`.

    Attributes:
        kms_key_arn: customer key of the objects.
        retention_years: of the lock.
        lock_mode: COMPLIANCE; GOVERNANCE where a stack is tried out and has to be removable.
        tags: of every resource.
    """

    kms_key_arn: pulumi.Input[str]
    retention_years: int = RETENTION_YEARS
    lock_mode: Literal["COMPLIANCE", "GOVERNANCE"] = "COMPLIANCE"
    tags: Mapping[str, str]

    def __post_init__(self) -> None:
        check_tags(type(self).__name__, self.tags)
        check_between(self, "retention_years", RETENTION_YEARS, 100, "Give 7: records are kept for 7 years.")
        check_one_of(self, "lock_mode", ("COMPLIANCE", "GOVERNANCE"), "Give COMPLIANCE.")
        check_not_empty(self, "kms_key_arn", "Give the ARN of the stack's key for data.")


def archive_statements(bucket_arn: pulumi.Input[str], kms_key_arn: pulumi.Input[str]) -> Sequence[Statement]:
    """Nobody may take away, nor write with another key."""
    objects = objects_of(bucket_arn)
    return (
        {
            "Sid": "NobodyDeletes",
            "Effect": "Deny",
            "Principal": "*",
            "Action": ["s3:DeleteObjectVersion", "s3:BypassGovernanceRetention"],
            "Resource": objects,
        },
        {
            "Sid": "OurKeyAlone",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:PutObject",
            "Resource": objects,
            # An absent header takes the bucket's default, which is the key.
            "Condition": {"StringNotEqualsIfExists": {"s3:x-amz-server-side-encryption-aws-kms-key-id": kms_key_arn}},
        },
    )


class AuditArchive(pulumi.ComponentResource):
    """The archive; `bucket` is its name, `arn` its ARN."""

    def __init__(self, name: str, args: AuditArchiveArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("railyard:aws:AuditArchive", name, None, opts)
        store = PrivateBucket(
            f"{name}-records",
            PrivateBucketArgs(
                kms_key_arn=args.kms_key_arn,
                statements=lambda arn: archive_statements(arn, args.kms_key_arn),
                lock_years=args.retention_years,
                lock_mode=args.lock_mode,
                cold_after_days=90,
                old_version_days=366 * args.retention_years,
                retain=args.lock_mode == "COMPLIANCE",
                tags=args.tags,
            ),
            pulumi.ResourceOptions(parent=self),
        )
        self.bucket, self.arn = store.bucket, store.arn
        self.register_outputs({"bucket": self.bucket, "arn": self.arn})
