"""How many pods there are (`railyard:kubernetes:Scaling`): a HorizontalPodAutoscaler for web, and the disruption
budgets that keep a drained node from taking more than one pod of a role at a time."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_kubernetes.autoscaling.v2 import HorizontalPodAutoscaler
from pulumi_kubernetes.policy.v1 import PodDisruptionBudget

from components.arguments import ArgumentError
from components.kubernetes.names import APPLICATION, WORKER, Manifest, at_least, metadata, selector

PENDING_METRIC = "payments_pending"
"""External metric: payments without a final state, over all pods (docs/kubernetes.md has the rule of its adapter)."""


@dataclass(frozen=True, kw_only=True)
class ScalingArgs:
    """Arguments of `Scaling`; the numbers are the guides' (facts.md sections 2a row 10 and 10).

    Attributes:
        namespace: of the stack.
        minimum, maximum: pods of web.
        cpu_percent, memory_percent: of what a pod asked for, above which pods are added.
        pending_payments: payments without a final state, above which pods are added.
    """

    namespace: pulumi.Input[str]
    minimum: int = 3
    maximum: int = 10
    cpu_percent: int = 70
    memory_percent: int = 80
    pending_payments: int = 50

    def __post_init__(self) -> None:
        at_least("ScalingArgs", "minimum", self.minimum, 2, "One pod is an outage at each update of its node.")
        at_least("ScalingArgs", "maximum", self.maximum, self.minimum, "Let it be no less than the minimum.")
        at_least("ScalingArgs", "pending_payments", self.pending_payments, 1, "Nothing pending is no reason to scale.")
        for key in ("cpu_percent", "memory_percent"):
            value = getattr(self, key)
            if not 10 <= value <= 95:
                raise ArgumentError(
                    "ScalingArgs",
                    key,
                    f"is {value} and must be 10 to 95",
                    "Below, pods are never removed; above, they come too late.",
                )


class Scaling(pulumi.ComponentResource):
    """Attributes: `autoscaler`, `budgets` by role."""

    def __init__(self, name: str, args: ScalingArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("railyard:kubernetes:Scaling", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.autoscaler = HorizontalPodAutoscaler(
            f"{name}-autoscaler",
            metadata=metadata(APPLICATION, args.namespace, APPLICATION),
            spec={
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": APPLICATION},
                "minReplicas": args.minimum,
                "maxReplicas": args.maximum,
                "metrics": [
                    _resource("cpu", args.cpu_percent),
                    _resource("memory", args.memory_percent),
                    {
                        "type": "External",
                        "external": {
                            "metric": {"name": PENDING_METRIC},
                            "target": {"type": "Value", "value": str(args.pending_payments)},
                        },
                    },
                ],
                "behavior": {
                    "scaleUp": {
                        "stabilizationWindowSeconds": 0,
                        "selectPolicy": "Max",
                        "policies": [{"type": "Pods", "value": 2, "periodSeconds": 60}],
                    },
                    "scaleDown": {
                        "stabilizationWindowSeconds": 300,
                        "selectPolicy": "Max",
                        "policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}],
                    },
                },
            },
            opts=child,
        )
        self.budgets = {
            app: PodDisruptionBudget(
                f"{name}-{role}-budget",
                metadata=metadata(app, args.namespace, app),
                # A pod that is not ready protects nothing: let it be evicted.
                spec={
                    "maxUnavailable": 1,
                    "selector": selector(app),
                    "unhealthyPodEvictionPolicy": "AlwaysAllow",
                },
                opts=child,
            )
            for role, app in (("web", APPLICATION), ("worker", WORKER))
        }
        self.register_outputs({"minimum": args.minimum, "maximum": args.maximum})


def _resource(name: str, percent: int) -> Manifest:
    target = {"type": "Utilization", "averageUtilization": percent}
    return {"type": "Resource", "resource": {"name": name, "target": target}}
