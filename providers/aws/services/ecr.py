"""ECR: repositories and their policies. Source of what replaces: terraform-provider-aws `internal/service/ecr/`."""

from __future__ import annotations

from providers.aws.kind import Kind, Op, Setting, Tagging

REPOSITORY = Kind(
    type="aws:ecr/repository:Repository",
    service="ecr",
    create=Op("create_repository"),
    read=Op("describe_repositories", {"repositoryNames": ["$id"]}),
    at="repositories[0]",
    delete=Op("delete_repository", {"repositoryName": "$id", "force": lambda scope: bool(scope.get("forceDelete"))}),
    id="repository.repositoryName",
    names={"name": "repositoryName", "encryptionConfigurations": "encryptionConfiguration"},
    answers={"name": "repositoryName", "encryptionConfigurations": "encryptionConfiguration"},
    outputs={"arn": "repositoryArn", "repositoryUrl": "repositoryUri", "registryId": "registryId"},
    defaults={"imageTagMutability": "MUTABLE"},
    autoname="name",
    name_limit=256,
    settings=(
        Setting(
            ("imageTagMutability", "imageTagMutabilityExclusionFilters"),
            Op(lambda scope: "put_image_tag_mutability" if "was" in scope else "", {"repositoryName": "$id"}),
        ),
        Setting(
            ("imageScanningConfiguration",),
            Op(lambda scope: "put_image_scanning_configuration" if "was" in scope else "", {"repositoryName": "$id"}),
        ),
    ),
    unread=("forceDelete",),
    replaces_on=("name", "encryptionConfigurations"),
    tagging=Tagging(
        add=Op("tag_resource", {"resourceArn": "$arn", "tags": "$tags"}),
        remove=Op("untag_resource", {"resourceArn": "$arn", "tagKeys": "$keys"}),
        show=Op("list_tags_for_resource", {"resourceArn": "$arn"}),
        at="tags",
    ),
)

LIFECYCLE_POLICY = Kind(
    type="aws:ecr/lifecyclePolicy:LifecyclePolicy",
    service="ecr",
    create=Op("put_lifecycle_policy", {"repositoryName": "$repository", "lifecyclePolicyText": "$policy"}, only=()),
    read=Op("get_lifecycle_policy", {"repositoryName": "$repository"}),
    delete=Op("delete_lifecycle_policy", {"repositoryName": "$repository"}),
    id="$repository",
    answers={"policy": "lifecyclePolicyText", "repository": "repositoryName"},
    outputs={"registryId": "registryId"},
    replaces_on=("repository", "policy"),
)

REPOSITORY_POLICY = Kind(
    type="aws:ecr/repositoryPolicy:RepositoryPolicy",
    service="ecr",
    create=Op("set_repository_policy", {"repositoryName": "$repository", "policyText": "$policy"}, only=()),
    read=Op("get_repository_policy", {"repositoryName": "$repository"}),
    update=Op("set_repository_policy", {"repositoryName": "$repository", "policyText": "$policy"}, only=()),
    delete=Op("delete_repository_policy", {"repositoryName": "$repository"}),
    id="$repository",
    answers={"policy": "policyText", "repository": "repositoryName"},
    outputs={"registryId": "registryId"},
    replaces_on=("repository",),
)

SCANNING = Kind(
    type="aws:ecr/registryScanningConfiguration:RegistryScanningConfiguration",
    service="ecr",
    create=Op("put_registry_scanning_configuration"),
    read=Op("get_registry_scanning_configuration"),
    at="scanningConfiguration",
    update=Op("put_registry_scanning_configuration"),
    delete=Op("put_registry_scanning_configuration", {"scanType": "BASIC", "rules": []}),
    id="$account",
    outputs={"registryId": "$account"},
)

KINDS = [REPOSITORY, LIFECYCLE_POLICY, REPOSITORY_POLICY, SCANNING]
