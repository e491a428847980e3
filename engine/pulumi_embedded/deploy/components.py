"""Remote components: built by a provider's process, which registers what is inside them with this engine.

Sources: pulumi `pkg/resource/deploy/source_eval.go` (`RegisterResource`, `Call`) and
`pkg/resource/plugin/provider_plugin.go` (`Construct`).
"""

from __future__ import annotations

from typing import Any

from pulumi.runtime.proto import provider_pb2, resource_pb2

from pulumi_embedded.deploy.provider import ConfigurableProvider
from pulumi_embedded.deploy.registration import RemoteGoal
from pulumi_embedded.deploy.request import UpdateRequest
from pulumi_embedded.properties import (
    Marshal,
    Properties,
    Unmarshal,
    downgrade_outputs,
    output_dependencies,
)
from pulumi_embedded.urn import provider_reference

PROVIDER_TOKEN = "pulumi:providers:"  # noqa: S105


def _surroundings(request: UpdateRequest, dry_run: bool, monitor_address: str) -> dict[str, Any]:
    """Return what a provider is told of the update that it works for."""
    return {
        "project": request.project.name,
        "stack": request.stack,
        "organization": request.organization,
        "config": request.config,
        "configSecretKeys": request.config_secret_keys,
        "dryRun": dry_run,
        "parallel": request.options.parallel,
        "monitorEndpoint": monitor_address,
        "accepts_output_values": True,
    }


def construct_request(
    request: Any, goal: RemoteGoal, update: UpdateRequest, *, dry_run: bool, monitor_address: str
) -> Any:
    """Return the request that lets a provider build a component, without its inputs."""
    options = goal.options
    wanted: Any = provider_pb2.ConstructRequest(
        **_surroundings(update, dry_run, monitor_address),
        type=request.type,
        name=request.name,
        parent=request.parent,
        dependencies=goal.dependencies,
        providers=options.providers,
        aliases=options.aliases,
        additionalSecretOutputs=options.additional_secret_outputs,
        deletedWith=options.deleted_with,
        replace_with=options.replace_with,
        ignoreChanges=options.ignore_changes,
        replaceOnChanges=options.replace_on_changes,
    )
    for key, urns in goal.property_dependencies.items():
        wanted.inputDependencies[key].urns.extend(urns)
    for ours, theirs in (
        ("protect", "protect"),
        ("retain_on_delete", "retainOnDelete"),
        ("delete_before_replace", "deleteBeforeReplace"),
    ):
        if options.HasField(ours):
            setattr(wanted, theirs, getattr(options, ours))
    if options.HasField("replacement_trigger"):
        wanted.replacement_trigger.CopyFrom(options.replacement_trigger)
    if options.HasField("custom_timeouts"):
        for name in ("create", "update", "delete", "read"):
            setattr(wanted.customTimeouts, name, getattr(options.custom_timeouts, name))
    if options.HasField("hooks"):
        for field, names in options.hooks.ListFields():
            if field.name in wanted.resource_hooks.DESCRIPTOR.fields_by_name:
                getattr(wanted.resource_hooks, field.name).extend(names)
    return wanted


def constructed(request: Any, answer: Any) -> Any:
    """Return what the program is told of a component that a provider built."""
    outputs = Unmarshal(outputs=True).properties(answer.state)
    dependencies = {key: list(item.urns) for key, item in answer.stateDependencies.items()}
    told: Any = resource_pb2.RegisterResourceResponse(
        urn=answer.urn,
        object=Marshal(secrets=request.acceptSecrets, resources=request.acceptResources).struct(
            downgrade_outputs(outputs)
        ),
    )
    for key, urns in _with_outputs(dependencies, outputs).items():
        told.propertyDependencies[key].urns.extend(urns)
    return told


async def call_method(
    request: Any,
    provider: ConfigurableProvider,
    update: UpdateRequest,
    *,
    dry_run: bool,
    monitor_address: str,
) -> Any:
    """Call a method of a component, or of a provider itself."""
    arguments = Unmarshal(outputs=True).properties(request.args)
    wanted: Any = provider_pb2.CallRequest(tok=request.tok, **_surroundings(update, dry_run, monitor_address))
    given = {key: list(item.urns) for key, item in request.argDependencies.items()}
    for key, urns in _with_outputs(given, arguments).items():
        wanted.argDependencies[key].urns.extend(urns)
    answer = await provider.call(wanted, arguments)
    told: Any = provider_pb2.CallResponse(failures=answer.failures)
    result = Unmarshal(outputs=True).properties(getattr(answer, "return"))
    Marshal().fill(getattr(told, "return"), downgrade_outputs(result))
    getattr(told, "return").SetInParent()
    returned = {key: list(item.urns) for key, item in answer.returnDependencies.items()}
    for key, urns in _with_outputs(returned, result).items():
        told.returnDependencies[key].urns.extend(urns)
    return told


def receiver(request: Any) -> str:
    """Return the reference to the provider whose own method is called, "" for a method of a component.

    Raises:
        ValueError: the call does not say which provider.
    """
    if not request.tok.startswith(PROVIDER_TOKEN):
        return ""
    itself = request.args.fields["__self__"].struct_value.fields if "__self__" in request.args.fields else {}
    if "urn" not in itself or "id" not in itself:
        raise ValueError(f"missing __self__ argument for the provider method call '{request.tok}'")
    return provider_reference(itself["urn"].string_value, itself["id"].string_value)


def self_urn(request: Any) -> str:
    """Return the URN of the component whose method is called, "" when the call has none."""
    if "__self__" not in request.args.fields:
        return ""
    itself = request.args.fields["__self__"].struct_value.fields
    return itself["urn"].string_value if "urn" in itself else ""


def _with_outputs(dependencies: dict[str, list[str]], values: Properties) -> dict[str, list[str]]:
    """Return dependencies by property, with those that the output values themselves carry."""
    found = {key: dict.fromkeys(urns) for key, urns in dependencies.items()}
    for key, value in values.items():
        found.setdefault(key, {}).update(dict.fromkeys(output_dependencies(value)))
    return {key: list(urns) for key, urns in found.items()}
