"""One run of the engine, from the request to the result: sets the parts up, runs them, and takes them down again.

Source: pulumi `pkg/engine/update.go`, `deployment.go`.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from pulumi.runtime.proto import engine_pb2_grpc, resource_pb2_grpc

from pulumi_embedded.deploy.analyzer import Analyzer, load_analyzer
from pulumi_embedded.deploy.builtins import BuiltinProvider
from pulumi_embedded.deploy.callbacks import Callbacks
from pulumi_embedded.deploy.channels import new_server
from pulumi_embedded.deploy.default_providers import DefaultProviders
from pulumi_embedded.deploy.deployment import Deployment
from pulumi_embedded.deploy.engine_server import EngineService
from pulumi_embedded.deploy.events import Emitter
from pulumi_embedded.deploy.executor import Executor
from pulumi_embedded.deploy.fold import Operation
from pulumi_embedded.deploy.hooks import Hooks
from pulumi_embedded.deploy.host import PluginHost
from pulumi_embedded.deploy.importing import Importer
from pulumi_embedded.deploy.interpreter import Interpreter, resolve_interpreter
from pulumi_embedded.deploy.journal import Recorder
from pulumi_embedded.deploy.language import Program
from pulumi_embedded.deploy.launch import program_folder
from pulumi_embedded.deploy.monitor import MonitorService
from pulumi_embedded.deploy.plan import FailedError, Plan
from pulumi_embedded.deploy.policies import Policies
from pulumi_embedded.deploy.processes import Children
from pulumi_embedded.deploy.registry import Registry, package_for
from pulumi_embedded.deploy.request import CancelToken, JournalWriter, UpdateRequest, UpdateResult
from pulumi_embedded.errors import EngineError, UnsupportedError
from pulumi_embedded.properties import MASK, Properties
from pulumi_embedded.state.resource import ResourceState
from pulumi_embedded.urn import ROOT_STACK_TYPE, is_provider_type

_GRACE_SECONDS = 0.5
"""How long a server lets answers out that are on their way."""


def run(
    request: UpdateRequest,
    *,
    journal: JournalWriter | None,
    events: Callable[[dict[str, Any]], None],
    cancel: CancelToken,
) -> UpdateResult:
    """Run one update; see `pulumi_embedded.deploy.run_update`."""
    return asyncio.run(_run(request, journal, events, cancel))


async def _run(
    request: UpdateRequest,
    journal: JournalWriter | None,
    events: Callable[[dict[str, Any]], None],
    cancel: CancelToken,
) -> UpdateResult:
    update = Update(request, None if request.dry_run else journal, events)
    work = asyncio.create_task(update.run())
    loop = asyncio.get_running_loop()

    def unheard(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if not update.cancelled:  # else: what tasks say that nobody waits for any more
            loop.default_exception_handler(context)

    loop.set_exception_handler(unheard)

    def react() -> None:
        update.cancel()
        if cancel.terminated:
            update.terminate()
            work.cancel()

    def listen() -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: the update is over
            loop.call_soon_threadsafe(react)

    cancel.listen(listen)
    try:
        return await work
    except asyncio.CancelledError:
        if not cancel.terminated:
            raise
        return await update.aftermath()


class Update:
    """The parts of one run."""

    def __init__(
        self, request: UpdateRequest, journal: JournalWriter | None, events: Callable[[dict[str, Any]], None]
    ) -> None:
        self.request = request
        self.emitter = Emitter(events, show_secrets=request.options.show_secrets)
        self.children = Children()
        base, pending = [replace(state) for state in request.base], list(request.pending_operations)
        self.recorder = Recorder(journal, base, pending)
        try:
            self.deployment = Deployment(request, self.emitter, self.recorder, base)
        except ValueError as error:
            raise EngineError(f"the state of stack '{request.stack}' is damaged: {error}") from None
        self.deployment.begin(Executor(self.deployment))
        self.started = time.monotonic()
        self.cancelled = False
        self._registry: Registry | None = None

    async def run(self) -> UpdateResult:
        """Run the update and take everything down, however it ends."""
        self._check_project()
        for key in self.request.config_secret_keys:
            self.emitter.learn_secret_text(self.request.config.get(key, ""))
        for text in self.request.config_secrets:
            self.emitter.learn_secret_text(text)
        try:
            async with contextlib.AsyncExitStack() as stack:
                stack.push_async_callback(self.children.close)
                error = await self._run(stack)
        finally:
            await self.recorder.close()
        return self._result(error)

    def cancel(self) -> None:
        """Start nothing new; tell providers to hurry."""
        if self.cancelled:
            return
        self.cancelled = True
        self.deployment.executor.stop()
        if self._registry is not None:
            self._cancelling = asyncio.create_task(self._registry.cancel())

    def terminate(self) -> None:
        """Stop at once; what runs stays pending in the state."""
        self.deployment.terminated = True
        self.children.kill()

    async def aftermath(self) -> UpdateResult:
        """Return the result of an update that was terminated."""
        await self.recorder.close()
        return self._result("update was terminated")

    async def _run(self, stack: contextlib.AsyncExitStack) -> str:
        """Set up, run and report; return why it failed, "" when it did not."""
        request, deployment = self.request, self.deployment
        engine, engine_address = new_server()
        engine_service = EngineService(self.emitter)
        engine_pb2_grpc.add_EngineServicer_to_server(engine_service, engine)
        await engine.start()
        stack.push_async_callback(engine.stop, _GRACE_SECONDS)
        host, interpreter = await self._host(stack, engine_address)
        self._registry = deployment.registry = Registry(host.load, self.emitter, preview=request.dry_run)
        stack.push_async_callback(deployment.registry.close)
        callbacks = Callbacks()
        stack.push_async_callback(callbacks.close)
        deployment.hooks = Hooks(callbacks, self.emitter, dry_run=request.dry_run)
        deployment.policies = Policies(self._load_packs(engine_address), self.emitter, dry_run=request.dry_run)
        stack.push_async_callback(deployment.policies.close)
        self.emitter.prelude(self._shown_config())
        defaults = DefaultProviders(deployment)
        server, address = new_server()
        service = MonitorService(deployment, callbacks, defaults, directory=self._folder(), address=address)
        resource_pb2_grpc.add_ResourceMonitorServicer_to_server(service, server)
        await server.start()
        stack.push_async_callback(server.stop, _GRACE_SECONDS)
        program = Program(
            request,
            children=self.children,
            emitter=self.emitter,
            interpreter=interpreter,
            engine_address=engine_address,
        )
        plan = Plan(deployment, service, program, address, defaults, engine_service)
        error = ""
        try:
            await self._prepare(host)
            if request.kind == "import":
                await Importer(deployment, defaults).run()
            else:
                await plan.run()
            if self.cancelled:
                raise FailedError("canceled")
        except FailedError as failure:
            error = str(failure)
            if failure.reported:
                self.emitter.error(f"{'preview' if request.dry_run else 'update'} {error}")
        finally:
            await plan.close()
        self._summarise(error)
        return error

    async def _host(
        self, stack: contextlib.AsyncExitStack, engine_address: str
    ) -> tuple[PluginHost, Callable[[], Interpreter]]:
        request, deployment = self.request, self.deployment

        @cache
        def interpreter() -> Interpreter:
            return resolve_interpreter(request.project.root, request.project.runtime_options)

        builtins = BuiltinProvider(_Known(deployment), request.read_stack_outputs)
        host = PluginHost(
            request,
            children=self.children,
            emitter=self.emitter,
            engine_address=engine_address,
            interpreter=interpreter,
            builtins=builtins,
            directory=self._folder(),
        )
        stack.push_async_callback(host.close)
        return host, interpreter

    async def _prepare(self, host: PluginHost) -> None:
        """Begin to start the default providers that the state says will be needed."""
        used = {state.provider for state in self.deployment.previous if state.custom and state.provider}
        for state in self.deployment.previous:
            is_used = is_provider_type(state.type) and f"{state.urn}::{state.id}" in used
            if is_used and not state.delete:
                with contextlib.suppress(ValueError):  # told when it is really needed
                    host.prestart(package_for(state.urn, state.inputs))

    async def _load_packs(self, engine_address: str) -> list[Analyzer]:
        request = self.request
        if request.kind not in ("preview", "up"):
            return []
        return list(
            await asyncio.gather(
                *(
                    load_analyzer(
                        pack,
                        request,
                        children=self.children,
                        emitter=self.emitter,
                        engine_address=engine_address,
                    )
                    for pack in request.options.policy_packs
                )
            )
        )

    def _check_project(self) -> None:
        request = self.request
        runs_program = request.kind in ("preview", "up") or request.options.run_program
        if runs_program and not request.options.client:
            if request.project.runtime != "python":
                raise UnsupportedError(f"the runtime '{request.project.runtime}' of project '{request.project.name}'")
            resolve_interpreter(request.project.root, request.project.runtime_options)
            program_folder(request.project)

    def _folder(self) -> Path:
        try:
            return program_folder(self.request.project)[0]
        except EngineError:
            return self.request.project.root

    def _shown_config(self) -> dict[str, str]:
        secret = set(self.request.config_secret_keys)
        return {key: MASK if key in secret else value for key, value in self.request.config.items()}

    def _summarise(self, error: str) -> None:
        deployment = self.deployment
        result = "canceled" if self.cancelled else "failed" if error else "succeeded"
        self.emitter.summary(
            preview=self.request.dry_run,
            seconds=time.monotonic() - self.started,
            changes=deployment.executor.changes,
            packs=deployment.policies.versions(),
            broken_packs=deployment.policies.broken(),
            result=result,
            corrupt=deployment.executor.maybe_corrupt,
        )
        self.emitter.cancelled()

    def _result(self, error: str) -> UpdateResult:
        deployment = self.deployment
        resources: list[ResourceState] = self.request.base
        pending: list[Operation] = list(self.request.pending_operations)
        if self.recorder.active:
            resources, pending = self.recorder.result()
        return UpdateResult(
            ok=not error,
            changes=dict(deployment.executor.changes),
            resources=resources,
            pending_operations=pending,
            outputs=self._outputs(resources),
            duration_seconds=time.monotonic() - self.started,
            findings=self.emitter.findings,
            error=error,
            cancelled=self.cancelled,
        )

    def _outputs(self, resources: list[ResourceState]) -> Properties:
        deployment = self.deployment
        for state in (*deployment.news.values(), *resources):
            if state.type == ROOT_STACK_TYPE and not state.parent:
                return state.outputs
        return {}


class _Known(dict[str, ResourceState]):
    """The resources of a deployment by URN, as registered or read."""

    def __init__(self, deployment: Deployment) -> None:
        super().__init__()
        self._deployment = deployment

    def get(self, urn: str, default: Any = None) -> Any:
        """Return a resource of this deployment."""
        return self._deployment.news.get(urn) or self._deployment.reads.get(urn) or default
