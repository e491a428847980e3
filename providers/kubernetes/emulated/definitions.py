"""What the cluster of a real stack has before the stack comes, as far as the API server sees it.

The CustomResourceDefinitions are our own and minimal: they name the kinds of the Gateway API, External Secrets and the
Prometheus operator and take any `spec`. So the API server checks that such an object is known, named and placed right;
what is in its `spec` it does not check, and no controller acts on it.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class Definition(NamedTuple):
    """A kind: group, version, kind, plural, whether in a namespace."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool = True


DEFINITIONS = (
    Definition("gateway.networking.k8s.io", "v1", "GatewayClass", "gatewayclasses", False),
    Definition("gateway.networking.k8s.io", "v1", "Gateway", "gateways"),
    Definition("gateway.networking.k8s.io", "v1", "HTTPRoute", "httproutes"),
    Definition("external-secrets.io", "v1", "SecretStore", "secretstores"),
    Definition("external-secrets.io", "v1", "ExternalSecret", "externalsecrets"),
    Definition("monitoring.coreos.com", "v1", "ServiceMonitor", "servicemonitors"),
    Definition("monitoring.coreos.com", "v1", "PodMonitor", "podmonitors"),
    Definition("monitoring.coreos.com", "v1", "PrometheusRule", "prometheusrules"),
    Definition("argoproj.io", "v1alpha1", "Rollout", "rollouts"),
    Definition("argoproj.io", "v1alpha1", "AnalysisTemplate", "analysistemplates"),
    Definition("argoproj.io", "v1alpha1", "AnalysisRun", "analysisruns"),
)
ZONES = ("a", "b", "c")
NODES = 6
"""Two a zone: an update's extra pod has to find a place that keeps the zones even."""


def definition(of: Definition) -> dict[str, Any]:
    """The CustomResourceDefinition of a kind."""
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    schema = {"type": "object", "properties": {"spec": anything, "status": anything}}
    name = f"{of.plural}.{of.group}"
    # The API server wants an approval of whoever takes a group of the project's own.
    annotations = {"api-approved.kubernetes.io": "unapproved, the emulated cluster's own"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": name, **({"annotations": annotations} if of.group.endswith("k8s.io") else {})},
        "spec": {
            "group": of.group,
            "names": {"kind": of.kind, "listKind": f"{of.kind}List", "plural": of.plural, "singular": of.kind.lower()},
            "scope": "Namespaced" if of.namespaced else "Cluster",
            "versions": [
                {
                    "name": of.version,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": schema},
                    "subresources": {"status": {}},
                }
            ],
        },
    }


def node(index: int) -> dict[str, Any]:
    """A node for kwok to play."""
    name, zone = f"emulated-{index}", f"emulated-1{ZONES[index % len(ZONES)]}"
    capacity = {"cpu": "16", "memory": "64Gi", "ephemeral-storage": "200Gi", "pods": "110"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": "arm64",
                "topology.kubernetes.io/zone": zone,
                "topology.kubernetes.io/region": "emulated-1",
            },
            "annotations": {"kwok.x-k8s.io/node": "fake"},
        },
        "spec": {},
        "status": {"allocatable": capacity, "capacity": capacity},
    }
