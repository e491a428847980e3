"""A provider as a gRPC server on loopback, in threads.

Source: pulumi `proto/pulumi/provider.proto`, `sdk/go/common/resource/plugin/provider_server.go`.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NoReturn

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2

from providers.base.diffing import Change, Difference
from providers.base.provider import PartlyMadeError, Provider, ProviderError, Resource
from providers.base.values import Properties, marked_like, read, write

MESSAGE_BYTES = 400 * 1024 * 1024
# One slow call must not keep the others waiting: the engine starts as many as the graph allows.
THREADS = 48
_KINDS = {
    ("add", False): provider_pb2.PropertyDiff.ADD,
    ("add", True): provider_pb2.PropertyDiff.ADD_REPLACE,
    ("delete", False): provider_pb2.PropertyDiff.DELETE,
    ("delete", True): provider_pb2.PropertyDiff.DELETE_REPLACE,
    ("update", False): provider_pb2.PropertyDiff.UPDATE,
    ("update", True): provider_pb2.PropertyDiff.UPDATE_REPLACE,
}


class Servicer(provider_pb2_grpc.ResourceProviderServicer):
    """Speaks the protocol; what a method does is the provider's."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    # What the provider is.

    def Handshake(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802 - the protocol's names
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True, accept_resources=False)

    def Attach(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        return empty_pb2.Empty()

    def Cancel(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        return empty_pb2.Empty()

    def GetPluginInfo(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        return plugin_pb2.PluginInfo(version=self._provider.version)

    # Its configuration.

    def CheckConfig(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        with _told(context, request.urn):
            news = read(request.news)
            return _checked(news, self._provider.check_config(news))

    def DiffConfig(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        # The processes serve one emulated account: whatever is configured differently is still the same account.
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)

    def Configure(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        with _told(context, request.urn):
            self._provider.configure(read(request.args))
        return provider_pb2.ConfigureResponse(
            acceptSecrets=True, supportsPreview=True, acceptResources=False, acceptOutputs=False
        )

    # Its resources.

    def Check(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        with _told(context, request.urn):
            done = self._provider.check(
                _resource(request), read(request.olds), read(request.news), bytes(request.randomSeed)
            )
            return _checked(done.inputs, done.failures)

    def Diff(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        with _told(context, request.urn):
            state = read(request.olds)
            old = read(request.old_inputs) if request.HasField("old_inputs") else state
            new = _keeping(read(request.news), old, list(request.ignoreChanges))
            return _difference(self._provider.diff(_resource(request), old, state, new))

    def Create(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        inputs = read(request.properties)
        with _told(context, request.urn, inputs):
            made = self._provider.create(
                _resource(request), inputs, preview=request.preview, timeout_seconds=request.timeout
            )
            return provider_pb2.CreateResponse(id=made.id, properties=write(marked_like(made.outputs, inputs)))

    def Read(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        inputs, state = read(request.inputs), read(request.properties)
        with _told(context, request.urn, inputs):
            made = self._provider.read(_resource(request), inputs, state)
            if not made.id:
                return provider_pb2.ReadResponse()
            outputs = marked_like(marked_like(made.outputs, inputs), state)
            now = inputs if made.inputs is None else marked_like(made.inputs, inputs)
            return provider_pb2.ReadResponse(id=made.id, properties=write(outputs), inputs=write(now))

    def Update(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        old, state = read(request.old_inputs), read(request.olds)
        inputs = _keeping(read(request.news), old or state, list(request.ignoreChanges))
        with _told(context, request.urn, inputs):
            outputs = self._provider.update(
                _resource(request), old, state, inputs, preview=request.preview, timeout_seconds=request.timeout
            )
            return provider_pb2.UpdateResponse(properties=write(marked_like(outputs, inputs)))

    def Delete(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        with _told(context, request.urn):
            self._provider.delete(
                _resource(request), read(request.old_inputs), read(request.properties), timeout_seconds=request.timeout
            )
        return empty_pb2.Empty()

    def Invoke(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        with _told(context, request.tok):
            answer = provider_pb2.InvokeResponse()
            # "return" is a keyword of Python's.
            getattr(answer, "return").CopyFrom(write(self._provider.invoke(request.tok, read(request.args))))
            return answer


def _resource(request: Any) -> Resource:
    urn = request.urn
    # A parent's types come before the resource's own, divided by "$".
    own_type = urn.split("::")[2].rsplit("$", 1)[-1] if urn.count("::") > 2 else ""
    ignored = tuple(getattr(request, "ignoreChanges", ()))
    return Resource(urn, own_type, urn.rsplit("::", 1)[-1], getattr(request, "id", ""), ignored)


def _keeping(new: Properties, old: Properties, ignored: list[str]) -> Properties:
    """New inputs with the old values of top-level properties that changes are ignored of."""
    kept = dict(new)
    for name in ignored:
        if name in old:
            kept[name] = old[name]
        else:
            kept.pop(name, None)
    return kept


def _checked(inputs: Properties, failures: list[tuple[str, str]]) -> Any:
    return provider_pb2.CheckResponse(
        inputs=write(inputs),
        failures=[provider_pb2.CheckFailure(property=name, reason=reason) for name, reason in failures],
    )


def _difference(found: Difference) -> Any:
    kind = provider_pb2.DiffResponse.DIFF_SOME if found.changes else provider_pb2.DiffResponse.DIFF_NONE
    return provider_pb2.DiffResponse(
        changes=kind,
        diffs=sorted({_top(change) for change in found.changes}),
        replaces=[change.path for change in found.changes if change.replaces],
        deleteBeforeReplace=found.delete_first,
        hasDetailedDiff=bool(found.changes),
        detailedDiff={
            change.path: provider_pb2.PropertyDiff(kind=_KINDS[change.kind, change.replaces], inputDiff=True)
            for change in found.changes
        },
    )


def _top(change: Change) -> str:
    return change.path.split(".", 1)[0].split("[", 1)[0]


@contextmanager
def _told(context: grpc.ServicerContext, subject: str, inputs: Properties | None = None) -> Iterator[None]:
    """End the call with one sentence when the provider raises."""
    try:
        yield
    except PartlyMadeError as error:
        _partly_made(context, error, inputs or {})
    except ProviderError as error:
        context.abort(grpc.StatusCode.UNKNOWN, str(error))
    except Exception as error:
        # A fault of ours: whoever mends it needs the way there, whoever meets it the one sentence.
        traceback.print_exc(file=sys.stderr)
        context.abort(
            grpc.StatusCode.INTERNAL, f"{subject}: the provider stumbled over {type(error).__name__}: {error}"
        )


def _partly_made(context: grpc.ServicerContext, error: PartlyMadeError, inputs: Properties) -> NoReturn:
    detail = provider_pb2.ErrorResourceInitFailed(
        id=error.resource_id,
        properties=write(marked_like(error.outputs, inputs)),
        reasons=[str(error)],
        inputs=write(inputs),
    )
    status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=str(error))
    status.details.add().Pack(detail)
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(grpc.StatusCode.UNKNOWN, str(error))
    raise AssertionError("abort raises")


def start(provider: Provider, port: int = 0) -> tuple[grpc.Server, int]:
    """Serve a provider on loopback; returns the server and its port."""
    server = grpc.server(
        ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix=provider.package),
        options=[
            ("grpc.max_receive_message_length", MESSAGE_BYTES),
            ("grpc.max_send_message_length", MESSAGE_BYTES),
            ("grpc.so_reuseport", 0),
        ],
    )
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(Servicer(provider), server)
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    return server, bound
