"""The image registry of a stack (`railyard:aws:Registry`) and the service's image in it (`railyard:aws:Image`):

- ECR with immutable tags, scanned on push, encrypted with the customer's key;
- a lifecycle that ends untagged images and old releases, and never an image tagged `kept-...`, which a rollback needs;
- the image, built from `app/` alone, pushed under its release's tag and used by its digest.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_aws as aws
import pulumi_docker as docker

from components.arguments import ArgumentError
from components.tags import check_tags, named

UNTAGGED_DAYS = 14


@dataclass(frozen=True, kw_only=True)
class RegistryArgs:
    """Arguments of `Registry`.

    Attributes:
        repository: name; lower case letters, digits, hyphens and slashes, beginning with a letter.
        kms_key_arn: the customer's key.
        retained_images: how many releases are kept.
        delete_with_images: let the repository be deleted while it holds images.
        tags: the required tags, and more.
    """

    repository: str
    kms_key_arn: pulumi.Input[str]
    retained_images: int = 30
    delete_with_images: bool = False
    tags: Mapping[str, str]

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9]*([-/][a-z0-9]+)*", self.repository):
            fix = "Begin with a letter; go on with lower case letters, digits, - and /."
            raise ArgumentError("RegistryArgs", "repository", f"is {self.repository!r}, which ECR refuses", fix)
        if self.retained_images < 10:
            fix = "Keep 10 or more: a rollback needs the images before."
            raise ArgumentError("RegistryArgs", "retained_images", f"is {self.retained_images}", fix)
        check_tags("RegistryArgs", self.tags)


class Registry(pulumi.ComponentResource):
    """The repository: `url`, `arn`, `repository`, `registry_id`."""

    def __init__(self, name: str, args: RegistryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("railyard:aws:Registry", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        repository = aws.ecr.Repository(
            f"{name}-repository",
            name=args.repository,
            image_tag_mutability="IMMUTABLE",
            image_scanning_configuration=aws.ecr.RepositoryImageScanningConfigurationArgs(scan_on_push=True),
            encryption_configurations=[
                aws.ecr.RepositoryEncryptionConfigurationArgs(encryption_type="KMS", kms_key=args.kms_key_arn)
            ],
            force_delete=args.delete_with_images,
            tags=named(args.tags, args.repository),
            opts=child,
        )
        aws.ecr.LifecyclePolicy(
            f"{name}-lifecycle",
            repository=repository.name,
            policy=json.dumps({"rules": _lifecycle(args.retained_images)}),
            opts=child,
        )
        self.repository: pulumi.Output[str] = repository.name
        self.url: pulumi.Output[str] = repository.repository_url
        self.arn: pulumi.Output[str] = repository.arn
        self.registry_id: pulumi.Output[str] = repository.registry_id
        self.register_outputs({"url": self.url, "arn": self.arn})


def _lifecycle(retained: int) -> list[dict[str, Any]]:
    untagged = {
        "tagStatus": "untagged",
        "countType": "sinceImagePushed",
        "countUnit": "days",
        "countNumber": UNTAGGED_DAYS,
    }
    releases = {
        "tagStatus": "tagged",
        "tagPrefixList": ["release-"],
        "countType": "imageCountMoreThan",
        "countNumber": retained,
    }
    return [
        {"rulePriority": 1, "description": "No tag", "selection": untagged, "action": {"type": "expire"}},
        {"rulePriority": 2, "description": "Old releases", "selection": releases, "action": {"type": "expire"}},
    ]


@dataclass(frozen=True, kw_only=True)
class ImageArgs:
    """Arguments of `Image`.

    Attributes:
        repository_url: where it is pushed to.
        registry_id: the account of the repository, whose token lets push.
        release: id of the release, which names the tag.
        context: folder of the Dockerfile, from the project's root.
        build_args: of the Dockerfile, as BASE_IMAGE.
        platform: of the machines it runs on.
    """

    repository_url: pulumi.Input[str]
    registry_id: pulumi.Input[str]
    release: str
    context: str = "app"
    build_args: Mapping[str, str] = field(default_factory=dict)
    platform: str = "linux/amd64"

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{5,119}", self.release) or self.release == "latest":
            fix = "Use the id of the release: 6 to 120 letters, digits, ., _ and -."
            raise ArgumentError("ImageArgs", "release", f"is {self.release!r}", fix)


class Image(pulumi.ComponentResource):
    """The pushed image; `digest_reference` is `<repository>@sha256:...`, the only name that services use."""

    def __init__(self, name: str, args: ImageArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("railyard:aws:Image", name, None, opts)
        # Asked for when the repository exists, so a first plan asks for nothing.
        token = aws.ecr.get_authorization_token_output(
            registry_id=args.registry_id, opts=pulumi.InvokeOutputOptions(parent=self)
        )
        image = docker.Image(
            f"{name}-image",
            image_name=pulumi.Output.concat(args.repository_url, ":release-", args.release),
            build=docker.DockerBuildArgs(
                context=args.context,
                dockerfile=f"{args.context}/Dockerfile",
                args=dict(args.build_args),
                platform=args.platform,
            ),
            registry=docker.RegistryArgs(
                server=args.repository_url,
                username=token.user_name,
                password=pulumi.Output.secret(token.password),
            ),
            # The token is another one at every plan, and no reason to build again.
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["registry.password"]),
        )
        self.digest_reference: pulumi.Output[str] = image.repo_digest
        self.register_outputs({"digestReference": self.digest_reference})
