"""A provider that runs in a process of its own, over gRPC.

Source: pulumi `pkg/resource/plugin/provider_plugin.go`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio
from google.protobuf import empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from pulumi_embedded.deploy.answers import read_answer, read_diff, read_failures, to_configure_error
from pulumi_embedded.deploy.channels import (
    broke_off,
    is_unimplemented,
    message_of,
    open_channel,
    to_provider_error,
)
from pulumi_embedded.deploy.diffing import (
    UNKNOWN_CHANGES,
    DiffResult,
    DiffUnavailableError,
)
from pulumi_embedded.deploy.provider import (
    STATUS_UNKNOWN,
    CheckResult,
    DiffRequest,
    InitError,
    InvokeResult,
    ProviderError,
    ReadResult,
    UpdateCall,
)
from pulumi_embedded.errors import EngineError
from pulumi_embedded.properties import (
    Marshal,
    Properties,
    Unmarshal,
    annotate_secrets,
    contains_secrets,
    contains_unknowns,
    is_secret,
    make_secret,
    restore_elided_assets,
    without_secrets,
)
from pulumi_embedded.urn import PROVIDER_TYPE_PREFIX, urn_name, urn_type

_HANDSHAKE_SECONDS = 10.0
_UNAVAILABLE_DIFF = (
    "The provider for this resource has inputs that are not known during preview.\n"
    "This preview may not correctly represent the changes that will be applied during an update."
)


@dataclass(frozen=True, slots=True)
class Protocol:
    """What a provider said it understands."""

    secrets: bool = False
    resources: bool = False
    outputs: bool = False
    preview: bool = False


class PluginProvider:
    """One provider process, attached or started, and its configuration."""

    def __init__(
        self,
        name: str,
        address: str,
        engine_address: str,
        on_close: Callable[[], Awaitable[None]],
        last_words: Callable[[], Awaitable[str]],
    ) -> None:
        self.name = name
        self._address = address
        self._engine_address = engine_address
        self._on_close = on_close
        self._last_words = last_words
        self._channel = open_channel(address)
        self._stub: Any = provider_pb2_grpc.ResourceProviderStub(self._channel)
        self._protocol: Protocol | None = None
        self._configured: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._configuring: asyncio.Task[None] | None = None
        self.version = ""

    async def start(self, *, directory: str | None, attach: bool) -> None:
        """Shake hands with the provider; attach to one that somebody else started.

        Raises:
            EngineError: nothing answers.
        """
        request = provider_pb2.ProviderHandshakeRequest(
            engine_address=self._engine_address,
            root_directory=directory,
            program_directory=directory,
            configure_with_urn=True,
            supports_refresh_before_update=True,
            invoke_with_preview=True,
        )
        try:
            answer = await self._stub.Handshake(request, timeout=_HANDSHAKE_SECONDS, wait_for_ready=True)
            self._protocol = Protocol(
                answer.accept_secrets, answer.accept_resources, answer.accept_outputs, preview=True
            )
        except grpc.aio.AioRpcError as error:
            if not is_unimplemented(error):
                raise EngineError(
                    f"the provider '{self.name}' at {self._address} does not answer: {message_of(error)}"
                ) from None
        if attach:
            await self._attach()

    async def _attach(self) -> None:
        try:
            await self._stub.Attach(plugin_pb2.PluginAttach(address=self._engine_address))
        except grpc.aio.AioRpcError as error:
            raise EngineError(
                f"the provider '{self.name}' at {self._address} cannot be attached: {message_of(error)}"
            ) from None

    async def plugin_version(self) -> str:
        """Return the version the provider reports, "" when it reports none."""
        try:
            return str((await self._stub.GetPluginInfo(empty_pb2.Empty())).version)
        except grpc.aio.AioRpcError as error:
            if is_unimplemented(error):
                return ""
            raise await self._failure(error) from None

    async def check_config(self, urn: str, olds: Properties, news: Properties) -> CheckResult:
        """Validate the provider's own configuration."""
        marshal = Marshal(secrets=False, resources=False)
        request = provider_pb2.CheckRequest(
            urn=urn, name=urn_name(urn), type=urn_type(urn), olds=marshal.struct(olds), news=marshal.struct(news)
        )
        try:
            answer = await self._stub.CheckConfig(request)
        except grpc.aio.AioRpcError as error:
            if is_unimplemented(error):
                return CheckResult(news)
            raise await self._failure(error) from None
        inputs = Unmarshal().properties(self._readable(answer).inputs)
        return CheckResult(annotate_secrets(inputs, news), read_failures(answer.failures))

    async def diff_config(
        self,
        urn: str,
        old_inputs: Properties,
        old_outputs: Properties,
        new_inputs: Properties,
        ignore_changes: list[str],
    ) -> DiffResult:
        """Say what a change of the provider's configuration means."""
        marshal = Marshal(secrets=False, resources=False)
        request = provider_pb2.DiffRequest(
            urn=urn,
            name=urn_name(urn),
            type=urn_type(urn),
            old_inputs=marshal.struct(old_inputs),
            olds=marshal.struct(old_outputs),
            news=marshal.struct(new_inputs),
            ignoreChanges=ignore_changes,
        )
        try:
            return read_diff(await self._stub.DiffConfig(request))
        except grpc.aio.AioRpcError as error:
            if is_unimplemented(error):
                return DiffResult(changes=UNKNOWN_CHANGES)
            raise await self._failure(error) from None

    def configure(self, urn: str, provider_id: str, inputs: Properties) -> None:
        """Begin to configure the provider; failures show at its first use."""
        if self._configuring is not None or self._configured.done():
            return
        if any(contains_unknowns(value) for key, value in inputs.items() if key != "version"):
            self._protocol = self._protocol or Protocol()
            self._configured.set_result(False)
            return
        package = urn_type(urn).removeprefix(PROVIDER_TYPE_PREFIX)
        variables = {}
        for key, value in inputs.items():
            if key != "version":
                plain = without_secrets(value)
                text = plain if isinstance(plain, str) else json.dumps(plain, separators=(",", ":"))
                variables[f"{package}:config:{key}"] = text
        request = provider_pb2.ConfigureRequest(
            urn=urn,
            name=urn_name(urn),
            type=urn_type(urn),
            id=provider_id,
            acceptSecrets=True,
            acceptResources=True,
            sends_old_inputs=True,
            sends_old_inputs_to_delete=True,
            variables=variables,
            args=Marshal().struct(inputs),
        )
        self._configuring = asyncio.create_task(self._configure(request))

    async def _configure(self, request: provider_pb2.ConfigureRequest) -> None:
        try:
            answer = await self._stub.Configure(request)
        except grpc.aio.AioRpcError as error:
            failure = await self._failure(error) if broke_off(error) else to_configure_error(error)
            self._configured.set_exception(failure)
            self._configured.exception()  # seen, even when nothing uses this provider
            return
        if self._protocol is None:
            self._protocol = Protocol(
                answer.acceptSecrets, answer.acceptResources, answer.acceptOutputs, preview=answer.supportsPreview
            )
        self._configured.set_result(True)

    async def _ready(self) -> tuple[Protocol, bool]:
        """Return what the provider understands, and whether its configuration is known."""
        configured = self._configured
        known = configured.result() if configured.done() else await asyncio.shield(configured)
        return self._protocol or Protocol(), known

    async def check(
        self, urn: str, olds: Properties | None, news: Properties, *, allow_unknowns: bool, seed: bytes
    ) -> CheckResult:
        """Validate inputs and fill in defaults."""
        protocol, known = await self._ready()
        if not known:
            return CheckResult(news)
        marshal = Marshal(unknowns=allow_unknowns, secrets=protocol.secrets, resources=protocol.resources)
        request = provider_pb2.CheckRequest(
            urn=urn,
            name=urn_name(urn),
            type=urn_type(urn),
            olds=marshal.struct(olds),
            news=marshal.struct(news),
            randomSeed=seed,
        )
        answer = await self._call(self._stub.Check, request)
        inputs = Unmarshal(reject_unknowns=not allow_unknowns).properties(answer.inputs)
        if not protocol.secrets:
            inputs = annotate_secrets(inputs, news)
        return CheckResult(inputs, read_failures(answer.failures))

    async def diff(self, request: DiffRequest) -> DiffResult:
        """Say what would change.

        Raises:
            DiffUnavailableError: the provider's configuration is not known yet.
        """
        protocol, known = await self._ready()
        if not known:
            raise DiffUnavailableError(_UNAVAILABLE_DIFF)
        marshal = Marshal(
            unknowns=request.allow_unknowns, secrets=protocol.secrets, resources=protocol.resources, assets=False
        )
        answer = await self._call(
            self._stub.Diff,
            provider_pb2.DiffRequest(
                id=request.id,
                urn=request.urn,
                name=urn_name(request.urn),
                type=urn_type(request.urn),
                old_inputs=marshal.struct(request.old_inputs),
                olds=marshal.struct(request.old_outputs),
                news=marshal.struct(request.new_inputs),
                ignoreChanges=request.ignore_changes,
            ),
        )
        return read_diff(answer)

    async def create(self, urn: str, inputs: Properties, *, timeout: float, preview: bool) -> ReadResult:  # noqa: ASYNC109
        """Create a resource; return its id and outputs."""
        protocol, known = await self._ready()
        if preview and not known:
            return ReadResult(outputs={})
        if preview and not protocol.preview:
            return ReadResult(outputs=inputs)
        marshal = Marshal(unknowns=preview, secrets=protocol.secrets, resources=protocol.resources)
        request = provider_pb2.CreateRequest(
            urn=urn,
            name=urn_name(urn),
            type=urn_type(urn),
            properties=marshal.struct(inputs),
            timeout=timeout,
            preview=preview,
        )
        try:
            answer = await self._call(self._stub.Create, request)
        except InitError as error:
            error.state.outputs = self._outputs(error.state.outputs, inputs, protocol)
            raise
        if not answer.id and not preview:
            raise ProviderError(f"plugin returned empty resource.ID from create '{urn}'", STATUS_UNKNOWN)
        outputs = read_answer(answer.properties, reject_unknowns=not preview)
        return ReadResult(
            id=answer.id,
            outputs=self._outputs(outputs, inputs, protocol),
            refresh_before_update=answer.refresh_before_update,
        )

    async def update(self, call: UpdateCall) -> ReadResult:
        """Update a resource in place; return its outputs."""
        protocol, known = await self._ready()
        if call.preview and not known:
            return ReadResult(outputs={})
        if call.preview and not protocol.preview:
            return ReadResult(outputs=call.new_inputs)
        marshal = Marshal(unknowns=call.preview, secrets=protocol.secrets, resources=protocol.resources)
        old = Marshal(unknowns=False, secrets=protocol.secrets, resources=protocol.resources, assets=False)
        request = provider_pb2.UpdateRequest(
            id=call.id,
            urn=call.urn,
            name=urn_name(call.urn),
            type=urn_type(call.urn),
            old_inputs=old.struct(call.old_inputs),
            olds=old.struct(call.old_outputs),
            news=marshal.struct(call.new_inputs),
            timeout=call.timeout,
            ignoreChanges=call.ignore_changes,
            preview=call.preview,
        )
        try:
            answer = await self._call(self._stub.Update, request)
        except InitError as error:
            error.state.outputs = self._outputs(error.state.outputs, call.new_inputs, protocol)
            raise
        outputs = read_answer(answer.properties, reject_unknowns=not call.preview)
        return ReadResult(
            id=call.id,
            outputs=self._outputs(outputs, call.new_inputs, protocol),
            refresh_before_update=answer.refresh_before_update,
        )

    async def read(
        self,
        urn: str,
        resource_id: str,
        inputs: Properties | None,
        state: Properties | None,
        *,
        timeout: float,  # noqa: ASYNC109 - the provider keeps it
    ) -> ReadResult:
        """Read a resource."""
        protocol, known = await self._ready()
        if not known:
            return ReadResult(outputs={}, inputs={})
        marshal = Marshal(unknowns=False, secrets=protocol.secrets, resources=protocol.resources, assets=False)
        request = provider_pb2.ReadRequest(
            id=resource_id,
            urn=urn,
            name=urn_name(urn),
            type=urn_type(urn),
            properties=marshal.struct(state) if state is not None else None,
            inputs=marshal.struct(inputs) if inputs is not None else None,
            timeout=timeout,
        )
        try:
            answer = await self._call(self._stub.Read, request)
        except InitError as error:
            self._finish_read(error.state, inputs, state, protocol)
            raise
        reader = Unmarshal(reject_unknowns=True)
        result = ReadResult(
            id=answer.id,
            outputs=reader.properties(answer.properties) if answer.HasField("properties") else None,
            inputs=reader.properties(answer.inputs) if answer.HasField("inputs") else None,
            refresh_before_update=answer.refresh_before_update,
        )
        self._finish_read(result, inputs, state, protocol)
        return result

    def _finish_read(
        self, result: ReadResult, inputs: Properties | None, state: Properties | None, protocol: Protocol
    ) -> None:
        if result.inputs is not None:
            result.inputs = restore_elided_assets(inputs, self._outputs(result.inputs, inputs, protocol))
        if result.outputs is not None:
            result.outputs = restore_elided_assets(inputs, self._outputs(result.outputs, state, protocol))

    async def delete(
        self,
        urn: str,
        resource_id: str,
        inputs: Properties,
        outputs: Properties,
        *,
        timeout: float,  # noqa: ASYNC109 - the provider keeps it
    ) -> None:
        """Delete a resource."""
        protocol, _ = await self._ready()
        marshal = Marshal(unknowns=False, secrets=protocol.secrets, resources=protocol.resources, assets=False)
        request = provider_pb2.DeleteRequest(
            id=resource_id,
            urn=urn,
            name=urn_name(urn),
            type=urn_type(urn),
            properties=marshal.struct(outputs),
            old_inputs=marshal.struct(inputs),
            timeout=timeout,
        )
        await self._call(self._stub.Delete, request)

    async def invoke(self, token: str, arguments: Properties, *, preview: bool) -> InvokeResult:
        """Call a function."""
        protocol, known = await self._ready()
        if not known:
            return InvokeResult({})
        marshal = Marshal(unknowns=False, secrets=protocol.secrets, resources=protocol.resources)
        request = provider_pb2.InvokeRequest(tok=token, args=marshal.struct(arguments), preview=preview)
        answer = await self._call(self._stub.Invoke, request)
        result = Unmarshal(reject_unknowns=True).properties(getattr(answer, "return"))
        if contains_secrets(arguments) and not protocol.secrets:
            result = {key: value if is_secret(value) else make_secret(value) for key, value in result.items()}
        return InvokeResult(result, read_failures(answer.failures))

    async def construct(self, request: Any, inputs: Properties) -> Any:
        """Build a remote component; None while the configuration is not known."""
        protocol, known = await self._ready()
        if not known:
            return None
        if not protocol.secrets:
            raise ProviderError("plugins that can construct components must support secrets")
        Marshal(resources=protocol.resources, outputs=protocol.outputs).fill(request.inputs, inputs)
        return await self._call(self._stub.Construct, request)

    async def call(self, request: Any, arguments: Properties) -> Any:
        """Call a method of a component, or of the provider itself."""
        protocol, known = await self._ready()
        if not known:
            return provider_pb2.CallResponse()
        Marshal(secrets=protocol.secrets, resources=protocol.resources, outputs=protocol.outputs).fill(
            request.args, arguments
        )
        return await self._call(self._stub.Call, request)

    async def cancel(self) -> None:
        """Ask the provider to stop what it is doing."""
        with contextlib.suppress(grpc.aio.AioRpcError):
            await self._stub.Cancel(empty_pb2.Empty(), timeout=1.0)

    async def close(self) -> None:
        """Let go of the provider; end its process if the engine started it."""
        if self._configuring is not None:
            self._configuring.cancel()
        await self._channel.close(None)
        await self._on_close()

    @staticmethod
    def _outputs(outputs: Properties | None, given: Properties | None, protocol: Protocol) -> Properties:
        return (outputs or {}) if protocol.secrets else annotate_secrets(outputs, given)

    async def _call(self, method: Any, request: Any) -> Any:
        try:
            answer = await method(request)
        except grpc.aio.AioRpcError as error:
            raise await self._failure(error) from None
        return self._readable(answer)

    def _readable(self, answer: Any) -> Any:
        if answer is None:  # what gRPC makes of bytes that it cannot decode
            raise ProviderError(
                f"the provider '{self.name}' gave an answer that is no message, or nested too deep", STATUS_UNKNOWN
            )
        return answer

    async def _failure(self, error: grpc.aio.AioRpcError) -> ProviderError:
        if not broke_off(error):
            return to_provider_error(error)
        words = await self._last_words()
        return ProviderError(
            f"the provider '{self.name}' ended while it was at work ({message_of(error)}); look at whether what it was "
            f"asked for was done{f'; its last words: {words}' if words else ''}",
            STATUS_UNKNOWN,
        )
