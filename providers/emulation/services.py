"""ECS: a service tells what it was made with, where moto keeps of it only what an update brings."""

from __future__ import annotations

from typing import Any

_KEPT = (
    "deploymentConfiguration",
    "availabilityZoneRebalancing",
    "healthCheckGracePeriodSeconds",
    "enableExecuteCommand",
    "enableECSManagedTags",
    "capacityProviderStrategy",
)


def complete_services() -> None:
    """Have moto's services keep and tell what they are made with."""
    from moto.core.utils import camelcase_to_underscores
    from moto.ecs.responses import EC2ContainerServiceResponse

    made = EC2ContainerServiceResponse.create_service

    def make(response: Any) -> Any:
        result = made(response)
        for name in _KEPT:
            value = response._get_param(name)
            if value is not None:
                setattr(result.result["service"], camelcase_to_underscores(name), value)
        return result

    EC2ContainerServiceResponse.create_service = make
