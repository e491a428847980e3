"""The Pulumi program: settings -> components -> outputs. What a platform needs is imported for that platform alone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pulumi

from components.arguments import ArgumentError
from components.quick_start import start_quickly
from components.settings import Secrets, Settings, SettingsError
from components.tags import stack_tags

CHECKOUT = Path(__file__).resolve().parent


def state_folder() -> Path:
    """The folder ./railyard keeps this stack's state in.

    Raises:
        pulumi.RunError: the environment does not say.
    """
    folder = os.environ.get("RAILYARD_STATE", "")
    if not folder or not Path(folder).is_absolute():
        raise pulumi.RunError(
            "RAILYARD_STATE, the state folder of the local stack, is not set to an absolute path: "
            "run ./railyard up, or ./railyard pulumi ... for a single command."
        )
    return Path(folder)


def local(settings: Settings, secrets: Secrets) -> dict[str, Any]:
    """Declare the stack on this machine; returns its outputs."""
    from components.local.binaries import MissingServerError
    from components.local.platform import LocalPlatform, LocalPlatformArgs

    try:
        return LocalPlatform("local", LocalPlatformArgs(CHECKOUT, state_folder(), settings, secrets)).outputs
    except MissingServerError as error:
        raise pulumi.RunError(str(error)) from None


def ecs(settings: Settings, secrets: Secrets) -> dict[str, Any]:
    """Declare the stack in AWS on ECS; returns its outputs."""
    from components.aws.platform import EcsPlatform, EcsPlatformArgs

    return EcsPlatform(
        f"railyard-{pulumi.get_stack()}",
        EcsPlatformArgs(checkout=CHECKOUT, settings=settings, secrets=secrets, tags=tags(settings)),
    ).outputs


def kubernetes(settings: Settings, secrets: Secrets) -> dict[str, Any]:
    """Declare the stack on Kubernetes, on EKS or in a cluster that exists; returns its outputs."""
    from components.kubernetes.platform import KubernetesPlatform, KubernetesPlatformArgs

    stack = pulumi.get_stack()
    return KubernetesPlatform(
        f"railyard-{stack}",
        KubernetesPlatformArgs(checkout=CHECKOUT, stack=stack, settings=settings, secrets=secrets, tags=tags(settings)),
    ).outputs


def tags(settings: Settings) -> dict[str, str]:
    """The tags of every resource of the stack in a cloud."""
    return stack_tags(
        project=pulumi.get_project(),
        stack=pulumi.get_stack(),
        environment=settings.environment,
        owner=settings.owner,
        cost_center=settings.cost_center,
    )


def main() -> None:
    """Declare the stack the settings ask for."""
    try:
        settings, secrets = Settings.from_pulumi()
        if settings.platform != "local":
            start_quickly()
        outputs = {"local": local, "ecs": ecs, "kubernetes": kubernetes}[settings.platform](settings, secrets)
    except (SettingsError, ArgumentError) as error:
        raise pulumi.RunError(str(error)) from None
    for name, value in outputs.items():
        pulumi.export(name, value)


main()
