"""Reads a program's registrations: transforms applied, options inherited, providers found.

Source: pulumi `pkg/resource/deploy/source_eval.go` (`RegisterResource`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from pulumi.runtime.proto import alias_pb2, callback_pb2, resource_pb2

from pulumi_embedded.deploy.callbacks import Callbacks
from pulumi_embedded.deploy.default_providers import DefaultProviders, PackageRequest
from pulumi_embedded.deploy.deployment import Deployment
from pulumi_embedded.deploy.goal import HOOK_TYPES, AliasSpec, Goal
from pulumi_embedded.deploy.property_path import parse_path, path_text
from pulumi_embedded.deploy.registry import package_of, set_internal
from pulumi_embedded.deploy.source_positions import SourcePositions
from pulumi_embedded.properties import (
    OUTPUT_SIG,
    SIG,
    Marshal,
    Properties,
    Unmarshal,
    downgrade_outputs,
    output_dependencies,
    signature,
)
from pulumi_embedded.urn import is_provider_type, is_urn, split_provider_reference

_DURATION_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_TYPE_TOKEN = re.compile(r"^[^:]+:[^:]*:[^:]+$")

Transforms = list[callback_pb2.Callback]


@dataclass
class _Known:
    """What later registrations need to know of an earlier one."""

    goal: Goal
    transforms: Transforms
    providers: dict[str, str] = field(default_factory=dict)


@dataclass
class RemoteGoal:
    """What a provider is asked to build: a remote component, its options after transforms, the provider's reference."""

    properties: Properties
    options: Any
    dependencies: list[str]
    property_dependencies: dict[str, list[str]]
    provider: str


