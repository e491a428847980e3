"""The ResourceMonitor service: what a program registers, reads and asks.

Source: pulumi `pkg/resource/deploy/source_eval.go`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from pathlib import Path
from typing import Any, TypeVar

import grpc
import grpc.aio
from google.protobuf import empty_pb2
from pulumi.runtime.proto import callback_pb2, resource_pb2, resource_pb2_grpc

from pulumi_embedded.deploy.assets import has_unhashed, with_hashes
from pulumi_embedded.deploy.builtins import STACK_REFERENCE
from pulumi_embedded.deploy.callbacks import Callbacks
from pulumi_embedded.deploy.components import call_method, construct_request, constructed, receiver, self_urn
from pulumi_embedded.deploy.default_providers import DefaultProviderDeniedError, DefaultProviders, PackageRequest
from pulumi_embedded.deploy.deployment import Deployment
from pulumi_embedded.deploy.go_text import problems_text
from pulumi_embedded.deploy.goal import ReadRequest, RegisterResult
from pulumi_embedded.deploy.provider import ProviderError
from pulumi_embedded.deploy.registration import RegistrationReader, RemoteGoal
from pulumi_embedded.deploy.source_positions import SourcePositions
from pulumi_embedded.deploy.step_base import Registration
from pulumi_embedded.properties import Marshal, Properties, Unmarshal, contains_unknowns
from pulumi_embedded.state.resource import ResourceState
from pulumi_embedded.urn import is_provider_type

Context = Any
Answer = TypeVar("Answer")

_FEATURES = {
    "secrets": resource_pb2.RESOURCE_MONITOR_FEATURE_SECRETS,
    "resourceReferences": resource_pb2.RESOURCE_MONITOR_FEATURE_RESOURCE_REFERENCES,
    "outputValues": resource_pb2.RESOURCE_MONITOR_FEATURE_OUTPUT_VALUES,
    "aliasSpecs": resource_pb2.RESOURCE_MONITOR_FEATURE_ALIAS_SPECS,
    "replacementTrigger": resource_pb2.RESOURCE_MONITOR_FEATURE_REPLACEMENT_TRIGGER,
    "deletedWith": resource_pb2.RESOURCE_MONITOR_FEATURE_DELETED_WITH,
    "replaceWith": resource_pb2.RESOURCE_MONITOR_FEATURE_REPLACE_WITH,
    "transforms": resource_pb2.RESOURCE_MONITOR_FEATURE_TRANSFORMS,
    "invokeTransforms": resource_pb2.RESOURCE_MONITOR_FEATURE_INVOKE_TRANSFORMS,
    "resourceHooks": resource_pb2.RESOURCE_MONITOR_FEATURE_RESOURCE_HOOKS,
    "errorHooks": resource_pb2.RESOURCE_MONITOR_FEATURE_ERROR_HOOKS,
    "sendsOptionsToHooks": resource_pb2.RESOURCE_MONITOR_FEATURE_SENDS_OPTIONS_TO_HOOKS,
    "invokeDependsOn": resource_pb2.RESOURCE_MONITOR_FEATURE_INVOKE_DEPENDS_ON,
    "invokeParent": resource_pb2.RESOURCE_MONITOR_FEATURE_INVOKE_PARENT,
}
"""What this engine can do; parameterization, state migrations and byte strings are left out."""

_RESULTS: dict[str, Any] = {"success": 0, "failed": 1, "skipped": 2}
"""The wire's numbers; the pinned SDK has no name for the third, and treats all but the first as failures."""

_ASKED_BY_NAME = set(_FEATURES) - {"invokeDependsOn", "invokeParent"}
_UNSUPPORTED = "is not supported by the embedded engine; install the Pulumi CLI and run this command with it"


