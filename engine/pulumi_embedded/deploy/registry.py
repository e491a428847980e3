"""The providers of one deployment, and the provider of provider resources.

Source: pulumi `pkg/resource/deploy/providers/registry.go`.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from pulumi_embedded.deploy.diffing import NONE, SOME, UNKNOWN_CHANGES, DiffResult
from pulumi_embedded.deploy.events import Emitter
from pulumi_embedded.deploy.provider import (
    CheckFailure,
    CheckResult,
    ConfigurableProvider,
    DiffRequest,
    InvokeResult,
    ProviderError,
    ReadResult,
    UpdateCall,
)
from pulumi_embedded.errors import EngineError
from pulumi_embedded.properties import UNKNOWN, Properties, deep_equals
from pulumi_embedded.state.resource import ResourceState
from pulumi_embedded.urn import PROVIDER_TYPE_PREFIX, is_provider_type, split_provider_reference, urn_type

DYNAMIC_PACKAGE = "pulumi-python"
INTERNAL = "__internal"
_UNCONFIGURED = "unconfigured"


@dataclass(frozen=True, slots=True)
class ProviderPackage:
    """What a provider resource says of the plugin it needs."""

    name: str
    version: str = ""
    download_url: str = ""
    environment: tuple[tuple[str, str], ...] = ()


LoadProvider = Callable[[ProviderPackage], Awaitable[ConfigurableProvider]]


def package_of(urn_or_type: str) -> str:
    """Return the package of a provider's URN or type."""
    kind = urn_type(urn_or_type) if urn_or_type.startswith("urn:") else urn_or_type
    return kind.removeprefix(PROVIDER_TYPE_PREFIX)


def without_internal(inputs: Properties) -> Properties:
    """Return a provider's inputs without what only the engine uses."""
    return {key: value for key, value in inputs.items() if key != INTERNAL}


def set_internal(inputs: Properties, **values: Any) -> None:
    """Add values to the part of a provider's inputs that only the engine uses."""
    inputs[INTERNAL] = {**(inputs.get(INTERNAL) or {}), **values}


