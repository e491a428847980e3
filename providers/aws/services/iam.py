"""IAM: roles, policies and what binds them. Source of what replaces: terraform-provider-aws `internal/service/iam/`."""

from __future__ import annotations

from providers.aws.kind import Kind, More, Op, Scope, Setting, Tagging

ROLE = Kind(
    type="aws:iam/role:Role",
    service="iam",
    create=Op("create_role"),
    read=Op("get_role", {"RoleName": "$id"}),
    at="Role",
    update=Op("update_role", {"RoleName": "$id"}, only=("description", "maxSessionDuration")),
    delete=Op("delete_role", {"RoleName": "$id"}),
    id="Role.RoleName",
    names={"name": "RoleName", "assumeRolePolicy": "AssumeRolePolicyDocument"},
    answers={"permissionsBoundary": "PermissionsBoundary.PermissionsBoundaryArn"},
    outputs={"arn": "Arn", "name": "RoleName", "uniqueId": "RoleId", "createDate": "to_string(CreateDate)"},
    defaults={"forceDetachPolicies": False, "maxSessionDuration": 3600, "path": "/"},
    autoname="name",
    name_limit=64,
    settings=(
        Setting(
            ("assumeRolePolicy",),
            Op(
                lambda scope: "update_assume_role_policy" if "was" in scope else "",
                {"RoleName": "$id", "PolicyDocument": "$assumeRolePolicy"},
                only=(),
            ),
        ),
    ),
    unread=("forceDetachPolicies",),
    replaces_on=("name", "namePrefix", "path"),
    tagging=Tagging(
        add=Op("tag_role", {"RoleName": "$id", "Tags": "$tags"}),
        remove=Op("untag_role", {"RoleName": "$id", "TagKeys": "$keys"}),
    ),
)

ROLE_POLICY = Kind(
    type="aws:iam/rolePolicy:RolePolicy",
    service="iam",
    create=Op("put_role_policy", {"RoleName": "$role", "PolicyName": "$name", "PolicyDocument": "$policy"}, only=()),
    read=Op("get_role_policy", {"RoleName": "$role", "PolicyName": "$name"}),
    update=Op("put_role_policy", {"RoleName": "$role", "PolicyName": "$name", "PolicyDocument": "$policy"}, only=()),
    delete=Op("delete_role_policy", {"RoleName": "$role", "PolicyName": "$name"}),
    id="$role:$name",
    answers={"name": "PolicyName", "policy": "PolicyDocument", "role": "RoleName"},
    autoname="name",
    replaces_on=("name", "namePrefix", "role"),
)

POLICY = Kind(
    type="aws:iam/policy:Policy",
    service="iam",
    create=Op("create_policy", {"PolicyName": "$name", "PolicyDocument": "$policy"}),
    read=Op("get_policy", {"PolicyArn": "$id"}),
    at="Policy",
    more=(
        More(
            Op("get_policy_version", {"PolicyArn": "$id", "VersionId": "$DefaultVersionId"}),
            "PolicyVersion.Document",
            "Document",
        ),
    ),
    delete=Op("delete_policy", {"PolicyArn": "$id"}),
    id="Policy.Arn",
    answers={"name": "PolicyName", "policy": "Document"},
    outputs={"arn": "Arn", "policyId": "PolicyId", "attachmentCount": "AttachmentCount"},
    defaults={"path": "/"},
    autoname="name",
    settings=(
        Setting(
            ("policy",),
            Op(
                lambda scope: "create_policy_version" if "was" in scope else "",
                {"PolicyArn": "$id", "PolicyDocument": "$policy", "SetAsDefault": True},
                only=(),
            ),
        ),
    ),
    replaces_on=("name", "namePrefix", "path", "description"),
    tagging=Tagging(
        add=Op("tag_policy", {"PolicyArn": "$id", "Tags": "$tags"}),
        remove=Op("untag_policy", {"PolicyArn": "$id", "TagKeys": "$keys"}),
    ),
)

