"""EKS. Source of what replaces: terraform-provider-aws `internal/service/eks/`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from providers.aws.kind import Kind, More, Op, Tagging, Wait

TAGGING = Tagging(
    add=Op("tag_resource", {"resourceArn": "$arn", "tags": "$tags"}),
    remove=Op("untag_resource", {"resourceArn": "$arn", "tagKeys": "$keys"}),
    show=Op("list_tags_for_resource", {"resourceArn": "$arn"}),
    at="tags",
    style="map",
)
NO_UPDATE = "moto changes nothing of a cluster that is there"


def _cluster(scope: dict[str, Any]) -> None:
    """Inputs as EKS nests them."""
    vpc = scope.get("vpcConfig") or {}
    scope["resourcesVpcConfig"] = vpc
    if scope.get("enabledClusterLogTypes"):
        scope["logging"] = {"clusterLogging": [{"types": scope["enabledClusterLogTypes"], "enabled": True}]}
    if scope.get("encryptionConfig"):
        given = scope["encryptionConfig"]
        scope["encrypted"] = [{"provider": {"keyArn": given["provider"]["keyArn"]}, "resources": given["resources"]}]


def _own_group(scope: Any) -> str:
    """The group EKS makes for a cluster, which moto does not: it is made beside it and told as EKS tells it."""
    return f"eks-cluster-sg-{scope['name']}"


_VPC = (
    "ClusterGroup && {subnetIds: resourcesVpcConfig.subnetIds, vpcId: ClusterVpc, "
    "endpointPrivateAccess: resourcesVpcConfig.endpointPrivateAccess, "
    "endpointPublicAccess: resourcesVpcConfig.endpointPublicAccess, clusterSecurityGroupId: ClusterGroup}"
)


def for_good(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, ...]:
    """What a cluster has or has not for good: encryption once on, its place on an Outpost, its own nodes' role."""
    found: tuple[str, ...] = ()
    had, wanted = (it if isinstance(it := given.get("computeConfig"), Mapping) else {} for given in (old, new))
    # A role that is given up with what needed it stays behind; another one does not come in place.
    needed = wanted.get("nodeRoleArn") or (wanted.get("enabled") and wanted.get("nodePools"))
    if had.get("nodeRoleArn") and needed:
        found += ("computeConfig.nodeRoleArn",)
    if old.get("encryptionConfig") and not new.get("encryptionConfig"):
        found += ("encryptionConfig",)
    if bool(old.get("outpostConfig")) != bool(new.get("outpostConfig")):
        found += ("outpostConfig",)
    return found


def first_template(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, ...]:
    """A group that was made without a launch template gets one only by a new group."""
    return ("launchTemplate",) if new.get("launchTemplate") and not old.get("launchTemplate") else ()


CLUSTER = Kind(
    type="aws:eks/cluster:Cluster",
    service="eks",
    create=Op(
        "create_cluster",
        {
            "resourcesVpcConfig": lambda scope: {
                key: value for key, value in scope["resourcesVpcConfig"].items() if key not in ("vpcId",)
            },
            "logging": "$logging",
            "encryptionConfig": "$encrypted",
            "tags": lambda scope: scope["tagsAll"] or None,
        },
        only=("name", "roleArn", "version", "accessConfig", "kubernetesNetworkConfig"),
    ),
    read=Op("describe_cluster", {"name": "$id"}),
    at="cluster",
    more=(
        More(
            Op(
                "describe_subnets",
                {"SubnetIds": lambda scope: list(scope["resourcesVpcConfig"]["subnetIds"])[:1]},
                service="ec2",
            ),
            "Subnets[0].VpcId",
            "ClusterVpc",
        ),
        More(
            Op(
                "describe_security_groups",
                {"Filters": lambda scope: [{"Name": "group-name", "Values": [_own_group(scope)]}]},
                service="ec2",
            ),
            "SecurityGroups[0].GroupId",
            "ClusterGroup",
        ),
    ),
    after=(
        Op(
            "create_security_group",
            {
                "GroupName": _own_group,
                "Description": "EKS created security group applied to ENI of control plane and nodes",
                "VpcId": lambda scope: scope["see"]()["ClusterVpc"],
            },
            service="ec2",
        ),
    ),
    before_delete=(
        Op(
            lambda scope: "delete_security_group" if scope["see"]().get("ClusterGroup") else "",
            {"GroupId": lambda scope: scope["see"]()["ClusterGroup"]},
            service="ec2",
        ),
    ),
    delete=Op("delete_cluster", {"name": "$id"}),
    id="cluster.name",
    prepare=_cluster,
    outputs={
        "arn": "arn",
        "vpcConfig": _VPC,
        "endpoint": "endpoint",
        "status": "status",
        "platformVersion": "platformVersion",
        "createdAt": "to_string(createdAt)",
        "certificateAuthority": "certificateAuthority.{data: data}",
        "certificateAuthorities": "[certificateAuthority.{data: data}]",
        "identities": "[{oidcs: [{issuer: identity.oidc.issuer}]}]",
    },
    autoname="name",
    name_limit=100,
    waits=(Wait("status", ("ACTIVE",), ("FAILED",)),),
    unread=("bootstrapSelfManagedAddons", "forceUpdateVersion"),
    recorded={
        "version": NO_UPDATE,
        "vpcConfig": NO_UPDATE,
        "enabledClusterLogTypes": NO_UPDATE,
        "encryptionConfig": NO_UPDATE,
        "accessConfig": NO_UPDATE,
        "kubernetesNetworkConfig": NO_UPDATE,
        "upgradePolicy": NO_UPDATE,
        "deletionProtection": NO_UPDATE,
        "zonalShiftConfig": NO_UPDATE,
        "computeConfig": NO_UPDATE,
        "storageConfig": NO_UPDATE,
    },
    replaces_on=(
        "name",
        "roleArn",
        "kubernetesNetworkConfig.ipFamily",
        "kubernetesNetworkConfig.serviceIpv4Cidr",
        "bootstrapSelfManagedAddons",
        "accessConfig.bootstrapClusterCreatorAdminPermissions",
        "outpostConfig.controlPlaneInstanceType",
        "outpostConfig.controlPlanePlacement.groupName",
    ),
    replaces_when=for_good,
    tagging=TAGGING,
)

