"""Default providers: one a package and version, registered when the first resource needs it.

Source: pulumi `pkg/resource/deploy/default_providers.go`.
"""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass

from pulumi_embedded.deploy.deployment import Deployment
from pulumi_embedded.deploy.goal import Goal
from pulumi_embedded.deploy.registry import DYNAMIC_PACKAGE, set_internal
from pulumi_embedded.deploy.step_base import Registration
from pulumi_embedded.properties import Properties, make_secret
from pulumi_embedded.urn import PROVIDER_TYPE_PREFIX, provider_reference


@dataclass(frozen=True, slots=True)
class PackageRequest:
    """The plugin that a resource's SDK asks for."""

    package: str
    version: str = ""
    download_url: str = ""

    @property
    def default_name(self) -> str:
        """The name of the default provider for this request."""
        name = "default"
        if self.version:
            core, _, rest = self.version.partition("-")
            name += "_" + core.replace(".", "_")
            if rest:
                name += "_" + re.sub(r"[.+]", "_", rest)
        if self.download_url:
            name += "_" + re.sub(r"[^A-Za-z0-9_.-]", "_", self.download_url)
        return name


class DefaultProviderDeniedError(Exception):
    """The stack's settings (`pulumi:disable-default-providers`) forbid a default provider."""

    def __init__(self, package: str) -> None:
        super().__init__(package)
        self.package = package


class DefaultProviders:
    """Registers default providers on demand, each once."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._references: dict[PackageRequest, asyncio.Task[str]] = {}

    async def reference(self, request: PackageRequest) -> str:
        """Return the reference to the default provider of a package.

        Raises:
            DefaultProviderDeniedError: the settings forbid it.
        """
        self._refuse_denied(request.package)
        task = self._references.get(request)
        if task is None:
            task = self._references[request] = asyncio.create_task(self._register(request))
        return task.result() if task.done() else await asyncio.shield(task)

    async def _register(self, request: PackageRequest) -> str:
        inputs = self.package_config(request.package)
        if request.version:
            set_internal(inputs)
            inputs["version"] = request.version
        if request.download_url:
            set_internal(inputs, pluginDownloadURL=request.download_url)
        goal = Goal(
            type=PROVIDER_TYPE_PREFIX + request.package,
            name=request.default_name,
            custom=True,
            properties=inputs,
        )
        registration = Registration()
        await self._deployment.register(goal, registration)
        result = await registration.answer
        return provider_reference(result.state.urn, result.state.id)

    def package_config(self, package: str) -> Properties:
        """Return the stack's settings for a package; dynamic providers get all of them, with their namespaces."""
        request = self._deployment.request
        secret = set(request.config_secret_keys)
        inputs: Properties = {}
        for key, value in request.config.items():
            namespace, _, name = key.partition(":")
            if package == DYNAMIC_PACKAGE:
                name = key
            elif namespace != package:
                continue
            inputs[name] = make_secret(value) if key in secret else value
        return inputs

    def _refuse_denied(self, package: str) -> None:
        if package == "pulumi":
            return
        text = self._deployment.request.config.get("pulumi:disable-default-providers")
        if not text:
            return
        try:
            barred = json.loads(text)
        except ValueError as error:
            raise ValueError(f"Failed to parse {text}: {error}") from None
        if not isinstance(barred, list) or not all(isinstance(item, str) for item in barred):
            raise ValueError("pulumi:disable-default-providers must be a list of strings")
        if any(item.strip() in ("*", package) for item in barred):
            raise DefaultProviderDeniedError(package)
