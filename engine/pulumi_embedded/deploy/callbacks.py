"""Calls back into the program: transforms of resources and invokes, resource hooks, error hooks."""

from __future__ import annotations

from typing import Any, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import Message
from pulumi.runtime.proto import callback_pb2, callback_pb2_grpc

from pulumi_embedded.deploy.channels import message_of, open_channel
from pulumi_embedded.deploy.provider import ProviderError

Answer = TypeVar("Answer", bound=Message)


class Callbacks:
    """The callback servers of one program, one connection each."""

    def __init__(self) -> None:
        self._channels: dict[str, Any] = {}

    async def invoke(self, callback: callback_pb2.Callback, request: Message, answer: type[Answer]) -> Answer:
        """Call a function of the program.

        Raises:
            ProviderError: the function raised, or the program is gone.
        """
        channel = self._channels.get(callback.target)
        if channel is None:
            channel = self._channels[callback.target] = open_channel(callback.target)
        stub = callback_pb2_grpc.CallbacksStub(channel)
        try:
            response = await stub.Invoke(
                callback_pb2.CallbackInvokeRequest(token=callback.token, request=request.SerializeToString())
            )
        except grpc.aio.AioRpcError as error:
            raise ProviderError(message_of(error)) from None
        return answer.FromString(response.response)

    async def close(self) -> None:
        """Close the connections."""
        for channel in self._channels.values():
            await channel.close()
