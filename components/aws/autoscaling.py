"""How many tasks of a service run (`railyard:aws:Autoscaling`): from 3 to 10, by target tracking

- at 70 % of the CPU and 80 % of the memory;
- at 50 payments without a final state, by the service's own metric; it only adds: payments end because rails answer,
  and CPU and memory say when tasks are too many.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from components.arguments import ArgumentError
from components.aws import metric_names as names
from components.aws.checks import check_between
from components.tags import check_tags

MOST_TASKS = 10


@dataclass(frozen=True, kw_only=True)
class AutoscalingArgs:
    """Arguments of `Autoscaling`.

    Attributes:
        cluster_name, service_name: of the ECS service.
        minimum, maximum: tasks; never more than 10 (tn-scale-max-10).
        cpu_percent, memory_percent: averages that are aimed at.
        pending_transactions: payments without a final state above which tasks are added.
        scale_out_seconds, scale_in_seconds: least time between two changes.
        tags: of the target.
    """

    cluster_name: pulumi.Input[str]
    service_name: pulumi.Input[str]
    minimum: int = 3
    maximum: int = MOST_TASKS
    cpu_percent: int = 70
    memory_percent: int = 80
    pending_transactions: int = 50
    scale_out_seconds: int = 60
    scale_in_seconds: int = 300
    tags: Mapping[str, str]

    def __post_init__(self) -> None:
        check_tags(type(self).__name__, self.tags)
        check_between(self, "minimum", 2, MOST_TASKS, "Give 3: one task in each zone.")
        check_between(self, "maximum", 2, MOST_TASKS, "Give 10, the most that the guides allow.")
        check_between(self, "cpu_percent", 10, 70, "Give 70.")
        check_between(self, "memory_percent", 10, 80, "Give 80.")
        check_between(self, "pending_transactions", 1, 100, "Give 50; at 100 an alarm fires.")
        if self.maximum < self.minimum:
            what = f"is {self.maximum}, below the minimum of {self.minimum}"
            raise ArgumentError(type(self).__name__, "maximum", what, "Give at least the minimum.")


class Autoscaling(pulumi.ComponentResource):
    """The target and its policies."""

    def __init__(self, name: str, args: AutoscalingArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("railyard:aws:Autoscaling", name, None, opts)
        self._name, self._args = name, args
        target = aws.appautoscaling.Target(
            f"{name}-target",
            service_namespace="ecs",
            scalable_dimension="ecs:service:DesiredCount",
            resource_id=pulumi.Output.format("service/{0}/{1}", args.cluster_name, args.service_name),
            min_capacity=args.minimum,
            max_capacity=args.maximum,
            tags=args.tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self._follow(target, "cpu", args.cpu_percent, _predefined("ECSServiceAverageCPUUtilization"))
        self._follow(target, "memory", args.memory_percent, _predefined("ECSServiceAverageMemoryUtilization"))
        pending = {
            "customized_metric_specification": {
                "namespace": names.NAMESPACE,
                "metric_name": names.PENDING_TRANSACTIONS,
                "statistic": "Maximum",
            },
            "disable_scale_in": True,
        }
        self._follow(target, "pending", args.pending_transactions, pending)
        self.register_outputs({})

    def _follow(self, target: aws.appautoscaling.Target, what: str, value: int, how: dict[str, Any]) -> None:
        args = self._args
        aws.appautoscaling.Policy(
            f"{self._name}-{what}",
            name=f"{self._name}-{what}",
            policy_type="TargetTrackingScaling",
            service_namespace=target.service_namespace,
            scalable_dimension=target.scalable_dimension,
            resource_id=target.resource_id,
            target_tracking_scaling_policy_configuration={
                "target_value": value,
                "scale_out_cooldown": args.scale_out_seconds,
                "scale_in_cooldown": args.scale_in_seconds,
                **how,
            },
            opts=pulumi.ResourceOptions(parent=self),
        )


def _predefined(metric: str) -> dict[str, Any]:
    return {"predefined_metric_specification": {"predefined_metric_type": metric}}