class RegistrationReader:
    """Turns registrations into goals; remembers parents, for what children inherit."""

    def __init__(
        self,
        deployment: Deployment,
        callbacks: Callbacks,
        defaults: DefaultProviders,
        positions: SourcePositions,
    ) -> None:
        self._deployment = deployment
        self._callbacks = callbacks
        self._defaults = defaults
        self._positions = positions
        self._known: dict[str, _Known] = {}
        self._pending_transforms: dict[tuple[str, str, str], Transforms] = {}
        self.stack_transforms: Transforms = []

    def inherited_provider(self, parent: str, package: str) -> str:
        """Return the provider of a package that a component gives to its children, "" for none."""
        known = self._known.get(parent)
        return known.providers.get(package, "") if known else ""

    def remember(self, goal: Goal, urn: str, request: Any, transforms: Transforms) -> None:
        """Keep what the children of a registered resource inherit."""
        providers: dict[str, str] = {}
        if not goal.custom:
            providers = dict(request.providers)
            parent = self._known.get(goal.parent)
            if parent is not None:
                providers = {**parent.providers, **providers}
        self._known[urn] = _Known(goal, transforms, providers)

    async def read(self, request: Any, package: PackageRequest) -> tuple[Goal, Transforms]:
        """Return the goal of a registration, and the transforms that its children get too.

        Raises:
            ValueError: the registration says something that cannot be.
            DefaultProviderDeniedError: it needs a default provider that is forbidden.
        """
        asked, own = await self._asked(request, package)
        goal = self._goal(request, asked.options, downgrade_outputs(asked.properties))
        goal.dependencies = asked.dependencies
        goal.property_dependencies = asked.property_dependencies
        options = asked.options
        goal.source_position, goal.stack_trace = self._positions.of(request)
        await self._set_provider(goal, request, options, package)
        return goal, own

    async def read_remote(self, request: Any, package: PackageRequest) -> RemoteGoal:
        """Return what a provider is asked to build for the registration of a remote component.

        Its own transforms run now and, as with the CLI, again when the provider registers the component itself.

        Raises:
            ValueError, DefaultProviderDeniedError: as `read`.
        """
        asked, own = await self._asked(request, package)
        if own:
            self._pending_transforms[request.parent, request.type, request.name] = own
        options = asked.options
        asked.provider = options.provider or await self._defaults.reference(
            PackageRequest(
                package.package,
                options.version or package.version,
                (options.plugin_download_url or package.download_url).rstrip("/"),
            )
        )
        return asked

    async def _asked(self, request: Any, package: PackageRequest) -> tuple[RemoteGoal, Transforms]:
        """Return a registration after inheritance and transforms, and the transforms of its own."""
        if (request.custom or request.remote) and not _TYPE_TOKEN.match(request.type):
            raise ValueError(f"Type '{request.type}' is not a valid type token (must have format '*:*:*')")
        self._inherit(request)
        properties = Unmarshal(outputs=True).properties(request.object)
        options = self._options(request, package)
        dependencies = set(request.dependencies)
        property_dependencies = self._property_dependencies(request, properties)
        key = (request.parent, request.type, request.name)
        own: Transforms = self._pending_transforms.pop(key, []) or list(request.transforms)
        if own:
            properties = _with_dependencies(properties, property_dependencies)
        for transform in self._transforms(own, request.parent):
            properties, options = await self._transform(transform, request, properties, options)
        if own:
            dependencies = set(options.depends_on)
            property_dependencies = {key: set(output_dependencies(value)) for key, value in properties.items()}
            dependencies.update(*property_dependencies.values())
        else:
            for name, value in properties.items():
                property_dependencies.setdefault(name, set()).update(output_dependencies(value))
        asked = RemoteGoal(
            properties=properties,
            options=options,
            dependencies=_sorted(dependencies, request.dependencies),
            property_dependencies={
                name: _sorted(urns, request.dependencies) for name, urns in property_dependencies.items()
            },
            provider="",
        )
        return asked, own

    def _inherit(self, request: Any) -> None:
        """Take from the parent what the program did not say."""
        known = self._known.get(request.parent)
        if known is None:
            return
        parent = known.goal
        if not request.deletedWith:
            request.deletedWith = parent.deleted_with
        if not request.HasField("protect") and parent.protect is not None:
            request.protect = parent.protect
        if not request.HasField("retainOnDelete") and parent.retain_on_delete is not None:
            request.retainOnDelete = parent.retain_on_delete
        if not request.provider and parent.provider:
            package = package_of(split_provider_reference(parent.provider)[0])
            if not (request.custom or request.remote) or package == request.type.partition(":")[0]:
                request.provider = parent.provider

    def _options(self, request: Any, package: PackageRequest) -> Any:
        """Return the registration's options as transforms see them."""
        provider = request.provider
        if (request.custom or request.remote) and not provider:
            provider = request.providers.get(package.package, "") or self.inherited_provider(
                request.parent, package.package
            )
        options: Any = resource_pb2.TransformResourceOptions(
            depends_on=request.dependencies,
            ignore_changes=request.ignoreChanges,
            replace_on_changes=request.replaceOnChanges,
            version=request.version,
            aliases=[*(alias_pb2.Alias(urn=urn) for urn in request.aliasURNs), *request.aliases],
            provider=provider,
            providers=request.providers,
            hide_diff=request.hideDiffs,
            plugin_download_url=request.pluginDownloadURL,
            deleted_with=request.deletedWith,
            replace_with=request.replace_with,
            additional_secret_outputs=request.additionalSecretOutputs,
            plugin_checksums=request.pluginChecksums,
        )
        setattr(options, "import", request.importId)
        if request.HasField("protect"):
            options.protect = request.protect
        if request.HasField("retainOnDelete"):
            options.retain_on_delete = request.retainOnDelete
        if request.deleteBeforeReplaceDefined or request.deleteBeforeReplace:
            options.delete_before_replace = request.deleteBeforeReplace
        for name, wire in (("custom_timeouts", "customTimeouts"), ("hooks", "hooks"), ("replacement_trigger",) * 2):
            if request.HasField(wire):
                getattr(options, name).CopyFrom(getattr(request, wire))
        return options

    @staticmethod
    def _property_dependencies(request: Any, properties: Properties) -> dict[str, set[str]]:
        if request.propertyDependencies or request.remote:
            return {key: set(item.urns) for key, item in request.propertyDependencies.items()}
        return {key: set(request.dependencies) for key in properties}

    def _transforms(self, own: Transforms, parent: str) -> Transforms:
        """Return a resource's transforms, then its ancestors', then the stack's."""
        transforms = list(own)
        while parent:
            known = self._known.get(parent)
            if known is None:
                break
            transforms += known.transforms
            parent = known.goal.parent
        return [*transforms, *self.stack_transforms]

    async def _transform(
        self, callback: callback_pb2.Callback, request: Any, properties: Properties, options: Any
    ) -> tuple[Properties, Any]:
        asked = resource_pb2.TransformRequest(
            type=request.type,
            name=request.name,
            custom=request.custom,
            parent=request.parent,
            properties=Marshal(outputs=True).struct(properties),
            options=options,
        )
        answer = await self._callbacks.invoke(callback, asked, resource_pb2.TransformResponse)
        if answer.HasField("properties"):
            properties = Unmarshal(outputs=True).properties(answer.properties)
        if answer.HasField("options"):
            options = answer.options
        return properties, options

    def _goal(self, request: Any, options: Any, properties: Properties) -> Goal:
        trigger = None
        if options.HasField("replacement_trigger"):
            trigger = Unmarshal().value(options.replacement_trigger)
        delete_first = options.delete_before_replace if options.HasField("delete_before_replace") else None
        return Goal(
            type=request.type,
            name=request.name,
            custom=request.custom,
            properties=properties,
            parent=request.parent,
            protect=options.protect if options.HasField("protect") else None,
            delete_before_replace=delete_first,
            ignore_changes=list(options.ignore_changes),
            additional_secret_outputs=list(options.additional_secret_outputs),
            aliases=[_alias(alias) for alias in options.aliases],
            import_id=getattr(options, "import"),
            custom_timeouts=_timeouts(options.custom_timeouts) if options.HasField("custom_timeouts") else {},
            replace_on_changes=list(options.replace_on_changes),
            replacement_trigger=trigger,
            retain_on_delete=options.retain_on_delete if options.HasField("retain_on_delete") else None,
            deleted_with=options.deleted_with,
            replace_with=list(options.replace_with),
            hide_diff=[path_text(parse_path(path)) for path in options.hide_diff],
            resource_hooks=_hooks(options.hooks) if options.HasField("hooks") else {},
        )

    async def _set_provider(self, goal: Goal, request: Any, options: Any, package: PackageRequest) -> None:
        if is_provider_type(goal.type):
            self._set_plugin(goal, request, options, package)
        elif goal.custom:
            if options.provider:
                split_provider_reference(options.provider)
                goal.provider = options.provider
            else:
                version = options.version or package.version
                url = (options.plugin_download_url or package.download_url).rstrip("/")
                wanted = PackageRequest(package.package, version, url)
                goal.provider = await self._defaults.reference(wanted)

    @staticmethod
    def _set_plugin(goal: Goal, request: Any, options: Any, package: PackageRequest) -> None:
        """Keep in a provider resource which plugin it needs."""
        version, url = options.version, options.plugin_download_url
        if request.packageRef:
            version, url = version or package.version, url or package.download_url
        goal.properties = dict(goal.properties)
        if version:
            set_internal(goal.properties)
            goal.properties["version"] = version
        if url:
            set_internal(goal.properties, pluginDownloadURL=url)
        if request.envVarMappings:
            set_internal(goal.properties, envVarMappings=dict(request.envVarMappings))


