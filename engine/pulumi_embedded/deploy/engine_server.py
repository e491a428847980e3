"""The Engine service: logs of programs and plugins, and the root resource."""

from __future__ import annotations

import re
from typing import Any

import grpc
import grpc.aio
from google.protobuf import empty_pb2
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc

from pulumi_embedded.deploy.events import DEBUG, ERROR, INFO, WARNING, Emitter
from pulumi_embedded.version import CLI_VERSION

_SEVERITIES = {
    engine_pb2.DEBUG: DEBUG,
    engine_pb2.INFO: INFO,
    engine_pb2.WARNING: WARNING,
    engine_pb2.ERROR: ERROR,
}
_CLOSED = "Resource monitor has terminated, shutting down"
"""What the SDK says when an update ends before its program does; why it ended has been told."""

_COMPARISON = re.compile(r"^(?P<operator>>=|<=|!=|==|=|>|<|!|\^|~)?\s*v?(?P<version>\d+(\.\d+)*(\.[xX*])?)$")


class EngineService(engine_pb2_grpc.EngineServicer):
    """Takes messages from programs and plugins, in the order in which they are sent."""

    def __init__(self, emitter: Emitter) -> None:
        self._emitter = emitter
        self._root = ""
        self.closing = False

    async def Log(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:  # noqa: N802
        """Show a message."""
        severity = _SEVERITIES.get(request.severity)
        if severity is None:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"Unrecognized logging severity: {request.severity}")
        if self.closing and request.message.strip() == _CLOSED:
            return empty_pb2.Empty()
        self._emitter.diagnostic(
            severity or INFO, request.message, request.urn, stream=request.streamId, ephemeral=request.ephemeral
        )
        return empty_pb2.Empty()

    async def GetRootResource(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Return the URN of the root stack resource."""
        return engine_pb2.GetRootResourceResponse(urn=self._root)

    async def SetRootResource(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Remember the URN of the root stack resource."""
        self._root = request.urn
        return engine_pb2.SetRootResourceResponse()

    async def StartDebugging(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:  # noqa: N802
        """Refuse: the debugger is outside the contract."""
        await context.abort(
            grpc.StatusCode.UNIMPLEMENTED,
            "debugging is not supported by the embedded engine; install the Pulumi CLI and run this command with it",
        )

    async def RequirePulumiVersion(  # noqa: N802
        self, request: Any, context: grpc.aio.ServicerContext[Any, Any]
    ) -> Any:
        """Check a program's demand on the CLI's version."""
        try:
            satisfied = in_range(CLI_VERSION, request.pulumi_version_range)
        except ValueError as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        if not satisfied:
            await context.abort(
                grpc.StatusCode.FAILED_PRECONDITION,
                f'Pulumi CLI version {CLI_VERSION} does not satisfy the version range "{request.pulumi_version_range}"',
            )
        return engine_pb2.RequirePulumiVersionResponse()


def in_range(version: str, wanted: str) -> bool:
    """Say whether a version is in a range such as `>=3.200.0 <4.0.0 || 5.1.0`.

    Raises:
        ValueError: the range is malformed.
    """
    present = _numbers(version)
    return any(
        all(_satisfies(present, part, wanted) for part in alternative.split()) for alternative in wanted.split("||")
    )


def _satisfies(present: tuple[int, ...], part: str, wanted: str) -> bool:
    match = _COMPARISON.match(part)
    if match is None or match["operator"] in ("^", "~"):
        raise ValueError(f'parsing CLI version range "{wanted}": could not parse "{part}"')
    text = match["version"]
    if text.endswith((".x", ".X", ".*")):
        prefix = _numbers(text[:-2], pad=False)
        same = present[: len(prefix)] == prefix
        return not same if match["operator"] in ("!", "!=") else same
    other = _numbers(text)
    return {
        ">=": present >= other,
        "<=": present <= other,
        ">": present > other,
        "<": present < other,
        "!": present != other,
        "!=": present != other,
    }.get(match["operator"] or "=", present == other)


def _numbers(text: str, *, pad: bool = True) -> tuple[int, ...]:
    numbers = [int(part) for part in text.split("-")[0].split(".")]
    if pad:
        numbers += [0] * (3 - len(numbers))
    return tuple(numbers)
