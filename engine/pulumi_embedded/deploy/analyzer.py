"""One policy pack in a process of its own, over gRPC.

Source: pulumi `pkg/resource/plugin/analyzer_plugin.go`.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from google.protobuf import empty_pb2, json_format
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc

from pulumi_embedded.deploy.channels import is_unimplemented, message_of, open_channel
from pulumi_embedded.deploy.events import INFO, INFO_ERR, Emitter
from pulumi_embedded.deploy.interpreter import resolve_interpreter
from pulumi_embedded.deploy.policy_config import PolicySchema, PolicySettings, read_config_file, reconcile
from pulumi_embedded.deploy.processes import Children, bootstrapped
from pulumi_embedded.deploy.request import PolicyPackRef, UpdateRequest
from pulumi_embedded.errors import EngineError, UnsupportedError
from pulumi_embedded.properties import Marshal

_LEVELS = {
    analyzer_pb2.ADVISORY: "advisory",
    analyzer_pb2.MANDATORY: "mandatory",
    analyzer_pb2.REMEDIATE: "remediate",
    analyzer_pb2.DISABLED: "disabled",
}
_LEVEL_NUMBERS = {text: number for number, text in _LEVELS.items()}
_SEVERITIES = {1: "low", 2: "medium", 3: "high", 4: "critical"}


@dataclass(slots=True)
class Policy:
    """One policy of a pack, as configured."""

    name: str
    level: str
    kind: int
    severity: str


@dataclass
class Analyzer:
    """A running policy pack; `broken` once it raised instead of answering."""

    stub: Any
    name: str
    version: str
    path: Path
    policies: dict[str, Policy] = field(default_factory=dict)
    channel: Any = None
    broken: bool = False

    async def analyze(self, request: analyzer_pb2.AnalyzeRequest) -> Any:
        """Judge one resource."""
        return await self._call(self.stub.Analyze, request)

    async def remediate(self, request: analyzer_pb2.AnalyzeRequest) -> Any:
        """Let the pack change one resource's properties."""
        return await self._call(self.stub.Remediate, request, analyzer_pb2.RemediateResponse())

    async def analyze_stack(self, request: analyzer_pb2.AnalyzeStackRequest) -> Any:
        """Judge all resources together."""
        return await self._call(self.stub.AnalyzeStack, request, analyzer_pb2.AnalyzeResponse())

    async def close(self) -> None:
        """Close the connection; the process is ended with the others."""
        await self.channel.close()

    def finding(self, diagnostic: Any) -> dict[str, Any]:
        """Return a diagnostic with the keys of a policy event."""
        severity = _SEVERITIES.get(diagnostic.severity, "")
        policy = self.policies.get(diagnostic.policyName)
        if not severity and policy is not None:
            severity = policy.severity
        finding = {
            "message": diagnostic.message,
            "policyName": diagnostic.policyName,
            **self._pack(diagnostic),
            "enforcementLevel": _LEVELS.get(diagnostic.enforcementLevel, "advisory"),
        }
        if severity:
            finding["severity"] = severity
        return finding

    def remediation(self, remediation: Any) -> dict[str, Any]:
        """Return a remediation with the keys of a policy event."""
        return {"policyName": remediation.policyName, **self._pack(remediation)}

    def summary(self, kind: int, response: Any, failed: set[str], urn: str = "") -> dict[str, Any]:
        """Return which policies of one kind passed and failed."""
        out = failed | {item.policy_name for item in response.not_applicable}
        passed = sorted(
            policy.name
            for policy in self.policies.values()
            if policy.kind in (kind, analyzer_pb2.POLICY_TYPE_UNKNOWN)
            and policy.level != "disabled"
            and policy.name not in out
        )
        summary: dict[str, Any] = {"resourceUrn": urn} if urn else {}
        summary |= {
            "policyPackName": self.name,
            "policyPackVersion": self.version,
            "policyPackVersionTag": self.version,
        }
        if passed:
            summary["passed"] = passed
        if failed:
            summary["failed"] = sorted(failed)
        return summary

    def _pack(self, item: Any) -> dict[str, Any]:
        version = self.version or item.policyPackVersion
        return {
            "policyPackName": item.policyPackName or self.name,
            "policyPackVersion": version,
            "policyPackVersionTag": version,
        }

    async def _call(self, method: Any, request: Any, instead: Any = None) -> Any:
        try:
            return await method(request)
        except grpc.aio.AioRpcError as error:
            if instead is not None and is_unimplemented(error):
                return instead
            self.broken = True
            raise EngineError(f"the policy pack '{self.name}' failed: {message_of(error)}") from None


