"""EC2: launch templates. Source of what replaces: terraform-provider-aws `internal/service/ec2/`."""

from __future__ import annotations

from providers.aws.kind import Kind, More, Op, Setting

DATA = ("blockDeviceMappings", "ebsOptimized", "imageId", "instanceType", "keyName", "metadataOptions", "userData")
LATEST = "$Latest"

LAUNCH_TEMPLATE = Kind(
    type="aws:ec2/launchTemplate:LaunchTemplate",
    service="ec2",
    create=Op("create_launch_template", {"LaunchTemplateName": "$name"}, only=DATA, into="LaunchTemplateData"),
    read=Op("describe_launch_templates", {"LaunchTemplateIds": ["$id"]}),
    at="LaunchTemplates[0]",
    more=(
        More(
            Op("describe_launch_template_versions", {"LaunchTemplateId": "$id", "Versions": lambda _: [LATEST]}),
            "LaunchTemplateVersions[0].LaunchTemplateData",
            "Data",
        ),
    ),
    delete=Op("delete_launch_template", {"LaunchTemplateId": "$id"}),
    id="LaunchTemplate.LaunchTemplateId",
    names={"name": "LaunchTemplateName"},
    answers={
        "name": "LaunchTemplateName",
        "imageId": "Data.ImageId",
        "instanceType": "Data.InstanceType",
        "keyName": "Data.KeyName",
    },
    outputs={
        "arn": "arn:aws:ec2:$region:$account:launch-template/$id",
        "name": "LaunchTemplateName",
        "latestVersion": "LatestVersionNumber",
        "defaultVersion": "DefaultVersionNumber",
    },
    autoname="name",
    name_limit=125,
    settings=(
        # Every change is a version of its own; who uses "latest" gets it.
        Setting(
            DATA,
            Op(
                lambda scope: "create_launch_template_version" if "was" in scope else "",
                {"LaunchTemplateId": "$id"},
                only=DATA,
                into="LaunchTemplateData",
            ),
        ),
    ),
    unread=("updateDefaultVersion",),
    recorded={
        "blockDeviceMappings": "moto tells them in another order and spelling",
        "metadataOptions": "moto tells its own defaults with them",
        "ebsOptimized": "moto tells none",
        "userData": "moto tells none",
        "tags": "tags of a template are not sent on",
    },
    replaces_on=("name", "namePrefix"),
)

KINDS = [LAUNCH_TEMPLATE]
