"""A provider that does what its inputs tell it to, served from the test's own process, and remembers every call.

Inputs that steer it: `kinds` (a detailed diff: path to kind, when `value` changes), `hush` (comes back as the secret
output `password`), `replaceKeys` (names whose change replaces), `deleteFirst`, `detailed` (answer with a detailed
diff), `failCreate`, `failUpdate`, `failDelete`, `failCheck`,
`failCheckAfresh` (when there are no old inputs), `initError`,
`malformed` (a create's answer has a secret of nothing), `slow` (seconds), `sameWhen` (input names
whose change is no change), `out` (copied to the output `out`). What exists is in `cloud`, by id.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from concurrent import futures
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf import empty_pb2, json_format, struct_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc
from pulumi.runtime.proto import status_pb2 as rpc_status

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
SIG = "4dabf18193072939515e22adb298388d"
_SOME, _NONE = provider_pb2.DiffResponse.DIFF_SOME, provider_pb2.DiffResponse.DIFF_NONE
SECRET = "1b47061264138c4ac30d75fd1eb44270"


@dataclass
class Call:
    """One call of the provider: the method, the resource's name, and the request."""

    method: str
    name: str
    request: Any
    start: float
    end: float = 0.0

    def properties(self, field_name: str) -> dict[str, Any]:
        """Return a Struct of the request as a dict."""
        return to_dict(getattr(self.request, field_name))


def to_dict(struct: struct_pb2.Struct) -> dict[str, Any]:
    """Return a Struct as a dict, integral numbers as ints."""
    found: dict[str, Any] = json.loads(
        json_format.MessageToJson(struct),
        parse_float=lambda text: int(float(text)) if float(text).is_integer() else float(text),
    )
    return found


def to_struct(values: dict[str, Any]) -> struct_pb2.Struct:
    """Return a dict as a Struct."""
    struct = struct_pb2.Struct()
    struct.update(values)
    return struct


