"""S3: buckets, and each of a bucket's settings, which Pulumi has as resources.

Source of what replaces: terraform-provider-aws `internal/service/s3/`.
"""

from __future__ import annotations

import base64
from pathlib import Path

from providers.aws.kind import Kind, More, Op, Scope, Tagging, described
from providers.base.values import SIGNATURE


def tag_set(scope: Scope) -> list[dict[str, str]]:
    """All tags: S3 takes the whole set at once."""
    return [{"Key": key, "Value": value} for key, value in scope["tagsAll"].items()]


TAG = Op(
    lambda scope: "put_bucket_tagging" if scope["tagsAll"] else "delete_bucket_tagging",
    {"Bucket": "$id", "Tagging": lambda scope: {"TagSet": tag_set(scope)} if scope["tagsAll"] else None},
)
TAGGING = Tagging(add=TAG, remove=TAG, show=Op("get_bucket_tagging", {"Bucket": "$id"}), at="TagSet", with_create=False)


def location(scope: Scope) -> dict[str, str] | None:
    """Everywhere but in the first region a bucket is told where it is."""
    return None if scope["region"] == "us-east-1" else {"LocationConstraint": scope["region"]}


def emptied(scope: Scope) -> str:
    """Take away every version of every object where the program allows it; S3 ends only empty buckets."""
    if scope.get("forceDestroy"):
        found = scope["ask"]("list_object_versions", Bucket=scope["id"])
        for one in [*found.get("Versions", []), *found.get("DeleteMarkers", [])]:
            scope["ask"]("delete_object", Bucket=scope["id"], Key=one["Key"], VersionId=one["VersionId"])
    return ""


BUCKET = Kind(
    type="aws:s3/bucket:Bucket",
    service="s3",
    create=Op(
        "create_bucket",
        {
            "Bucket": "$bucket",
            "CreateBucketConfiguration": location,
            "ObjectLockEnabledForBucket": lambda scope: True if scope.get("objectLockEnabled") else None,
        },
        only=(),
    ),
    read=Op("head_bucket", {"Bucket": "$id"}),
    at=lambda answer, scope: {"Bucket": scope["id"]},
    more=(
        More(
            Op("get_object_lock_configuration", {"Bucket": "$id"}),
            "ObjectLockConfiguration.ObjectLockEnabled",
            "ObjectLockEnabled",
        ),
    ),
    before_delete=(Op(emptied),),
    delete=Op("delete_bucket", {"Bucket": "$id"}),
    id="$bucket",
    outputs={
        "arn": "arn:aws:s3:::$id",
        "bucketDomainName": "$id.s3.amazonaws.com",
        "bucketRegionalDomainName": "$id.s3.$region.amazonaws.com",
        "hostedZoneId": "Z3AQBSTGFYJSTF",
        "bucketRegion": "$region",
    },
    defaults={"forceDestroy": False},
    autoname="bucket",
    name_limit=63,
    unread=("forceDestroy",),
    replaces_on=(
        "bucket",
        "bucketNamespace",
        "bucketPrefix",
        "objectLockConfiguration.objectLockEnabled",
        "objectLockEnabled",
    ),
    tagging=TAGGING,
)


def setting(
    name: str,
    put: str,
    get: str,
    end: str = "",
    *,
    into: str = "",
    answers: dict[str, str] | None = None,
    recorded: dict[str, str] | None = None,
    gone_when: str = "",
    defaults: dict[str, str] | None = None,
    replaces_on: tuple[str, ...] = ("bucket", "expectedBucketOwner"),
    untold: tuple[str, ...] = (),
) -> list[Kind]:
    """One of a bucket's settings as a resource: put makes and changes it. Under both of its names."""
    own = name[0].lower() + name[1:]
    kind = Kind(
        type=f"aws:s3/{own}:{name}",
        service="s3",
        create=Op(put, {"Bucket": "$bucket"}, into=into),
        read=Op(get, {"Bucket": "$bucket"}),
        gone_when=gone_when,
        update=Op(put, {"Bucket": "$bucket"}, into=into),
        delete=Op(end, {"Bucket": "$bucket"}) if end else None,
        id="$bucket",
        answers=answers or {},
        defaults=defaults or {},
        unread=(*(name for name in ("bucket", "expectedBucketOwner") if name in replaces_on), *untold),
        recorded=recorded or {},
        replaces_on=replaces_on,
    )
    return described(kind, f"aws:s3/{own}V2:{name}V2")


