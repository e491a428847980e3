"""Settings of the platform `kubernetes` alone."""

from __future__ import annotations

from components.settings.model import Model, setting

KUBERNETES = ("kubernetes",)


class KubernetesSettings(Model):
    """Where the cluster is and what it is called."""

    kubernetes_context: str = setting(
        "",
        "Context of the kubeconfig of an existing cluster; when it is empty, the stack makes an EKS cluster.",
        platforms=KUBERNETES,
    )
    kubernetes_namespace: str = setting(
        "payments",
        "Namespace of the service in the cluster.",
        platforms=KUBERNETES,
        wanted="a DNS-1035 label, which begins with a letter",
        pattern=r"^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$",
    )