NODE_GROUP = Kind(
    type="aws:eks/nodeGroup:NodeGroup",
    service="eks",
    create=Op(
        "create_nodegroup",
        {"nodeRole": "$nodeRoleArn", "subnets": "$subnetIds", "tags": lambda scope: scope["tagsAll"] or None},
        only=(
            "clusterName",
            "nodeGroupName",
            "scalingConfig",
            "instanceTypes",
            "amiType",
            "capacityType",
            "diskSize",
            "labels",
            "version",
            "releaseVersion",
        ),
    ),
    read=Op("describe_nodegroup", {"clusterName": "$clusterName", "nodegroupName": "$nodeGroupName"}),
    at="nodegroup",
    delete=Op("delete_nodegroup", {"clusterName": "$clusterName", "nodegroupName": "$nodeGroupName"}),
    id="$clusterName:$nodeGroupName",
    names={"nodeGroupName": "nodegroupName"},
    answers={"nodeRoleArn": "nodeRole", "subnetIds": "subnets"},
    outputs={"arn": "nodegroupArn", "status": "status"},
    autoname="nodeGroupName",
    name_limit=63,
    waits=(Wait("status", ("ACTIVE",), ("CREATE_FAILED",)),),
    recorded={
        "scalingConfig": "moto tells its own",
        "updateConfig": "moto tells none",
        "launchTemplate": "not sent on",
        "taints": "not sent on",
        "version": "moto tells its own",
    },
    replaces_on=(
        "clusterName",
        "nodeGroupName",
        "nodeGroupNamePrefix",
        "nodeRoleArn",
        "subnetIds",
        "instanceTypes",
        "amiType",
        "capacityType",
        "diskSize",
        "launchTemplate.id",
        "launchTemplate.name",
        "remoteAccess",
    ),
    replaces_when=first_template,
    tagging=replace(TAGGING, show=None),
)


def unknown_to_moto(name: str, operation: str, resource_id: str, arn: str, *replaces_on: str) -> Kind:
    return Kind(
        type=f"aws:eks/{name[0].lower()}{name[1:]}:{name}",
        service="eks",
        id=resource_id,
        outputs={"arn": arn} if arn else {},
        replaces_on=replaces_on,
        recorded={"*": f"moto has no {operation}"},
        tagging=Tagging(add=Op(lambda _: ""), remove=Op(lambda _: "")),
    )


KINDS = [
    CLUSTER,
    NODE_GROUP,
    unknown_to_moto(
        "Addon",
        "CreateAddon",
        "$clusterName:$addonName",
        "arn:aws:eks:$region:$account:addon/$clusterName/$addonName",
        "clusterName",
        "addonName",
    ),
    unknown_to_moto(
        "AccessEntry", "CreateAccessEntry", "$clusterName:$principalArn", "", "clusterName", "principalArn", "type"
    ),
    unknown_to_moto(
        "AccessPolicyAssociation",
        "AssociateAccessPolicy",
        "$clusterName#$principalArn#$policyArn",
        "",
        "clusterName",
        "principalArn",
        "policyArn",
        "accessScope",
    ),
    unknown_to_moto(
        "PodIdentityAssociation",
        "CreatePodIdentityAssociation",
        "$clusterName:$namespace:$serviceAccount",
        "",
        "clusterName",
        "namespace",
        "serviceAccount",
    ),
]