SETTINGS = [
    *setting(
        "BucketVersioning",
        "put_bucket_versioning",
        "get_bucket_versioning",
        answers={"versioningConfiguration": "{status: Status, mfaDelete: MFADelete}"},
        gone_when="!Status",
        untold=("mfa",),
    ),
    *setting(
        "BucketServerSideEncryptionConfiguration",
        "put_bucket_encryption",
        "get_bucket_encryption",
        "delete_bucket_encryption",
        into="ServerSideEncryptionConfiguration",
        answers={"rules": "ServerSideEncryptionConfiguration.Rules"},
    ),
    *setting(
        "BucketPublicAccessBlock",
        "put_public_access_block",
        "get_public_access_block",
        "delete_public_access_block",
        into="PublicAccessBlockConfiguration",
        replaces_on=("bucket",),
        untold=("skipDestroy",),
        answers={
            name: f"PublicAccessBlockConfiguration.{name[0].upper()}{name[1:]}"
            for name in ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
        },
    ),
    *setting("BucketPolicy", "put_bucket_policy", "get_bucket_policy", "delete_bucket_policy", replaces_on=("bucket",)),
    *setting(
        "BucketOwnershipControls",
        "put_bucket_ownership_controls",
        "get_bucket_ownership_controls",
        "delete_bucket_ownership_controls",
        into="OwnershipControls",
        replaces_on=("bucket",),
        answers={"rule": "OwnershipControls.Rules[0]"},
    ),
    *setting(
        "BucketObjectLockConfiguration",
        "put_object_lock_configuration",
        "get_object_lock_configuration",
        into="ObjectLockConfiguration",
        replaces_on=("bucket", "expectedBucketOwner", "objectLockEnabled"),
        untold=("token",),
        defaults={"objectLockEnabled": "Enabled"},
        answers={
            "rule": "ObjectLockConfiguration.Rule",
            "objectLockEnabled": "ObjectLockConfiguration.ObjectLockEnabled",
        },
    ),
    *setting(
        "BucketLifecycleConfiguration",
        "put_bucket_lifecycle_configuration",
        "get_bucket_lifecycle_configuration",
        "delete_bucket_lifecycle",
        into="LifecycleConfiguration",
        untold=("transitionDefaultMinimumObjectSize",),
    ),
    *setting(
        "BucketLogging",
        "put_bucket_logging",
        "get_bucket_logging",
        into="BucketLoggingStatus.LoggingEnabled",
        answers={"targetBucket": "LoggingEnabled.TargetBucket", "targetPrefix": "LoggingEnabled.TargetPrefix"},
    ),
    *setting(
        "BucketCorsConfiguration",
        "put_bucket_cors",
        "get_bucket_cors",
        "delete_bucket_cors",
        into="CORSConfiguration",
        answers={"corsRules": "CORSRules"},
    ),
]


def body(scope: Scope) -> bytes:
    """What an object holds: a text, base64, or an asset, from its text or its file."""
    if scope.get("content") is not None:
        return str(scope["content"]).encode()
    if scope.get("contentBase64") is not None:
        return base64.b64decode(scope["contentBase64"])
    source = scope.get("source")
    if isinstance(source, dict) and SIGNATURE in source:
        return source["text"].encode() if source.get("text") is not None else Path(source["path"]).read_bytes()
    return Path(str(source)).read_bytes() if source else b""


OBJECT_INPUTS = (
    "contentType",
    "cacheControl",
    "contentDisposition",
    "contentEncoding",
    "contentLanguage",
    "storageClass",
    "serverSideEncryption",
    "metadata",
)


def put_object(*extra: str) -> Op:
    return Op("put_object", {"Bucket": "$bucket", "Key": "$key", "Body": body}, only=(*OBJECT_INPUTS, *extra))


OBJECT = Kind(
    type="aws:s3/bucketObject:BucketObject",
    service="s3",
    create=put_object(),
    read=Op("head_object", {"Bucket": "$bucket", "Key": "$key"}),
    update=put_object("content", "contentBase64", "source", "etag", "sourceHash"),
    delete=Op("delete_object", {"Bucket": "$bucket", "Key": "$key"}),
    id="$bucket/$key",
    autoname="key",
    name_limit=1024,
    outputs={"etag": "ETag", "versionId": "VersionId", "arn": "arn:aws:s3:::$bucket/$key"},
    unread=(
        "bucket",
        "key",
        "content",
        "contentBase64",
        "source",
        "sourceHash",
        "etag",
        "acl",
        "forceDestroy",
        "storageClass",
        "kmsKeyId",
        "bucketKeyEnabled",
    ),
    replaces_on=("bucket", "key"),
)


KINDS = [
    *described(BUCKET, "aws:s3/bucketV2:BucketV2"),
    *SETTINGS,
    *described(OBJECT, "aws:s3/bucketObjectv2:BucketObjectv2"),
]
