"""The namespace of a stack (`railyard:kubernetes:Namespace`), in which only pods of the restricted level may run."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_kubernetes.core.v1 import Namespace as KubernetesNamespace

from components.arguments import ArgumentError
from components.kubernetes.names import labels, service_name

RESERVED = ("default", "kube-system", "kube-public", "kube-node-lease")


@dataclass(frozen=True, kw_only=True)
class NamespaceArgs:
    """Arguments of `Namespace`.

    Attributes:
        name: of the namespace; a DNS-1035 label.
    """

    name: str

    def __post_init__(self) -> None:
        service_name("NamespaceArgs", "name", self.name)
        if self.name in RESERVED:
            raise ArgumentError(
                "NamespaceArgs",
                "name",
                f"is {self.name!r}, which belongs to the cluster",
                "Give the stack a namespace of its own, like payments-staging.",
            )


class Namespace(pulumi.ComponentResource):
    """Attributes: `name`, the namespace's name once it is there."""

    def __init__(self, name: str, args: NamespaceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("railyard:kubernetes:Namespace", name, None, opts)
        security = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "audit", "warn")}
        versions = {f"pod-security.kubernetes.io/{mode}-version": "latest" for mode in ("enforce", "audit", "warn")}
        self.namespace = KubernetesNamespace(
            f"{name}-namespace",
            metadata={"name": args.name, "labels": {**labels("railyard"), **security, **versions}},
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.name: pulumi.Output[str] = self.namespace.metadata["name"]
        self.register_outputs({"name": self.name})
