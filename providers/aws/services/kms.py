"""KMS: keys and their aliases. Source of what replaces: terraform-provider-aws `internal/service/kms/`."""

from __future__ import annotations

from providers.aws.kind import Kind, More, Op, Setting, Tagging

TAGGING = Tagging(
    add=Op(
        "tag_resource",
        {"KeyId": "$id", "Tags": lambda scope: [{"TagKey": t["Key"], "TagValue": t["Value"]} for t in scope["tags"]]},
    ),
    remove=Op("untag_resource", {"KeyId": "$id", "TagKeys": "$keys"}),
    show=Op("list_resource_tags", {"KeyId": "$id"}),
)

KEY = Kind(
    type="aws:kms/key:Key",
    service="kms",
    create=Op(
        "create_key",
        {"Tags": lambda scope: [{"TagKey": key, "TagValue": value} for key, value in scope["tagsAll"].items()]},
        only=(
            "description",
            "policy",
            "keyUsage",
            "customerMasterKeySpec",
            "multiRegion",
            "bypassPolicyLockoutSafetyCheck",
        ),
        names={"customerMasterKeySpec": "KeySpec"},
    ),
    read=Op("describe_key", {"KeyId": "$id"}),
    at="KeyMetadata",
    gone_when="KeyState == 'PendingDeletion'",
    more=(
        More(Op("get_key_rotation_status", {"KeyId": "$id"}), "KeyRotationEnabled", "EnableKeyRotation"),
        More(Op("get_key_policy", {"KeyId": "$id", "PolicyName": "default"}), "Policy", "Policy"),
    ),
    delete=Op(
        "schedule_key_deletion",
        {"KeyId": "$id", "PendingWindowInDays": lambda s: int(s.get("deletionWindowInDays") or 30)},
    ),
    id="KeyMetadata.KeyId",
    answers={"isEnabled": "Enabled", "customerMasterKeySpec": "KeySpec"},
    outputs={"arn": "Arn", "keyId": "KeyId"},
    defaults={"isEnabled": True, "keyUsage": "ENCRYPT_DECRYPT", "customerMasterKeySpec": "SYMMETRIC_DEFAULT"},
    settings=(
        Setting(
            ("enableKeyRotation", "rotationPeriodInDays"),
            Op(
                lambda scope: "enable_key_rotation" if scope.get("enableKeyRotation") else "disable_key_rotation",
                {
                    "KeyId": "$id",
                    "RotationPeriodInDays": lambda s: (
                        s.get("rotationPeriodInDays") if s.get("enableKeyRotation") else None
                    ),
                },
                only=(),
            ),
        ),
        Setting(
            ("isEnabled",),
            Op(lambda scope: "enable_key" if scope.get("isEnabled") else "disable_key", {"KeyId": "$id"}, only=()),
        ),
        Setting(("description",), Op("update_key_description", {"KeyId": "$id"})),
        Setting(("policy",), Op("put_key_policy", {"KeyId": "$id", "PolicyName": "default"})),
    ),
    unread=("deletionWindowInDays", "bypassPolicyLockoutSafetyCheck"),
    recorded={"rotationPeriodInDays": "moto tells none"},
    replaces_on=("keyUsage", "customerMasterKeySpec", "customKeyStoreId", "multiRegion", "xksKeyId"),
    tagging=TAGGING,
)

ALIAS = Kind(
    type="aws:kms/alias:Alias",
    service="kms",
    create=Op("create_alias", {"AliasName": "$name"}),
    read=Op("list_aliases"),
    at=lambda answer, scope: next((one for one in answer["Aliases"] if one["AliasName"] == scope["id"]), None),
    update=Op("update_alias", {"AliasName": "$name"}),
    delete=Op("delete_alias", {"AliasName": "$id"}),
    id="$name",
    answers={"name": "AliasName"},
    outputs={"arn": "AliasArn", "targetKeyArn": "arn:aws:kms:$region:$account:key/$targetKeyId"},
    autoname="name",
    replaces_on=("name", "namePrefix"),
)

KEY_POLICY = Kind(
    type="aws:kms/keyPolicy:KeyPolicy",
    service="kms",
    create=Op("put_key_policy", {"PolicyName": "default"}),
    read=Op("get_key_policy", {"KeyId": "$keyId", "PolicyName": "default"}),
    update=Op("put_key_policy", {"PolicyName": "default"}),
    id="$keyId",
    unread=("keyId", "bypassPolicyLockoutSafetyCheck"),
    replaces_on=("keyId",),
)

KINDS = [KEY, ALIAS, KEY_POLICY]