class Registry:
    """Knows every provider of a deployment by its reference, and creates, updates and deletes provider resources."""

    def __init__(self, load: LoadProvider, emitter: Emitter, *, preview: bool) -> None:
        self._load = load
        self._emitter = emitter
        self._preview = preview
        self._providers: dict[tuple[str, str], ConfigurableProvider] = {}
        self._aliases: dict[str, str] = {}

    def get(self, reference: str) -> ConfigurableProvider | None:
        """Return the provider that a resource refers to, None when it is not loaded."""
        return self._providers.get(split_provider_reference(reference))

    def register_alias(self, urn: str, alias: str) -> None:
        """Let a provider also be found under an old URN of it."""
        if urn != alias:
            self._aliases[urn] = alias

    async def same(self, state: ResourceState, *, from_check: bool) -> None:
        """Load a provider that did not change; `from_check` when it was just checked, so that it is loaded already.

        Raises:
            ProviderError: the provider cannot be loaded.
        """
        if not state.id or state.id == UNKNOWN:
            raise ProviderError(f"provider '{state.urn}' has an unknown ID")
        if (state.urn, state.id) in self._providers:
            return
        provider = self._providers.pop((state.urn, _UNCONFIGURED), None) if from_check else None
        if provider is None:
            provider = await self._load_for(state.urn, state.inputs)
        if (state.urn, state.id) in self._providers:  # another step loaded it meanwhile
            await provider.close()
            return
        provider.configure(state.urn, state.id, without_internal(state.inputs))
        self._put(state.urn, state.id, provider)

    async def check(
        self, urn: str, olds: Properties | None, news: Properties, *, allow_unknowns: bool, seed: bytes
    ) -> CheckResult:
        """Load the plugin and let it validate its configuration."""
        try:
            package_for(urn, news)
        except ValueError as error:
            return CheckResult({}, [CheckFailure("version", str(error))])
        if package_of(urn) == DYNAMIC_PACKAGE and any(known == urn for known, _ in self._providers):
            return CheckResult(news)  # it checks nothing, and one process is enough
        provider = await self._load_for(urn, news)
        result = await provider.check_config(urn, without_internal(olds or {}), without_internal(news))
        if result.failures:
            await provider.close()
            return result
        old = self._providers.get((urn, _UNCONFIGURED))
        if old is not None:
            await old.close()
        self._providers[(urn, _UNCONFIGURED)] = provider
        inputs = dict(result.inputs)
        if "version" in news and "version" not in inputs:
            inputs["version"] = news["version"]
        if "version" in news and inputs["version"] != news["version"]:
            raise ProviderError(
                f'provider "{urn}" attempted to change version from "{news["version"]}" to "{inputs["version"]}"'
            )
        if INTERNAL in news:
            if INTERNAL in inputs:
                self._emitter.warning("provider attempted to use __internal key that is reserved by the engine", urn)
            inputs[INTERNAL] = news[INTERNAL]
        return CheckResult(inputs)

    async def diff(self, request: DiffRequest) -> DiffResult:
        """Let the plugin say what a change of its configuration means; without an answer any change is an update."""
        provider = self._providers.get((request.urn, _UNCONFIGURED)) or self._providers.get((request.urn, request.id))
        if provider is None:
            raise ProviderError(f"the provider '{request.urn}' is not loaded")
        news = without_internal(request.new_inputs)
        diff = await provider.diff_config(
            request.urn, without_internal(request.old_inputs), request.old_outputs, news, request.ignore_changes
        )
        if diff.changes == UNKNOWN_CHANGES:
            diff.changes = NONE if deep_equals(request.old_outputs, news) else SOME
        return diff

    async def create(self, urn: str, inputs: Properties, *, timeout: float, preview: bool) -> ReadResult:  # noqa: ASYNC109
        """Configure a new provider."""
        provider = self._providers.pop((urn, _UNCONFIGURED), None)
        if provider is None:
            provider = await self._load_for(urn, inputs)
        provider_id = UNKNOWN if preview else str(uuid.uuid4())
        outputs = without_internal(inputs)
        provider.configure(urn, provider_id, outputs)
        self._put(urn, provider_id, provider)
        return ReadResult(provider_id, outputs)

    async def update(self, call: UpdateCall) -> ReadResult:
        """Put the newly checked provider in the place of the old one."""
        provider = self._providers.pop((call.urn, _UNCONFIGURED), None)
        if provider is None:
            provider = await self._load_for(call.urn, call.new_inputs)
        outputs = without_internal(call.new_inputs)
        provider.configure(call.urn, call.id, outputs)
        old = self._providers.get((call.urn, call.id))
        self._put(call.urn, call.id, provider)
        if old is not None and old is not provider:
            await old.close()
        return ReadResult(call.id, outputs)

    async def delete(
        self,
        urn: str,
        resource_id: str,
        inputs: Properties,
        outputs: Properties,
        *,
        timeout: float,  # noqa: ASYNC109 - part of the protocol
    ) -> None:
        """Let go of a provider."""
        provider = self._providers.pop((urn, resource_id), None)
        if provider is not None:
            await provider.close()

    async def read(
        self,
        urn: str,
        resource_id: str,
        inputs: Properties | None,
        state: Properties | None,
        *,
        timeout: float,  # noqa: ASYNC109 - part of the protocol
    ) -> ReadResult:
        """Provider resources exist in the state alone."""
        raise ProviderError("provider resources may not be read")

    async def invoke(self, token: str, arguments: Properties, *, preview: bool) -> InvokeResult:
        """The registry has no functions."""
        raise ProviderError("the provider registry is not invokable")

    async def cancel(self) -> None:
        """Ask every provider to stop what it is doing."""
        for provider in self._all():
            await provider.cancel()

    async def close(self) -> None:
        """Let go of every provider."""
        for provider in self._all():
            await provider.close()

    def _all(self) -> list[ConfigurableProvider]:
        return list({id(provider): provider for provider in self._providers.values()}.values())

    def _put(self, urn: str, provider_id: str, provider: ConfigurableProvider) -> None:
        self._providers[(urn, provider_id)] = provider
        if urn in self._aliases:
            self._providers[(self._aliases[urn], provider_id)] = provider

    async def _load_for(self, urn: str, inputs: Properties) -> ConfigurableProvider:
        if not is_provider_type(urn_type(urn)):
            raise ProviderError(f"urn {urn} is not a provider type")
        try:
            return await self._load(package_for(urn, inputs))
        except (EngineError, ValueError) as error:
            raise ProviderError(str(error)) from None


def package_for(urn: str, inputs: Properties) -> ProviderPackage:
    """Return the plugin that a provider resource asks for.

    Raises:
        ValueError: it asks for something that cannot be had here.
    """
    internal = inputs.get(INTERNAL)
    internal = internal if isinstance(internal, dict) else {}
    if "parameterization" in internal:
        raise ValueError(
            f"the provider of '{package_of(urn)}' is parameterized, which is not supported by the embedded engine; "
            "install the Pulumi CLI and run this command with it"
        )
    version = inputs.get("version", "")
    if not isinstance(version, str):
        raise ValueError("'version' must be a string")
    mappings = internal.get("envVarMappings")
    return ProviderPackage(
        name=str(internal.get("name") or package_of(urn)),
        version=version,
        download_url=str(internal.get("pluginDownloadURL") or ""),
        environment=tuple(sorted(mappings.items())) if isinstance(mappings, dict) else (),
    )
