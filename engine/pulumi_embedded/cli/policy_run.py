"""Runs policy packs over resource states; imported only by `policy analyze`, for it needs grpc and pulumi.

Source: pulumi `pkg/resource/deploy/analyze_snapshot.go`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

from pulumi.runtime.proto import analyzer_pb2, engine_pb2_grpc

from pulumi_embedded.deploy.analyzer import Analyzer, load_analyzer
from pulumi_embedded.deploy.channels import new_server
from pulumi_embedded.deploy.engine_server import EngineService
from pulumi_embedded.deploy.events import Emitter
from pulumi_embedded.deploy.processes import Children
from pulumi_embedded.deploy.request import UpdateRequest
from pulumi_embedded.properties import Marshal, Properties, Unmarshal
from pulumi_embedded.state.resource import ResourceState
from pulumi_embedded.urn import ROOT_STACK_TYPE, is_provider_type, make_urn, split_provider_reference, urn_name

_VISIBLE = Marshal(internal_keys=False)


def judge(request: UpdateRequest, states: list[ResourceState], listen: Callable[[dict[str, Any]], None]) -> bool:
    """Judge `states` and tell `listen` of what is found; True when a mandatory policy is violated.

    Raises:
        EngineError: a pack cannot be started or failed.
    """
    return asyncio.run(_Judge(request, states, Emitter(listen)).run())


class _Judge:
    def __init__(self, request: UpdateRequest, states: list[ResourceState], emitter: Emitter) -> None:
        self._request = request
        self._states = states
        self._emitter = emitter
        self._providers = {state.urn: state for state in states if is_provider_type(state.type)}
        self._mandatory = False

    async def run(self) -> bool:
        for state in self._states:
            self._emitter.learn_secrets(state.inputs)
            self._emitter.learn_secrets(state.outputs)
        async with contextlib.AsyncExitStack() as stack:
            children = Children()
            stack.push_async_callback(children.close)
            server, address = new_server()
            engine_pb2_grpc.add_EngineServicer_to_server(EngineService(self._emitter), server)
            await server.start()
            stack.push_async_callback(server.stop, 0)
            for pack in self._request.options.policy_packs:
                analyzer = await load_analyzer(
                    pack, self._request, children=children, emitter=self._emitter, engine_address=address
                )
                stack.push_async_callback(analyzer.close)
                await self._judge(analyzer)
        return self._mandatory

    async def _judge(self, analyzer: Analyzer) -> None:
        for state in self._states:
            await self._remediate(analyzer, state)
            response = await analyzer.analyze(self._single(state, _VISIBLE))
            for diagnostic in response.diagnostics:
                self._violation(analyzer, diagnostic, state.urn)
        resources = [self._resource(state) for state in self._states]
        response = await analyzer.analyze_stack(analyzer_pb2.AnalyzeStackRequest(resources=resources))
        names = {state.urn for state in self._states}
        project, stack = self._request.project.name, self._request.stack
        root = make_urn(stack, project, "", ROOT_STACK_TYPE, f"{project}-{stack}")
        for diagnostic in response.diagnostics:
            self._violation(analyzer, diagnostic, diagnostic.urn if diagnostic.urn in names else root)

    def _violation(self, analyzer: Analyzer, diagnostic: Any, urn: str) -> None:
        finding = analyzer.finding(diagnostic)
        if finding["enforcementLevel"] == "remediate":
            finding["enforcementLevel"] = "mandatory"
        self._mandatory = self._mandatory or finding["enforcementLevel"] == "mandatory"
        self._emitter.policy_violation(urn, {**finding, "message": finding["message"].rstrip("\n") + "\n"})

    async def _remediate(self, analyzer: Analyzer, state: ResourceState) -> None:
        """Tell what a remediation would change; the state is left as it is."""
        response = await analyzer.remediate(self._single(state, Marshal()))
        for item in response.remediations:
            if item.diagnostic:
                finding = {"message": item.diagnostic + "\n", **analyzer.remediation(item)}
                self._emitter.policy_violation(state.urn, {**finding, "enforcementLevel": "advisory"})
            else:
                after = Unmarshal().properties(item.properties)
                self._emitter.policy_remediation(state.urn, analyzer.remediation(item), state.inputs, after)

    def _single(self, state: ResourceState, marshal: Marshal) -> analyzer_pb2.AnalyzeRequest:
        return analyzer_pb2.AnalyzeRequest(
            urn=state.urn,
            type=state.type,
            name=urn_name(state.urn),
            properties=marshal.struct(state.inputs),
            options=_options(state),
            provider=self._provider(state),
        )

    def _resource(self, state: ResourceState) -> analyzer_pb2.AnalyzerResource:
        outputs: Properties = state.outputs
        return analyzer_pb2.AnalyzerResource(
            urn=state.urn,
            type=state.type,
            name=urn_name(state.urn),
            properties=_VISIBLE.struct(outputs),
            options=_options(state),
            provider=self._provider(state),
            parent=state.parent,
            dependencies=state.dependencies,
            propertyDependencies={
                key: analyzer_pb2.AnalyzerPropertyDependencies(urns=urns)
                for key, urns in state.property_dependencies.items()
                if urns
            },
        )

    def _provider(self, state: ResourceState) -> analyzer_pb2.AnalyzerProviderResource | None:
        if not state.provider:
            return None
        provider = self._providers.get(split_provider_reference(state.provider)[0])
        if provider is None:
            return None
        return analyzer_pb2.AnalyzerProviderResource(
            urn=provider.urn,
            type=provider.type,
            name=urn_name(provider.urn),
            properties=_VISIBLE.struct(provider.inputs),
        )


def _options(state: ResourceState) -> analyzer_pb2.AnalyzerResourceOptions:
    timeouts = {key: state.custom_timeouts.get(key, 0) for key in ("create", "update", "delete", "read")}
    return analyzer_pb2.AnalyzerResourceOptions(
        protect=state.protect,
        ignoreChanges=state.ignore_changes,
        additionalSecretOutputs=state.additional_secret_outputs,
        aliases=state.aliases,
        customTimeouts=analyzer_pb2.AnalyzerResourceOptions.CustomTimeouts(**timeouts),
        parent=state.parent,
    )
