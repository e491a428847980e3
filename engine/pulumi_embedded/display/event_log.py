"""`--event-log`: every event as a line of a file, or sent to the listener of the Automation API."""

from __future__ import annotations

import json
import queue
from pathlib import Path
from typing import Any, Protocol

from pulumi_embedded.backend.files import explain
from pulumi_embedded.errors import EngineError, UsageError

_CLOSE_SECONDS = 5.0


class EventLog(Protocol):
    """Somewhere that events go."""

    def write(self, event: dict[str, Any]) -> None:
        """Record one event, already numbered."""

    def close(self) -> None:
        """Make sure that everything written has arrived."""


def open_event_log(target: str) -> EventLog:
    """Open the file, or the `tcp://host:port`, that `--event-log` names.

    Raises:
        UsageError: the address is malformed.
        EngineError: the file cannot be written.
    """
    return _Stream(target.removeprefix("tcp://")) if target.startswith("tcp://") else _File(Path(target))


def encode(event: dict[str, Any]) -> str:
    """Return the CLI's JSON of an event."""
    return json.dumps(event, separators=(",", ":"), ensure_ascii=False)


class _File:
    def __init__(self, path: Path) -> None:
        try:
            self._file = path.open("w", encoding="utf-8", buffering=1)
        except OSError as error:
            raise EngineError(f"the event log {path} cannot be written: {explain(error)}") from None

    def write(self, event: dict[str, Any]) -> None:
        self._file.write(encode(event) + "\n")

    def close(self) -> None:
        self._file.close()


class _Stream:
    """A client of the `Events` service; sending never waits for the listener."""

    def __init__(self, address: str) -> None:
        import grpc
        from pulumi.runtime.proto import events_pb2, events_pb2_grpc

        host, _, port = address.rpartition(":")
        if not host or not port.isdigit():
            raise UsageError(f"'tcp://{address}' is not an address for --event-log; it has the form tcp://host:port")
        self._request = events_pb2.EventRequest
        self._queue: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        unlimited = 400 * 1024 * 1024
        self._channel = grpc.insecure_channel(
            address,
            options=[
                ("grpc.max_send_message_length", unlimited),
                ("grpc.max_receive_message_length", unlimited),
                ("grpc.enable_http_proxy", 0),
            ],
        )
        stub = events_pb2_grpc.EventsStub(self._channel)  # type: ignore[no-untyped-call,unused-ignore]
        self._call = stub.StreamEvents.future(self._requests())

    def _requests(self) -> Any:
        while (text := self._queue.get()) is not None:
            yield self._request(event=text)

    def write(self, event: dict[str, Any]) -> None:
        self._queue.put(encode(event) + "\n")

    def close(self) -> None:
        import grpc

        self._queue.put(None)
        try:
            self._call.result(timeout=_CLOSE_SECONDS)
        except (grpc.RpcError, grpc.FutureTimeoutError):
            return  # the listener went away: as with the CLI, that does not fail the update
        finally:
            self._channel.close()
