"""gRPC channels and servers on loopback, set up as the CLI does, and what its errors mean."""

from __future__ import annotations

import re
from typing import Any

import grpc
import grpc.aio
from google.protobuf.message import Message
from pulumi.runtime.proto import errors_pb2, provider_pb2, status_pb2

from pulumi_embedded.deploy.provider import (
    STATUS_OK,
    STATUS_UNKNOWN,
    InitError,
    ProviderError,
    ReadResult,
)
from pulumi_embedded.properties import Unmarshal

_MESSAGE_BYTES = 400 * 1024 * 1024
OPTIONS: list[tuple[str, Any]] = [
    ("grpc.max_receive_message_length", _MESSAGE_BYTES),
    ("grpc.max_send_message_length", _MESSAGE_BYTES),
    ("grpc.enable_http_proxy", 0),
    ("grpc.so_reuseport", 0),
]
_UNKNOWN_OUTCOME = {grpc.StatusCode.INTERNAL, grpc.StatusCode.DATA_LOSS, grpc.StatusCode.UNKNOWN}

_FRAME = re.compile(r'^\s*File "(?P<file>[^"]+)", line \d+')
_FOREIGN = ("/pulumi/dynamic/", "/pulumi/policy/", "/grpc/", "/pulumi_policy/", "<frozen")


def open_channel(address: str) -> grpc.aio.Channel:
    """Open a channel to a server on this machine."""
    return grpc.aio.insecure_channel(address, options=OPTIONS)


def new_server() -> tuple[grpc.aio.Server, str]:
    """Return a server that is not started yet, and its address on a free loopback port."""
    server = grpc.aio.server(options=OPTIONS)
    port = server.add_insecure_port("127.0.0.1:0")
    return server, f"127.0.0.1:{port}"


def is_unimplemented(error: grpc.aio.AioRpcError) -> bool:
    """Say whether the server does not know the method."""
    return error.code() == grpc.StatusCode.UNIMPLEMENTED


def details(error: grpc.aio.AioRpcError) -> list[Any]:
    """Return the messages attached to an error that this engine knows."""
    found: list[Any] = []
    metadata: Any = error.trailing_metadata()
    for key, value in metadata or ():
        if key != "grpc-status-details-bin" or not isinstance(value, bytes):
            continue
        status = status_pb2.Status.FromString(value)
        for item in status.details:
            kind: Any
            for kind in _DETAILS:
                if item.Is(kind.DESCRIPTOR):
                    message = kind()
                    item.Unpack(message)
                    found.append(message)
    return found


_DETAILS: tuple[type[Message], ...] = (
    provider_pb2.ErrorResourceInitFailed,
    provider_pb2.ConfigureErrorMissingKeys,
    errors_pb2.ErrorCause,
    errors_pb2.InputPropertiesError,
)


def message_of(error: grpc.aio.AioRpcError) -> str:
    """Return what an error says, a traceback reduced to the frames of the provider's own code."""
    message = error.details() or ("" if problems_of(error) else error.code().name)
    for detail in details(error):
        if isinstance(detail, errors_pb2.ErrorCause):
            message = f"{message}: {detail.message}"
    return tidy_traceback(message)


def problems_of(error: grpc.aio.AioRpcError) -> list[tuple[str, str]]:
    """Return what an error says of single inputs: their paths, and what is wrong with them."""
    return [
        (item.property_path, item.reason)
        for detail in details(error)
        if isinstance(detail, errors_pb2.InputPropertiesError)
        for item in detail.errors
    ]


def tidy_traceback(text: str) -> str:
    """Drop the frames of the SDK and of gRPC from a traceback; any other text comes back as it is."""
    if "Traceback (most recent call last)" not in text:
        return text
    lines = text.splitlines()
    kept: list[str] = []
    skipping = False
    for line in lines:
        frame = _FRAME.match(line)
        if frame:
            skipping = any(part in frame["file"] for part in _FOREIGN)
        elif not line.startswith("    "):
            skipping = False
        if not skipping:
            kept.append(line)
    return "\n".join(kept).strip()


def broke_off(error: grpc.aio.AioRpcError) -> bool:
    """Say whether the other side went away instead of answering."""
    return error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)


def to_provider_error(error: grpc.aio.AioRpcError) -> ProviderError:
    """Turn a provider's RPC error into what it means for the resource."""
    for detail in details(error):
        if isinstance(detail, provider_pb2.ErrorResourceInitFailed):
            reader = Unmarshal(reject_unknowns=False)
            state = ReadResult(
                id=detail.id,
                outputs=reader.properties(detail.properties),
                inputs=reader.properties(detail.inputs) if detail.HasField("inputs") else None,
                refresh_before_update=detail.refresh_before_update,
            )
            return InitError(list(detail.reasons), state)
    status = STATUS_UNKNOWN if error.code() in _UNKNOWN_OUTCOME else STATUS_OK
    return ProviderError(message_of(error), status, problems_of(error))
