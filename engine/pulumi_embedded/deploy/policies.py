"""Asks the policy packs about every resource, and at the end about all of them together.

Source: pulumi `pkg/resource/deploy/analyze_snapshot.go`, `step_generator.go` (`AnalyzeResources`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pulumi.runtime.proto import analyzer_pb2

from pulumi_embedded.deploy.analyzer import Analyzer
from pulumi_embedded.deploy.events import Emitter
from pulumi_embedded.deploy.goal import Goal
from pulumi_embedded.errors import EngineError
from pulumi_embedded.properties import Marshal, Properties, Unmarshal
from pulumi_embedded.state.resource import ResourceState
from pulumi_embedded.urn import ROOT_STACK_TYPE, make_urn, urn_name

if TYPE_CHECKING:
    from pulumi_embedded.deploy.deployment import Deployment

_VISIBLE = Marshal(internal_keys=False)


class Policies:
    """The policy packs of one update, which are loaded while the program starts.

    `saw_mandatory` becomes true with the first mandatory violation.
    """

    def __init__(self, loading: Coroutine[Any, Any, list[Analyzer]], emitter: Emitter, *, dry_run: bool) -> None:
        self.loading = asyncio.create_task(loading)
        self._analyzers: list[Analyzer] = []
        self._emitter = emitter
        self._dry_run = dry_run
        self.saw_mandatory = False

    def versions(self) -> dict[str, str]:
        """Return the packs with their versions, named as the summary event names local packs."""
        return {f"{item.name}|local|{_short(item.path)}": item.version for item in self._analyzers}

    def broken(self) -> list[str]:
        """Return the packs that raised, named as in `versions`."""
        return [f"{item.name}|local|{_short(item.path)}" for item in self._analyzers if item.broken]

    async def judge(self, new: ResourceState, goal: Goal, provider: ResourceState | None) -> bool:
        """Remediate and judge a resource before anything is done; return whether it must not be made."""
        self._analyzers = self.loading.result() if self.loading.done() else await asyncio.shield(self.loading)
        if not self._analyzers:
            return False
        for analyzer in self._analyzers:
            await self._remediate(analyzer, new, goal, provider)
        request = self._request(new, goal, provider, _VISIBLE)
        responses = await asyncio.gather(*(analyzer.analyze(request) for analyzer in self._analyzers))
        mandatory = False
        for analyzer, response in zip(self._analyzers, responses, strict=True):
            failed = set()
            for diagnostic in response.diagnostics:
                failed.add(diagnostic.policyName)
                mandatory = self._violation(analyzer, diagnostic, new.urn) or mandatory
            summary = analyzer.summary(analyzer_pb2.POLICY_TYPE_RESOURCE, response, failed, new.urn)
            self._emitter.policy_summary("Analyze", summary)
        self.saw_mandatory = self.saw_mandatory or mandatory
        return mandatory and not self._dry_run

    async def judge_stack(self, deployment: Deployment) -> None:
        """Judge all resources together, as they are after the update."""
        self._analyzers = self.loading.result() if self.loading.done() else await asyncio.shield(self.loading)
        if not self._analyzers:
            return
        request = analyzer_pb2.AnalyzeStackRequest(
            resources=[self._resource(deployment, state) for state in deployment.news.values()]
        )
        root = make_urn(
            deployment.stack, deployment.project, "", ROOT_STACK_TYPE, f"{deployment.project}-{deployment.stack}"
        )
        responses = await asyncio.gather(*(analyzer.analyze_stack(request) for analyzer in self._analyzers))
        for analyzer, response in zip(self._analyzers, responses, strict=True):
            failed = set()
            for diagnostic in response.diagnostics:
                failed.add(diagnostic.policyName)
                urn = diagnostic.urn if diagnostic.urn in deployment.news else root
                if self._violation(analyzer, diagnostic, urn):
                    self.saw_mandatory = True
            summary = analyzer.summary(analyzer_pb2.POLICY_TYPE_STACK, response, failed)
            self._emitter.policy_summary("AnalyzeStack", summary)

    async def close(self) -> None:
        """Close the connections to the packs."""
        self.loading.cancel()
        with contextlib.suppress(asyncio.CancelledError, EngineError):
            self._analyzers = await self.loading
        for analyzer in self._analyzers:
            await analyzer.close()

    def _violation(self, analyzer: Analyzer, diagnostic: Any, urn: str) -> bool:
        """Tell of a violation; return whether it is mandatory. One that was to be remediated but still stands is."""
        finding = analyzer.finding(diagnostic)
        if finding["enforcementLevel"] == "remediate":
            finding["enforcementLevel"] = "mandatory"
        if not finding["message"].endswith("\n"):
            finding["message"] += "\n"
        self._emitter.policy_violation(urn, finding)
        return bool(finding["enforcementLevel"] == "mandatory")

    async def _remediate(
        self, analyzer: Analyzer, new: ResourceState, goal: Goal, provider: ResourceState | None
    ) -> None:
        response = await analyzer.remediate(self._request(new, goal, provider, Marshal()))
        failed = set()
        for item in response.remediations:
            failed.add(item.policyName)
            if item.diagnostic:
                finding = {
                    "message": item.diagnostic + "\n",
                    **analyzer.remediation(item),
                    "enforcementLevel": "advisory",
                }
                self._emitter.policy_violation(new.urn, finding)
                continue
            after = Unmarshal().properties(item.properties)
            self._emitter.policy_remediation(new.urn, analyzer.remediation(item), new.inputs, after)
            new.inputs = after
        summary = analyzer.summary(analyzer_pb2.POLICY_TYPE_RESOURCE, response, failed, new.urn)
        self._emitter.policy_summary("Remediate", summary)

    def _request(
        self, new: ResourceState, goal: Goal, provider: ResourceState | None, marshal: Marshal
    ) -> analyzer_pb2.AnalyzeRequest:
        return analyzer_pb2.AnalyzeRequest(
            urn=new.urn,
            type=new.type,
            name=urn_name(new.urn),
            properties=marshal.struct(new.inputs),
            options=_options(new, goal.delete_before_replace, goal.ignore_changes),
            provider=_provider(provider),
        )

    def _resource(self, deployment: Deployment, state: ResourceState) -> analyzer_pb2.AnalyzerResource:
        goal = deployment.goals.get(state.urn)
        properties: Properties = state.outputs
        return analyzer_pb2.AnalyzerResource(
            urn=state.urn,
            type=state.type,
            name=urn_name(state.urn),
            properties=_VISIBLE.struct(properties),
            options=_options(state, goal.delete_before_replace if goal else None, state.ignore_changes),
            provider=_provider(deployment.generator.provider_resource(state)),
            parent=state.parent,
            dependencies=state.dependencies,
            propertyDependencies={
                key: analyzer_pb2.AnalyzerPropertyDependencies(urns=urns)
                for key, urns in state.property_dependencies.items()
                if urns
            },
        )


def _options(
    state: ResourceState, delete_before_replace: bool | None, ignore_changes: list[str]
) -> analyzer_pb2.AnalyzerResourceOptions:
    return analyzer_pb2.AnalyzerResourceOptions(
        protect=state.protect,
        ignoreChanges=ignore_changes,
        deleteBeforeReplace=bool(delete_before_replace),
        deleteBeforeReplaceDefined=delete_before_replace is not None,
        additionalSecretOutputs=state.additional_secret_outputs,
        aliases=state.aliases,
        customTimeouts=analyzer_pb2.AnalyzerResourceOptions.CustomTimeouts(
            **{key: state.custom_timeouts.get(key, 0) for key in ("create", "update", "delete", "read")}
        ),
        parent=state.parent,
    )


def _provider(state: ResourceState | None) -> analyzer_pb2.AnalyzerProviderResource | None:
    if state is None:
        return None
    return analyzer_pb2.AnalyzerProviderResource(
        urn=state.urn, type=state.type, name=urn_name(state.urn), properties=_VISIBLE.struct(state.inputs)
    )


def _short(path: Path) -> str:
    """Return a path with the home folder as `~`."""
    try:
        return str(Path("~") / path.relative_to(Path.home()))
    except (ValueError, RuntimeError):
        return str(path)
