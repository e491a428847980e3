"""The honest floor for `benchmarks/engine.py`: runs the program of the current folder and answers every call.

No state, no provider, no steps: what remains is the program's own Python process and the calls it makes. Among them are
the SDK's debug messages, four a resource, which this engine takes; with `--quiet` it tells the program, as the embedded
engine does when nobody would see them, not to send them.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, resource_pb2, resource_pb2_grpc

import pulumi_embedded.deploy as deploy

PROJECT, STACK, PARALLEL = "bench", "bench", 16
LIMIT = 400 * 1024 * 1024


class Monitor(resource_pb2_grpc.ResourceMonitorServicer):
    """Registers whatever it is told and gives the inputs back as outputs."""

    async def SupportsFeature(self, request: Any, context: Any) -> resource_pb2.SupportsFeatureResponse:  # noqa: N802
        return resource_pb2.SupportsFeatureResponse(hasSupport=request.id != "parameterization")

    async def RegisterResource(self, request: Any, context: Any) -> resource_pb2.RegisterResourceResponse:  # noqa: N802
        urn = f"urn:pulumi:{STACK}::{PROJECT}::{request.type}::{request.name}"
        return resource_pb2.RegisterResourceResponse(urn=urn, id="1" if request.custom else "", object=request.object)

    async def RegisterResourceOutputs(self, request: Any, context: Any) -> empty_pb2.Empty:  # noqa: N802
        return empty_pb2.Empty()

    async def SignalAndWaitForShutdown(self, request: Any, context: Any) -> empty_pb2.Empty:  # noqa: N802
        return empty_pb2.Empty()


class Engine(engine_pb2_grpc.EngineServicer):
    """Keeps the root resource and drops the log."""

    def __init__(self) -> None:
        self._root = ""

    async def Log(self, request: Any, context: Any) -> empty_pb2.Empty:  # noqa: N802
        return empty_pb2.Empty()

    async def GetRootResource(self, request: Any, context: Any) -> engine_pb2.GetRootResourceResponse:  # noqa: N802
        return engine_pb2.GetRootResourceResponse(urn=self._root)

    async def SetRootResource(self, request: Any, context: Any) -> engine_pb2.SetRootResourceResponse:  # noqa: N802
        self._root = request.urn
        return engine_pb2.SetRootResourceResponse()


async def main() -> int:
    options = [("grpc.max_receive_message_length", LIMIT), ("grpc.max_send_message_length", LIMIT)]
    server = grpc.aio.server(options=options)
    resource_pb2_grpc.add_ResourceMonitorServicer_to_server(Monitor(), server)
    engine_pb2_grpc.add_EngineServicer_to_server(Engine(), server)
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    program = await asyncio.create_subprocess_exec(
        sys.executable,
        "-u",
        str(Path(deploy.__file__).with_name("run_program.py")),
        str(os.getpid()),
        stdin=asyncio.subprocess.PIPE,
    )
    arguments = {
        **{"monitor": address, "engine": address, "project": PROJECT, "stack": STACK, "organization": "organization"},
        **{"root_directory": str(Path.cwd()), "folder": str(Path.cwd()), "program": "."},
        **{"dry_run": True, "parallel": PARALLEL, "debug": "--quiet" not in sys.argv, "environment": {}},
    }
    assert program.stdin is not None
    program.stdin.write(json.dumps(arguments).encode() + b"\n")
    program.stdin.close()
    code = await program.wait()
    await server.stop(None)
    return code


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