async def load_analyzer(
    pack: PolicyPackRef, request: UpdateRequest, *, children: Children, emitter: Emitter, engine_address: str
) -> Analyzer:
    """Start a policy pack and configure it.

    Raises:
        EngineError: the pack cannot be read, started or configured.
    """
    emitter.policy_loading()
    folder = pack.path.resolve()
    project = _read_project(folder)
    interpreter = resolve_interpreter(folder, project["options"])
    environment = {
        **os.environ,
        **request.environment,
        **interpreter.environment,
        "PULUMI_ORGANIZATION": request.organization,
        "PULUMI_PROJECT": request.project.name,
        "PULUMI_STACK": request.stack,
        "PULUMI_DRY_RUN": "true" if request.dry_run else "false",
        "PULUMI_CONFIG": json.dumps(request.config),
    }

    def listen(line: str, is_error: bool) -> None:
        emitter.diagnostic(INFO_ERR if is_error else INFO, line)

    _, port = await children.start_plugin(
        bootstrapped(interpreter.path, "module", "pulumi.policy", [engine_address, str(folder)]),
        cwd=folder,
        environment=environment,
        name=f"the policy pack in {folder}",
        listener=listen,
    )
    channel = open_channel(f"127.0.0.1:{port}")
    stub = analyzer_pb2_grpc.AnalyzerStub(channel)
    analyzer = Analyzer(stub, folder.name, project["version"], folder, channel=channel)
    await _introduce(analyzer, request, engine_address)
    info = await analyzer._call(stub.GetAnalyzerInfo, empty_pb2.Empty())
    analyzer.name = info.name
    analyzer.version = project["version"] or info.version
    await _configure(analyzer, info, pack)
    return analyzer


async def _introduce(analyzer: Analyzer, request: UpdateRequest, engine_address: str) -> None:
    folder = str(analyzer.path)
    handshake = analyzer_pb2.AnalyzerHandshakeRequest(
        engine_address=engine_address, root_directory=folder, program_directory=folder
    )
    stack = analyzer_pb2.AnalyzerStackConfigureRequest(
        stack=request.stack,
        project=request.project.name,
        organization=request.organization,
        dry_run=request.dry_run,
        config=request.config,
        config_secret_keys=request.config_secret_keys,
        tags=request.tags,
    )
    for method, message in ((analyzer.stub.Handshake, handshake), (analyzer.stub.ConfigureStack, stack)):
        try:
            await method(message, timeout=30, wait_for_ready=True)
        except grpc.aio.AioRpcError as error:
            if not is_unimplemented(error):
                raise EngineError(f"the policy pack in {folder} does not answer: {message_of(error)}") from None


async def _configure(analyzer: Analyzer, info: analyzer_pb2.AnalyzerInfo, pack: PolicyPackRef) -> None:
    for item in info.policies:
        analyzer.policies[item.name] = Policy(
            item.name,
            _LEVELS.get(item.enforcementLevel, "advisory"),
            item.policy_type,
            _SEVERITIES.get(item.severity, ""),
        )
    if not info.supportsConfig:
        if pack.config_path is not None:
            raise EngineError(f"policy pack '{info.name}' at '{pack.path}' does not support config")
        return
    schemas = []
    for item in info.policies:
        schema = json_format.MessageToDict(item.configSchema.properties) if item.HasField("configSchema") else {}
        schemas.append(
            PolicySchema(item.name, analyzer.policies[item.name].level, schema, list(item.configSchema.required))
        )
    initial = {
        name: PolicySettings(_LEVELS.get(config.enforcementLevel, ""), json_format.MessageToDict(config.properties))
        for name, config in info.initialConfig.items()
    }
    given = read_config_file(pack.config_path) if pack.config_path is not None else None
    settings, problems = reconcile(schemas, initial, given)
    if problems:
        raise EngineError(f"validating policy config for '{info.name}': {'; '.join(sorted(problems))}")
    message = analyzer_pb2.ConfigureAnalyzerRequest()
    for name, chosen in settings.items():
        config = message.policyConfig[name]
        config.enforcementLevel = _LEVEL_NUMBERS.get(chosen.level, analyzer_pb2.ADVISORY)
        Marshal().fill(config.properties, chosen.properties)
        config.properties.SetInParent()
        if name in analyzer.policies and chosen.level:
            analyzer.policies[name].level = chosen.level
    await analyzer._call(analyzer.stub.Configure, message)


def _read_project(folder: Path) -> dict[str, Any]:
    import yaml

    path = folder / "PulumiPolicy.yaml"
    try:
        loaded = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise EngineError(f"the policy pack in {folder} cannot be loaded: {error}") from None
    if not isinstance(loaded, dict) or "runtime" not in loaded:
        raise EngineError(f"{path} has no 'runtime'")
    runtime = loaded["runtime"]
    name = runtime.get("name") if isinstance(runtime, dict) else runtime
    if name != "python":
        raise UnsupportedError(f"the policy pack in {folder}, whose runtime is '{name}',")
    options = runtime.get("options") if isinstance(runtime, dict) else None
    return {"options": options or {}, "version": str(loaded.get("version") or "")}
