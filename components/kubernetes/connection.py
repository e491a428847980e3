"""The way to the cluster: of the EKS cluster that the stack makes, or of one that exists."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes

from components.arguments import ArgumentError
from components.kubernetes.cluster import Cluster
from components.settings import Settings


def check_kubeconfig(component: str, settings: Settings) -> None:
    """Refuse a path at which there is no kubeconfig.

    Raises:
        ArgumentError: there is none on this machine.
    """
    given = settings.kubernetes_kubeconfig
    if given and not Path(given).expanduser().is_file():
        key = "railyard:kubernetesKubeconfig"
        fix = f"Put the existing cluster's kubeconfig there, or name its path with `pulumi config set {key} <path>`."
        raise ArgumentError(component, "settings", f"say {key} {given!r}, and there is no such file", fix)


def connection(name: str, settings: Settings, cluster: Cluster | None, parent: pulumi.Resource) -> kubernetes.Provider:
    """The provider of what is in the cluster.

    Args:
        cluster: that the stack made; None where one exists.
    """
    where: dict[str, Any] = {}
    if cluster is not None:
        where["kubeconfig"] = cluster.kubeconfig
    else:
        if settings.kubernetes_context:
            where["context"] = settings.kubernetes_context
        if settings.kubernetes_kubeconfig:
            where["kubeconfig"] = str(Path(settings.kubernetes_kubeconfig).expanduser())
    return kubernetes.Provider(
        name,
        **where,
        # A dashboard that changed is written anew, not taken away first.
        enable_config_map_mutable=True,
        opts=pulumi.ResourceOptions(parent=parent, depends_on=cluster.ready if cluster else []),
    )