class MonitorService(resource_pb2_grpc.ResourceMonitorServicer):
    """Serves one program. `finished` is set when the program says that it has registered everything."""

    def __init__(
        self,
        deployment: Deployment,
        callbacks: Callbacks,
        defaults: DefaultProviders,
        *,
        directory: Path,
        address: str,
    ) -> None:
        self._deployment = deployment
        self._callbacks = callbacks
        self._defaults = defaults
        self._directory = directory
        self._address = address
        self._positions = SourcePositions(deployment.request.project.root)
        self._reader = RegistrationReader(deployment, callbacks, defaults, self._positions)
        self._packages: dict[str, PackageRequest] = {}
        self._invoke_transforms: list[callback_pb2.Callback] = []
        self._open: set[asyncio.Task[Any]] = set()
        self._in_flight: set[asyncio.Task[Any]] = set()
        self._closing = asyncio.Event()
        self.finished = asyncio.Event()

    def close(self) -> None:
        """Answer everything that waits: the deployment is over."""
        self._closing.set()
        for call in self._open:
            call.cancel()

    async def settle(self) -> None:
        """Wait until every request that changes something is answered."""
        while self._in_flight and not self._closing.is_set():
            closing = asyncio.create_task(self._closing.wait())
            await asyncio.wait({*self._in_flight, closing}, return_when=asyncio.FIRST_COMPLETED)
            closing.cancel()

    async def GetDeploymentInfo(self, request: Any, context: Context) -> Any:  # noqa: N802
        """Return what the program may know of its stack."""
        wanted = self._deployment.request
        return resource_pb2.DeploymentInfo(
            project=wanted.project.name,
            stack=wanted.stack,
            organization=wanted.organization,
            config=wanted.config,
            configSecretKeys=wanted.config_secret_keys,
            dryRun=wanted.dry_run,
            parallel=wanted.options.parallel,
            supportedFeatures=list(_FEATURES.values()),
        )

    async def SupportsFeature(self, request: Any, context: Context) -> Any:  # noqa: N802
        """Say whether this engine has a feature."""
        return resource_pb2.SupportsFeatureResponse(hasSupport=request.id in _ASKED_BY_NAME)

    async def RegisterResource(self, request: Any, context: Context) -> Any:  # noqa: N802
        """Bring a resource to the state the program asks for."""
        return await self._serve(self._register(request, context), context)

    async def _register(self, request: Any, context: Context) -> Any:
        if request.state_migrations:
            await self._refuse(context, f"a state migration of '{request.name}' {_UNSUPPORTED}")
        package = await self._package(request, request.type, context)
        try:
            if request.remote:
                return await self._construct(request, await self._reader.read_remote(request, package), context)
            goal, transforms = await self._reader.read(request, package)
        except DefaultProviderDeniedError as denied:
            return await self._deny(context, denied, request)
        if has_unhashed(goal.properties):
            goal.properties = await asyncio.to_thread(with_hashes, goal.properties, self._directory)
        registration = Registration()
        result = await self._answer(self._deployment.register(goal, registration), registration)
        if result.result != "success" and not request.supportsResultReporting:
            await context.abort(grpc.StatusCode.INTERNAL, "resource registration failed")
        self._reader.remember(goal, result.state.urn, request, transforms)
        return self._registered(request, result)

    async def _construct(self, request: Any, goal: RemoteGoal, context: Context) -> Any:
        """Let a provider build a remote component; what is inside it comes back as registrations of its own."""
        provider = self._deployment.registry.get(goal.provider)
        if provider is None:
            raise ValueError(f"unknown provider '{goal.provider}'")
        if has_unhashed(goal.properties):
            goal.properties = await asyncio.to_thread(with_hashes, goal.properties, self._directory)
        wanted = construct_request(
            request,
            goal,
            self._deployment.request,
            dry_run=self._deployment.dry_run,
            monitor_address=self._address,
        )
        try:
            answer = await provider.construct(wanted, goal.properties)
        except ProviderError as error:
            said = problems_text(error.message, error.problems, goal.properties)
            await self._give_up(context, f"{request.type} resource '{request.name}' has a problem: {said}")
        if answer is None:  # the provider's settings are not known yet: the component alone is registered
            bare: Any = resource_pb2.RegisterResourceRequest(
                type=request.type, name=request.name, parent=request.parent
            )
            return await self._register(bare, context)
        return constructed(request, answer)

    async def _give_up(self, context: Context, message: str) -> None:
        """Tell why the update cannot go on, and end it."""
        self._deployment.emitter.error(message)
        self._deployment.failed = True
        self._deployment.executor.stop()
        await context.abort(grpc.StatusCode.UNKNOWN, "resource monitor shut down")

    def _registered(self, request: Any, result: RegisterResult) -> Any:
        state = result.state
        outputs = state.outputs if request.custom else {}
        if not request.supportsPartialValues:
            outputs = {key: value for key, value in outputs.items() if not contains_unknowns(value)}
        marshal = Marshal(secrets=request.acceptSecrets, resources=request.acceptResources)
        return resource_pb2.RegisterResourceResponse(
            urn=state.urn,
            id=state.id,
            object=marshal.struct(outputs),
            result=_RESULTS[result.result],
            unknown=result.unknown,
        )

    async def _deny(self, context: Context, denied: DefaultProviderDeniedError, request: Any) -> Any:
        urn = self._deployment.make_urn(request.parent, request.type, request.name)
        message = f"Default provider for '{denied.package}' disabled. '{urn}' must use an explicit provider."
        self._deployment.emitter.error(message, urn)
        self._deployment.failed = True
        self._deployment.executor.stop()
        await context.abort(grpc.StatusCode.FAILED_PRECONDITION, message)

    async def RegisterResourceOutputs(self, request: Any, context: Context) -> Any:  # noqa: N802
        """Take the outputs of a component or of the stack."""
        recording = asyncio.ensure_future(self._register_outputs(request))
        self._in_flight.add(recording)  # goes on though the program is gone
        recording.add_done_callback(self._in_flight.discard)
        return await self._serve(asyncio.shield(recording), context)

    async def _register_outputs(self, request: Any) -> Any:
        outputs = Unmarshal().properties(request.outputs)
        if has_unhashed(outputs):
            outputs = await asyncio.to_thread(with_hashes, outputs, self._directory)
        try:
            await self._deployment.executor.register_outputs(request.urn, outputs)
        except ValueError as error:
            self._deployment.emitter.error(str(error), request.urn)
            self._deployment.failed = True
            self._deployment.executor.stop()
            raise
        return empty_pb2.Empty()

    async def ReadResource(self, request: Any, context: Context) -> Any:  # noqa: N802
        """Read a resource that the program does not own."""
        return await self._serve(self._read(request, context), context)

    async def _read(self, request: Any, context: Context) -> Any:
        provider = request.provider
        package = await self._package(request, request.type, context)
        if not provider and not is_provider_type(request.type):
            try:
                provider = await self._defaults.reference(package)
            except DefaultProviderDeniedError as denied:
                return await self._deny(context, denied, request)
        position, trace = self._positions.of(request)
        wanted = ReadRequest(
            type=request.type,
            name=request.name,
            id=request.id,
            parent=request.parent,
            provider=provider,
            properties=Unmarshal().properties(request.properties),
            dependencies=list(request.dependencies),
            additional_secret_outputs=list(request.additionalSecretOutputs),
            source_position=position,
            stack_trace=trace,
        )
        registration = Registration()
        result = await self._answer(self._deployment.read(wanted, registration), registration)
        marshal = Marshal(secrets=request.acceptSecrets, resources=request.acceptResources)
        return resource_pb2.ReadResourceResponse(urn=result.state.urn, properties=marshal.struct(result.state.outputs))

    async def Invoke(self, request: Any, context: Context) -> Any:  # noqa: N802
        """Call a function of a provider."""
        return await self._serve(self._invoke(request, context), context, changes=False)

    async def _invoke(self, request: Any, context: Context) -> Any:
        arguments = Unmarshal().properties(request.args)
        package = await self._package(request, request.tok, context)
        provider = request.provider or self._reader.inherited_provider(request.parent, package.package)
        for transform in self._invoke_transforms:
            arguments, provider, package = await self._transform_invoke(
                transform, request.tok, arguments, provider, package
            )
        try:
            reference = provider or await self._defaults.reference(package)
        except DefaultProviderDeniedError as denied:
            message = (
                f"Default provider for '{denied.package}' disabled. '{request.tok}' must use an explicit provider."
            )
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, message)
        plugin = self._deployment.registry.get(reference)
        if plugin is None:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"Invoke: unknown provider '{reference}'")
        assert plugin is not None
        if any(self._unresolved(urn) for urn in request.dependsOn):
            return resource_pb2.ResourceInvokeResponse(unknown=True)
        try:
            result = await plugin.invoke(request.tok, arguments, preview=self._deployment.dry_run)
        except ProviderError as error:
            message = f"invocation of {request.tok} returned an error: {error}"
            await context.abort(grpc.StatusCode.UNKNOWN, message)
        resources = request.acceptResources or request.tok == "pulumi:pulumi:getResource"
        answer = resource_pb2.ResourceInvokeResponse(
            failures=[{"property": failure.property, "reason": failure.reason} for failure in result.failures]
        )
        Marshal(resources=resources).fill(getattr(answer, "return"), result.properties)
        getattr(answer, "return").SetInParent()
        return answer

    def _unresolved(self, urn: str) -> bool:
        """Say whether a resource that an invoke depends on does not exist yet (previews)."""
        pending = [urn]
        seen: set[str] = set()
        news = self._deployment.news
        while pending:
            current = pending.pop()
            if current in seen:
                continue
            seen.add(current)
            state: ResourceState | None = news.get(current) or self._deployment.reads.get(current)
            if state is None:
                return True
            if state.custom and (not state.id or contains_unknowns(state.id)):
                return True
            if not state.custom:
                pending += [child.urn for child in news.values() if child.parent == current]
        return False

    async def _transform_invoke(
        self,
        callback: callback_pb2.Callback,
        token: str,
        arguments: Properties,
        provider: str,
        package: PackageRequest,
    ) -> tuple[Properties, str, PackageRequest]:
        options = resource_pb2.TransformInvokeOptions(
            provider=provider, version=package.version, plugin_download_url=package.download_url
        )
        asked = resource_pb2.TransformInvokeRequest(
            token=token, args=Marshal(outputs=True).struct(arguments), options=options
        )
        answer = await self._callbacks.invoke(callback, asked, resource_pb2.TransformInvokeResponse)
        if answer.HasField("args"):
            arguments = Unmarshal().properties(answer.args)
        if answer.HasField("options"):
            options = answer.options
        changed = PackageRequest(package.package, options.version, options.plugin_download_url.rstrip("/"))
        return arguments, options.provider, changed

    async def Call(self, request: Any, context: Context) -> Any:  # noqa: N802
        """Call a method of a remote component, or of a provider."""
        return await self._serve(self._call(request, context), context)

    async def _call(self, request: Any, context: Context) -> Any:
        deployment = self._deployment
        reference = receiver(request) or request.provider
        if not reference:
            urn = self_urn(request)
            if urn and urn not in deployment.goals:
                raise ValueError(f"unknown resource {urn}")
            reference = deployment.goals[urn].provider if urn else ""
        reference = reference or await self._defaults.reference(await self._package(request, request.tok, context))
        provider = deployment.registry.get(reference)
        if provider is None:
            raise ValueError(f"unknown provider '{reference}'")
        try:
            return await call_method(
                request, provider, deployment.request, dry_run=deployment.dry_run, monitor_address=self._address
            )
        except ProviderError as error:
            said = problems_text(error.message, error.problems, Unmarshal(outputs=True).properties(request.args))
            await self._give_up(context, f"call to function '{request.tok}' failed: {said}")

    async def RegisterStackTransform(self, request: Any, context: Context) -> Any:  # noqa: N802
        """Remember a transform of every resource of the stack."""
        self._reader.stack_transforms.append(request)
        return empty_pb2.Empty()

    async def RegisterStackInvokeTransform(self, request: Any, context: Context) -> Any:  # noqa: N802
        """Remember a transform of every invoke of the stack."""
        self._invoke_transforms.append(request)
        return empty_pb2.Empty()

    async def RegisterResourceHook(self, request: Any, context: Context) -> Any:  # noqa: N802
        """Remember a resource hook."""
        try:
            self._deployment.hooks.register(
                request.name, request.callback, on_dry_run=request.on_dry_run, ignore_errors=request.ignore_errors
            )
        except ValueError as error:
            await context.abort(grpc.StatusCode.UNKNOWN, str(error))
        return empty_pb2.Empty()

    async def RegisterErrorHook(self, request: Any, context: Context) -> Any:  # noqa: N802
        """Remember an error hook."""
        try:
            self._deployment.hooks.register(request.name, request.callback, is_error_hook=True)
        except ValueError as error:
            await context.abort(grpc.StatusCode.UNKNOWN, str(error))
        return empty_pb2.Empty()

    async def RegisterPackage(self, request: Any, context: Context) -> Any:  # noqa: N802
        """Give a package a short name; parameterized ones are refused."""
        if request.HasField("parameterization") or request.HasField("extension"):
            await self._refuse(context, f"the parameterized package of '{request.name}' {_UNSUPPORTED}")
        if not request.name:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "package name is empty")
        package = PackageRequest(request.name, request.version, request.download_url.rstrip("/"))
        reference = f"{package.package}-{package.version}-{package.download_url}"
        self._packages[reference] = package
        return resource_pb2.RegisterPackageResponse(ref=reference)

    async def SignalAndWaitForShutdown(self, request: Any, context: Context) -> Any:  # noqa: N802
        """Note that the program has registered everything; answer when the deployment is over."""
        if self.finished.is_set():
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "Already waiting for shutdown")
        self.finished.set()
        await self._closing.wait()
        return empty_pb2.Empty()

    async def _package(self, request: Any, token: str, context: Context) -> PackageRequest:
        """Return the package that a request is about."""
        if request.packageRef:
            package = self._packages.get(request.packageRef)
            if package is None:
                await context.abort(
                    grpc.StatusCode.INVALID_ARGUMENT, f"unknown provider package '{request.packageRef}'"
                )
            assert package is not None
            return package
        name = token.partition(":")[0]
        version = "" if token == STACK_REFERENCE else request.version
        return PackageRequest(name, version, request.pluginDownloadURL.rstrip("/") if version else "")

    async def _answer(self, work: Awaitable[None], registration: Registration) -> RegisterResult:
        """Start the work and wait for the program's answer, which may come before the work is done."""
        task = asyncio.ensure_future(work)
        self._in_flight.add(task)
        task.add_done_callback(self._in_flight.discard)
        return await registration.answer

    async def _serve(self, handler: Awaitable[Answer], context: Context, *, changes: bool = True) -> Answer:
        """Run a handler in the call's own task; one without an answer when the deployment ends is told so.

        A task more for each call would be a tenth of what an unchanged resource costs.
        """
        call = asyncio.current_task()
        assert call is not None
        self._open.add(call)
        if changes:
            self._in_flight.add(call)
        try:
            return await handler
        except asyncio.CancelledError:
            if not self._closing.is_set():
                raise
            call.uncancel()
            await context.abort(grpc.StatusCode.UNAVAILABLE, "resource monitor shut down")
            raise
        except grpc.aio.AbortError:
            raise
        except Exception as error:
            await context.abort(grpc.StatusCode.UNKNOWN, str(error) or type(error).__name__)
            raise
        finally:
            self._open.discard(call)
            self._in_flight.discard(call)

    @staticmethod
    async def _refuse(context: Context, message: str) -> None:
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, message)