def _with_dependencies(properties: Properties, dependencies: dict[str, set[str]]) -> Properties:
    """Return properties whose output values carry the dependencies that were only listed beside them."""
    result: Properties = {}
    for key, value in properties.items():
        listed = dependencies.get(key, set())
        if listed <= set(output_dependencies(value)):
            result[key] = value
            continue
        output = dict(value) if signature(value) == OUTPUT_SIG else {SIG: OUTPUT_SIG, "value": value}
        output["dependencies"] = sorted({*(output.get("dependencies") or ()), *listed})
        result[key] = output
    return result


def _sorted(urns: set[str], order: Any) -> list[str]:
    """Return URNs in the order in which the program gave them, then by name."""
    given = {urn: index for index, urn in enumerate(order)}
    for urn in urns:
        if not is_urn(urn):
            raise ValueError(f'invalid dependency URN: "{urn}"')
    return sorted(urns, key=lambda urn: (given.get(urn, len(given)), urn))


def _alias(alias: Any) -> AliasSpec:
    if alias.WhichOneof("alias") == "urn":
        return AliasSpec(urn=alias.urn)
    spec = alias.spec
    return AliasSpec(
        name=spec.name,
        type=spec.type,
        stack=spec.stack,
        project=spec.project,
        parent=spec.parentUrn if spec.WhichOneof("parent") == "parentUrn" else "",
        no_parent=spec.noParent if spec.WhichOneof("parent") == "noParent" else False,
    )


def _hooks(binding: Any) -> dict[str, list[str]]:
    found = {kind: list(getattr(binding, wire)) for wire, kind in HOOK_TYPES.items()}
    return {kind: names for kind, names in found.items() if names}


def _timeouts(timeouts: Any) -> dict[str, float]:
    texts = {name: getattr(timeouts, name) for name in ("create", "update", "delete", "read")}
    return {name: seconds(text) for name, text in texts.items() if text}


def seconds(text: str) -> float:
    """Return a duration such as "1h30m" in seconds.

    Raises:
        ValueError: the text is no duration.
    """
    parts = _DURATION_PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"unable to parse customTimeout Value {text}")
    total = sum((float(number) * _SECONDS[unit] for number, unit in parts), 0.0)
    return int(total) if total.is_integer() else total
