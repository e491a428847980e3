"""What an update does, in order: refresh, run the program, delete what is left over, look at the whole.

Source: pulumi `pkg/resource/deploy/deployment_executor.go`.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from pulumi_embedded.deploy.default_providers import DefaultProviders
from pulumi_embedded.deploy.deletion import Deletion
from pulumi_embedded.deploy.deployment import Deployment
from pulumi_embedded.deploy.engine_server import EngineService
from pulumi_embedded.deploy.executor import Executor
from pulumi_embedded.deploy.fold import without_dangling
from pulumi_embedded.deploy.generator import BailError, Mode
from pulumi_embedded.deploy.graph import DependencyGraph, dependencies
from pulumi_embedded.deploy.language import Program, ProgramError
from pulumi_embedded.deploy.monitor import MonitorService
from pulumi_embedded.deploy.provider import ProviderError
from pulumi_embedded.deploy.read_steps import RefreshStep
from pulumi_embedded.deploy.step_base import Step
from pulumi_embedded.deploy.targets import UrnTargets
from pulumi_embedded.errors import EngineError
from pulumi_embedded.state.resource import ResourceState

_EXIT_SECONDS = 5.0


class FailedError(Exception):
    """The update failed; `reported` when the failure as a whole has still to be told."""

    def __init__(self, message: str, *, reported: bool = True) -> None:
        super().__init__(message)
        self.reported = reported


class Plan:
    """One preview, update, refresh or destroy."""

    def __init__(
        self,
        deployment: Deployment,
        monitor: MonitorService,
        program: Program,
        address: str,
        defaults: DefaultProviders,
        engine_service: EngineService,
    ) -> None:
        self._deployment = deployment
        self._monitor = monitor
        self._program = program
        self._address = address
        self._defaults = defaults
        self._engine_service = engine_service
        self._running: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Do it.

        Raises:
            FailedError: something went wrong, and has been told.
        """
        deployment = self._deployment
        kind, options = deployment.request.kind, deployment.options
        try:
            self._check_delete_hooks()
            await self._settle_pending_creates()
            if (kind == "refresh" and not options.run_program) or (kind != "refresh" and options.refresh):
                await self._refresh(deployment.previous)
                if kind == "refresh":
                    return
            elif kind != "refresh" and any(state.refresh_before_update for state in deployment.previous):
                await self._refresh([state for state in deployment.previous if state.refresh_before_update])
            elif not deployment.dry_run:
                self._warn_pending()
            self._check_targets(deployment.replace_targets)
            await self._register_and_delete()
        except EngineError as error:
            if not deployment.emitter.was_told(str(error)):
                deployment.emitter.error(str(error))
            raise FailedError("failed", reported=False) from None

    async def close(self) -> None:
        """Let the program go: answer what waits, and see it end."""
        self._monitor.close()
        self._engine_service.closing = True
        if self._running is not None and not self._running.done():
            if self._deployment.executor.stopped:
                self._program.mute()
                await self._program.stop()
            await asyncio.wait([self._running], timeout=_EXIT_SECONDS)
            self._running.cancel()
        if self._running is not None:
            with contextlib.suppress(ProgramError, EngineError, asyncio.CancelledError):
                await self._running

    async def _register_and_delete(self) -> None:
        deployment = self._deployment
        kind = deployment.request.kind
        mode: Mode = "update"
        with_program = kind in ("preview", "up") or deployment.options.run_program
        if with_program and kind in ("destroy", "refresh"):
            mode = "destroy" if kind == "destroy" else "refresh"
        deployment.begin(deployment.executor, mode=mode, refresh=kind == "refresh")
        if with_program:
            await self._run_program()
        executor = deployment.executor
        target_error: FailedError | None = None
        if not executor.stopped and not deployment.failed:
            try:
                self._check_targets(deployment.targets)
            except FailedError as error:
                target_error = error
            await self._after_program()
        await executor.finish()
        failed = bool(deployment.failed or executor.error or deployment.generator.failed or deployment.hook_errors)
        await executor.finish_stack_outputs(failed=failed or target_error is not None)
        if target_error is not None:
            raise target_error
        if deployment.failed:
            raise FailedError("failed", reported=False)
        if executor.error is None and not executor.stopped:
            await deployment.policies.judge_stack(deployment)
        if executor.error or deployment.generator.failed or deployment.hook_errors or deployment.policies.saw_mandatory:
            raise FailedError("failed")

    async def _run_program(self) -> None:
        """Run the program until it has registered everything, fails, or something else stops the update."""
        deployment = self._deployment
        self._running = asyncio.create_task(self._program.run(self._address))
        finished = asyncio.create_task(self._monitor.finished.wait())
        attention = asyncio.create_task(deployment.attention.wait())
        packs: asyncio.Task[Any] = deployment.policies.loading
        watched: set[asyncio.Task[Any]] = {self._running, finished, attention}
        if not packs.done():
            watched.add(packs)
        try:
            while True:
                done, _ = await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
                if packs in done:
                    watched.discard(packs)
                    packs.result()
                    if len(done) == 1:
                        continue
                break
        finally:
            finished.cancel()
            attention.cancel()
        if deployment.executor.stopped:
            return
        if self._running.done():
            try:
                self._running.result()
            except ProgramError as error:
                if str(error):
                    deployment.emitter.error(str(error))
                deployment.failed = True
                deployment.executor.stop()
                return
        await self._monitor.settle()

    async def _after_program(self) -> None:
        """Delete, or refresh, what the program did not register."""
        deployment = self._deployment
        deletion = Deletion(deployment.generator)
        await deployment.executor.finish()
        if not deployment.previous or deployment.executor.stopped:
            return
        try:
            if deployment.generator.mode == "refresh":
                late = await deletion.late_refreshes()
                await deployment.executor.run_all(late)
                return
            sames, deletes = await deletion.generate()
            if sames:
                await deployment.executor.run(sames)
            await self._delete(deletion.schedule(deletes))
        except BailError:
            deployment.generator.failed = True
        except (ProviderError, ValueError) as error:
            deployment.emitter.error(str(error))
            deployment.failed = True
            deployment.executor.stop()

    async def _delete(self, batches: list[list[Step]]) -> None:
        """Run the deletes, but for those of what a failed step still needs."""
        deployment = self._deployment
        executor = deployment.executor
        late_graph = DependencyGraph(deployment.generator.to_delete)
        needed: set[int] = set()
        seen = 0
        for batch in batches:
            for step in executor.failed_steps[seen:]:
                for state in (step.new, step.old):
                    for graph in (deployment.graph, late_graph):
                        if state is not None and graph.contains(state):
                            needed.update(id(item) for item in graph.transitive_dependencies_of(state))
                            break
            seen = len(executor.failed_steps)
            await executor.run_all([step for step in batch if id(step.resource) not in needed])

    async def _refresh(self, resources: list[ResourceState]) -> None:
        """Read resources again and start from what is found.

        Raises:
            FailedError: a resource could not be read.
        """
        deployment = self._deployment
        if not deployment.previous:
            return
        self._check_targets(deployment.targets)
        self._check_targets(deployment.excludes)
        steps = await self._refresh_steps(resources)
        executor = Executor(deployment, ignore_errors=True)
        main, deployment.executor = deployment.executor, executor
        await executor.run_all(steps)
        deployment.executor = main
        main.stopped = main.stopped or executor.stopped
        main.steps_done += executor.steps_done
        for op, count in executor.changes.items():
            main.changes[op] = main.changes.get(op, 0) + count
        by_state = {id(step.resource): step for step in steps}
        found = []
        for state in deployment.previous:
            step = by_state.get(id(state))
            new = step.new if step is not None else state
            if new is not None:
                found.append(new)
        rebuilt = without_dangling(found)
        deployment.rebase(rebuilt)
        await deployment.recorder.rebase(rebuilt)
        if executor.error is not None:
            raise FailedError("failed")

    async def _refresh_steps(self, resources: list[ResourceState]) -> list[RefreshStep]:
        deployment = self._deployment
        targets, excludes = deployment.targets.clone(), deployment.excludes.clone()
        options = deployment.options
        steps = []
        for state in resources:
            if state.view_of:
                continue
            if excludes.constrained:
                if excludes.contains(state.urn):
                    continue
                if options.exclude_dependents and any(excludes.contains(edge.urn) for edge in dependencies(state)):
                    excludes.add(state.urn)
                    continue
            elif not targets.contains(state.urn):
                if not options.target_dependents:
                    continue
                if not any(targets.contains(edge.urn) for edge in dependencies(state)):
                    continue
                targets.add(state.urn)
            try:
                await deployment.ensure_provider(state.provider)
            except ProviderError as error:
                deployment.emitter.error(f"could not load provider for resource {state.urn}: {error}", state.urn)
                raise FailedError("failed", reported=False) from None
            steps.append(RefreshStep(deployment, state))
        return steps

    def _check_targets(self, targets: UrnTargets) -> None:
        """Refuse targets that neither the state nor the program has."""
        deployment = self._deployment
        missing = [urn for urn in targets.literals if urn not in deployment.olds and urn not in deployment.news]
        for urn in missing:
            hint = "" if "$" in urn else " Did you forget to escape $ in your shell?"
            deployment.emitter.error(f"Target '{urn}' could not be found in the stack.{hint}")
        if missing:
            raise FailedError("one or more targets could not be found in the stack", reported=False)

    def _check_delete_hooks(self) -> None:
        """Refuse a destroy without a program when resources have hooks that only the program can run."""
        deployment = self._deployment
        if deployment.request.kind != "destroy" or deployment.options.run_program:
            return
        hooked = False
        for state in deployment.previous:
            names = [*state.resource_hooks.get("BeforeDelete", ()), *state.resource_hooks.get("AfterDelete", ())]
            if names:
                hooked = True
                deployment.emitter.error(
                    f"Resource has delete hooks registered, but the program is not running. Hooks: {', '.join(names)}",
                    state.urn,
                )
        if hooked:
            raise EngineError("You must run with the `--run-program` flag to use delete hooks during destroy.")

    async def _settle_pending_creates(self) -> None:
        """Forget interrupted creates, or take up what they made, as `refresh` was told."""
        deployment = self._deployment
        options = deployment.options
        if deployment.request.kind != "refresh" or deployment.dry_run:
            return
        for index, (kind, state) in enumerate(deployment.request.pending_operations):
            if kind != "creating":
                continue
            entry: dict[str, object] = {"kind": "adopt", "index": index}
            resource_id = options.import_pending_creates.get(state.urn)
            if resource_id and state.urn in deployment.olds:
                deployment.emitter.warning(
                    f"{state.urn} was made again after its create was interrupted: '{resource_id}' is not taken up; "
                    "delete it by hand if nothing else uses it, and forget it with --clear-pending-creates",
                    state.urn,
                )
                continue
            if resource_id:
                state.id = resource_id
                entry["state"] = state.to_json()
                deployment.previous.append(state)
            elif not options.clear_pending_creates:
                continue
            await deployment.recorder.write(entry, durable=True)
        self._warn_unmatched(options.import_pending_creates)
        if options.import_pending_creates:
            deployment.rebase(deployment.previous)
            await deployment.recorder.rebase(deployment.previous)

    def _warn_unmatched(self, wanted: dict[str, str]) -> None:
        """Tell which URNs of `--import-pending-creates` no interrupted create belongs to."""
        deployment = self._deployment
        known = {state.urn for kind, state in deployment.request.pending_operations if kind == "creating"}
        for urn in wanted.keys() - known:
            deployment.emitter.warning(f'"{urn}" did not correspond to a pending create')

    def _warn_pending(self) -> None:
        """Tell of operations that an earlier update was interrupted in."""
        pending = self._deployment.request.pending_operations
        if not pending:
            return
        listed = ", ".join(f"{kind} {state.urn}" for kind, state in pending)
        advice = "this update tries them again"
        if any(kind == "creating" for kind, _ in pending):
            advice = (
                "this update tries them again; if a resource was made and is not known here, "
                "`pulumi refresh --import-pending-creates` takes it up and `--clear-pending-creates` forgets it"
            )
        self._deployment.emitter.warning(f"The last update was interrupted while {listed}; {advice}.")