ATTACHMENT = Kind(
    type="aws:iam/rolePolicyAttachment:RolePolicyAttachment",
    service="iam",
    create=Op("attach_role_policy", {"RoleName": "$role", "PolicyArn": "$policyArn"}, only=()),
    read=Op("list_attached_role_policies", {"RoleName": "$role"}),
    at=lambda answer, scope: next(
        (one for one in answer["AttachedPolicies"] if one["PolicyArn"] == scope["policyArn"]), None
    ),
    delete=Op("detach_role_policy", {"RoleName": "$role", "PolicyArn": "$policyArn"}),
    id="$role/$policyArn",
    unread=("role",),
    replaces_on=("role", "policyArn"),
)


def _role_was(scope: Scope) -> str:
    """The role of an instance profile before an update."""
    return str(scope.get("was", {}).get("role") or "")


INSTANCE_PROFILE = Kind(
    type="aws:iam/instanceProfile:InstanceProfile",
    service="iam",
    create=Op("create_instance_profile", {"InstanceProfileName": "$name"}),
    read=Op("get_instance_profile", {"InstanceProfileName": "$id"}),
    at="InstanceProfile",
    before_delete=(Op("remove_role_from_instance_profile", {"InstanceProfileName": "$id", "RoleName": "$role"}),),
    delete=Op("delete_instance_profile", {"InstanceProfileName": "$id"}),
    id="$name",
    answers={"name": "InstanceProfileName", "role": "Roles[0].RoleName"},
    outputs={"arn": "Arn", "uniqueId": "InstanceProfileId"},
    autoname="name",
    settings=(
        Setting(
            ("role",),
            Op(
                # One that is taken away is still in the scope, as it was.
                lambda scope: "" if _role_was(scope) == scope["role"] else "add_role_to_instance_profile",
                {"InstanceProfileName": "$id", "RoleName": "$role"},
                only=(),
            ),
            before=Op(
                lambda scope: "remove_role_from_instance_profile" if _role_was(scope) else "",
                {"InstanceProfileName": "$id", "RoleName": _role_was},
                only=(),
            ),
        ),
    ),
    replaces_on=("name", "namePrefix", "path"),
    tagging=Tagging(
        add=Op("tag_instance_profile", {"InstanceProfileName": "$id", "Tags": "$tags"}),
        remove=Op("untag_instance_profile", {"InstanceProfileName": "$id", "TagKeys": "$keys"}),
    ),
)


def clients(scope: Scope) -> str:
    """A provider's clients come and go one by one."""
    if "was" in scope:
        had, has = set(scope["was"].get("clientIdLists") or []), set(scope["clientIdLists"])
        about = {"OpenIDConnectProviderArn": scope["id"]}
        for one in sorted(has - had):
            scope["ask"]("add_client_id_to_open_id_connect_provider", ClientID=one, **about)
        for one in sorted(had - has):
            scope["ask"]("remove_client_id_from_open_id_connect_provider", ClientID=one, **about)
    return ""


OIDC = Kind(
    type="aws:iam/openIdConnectProvider:OpenIdConnectProvider",
    service="iam",
    create=Op(
        "create_open_id_connect_provider", names={"clientIdLists": "ClientIDList", "thumbprintLists": "ThumbprintList"}
    ),
    read=Op("get_open_id_connect_provider", {"OpenIDConnectProviderArn": "$id"}),
    delete=Op("delete_open_id_connect_provider", {"OpenIDConnectProviderArn": "$id"}),
    id="OpenIDConnectProviderArn",
    answers={"clientIdLists": "ClientIDList", "thumbprintLists": "ThumbprintList"},
    outputs={"arn": "$id"},
    settings=(
        Setting(("clientIdLists",), Op(clients)),
        Setting(
            ("thumbprintLists",),
            Op(
                lambda scope: "update_open_id_connect_provider_thumbprint" if "was" in scope else "",
                {"OpenIDConnectProviderArn": "$id", "ThumbprintList": "$thumbprintLists"},
                only=(),
            ),
        ),
    ),
    unread=("url",),
    replaces_on=("url",),
    tagging=Tagging(
        add=Op("tag_open_id_connect_provider", {"OpenIDConnectProviderArn": "$id", "Tags": "$tags"}),
        remove=Op("untag_open_id_connect_provider", {"OpenIDConnectProviderArn": "$id", "TagKeys": "$keys"}),
    ),
)

KINDS = [ROLE, ROLE_POLICY, POLICY, ATTACHMENT, INSTANCE_PROFILE, OIDC]
