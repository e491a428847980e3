"""A bucket that nobody reaches from outside (`railyard:aws:PrivateBucket`):

- the bucket, with versions, owner-enforced objects and every public access blocked;
- encryption: with a customer key, or with S3's own where the writer cannot use one (ALB and CloudFront logs);
- a policy: TLS only, and what the caller adds;
- a lifecycle: old versions and broken uploads go; objects go after `expire_days` when that is given;
- with `lock_years`, object lock in compliance mode: nobody, the account's root included, deletes earlier.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pulumi
import pulumi_aws as aws

from components.arguments import ArgumentError
from components.aws.policy_documents import Statement, document
from components.tags import check_tags

Statements = Callable[[pulumi.Output[str]], Sequence[Statement]]


def objects_of(bucket_arn: pulumi.Input[str]) -> pulumi.Input[str]:
    """The ARN of all objects of a bucket."""
    return f"{bucket_arn}/*" if isinstance(bucket_arn, str) else pulumi.Output.concat(bucket_arn, "/*")


def tls_only(bucket_arn: pulumi.Input[str]) -> Statement:
    """Nobody reaches the bucket by plain HTTP."""
    return {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [bucket_arn, objects_of(bucket_arn)],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


def _no_statements(_arn: pulumi.Output[str]) -> Sequence[Statement]:
    return ()


@dataclass(frozen=True, kw_only=True)
class PrivateBucketArgs:
    """Arguments of `PrivateBucket`.

    Attributes:
        kms_key_arn: customer key; None for S3's own keys, for writers that can use no other.
        statements: more statements of the policy, made from the bucket's ARN; None when the caller sets the policy
            himself with `set_policy`, because it names what is made later.
        expire_days: age at which objects are deleted; None keeps them.
        old_version_days: age at which versions that were replaced are deleted.
        lock_years: years during which nobody can delete or replace a version; None for no lock.
        lock_mode: COMPLIANCE, which nobody can lift, or GOVERNANCE, to try it out.
        cold_after_days: age at which objects move to Glacier (instant retrieval); None leaves them.
        access_log_bucket: name of the bucket that the accesses are logged in; None for the log bucket itself.
        retain: leave the bucket and its objects when the stack is destroyed.
        tags: of every resource.
    """

    kms_key_arn: pulumi.Input[str] | None = None
    statements: Statements | None = _no_statements
    expire_days: int | None = None
    old_version_days: int = 30
    lock_years: int | None = None
    lock_mode: Literal["COMPLIANCE", "GOVERNANCE"] = "COMPLIANCE"
    cold_after_days: int | None = None
    access_log_bucket: pulumi.Input[str] | None = None
    retain: bool = False
    tags: Mapping[str, str]

    def __post_init__(self) -> None:
        check_tags(type(self).__name__, self.tags)
        if self.lock_years is not None and self.expire_days is not None and self.expire_days < 366 * self.lock_years:
            raise ArgumentError(
                type(self).__name__,
                "expire_days",
                f"is {self.expire_days}, shorter than the lock of {self.lock_years} years",
                f"Give at least {366 * self.lock_years}, or None to keep the objects.",
            )
        if self.old_version_days < 1:
            raise ArgumentError(
                type(self).__name__, "old_version_days", f"is {self.old_version_days}", "Give at least 1 day."
            )


class PrivateBucket(pulumi.ComponentResource):
    """The bucket; `bucket` is its name, `arn` its ARN, `domain_name` its regional host. All are known only when the
    policy stands, so that a writer who needs the policy waits for it."""

    def __init__(self, name: str, args: PrivateBucketArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("railyard:aws:PrivateBucket", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        self._bucket = aws.s3.Bucket(
            f"{name}-bucket",
            object_lock_enabled=args.lock_years is not None,
            # Staging stacks come and go; what has to stay is retained and locked.
            force_destroy=not args.retain,
            tags=args.tags,
            opts=pulumi.ResourceOptions(parent=self, retain_on_delete=args.retain),
        )
        self._secure()
        self._block = self._blocked()
        self.arn = self._bucket.arn
        self.domain_name = self._bucket.bucket_regional_domain_name
        self.bucket = self._bucket.bucket
        if args.statements is not None:
            # By way of the policy: who is given this name finds a bucket that lets him write.
            self.bucket = self.set_policy(args.statements(self.arn))
        self.register_outputs({"bucket": self.bucket, "arn": self.arn})

    def _secure(self) -> None:
        name, args, bucket = self._name, self._args, self._bucket.bucket
        versioning = aws.s3.BucketVersioning(
            f"{name}-versions",
            bucket=bucket,
            versioning_configuration={"status": "Enabled"},
            opts=self._child,
        )
        algorithm = "AES256" if args.kms_key_arn is None else "aws:kms"
        aws.s3.BucketServerSideEncryptionConfiguration(
            f"{name}-encryption",
            bucket=bucket,
            rules=[
                {
                    "apply_server_side_encryption_by_default": {
                        "sse_algorithm": algorithm,
                        "kms_master_key_id": args.kms_key_arn,
                    },
                    "bucket_key_enabled": args.kms_key_arn is not None,
                }
            ],
            opts=self._child,
        )
        aws.s3.BucketOwnershipControls(
            f"{name}-ownership", bucket=bucket, rule={"object_ownership": "BucketOwnerEnforced"}, opts=self._child
        )
        after_versions = pulumi.ResourceOptions(parent=self, depends_on=[versioning])
        aws.s3.BucketLifecycleConfiguration(
            f"{name}-lifecycle", bucket=bucket, rules=[self._lifecycle()], opts=after_versions
        )
        if args.lock_years is not None:
            aws.s3.BucketObjectLockConfiguration(
                f"{name}-lock",
                bucket=bucket,
                object_lock_enabled="Enabled",
                rule={"default_retention": {"mode": args.lock_mode, "years": args.lock_years}},
                opts=after_versions,
            )
        if args.access_log_bucket is not None:
            aws.s3.BucketLogging(
                f"{name}-logging",
                bucket=bucket,
                target_bucket=args.access_log_bucket,
                target_prefix=f"s3/{name}/",
                opts=self._child,
            )

    def _lifecycle(self) -> dict[str, Any]:
        args = self._args
        rule: dict[str, Any] = {
            "id": "tidy",
            "status": "Enabled",
            "filter": {"prefix": ""},
            "abort_incomplete_multipart_upload": {"days_after_initiation": 7},
            "noncurrent_version_expiration": {"noncurrent_days": args.old_version_days},
        }
        if args.expire_days is not None:
            rule["expiration"] = {"days": args.expire_days}
        if args.cold_after_days is not None:
            rule["transitions"] = [{"days": args.cold_after_days, "storage_class": "GLACIER_IR"}]
        return rule

    def _blocked(self) -> aws.s3.BucketPublicAccessBlock:
        return aws.s3.BucketPublicAccessBlock(
            f"{self._name}-block",
            bucket=self._bucket.bucket,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=self._child,
        )

    def set_policy(self, statements: Sequence[Statement]) -> pulumi.Output[str]:
        """The bucket's policy: TLS only and these statements. Returns the bucket's name, known when it stands."""
        # S3 refuses to change policy and block at once.
        after_block = pulumi.ResourceOptions(parent=self, depends_on=[self._block])
        policy = aws.s3.BucketPolicy(
            f"{self._name}-policy",
            bucket=self._bucket.bucket,
            policy=pulumi.Output.json_dumps(document(tls_only(self.arn), *statements)),
            opts=after_block,
        )
        name: pulumi.Output[str] = policy.bucket
        return name
