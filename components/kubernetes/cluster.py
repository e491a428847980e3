"""The cluster (`railyard:kubernetes:Cluster`), made on EKS:

- a private endpoint and no public one, secrets encrypted with a customer key, all five kinds of log with retention;
- access by API entries alone, and an OIDC provider for roles of service accounts;
- a managed node group in the private subnets: encrypted disks, IMDSv2 with one hop, so that no pod reads a node's role;
- the add-ons a cluster needs, Amazon's CNI with network policies enforced.

An existing cluster needs none of this: the platform then takes a kubeconfig. The endpoint being private, whoever runs
the update has to be inside the VPC or behind a tunnel into it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi
from pulumi_aws import cloudwatch, ec2, eks, iam

from components.arguments import ArgumentError
from components.kubernetes.names import at_least, service_name

LOG_KINDS = ("api", "audit", "authenticator", "controllerManager", "scheduler")
NODE_POLICIES = ("AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly", "AmazonEKS_CNI_Policy")
ADDONS: Mapping[str, dict[str, object]] = {
    "vpc-cni": {"enableNetworkPolicy": "true"},
    "kube-proxy": {},
    "coredns": {},
    "metrics-server": {},
}
SUPPORTED = ("1.31", "1.32", "1.33", "1.34")


@dataclass(frozen=True, kw_only=True)
class ClusterArgs:
    """Arguments of `Cluster`.

    Attributes:
        cluster_name: of the cluster; begins with a letter.
        region: AWS region.
        partition: "aws", or "aws-cn", "aws-us-gov".
        subnet_ids: private subnets in at least two zones.
        key_arn: customer key of KMS that encrypts secrets, logs and disks.
        version: Kubernetes' minor version.
        instance_types: of the nodes.
        minimum_nodes, maximum_nodes: how many.
        disk_gibibytes: of a node.
        log_retention_days: of the control plane's logs.
        administrator_arns: IAM principals that administer the cluster.
        reader_arns: IAM principals that verify it, as the group `railyard:verify`.
        deletion_protection: whether EKS refuses to delete the cluster.
        tags: on everything here.
    """

    cluster_name: str
    region: pulumi.Input[str]
    subnet_ids: tuple[pulumi.Input[str], ...]
    key_arn: pulumi.Input[str]
    partition: str = "aws"
    version: str = "1.34"
    instance_types: tuple[str, ...] = ("m7i.xlarge",)
    minimum_nodes: int = 3
    maximum_nodes: int = 9
    disk_gibibytes: int = 50
    log_retention_days: int = 90
    administrator_arns: tuple[str, ...] = ()
    reader_arns: tuple[str, ...] = ()
    deletion_protection: bool = True
    tags: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        service_name("ClusterArgs", "cluster_name", self.cluster_name)
        if self.version not in SUPPORTED:
            raise ArgumentError(
                "ClusterArgs",
                "version",
                f"is {self.version!r}",
                f"The manifests are checked for {', '.join(SUPPORTED)}.",
            )
        if len(self.subnet_ids) < 2:
            raise ArgumentError(
                "ClusterArgs", "subnet_ids", f"has {len(self.subnet_ids)}", "EKS wants subnets in two zones or more."
            )
        if not self.instance_types:
            raise ArgumentError("ClusterArgs", "instance_types", "is empty", "Name an EC2 type, such as m7i.xlarge.")
        at_least("ClusterArgs", "minimum_nodes", self.minimum_nodes, 3, "Keep a node a zone.")
        at_least("ClusterArgs", "maximum_nodes", self.maximum_nodes, self.minimum_nodes, "Not below the minimum.")
        at_least("ClusterArgs", "disk_gibibytes", self.disk_gibibytes, 20, "Images and logs need room.")
        at_least("ClusterArgs", "log_retention_days", self.log_retention_days, 30, "The guides keep logs 30 days.")


class Cluster(pulumi.ComponentResource):
    """Attributes: `kubeconfig`, `security_group_id` (of the nodes), `oidc_arn`, `issuer` (without https://), `ready`
    (what everything in the cluster depends on)."""

    def __init__(self, name: str, args: ClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("railyard:kubernetes:Cluster", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        self.log_group = cloudwatch.LogGroup(
            f"{name}-logs",
            name=f"/aws/eks/{args.cluster_name}/cluster",
            retention_in_days=args.log_retention_days,
            kms_key_id=args.key_arn,
            tags=args.tags,
            opts=self._child,
        )
        self.cluster = self._cluster()
        self.issuer = self.cluster.identities.apply(_issuer)
        provider = iam.OpenIdConnectProvider(
            f"{name}-oidc",
            url=self.issuer.apply(lambda issuer: f"https://{issuer}"),
            client_id_lists=["sts.amazonaws.com"],
            tags=args.tags,
            opts=self._child,
        )
        self.oidc_arn = provider.arn
        self._access()
        self.nodes = self._nodes()
        self.addons = [self._addon(addon, configuration) for addon, configuration in ADDONS.items()]
        self.ready: list[pulumi.Resource] = [self.nodes, *self.addons]
        self.security_group_id = self.cluster.vpc_config.apply(lambda config: config.cluster_security_group_id)
        self.kubeconfig: pulumi.Output[str] = pulumi.Output.all(
            self.cluster.endpoint,
            self.cluster.certificate_authority.apply(lambda authority: authority.data),
            args.region,
        ).apply(lambda known: kubeconfig(args.cluster_name, *known))
        self.register_outputs({"kubeconfig": self.kubeconfig, "name": self.cluster.name})

    def _cluster(self) -> eks.Cluster:
        args, name = self._args, self._name
        role = iam.Role(
            f"{name}-role", assume_role_policy=_trusts("eks.amazonaws.com"), tags=args.tags, opts=self._child
        )
        attached = _attach(self, f"{name}-role-policy", role, args.partition, "AmazonEKSClusterPolicy")
        return eks.Cluster(
            f"{name}-cluster",
            name=args.cluster_name,
            version=args.version,
            role_arn=role.arn,
            vpc_config={
                "subnet_ids": list(args.subnet_ids),
                "endpoint_private_access": True,
                "endpoint_public_access": False,
            },
            encryption_config={"provider": {"key_arn": args.key_arn}, "resources": ["secrets"]},
            enabled_cluster_log_types=list(LOG_KINDS),
            access_config={"authentication_mode": "API", "bootstrap_cluster_creator_admin_permissions": True},
            upgrade_policy={"support_type": "STANDARD"},
            deletion_protection=args.deletion_protection,
            tags=args.tags,
            # EKS makes the log group itself, without retention, when it is not there first.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self.log_group, attached]),
        )

    def _access(self) -> None:
        args, name = self._args, self._name
        for index, arn in enumerate(args.administrator_arns):
            entry = eks.AccessEntry(
                f"{name}-administrator-{index}",
                cluster_name=self.cluster.name,
                principal_arn=arn,
                tags=args.tags,
                opts=self._child,
            )
            eks.AccessPolicyAssociation(
                f"{name}-administrator-{index}-policy",
                cluster_name=self.cluster.name,
                principal_arn=arn,
                policy_arn=f"arn:{args.partition}:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy",
                access_scope={"type": "cluster"},
                opts=pulumi.ResourceOptions(parent=self, depends_on=[entry]),
            )
        for index, arn in enumerate(args.reader_arns):
            eks.AccessEntry(
                f"{name}-reader-{index}",
                cluster_name=self.cluster.name,
                principal_arn=arn,
                kubernetes_groups=["railyard:verify"],
                tags=args.tags,
                opts=self._child,
            )

    def _nodes(self) -> eks.NodeGroup:
        args, name = self._args, self._name
        role = iam.Role(
            f"{name}-node-role", assume_role_policy=_trusts("ec2.amazonaws.com"), tags=args.tags, opts=self._child
        )
        policies = [
            _attach(self, f"{name}-node-policy-{index}", role, args.partition, policy)
            for index, policy in enumerate(NODE_POLICIES)
        ]
        template = ec2.LaunchTemplate(
            f"{name}-nodes-template",
            metadata_options={"http_endpoint": "enabled", "http_tokens": "required", "http_put_response_hop_limit": 1},
            block_device_mappings=[
                {
                    "device_name": "/dev/xvda",
                    "ebs": {
                        "volume_size": args.disk_gibibytes,
                        "volume_type": "gp3",
                        "encrypted": "true",
                        "delete_on_termination": "true",
                    },
                }
            ],
            tags=args.tags,
            opts=self._child,
        )
        arm = all(kind.split(".", 1)[0].endswith(("g", "gd", "gn")) for kind in args.instance_types)
        return eks.NodeGroup(
            f"{name}-nodes",
            cluster_name=self.cluster.name,
            node_role_arn=role.arn,
            subnet_ids=list(args.subnet_ids),
            instance_types=list(args.instance_types),
            ami_type="BOTTLEROCKET_ARM_64" if arm else "BOTTLEROCKET_x86_64",
            launch_template={"id": template.id, "version": template.latest_version.apply(str)},
            scaling_config={
                "min_size": args.minimum_nodes,
                "desired_size": args.minimum_nodes,
                "max_size": args.maximum_nodes,
            },
            update_config={"max_unavailable": 1},
            tags=args.tags,
            # How many there are is the autoscaler's to say once they are there.
            opts=pulumi.ResourceOptions(parent=self, depends_on=policies, ignore_changes=["scalingConfig.desiredSize"]),
        )

    def _addon(self, addon: str, configuration: dict[str, object]) -> eks.Addon:
        return eks.Addon(
            f"{self._name}-{addon}",
            cluster_name=self.cluster.name,
            addon_name=addon,
            configuration_values=json.dumps(configuration) if configuration else None,
            resolve_conflicts_on_create="OVERWRITE",
            resolve_conflicts_on_update="PRESERVE",
            tags=self._args.tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self.nodes] if addon != "vpc-cni" else []),
        )


def kubeconfig(cluster: str, endpoint: str, authority: str, region: str) -> str:
    """A kubeconfig, as JSON, that gets a token of the caller's AWS identity; no credential is in it."""
    command = {
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "command": "aws",
        "args": ["eks", "get-token", "--cluster-name", cluster, "--region", region],
        "interactiveMode": "Never",
        "provideClusterInfo": False,
    }
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": cluster, "cluster": {"server": endpoint, "certificate-authority-data": authority}}],
            "users": [{"name": cluster, "user": {"exec": command}}],
            "contexts": [{"name": cluster, "context": {"cluster": cluster, "user": cluster}}],
            "current-context": cluster,
        },
        sort_keys=True,
    )


def _issuer(identities: list[eks.outputs.ClusterIdentity]) -> str:
    return str(identities[0].oidcs[0].issuer).removeprefix("https://")


def _trusts(service: str) -> str:
    return json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}],
        }
    )


def _attach(
    parent: pulumi.Resource, name: str, role: iam.Role, partition: str, policy: str
) -> iam.RolePolicyAttachment:
    return iam.RolePolicyAttachment(
        name,
        role=role.name,
        policy_arn=f"arn:{partition}:iam::aws:policy/{policy}",
        opts=pulumi.ResourceOptions(parent=parent),
    )
