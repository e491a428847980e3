"""The pack as the engine runs it: the policy host of the SDK in a process of its own, asked over gRPC."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import json_format, struct_pb2
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc

PACK = Path(__file__).parents[2] / "policies"
# What stands for a string that only the update will tell (pulumi_policy.proxy).
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"


@dataclass(frozen=True)
class Verdict:
    """What the pack said of one resource: rule -> messages, the rules that do not apply, and other diagnostics."""

    violations: dict[str, list[str]]
    not_applicable: set[str]


@dataclass(frozen=True)
class Pack:
    """The running pack."""

    stub: analyzer_pb2_grpc.AnalyzerStub

    def judge(self, resource: str, properties: Mapping[str, Any]) -> Verdict:
        """Ask about a `railyard:<resource>` with these inputs."""
        struct = struct_pb2.Struct()
        json_format.ParseDict(dict(properties), struct)
        response = self.stub.Analyze(
            analyzer_pb2.AnalyzeRequest(
                type=f"pulumi-python:dynamic/railyard:{resource}",
                urn=f"urn:pulumi:local::railyard::pulumi-python:dynamic/railyard:{resource}::thing",
                name="thing",
                properties=struct,
            )
        )
        violations: dict[str, list[str]] = {}
        for diagnostic in response.diagnostics:
            violations.setdefault(diagnostic.policyName, []).append(diagnostic.message)
        return Verdict(violations, {n.policy_name for n in response.not_applicable})


@pytest.fixture(scope="session")
def pack() -> Iterator[Pack]:
    host = subprocess.Popen(
        # The engine's address is for logging alone; nothing has to answer there.
        [sys.executable, "-u", "-m", "pulumi.policy", "127.0.0.1:9", str(PACK)],
        cwd=PACK,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert host.stdout is not None
        port = int(host.stdout.readline())
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield Pack(analyzer_pb2_grpc.AnalyzerStub(channel))
    finally:
        host.kill()
        host.wait()
