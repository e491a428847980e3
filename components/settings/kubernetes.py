"""Settings of the platform `kubernetes` alone."""

from __future__ import annotations

from typing import Literal

from components.settings.model import Model, setting
from components.settings.problems import Problem, problem

KUBERNETES = ("kubernetes",)
LABEL = r"^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$"
OBJECT_NAME = r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$"


class KubernetesSettings(Model):
    """Where the cluster is, what it is called, and what it has for the service."""

    kubernetes_context: str = setting(
        "",
        "Context of the kubeconfig of an existing cluster; when this and kubernetesKubeconfig are empty, the stack "
        "makes an EKS cluster.",
        platforms=KUBERNETES,
    )
    kubernetes_kubeconfig: str = setting(
        "",
        "File that has the kubeconfig of an existing cluster, from / or ~/, the same wherever the stack is deployed; "
        "when it is empty, what KUBECONFIG names or ~/.kube/config. Without kubernetesContext its current one counts.",
        platforms=KUBERNETES,
        wanted="a path from / or ~/, like ~/.kube/payments",
        pattern=r"^(/|~/)[^\x00\n]*[^/\x00\n]$",
    )
    kubernetes_namespace: str = setting(
        "payments",
        "Namespace of the service in the cluster.",
        platforms=KUBERNETES,
        wanted="a DNS-1035 label, which begins with a letter",
        pattern=LABEL,
    )
    kubernetes_node_group_id: str = setting(
        "",
        "Security group of an existing cluster's nodes, which database and cache let in; of its VPC or a peer's.",
        platforms=KUBERNETES,
        wanted="an id like sg-0123456789abcdef0",
        pattern=r"^sg-[0-9a-f]{8,17}$",
    )
    kubernetes_secret_role_arn: str = setting(
        "",
        "AWS role by which an existing cluster's account payments-secrets reads Secrets Manager.",
        platforms=KUBERNETES,
        wanted="an ARN like arn:aws:iam::111122223333:role/payments-secrets",
        pattern=r"^arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+$",
    )
    kubernetes_worker_role_arn: str = setting(
        "",
        "AWS role by which an existing cluster's account payments-worker adds to the audit archive.",
        platforms=KUBERNETES,
        wanted="an ARN like arn:aws:iam::111122223333:role/payments-worker",
        pattern=r"^arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+$",
    )
    kubernetes_auditor_role_arn: str = setting(
        "",
        "AWS role by which an existing cluster's account payments-auditor reads the audit archive.",
        platforms=KUBERNETES,
        wanted="an ARN like arn:aws:iam::111122223333:role/payments-auditor",
        pattern=r"^arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+$",
    )
    kubernetes_version: Literal["1.31", "1.32", "1.33", "1.34"] = setting(
        "1.34", "Minor version of the EKS cluster.", platforms=KUBERNETES
    )
    node_instance_types: tuple[str, ...] = setting(
        ("m7i.xlarge",), "EC2 types of the EKS nodes, x86_64 as the image is.", platforms=KUBERNETES
    )
    min_nodes: int = setting(3, "The fewest EKS nodes, one a zone.", platforms=KUBERNETES, ge=3, le=100)
    max_nodes: int = setting(9, "The most EKS nodes.", platforms=KUBERNETES, ge=3, le=100)
    cluster_administrators: tuple[str, ...] = setting(
        (), "ARNs of IAM roles that administer the EKS cluster beside the one that made it.", platforms=KUBERNETES
    )
    gateway_class: str = setting(
        "eg",
        "GatewayClass of the cluster's Gateway API controller; eg is Envoy Gateway's.",
        platforms=KUBERNETES,
        wanted="the name of a GatewayClass",
        pattern=OBJECT_NAME,
    )
    gateway_namespace: str = setting(
        "envoy-gateway-system",
        "Namespace the gateway's proxies run in, from where alone the service is reached.",
        platforms=KUBERNETES,
        wanted="the name of a namespace",
        pattern=LABEL,
    )
    certificate_issuer: str = setting(
        "letsencrypt",
        "ClusterIssuer of cert-manager that makes the service's certificate.",
        platforms=KUBERNETES,
        wanted="the name of a ClusterIssuer",
        pattern=OBJECT_NAME,
    )
    scraper_namespace: str = setting(
        "monitoring",
        "Namespace that Prometheus runs in, from where alone metrics are read.",
        platforms=KUBERNETES,
        wanted="the name of a namespace",
        pattern=LABEL,
    )
    prometheus_release: str = setting(
        "kube-prometheus-stack",
        "Value of the label `release`, by which the Prometheus operator chooses monitors and rules.",
        platforms=KUBERNETES,
        wanted="a label's value",
        pattern=OBJECT_NAME,
    )

    @property
    def existing_cluster(self) -> str:
        """The key that names a cluster which exists; "" where the stack makes one."""
        if self.kubernetes_context:
            return "railyard:kubernetesContext"
        return "railyard:kubernetesKubeconfig" if self.kubernetes_kubeconfig else ""


def problems_of_kubernetes(settings: KubernetesSettings, *, lets_nodes_in: bool = True) -> list[Problem]:
    """What is wrong between the cluster's settings that are each right.

    Args:
        settings: of the cluster.
        lets_nodes_in: whether the stack makes a database or a cache, which has to know the nodes.
    """
    problems = []
    if settings.min_nodes > settings.max_nodes:
        problems.append(
            problem("minNodes", f"is {settings.min_nodes}, more than railyard:maxNodes, which is {settings.max_nodes}")
        )
    needed = {
        "kubernetesNodeGroupId": settings.kubernetes_node_group_id,
        "kubernetesSecretRoleArn": settings.kubernetes_secret_role_arn,
        "kubernetesWorkerRoleArn": settings.kubernetes_worker_role_arn,
        "kubernetesAuditorRoleArn": settings.kubernetes_auditor_role_arn,
    }
    for key, value in needed.items():
        if settings.existing_cluster and not value and (lets_nodes_in or key != "kubernetesNodeGroupId"):
            problems.append(problem(key, f"is missing, and {settings.existing_cluster} names a cluster that exists"))
        if value and not settings.existing_cluster:
            what = "is of an existing cluster, and neither railyard:kubernetesContext names one nor a kubeconfig"
            problems.append(Problem(f"railyard:{key}", what, f"Remove it with `pulumi config rm railyard:{key}`."))
    return problems