@dataclass
class Probe(provider_pb2_grpc.ResourceProviderServicer):
    """The provider."""

    accept_secrets: bool = True
    handshakes: bool = True
    cloud: dict[str, dict[str, Any]] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    configured: list[dict[str, Any]] = field(default_factory=list)
    attached: list[str] = field(default_factory=list)
    cancelled: threading.Event = field(default_factory=threading.Event)
    gates: dict[str, threading.Event] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._next = 0

    def methods(self, *methods: str) -> list[str]:
        """Return "method name" of each call of these methods, in the order in which they began."""
        wanted = methods or ("create", "update", "delete")
        return [f"{call.method} {call.name}" for call in self.calls if call.method in wanted]

    def of(self, method: str, name: str) -> Call:
        """Return the last call of a method for a resource."""
        return next(call for call in reversed(self.calls) if call.method == method and call.name == name)

    def forget(self) -> None:
        """Forget the calls so far."""
        self.calls.clear()

    @contextlib.contextmanager
    def _note(self, method: str, request: Any) -> Iterator[Call]:
        name = request.urn.rsplit("::", 1)[-1] if hasattr(request, "urn") else getattr(request, "tok", "")
        call = Call(method, name, request, time.monotonic())
        with self._lock:
            self.calls.append(call)
        try:
            yield call
        finally:
            call.end = time.monotonic()

    def _obey(self, news: dict[str, Any], key: str, context: Any) -> None:
        name = news.get("gate")
        if isinstance(name, str) and name in self.gates:
            self.gates[name].wait(20)
        if news.get("slow"):
            time.sleep(float(plain(news["slow"])))
        if news.get(key):
            context.abort(grpc.StatusCode.INTERNAL, str(plain(news[key])))

    def Handshake(self, request: Any, context: Any) -> Any:  # noqa: N802
        if not self.handshakes:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, "no handshake")
        return provider_pb2.ProviderHandshakeResponse(
            accept_secrets=self.accept_secrets, accept_resources=True, accept_outputs=True
        )

    def Attach(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.attached.append(request.address)
        return empty_pb2.Empty()

    def Cancel(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.cancelled.set()
        return empty_pb2.Empty()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:  # noqa: N802
        return plugin_pb2.PluginInfo(version="1.0.0")

    def CheckConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
        news = to_dict(request.news)
        if news.get("bad"):
            failure = provider_pb2.CheckFailure(property="bad", reason="bad is not wanted here")
            return provider_pb2.CheckResponse(inputs=request.news, failures=[failure])
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
        with self._note("diffconfig", request):
            olds, news = to_dict(request.old_inputs), to_dict(request.news)
            if olds.get("region") != news.get("region"):
                return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_SOME, replaces=["region"])
            changed = olds != news
            return provider_pb2.DiffResponse(changes=_SOME if changed else _NONE)

    def Configure(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.configured.append(to_dict(request.args))
        return provider_pb2.ConfigureResponse(
            acceptSecrets=self.accept_secrets, acceptResources=True, supportsPreview=True
        )

    def Check(self, request: Any, context: Any) -> Any:  # noqa: N802
        with self._note("check", request):
            news = to_dict(request.news)
            failures = []
            if news.get("failCheck"):
                failures = [provider_pb2.CheckFailure(property="failCheck", reason=str(news["failCheck"]))]
            if news.get("failCheckAfresh") and not to_dict(request.olds):
                failures = [provider_pb2.CheckFailure(property="value", reason=str(news["failCheckAfresh"]))]
            inputs = dict(news)
            if news.get("wantDefault") and "default" not in news:
                olds = to_dict(request.olds)
                inputs["default"] = olds.get("default") or f"generated-{len(self.calls)}"
            return provider_pb2.CheckResponse(inputs=to_struct(inputs), failures=failures)

    def Diff(self, request: Any, context: Any) -> Any:  # noqa: N802
        with self._note("diff", request):
            olds, news = to_dict(request.old_inputs), to_dict(request.news)
            ignored = set(news.get("sameWhen") or [])
            keys = sorted(
                key for key in {*olds, *news} if plain(olds.get(key)) != plain(news.get(key)) and key not in ignored
            )
            keys = [key for key in keys if key not in request.ignoreChanges]
            replacing = [key for key in keys if key in (news.get("replaceKeys") or [])]
            answer = provider_pb2.DiffResponse(
                changes=_SOME if keys else _NONE,
                diffs=keys,
                replaces=replacing,
                deleteBeforeReplace=bool(news.get("deleteFirst")),
            )
            if news.get("detailed"):
                answer.hasDetailedDiff = True
                for key in keys:
                    answer.detailedDiff[key].kind = provider_pb2.PropertyDiff.UPDATE
            if news.get("kinds") and "value" in keys:
                answer.hasDetailedDiff = True
                for path, kind in news["kinds"].items():
                    answer.detailedDiff[path].kind = provider_pb2.PropertyDiff.Kind.Value(kind)
            if news.get("diffUnknown"):
                return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_UNKNOWN)
            return answer

    def _outputs(self, news: dict[str, Any]) -> dict[str, Any]:
        outputs = {key: value for key, value in news.items() if key not in ("hidden",)}
        outputs["out"] = news.get("out", "made")
        if news.get("hush"):
            outputs["password"] = {SIG: SECRET, "value": plain(news["hush"])}
        return outputs

    def Create(self, request: Any, context: Any) -> Any:  # noqa: N802
        with self._note("preview-create" if request.preview else "create", request) as call:
            news = to_dict(request.properties)
            outputs = self._outputs(news)
            if request.preview:
                outputs["out"] = UNKNOWN
                return provider_pb2.CreateResponse(properties=to_struct(outputs))
            self._obey(news, "failCreate", context)
            with self._lock:
                self._next += 1
                resource_id = str(plain(news.get("fixedId")) or f"{call.name}-{self._next}")
                self.cloud[resource_id] = {"inputs": news, "outputs": outputs}
            if news.get("initError"):
                self._init_failed(context, resource_id, outputs, str(news["initError"]))
            if news.get("malformed"):
                outputs["odd"] = {SIG: SECRET}
            return provider_pb2.CreateResponse(id=resource_id, properties=to_struct(outputs))

    def Update(self, request: Any, context: Any) -> Any:  # noqa: N802
        with self._note("preview-update" if request.preview else "update", request):
            news = to_dict(request.news)
            outputs = self._outputs(news)
            if request.preview:
                return provider_pb2.UpdateResponse(properties=to_struct(outputs))
            self._obey(news, "failUpdate", context)
            if news.get("initError"):
                self._init_failed(context, request.id, outputs, str(news["initError"]))
            self.cloud[request.id] = {"inputs": news, "outputs": outputs}
            return provider_pb2.UpdateResponse(properties=to_struct(outputs))

    def Read(self, request: Any, context: Any) -> Any:  # noqa: N802
        with self._note("read", request):
            found = self.cloud.get(request.id)
            if found is None:
                return provider_pb2.ReadResponse()
            if found["inputs"].get("unreadable"):
                context.abort(grpc.StatusCode.INTERNAL, "cannot be read")
            return provider_pb2.ReadResponse(
                id=request.id, properties=to_struct(found["outputs"]), inputs=to_struct(found["inputs"])
            )

    def Delete(self, request: Any, context: Any) -> Any:  # noqa: N802
        with self._note("delete", request):
            self._obey(to_dict(request.properties), "failDelete", context)
            self.cloud.pop(request.id, None)
            return empty_pb2.Empty()

    def Invoke(self, request: Any, context: Any) -> Any:  # noqa: N802
        with self._note("invoke", request):
            arguments = to_dict(request.args)
            if arguments.get("fail"):
                context.abort(grpc.StatusCode.INTERNAL, str(arguments["fail"]))
            answer = provider_pb2.InvokeResponse()
            getattr(answer, "return").update({"echo": arguments.get("value"), "preview": request.preview})
            return answer

    def _init_failed(self, context: Any, resource_id: str, outputs: dict[str, Any], reason: str) -> None:
        detail = provider_pb2.ErrorResourceInitFailed(id=resource_id, properties=to_struct(outputs), reasons=[reason])
        status = rpc_status.Status(code=grpc.StatusCode.UNKNOWN.value[0], message="init failed")
        status.details.add().Pack(detail, type_url_prefix="type.googleapis.com")
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        context.abort(grpc.StatusCode.UNKNOWN, "init failed")


def plain(value: Any) -> Any:
    """Return what a secret on the wire holds."""
    if isinstance(value, dict) and value.get(SIG) == SECRET:
        return plain(value.get("value"))
    return value


@contextlib.contextmanager
def serving(probe: Probe) -> Iterator[int]:
    """Serve a probe on a free loopback port, and yield the port."""
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=40))
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(probe, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield port
    finally:
        server.stop(None)
