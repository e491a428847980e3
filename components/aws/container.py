"""The container definition of a role of the service, as ECS takes it: pure data, so that a test can read all of it.

An image by digest, a read-only root file system, a user that is not root, no capability, no shell in the health
check, secrets by reference, lines to CloudWatch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from components.arguments import ArgumentError
from components.aws.checks import check_matches, check_one_of

DIGEST = r"[^@\s]+@sha256:[0-9a-f]{64}"
# As in app/Dockerfile: a number, so that ECS and a policy can see that it is not root.
USER = "10001:10001"
# What the image's own check does, on the role's port. A slim image has no curl (facts.md trap 9).
HEALTH = (
    "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ['{variable}'] + '/health', timeout=2)"
)
# Plain variables with these names would put a secret in the task definition, where everybody who may look can read it.
SECRET_NAMES = ("SECRET", "PASSWORD", "MACAROON", "PEPPER", "PRIVATE", "FEE_PAYER", "_URL_WITH_PASSWORD")
NOT_SECRET = ("SOLANA_FEE_PAYER_ADDRESS",)


@dataclass(frozen=True, kw_only=True)
class ContainerArgs:
    """Arguments of `container_definition`.

    Attributes:
        name: of the container, and of the role.
        command: arguments of `python -m payments`.
        image: repository and digest, `...@sha256:...`.
        environment: plain variables.
        secrets: variable -> ARN of a Secrets Manager secret, or `<arn>:<JSON key>::` for one key of it.
        log_group, region: where the lines go.
        port: that it listens on; None for a task that answers nobody.
        port_variable: variable of the service that has that port.
        cpu: units of 1/1024 vCPU; memory_mib: hard limit in MiB.
        stop_seconds: between SIGTERM and SIGKILL; ECS allows up to 120.
    """

    name: str
    command: Sequence[str]
    image: pulumi.Input[str]
    environment: Mapping[str, pulumi.Input[str]]
    secrets: Mapping[str, pulumi.Input[str]]
    log_group: pulumi.Input[str]
    region: str
    port: int | None = None
    port_variable: str = "PORT"
    cpu: int = 2048
    memory_mib: int = 4096
    stop_seconds: int = 60

    def __post_init__(self) -> None:
        check_matches(
            self,
            "image",
            DIGEST,
            "an image by digest",
            "Give <repository>@sha256:<64 hex digits>: a tag can be moved to another image.",
        )
        check_one_of(self, "stop_seconds", range(10, 121), "Give 60.")
        for variable in self.environment:
            if variable not in NOT_SECRET and any(word in variable for word in SECRET_NAMES):
                raise ArgumentError(
                    type(self).__name__,
                    "environment",
                    f"has {variable}, which sounds like a secret",
                    "Put it into Secrets Manager and give its ARN in `secrets`.",
                )


def container_definition(args: ContainerArgs) -> dict[str, Any]:
    """The definition as ECS' API takes it; its values may be outputs."""
    definition: dict[str, Any] = {
        "name": args.name,
        "image": args.image,
        "command": list(args.command),
        "essential": True,
        "cpu": args.cpu,
        "memory": args.memory_mib,
        "user": USER,
        "privileged": False,
        "readonlyRootFilesystem": True,
        "linuxParameters": {"capabilities": {"drop": ["ALL"]}, "initProcessEnabled": True},
        "mountPoints": [{"sourceVolume": "scratch", "containerPath": "/tmp", "readOnly": False}],  # noqa: S108
        "ulimits": [{"name": "nofile", "softLimit": 16384, "hardLimit": 16384}],
        # Sorted: ECS returns them in its own order, and a new order would be a new revision.
        "environment": [{"name": key, "value": args.environment[key]} for key in sorted(args.environment)],
        "secrets": [{"name": key, "valueFrom": args.secrets[key]} for key in sorted(args.secrets)],
        "stopTimeout": args.stop_seconds,
        "logConfiguration": {
            "logDriver": "awslogs",
            "options": {
                "awslogs-group": args.log_group,
                "awslogs-region": args.region,
                "awslogs-stream-prefix": args.name,
                # A slow CloudWatch must not stop a payment; what does not fit into the buffer is dropped.
                "mode": "non-blocking",
                "max-buffer-size": "25m",
            },
        },
    }
    if args.port is not None:
        definition["portMappings"] = [{"containerPort": args.port, "hostPort": args.port, "protocol": "tcp"}]
        # The guides' figures (x4-docker-health-*).
        definition["healthCheck"] = {
            "command": ["CMD", "python", "-c", HEALTH.format(variable=args.port_variable)],
            "interval": 30,
            "timeout": 3,
            "retries": 3,
            "startPeriod": 20,
        }
    return definition
