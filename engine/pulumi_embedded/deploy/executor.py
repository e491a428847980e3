"""Executes steps: chains in order, as many chains at once as `--parallel` allows.

Source: pulumi `pkg/resource/deploy/step_executor.go`, `pkg/engine/update.go` (`updateActions`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pulumi_embedded.deploy import recording
from pulumi_embedded.deploy.hooks import HookCall
from pulumi_embedded.deploy.provider import STATUS_PARTIAL, STATUS_UNKNOWN, InitError
from pulumi_embedded.deploy.read_steps import ReadStep
from pulumi_embedded.deploy.step_base import (
    DELETE,
    READ,
    READ_REPLACEMENT,
    REFRESH,
    REPLACE,
    UPDATE,
    Applied,
    ProtectedError,
    Step,
    StepFailedError,
)
from pulumi_embedded.deploy.steps import CreateStep, SameStep, UpdateStep
from pulumi_embedded.properties import Properties, deep_equals, is_secret, make_secret
from pulumi_embedded.state.resource import ResourceState
from pulumi_embedded.urn import PROVIDER_TYPE_PREFIX, ROOT_STACK_TYPE, urn_name, urn_qualified_type, urn_type

if TYPE_CHECKING:
    from pulumi_embedded.deploy.deployment import Deployment


def is_default_provider(urn: str) -> bool:
    """Say whether a URN is that of a default provider, which people need not see."""
    return urn_type(urn).startswith(PROVIDER_TYPE_PREFIX) and urn_name(urn).startswith("default")


@dataclass
class Executor:
    """Runs the steps of one deployment.

    `stopped` means that nothing new is started; `ignore_errors` (refresh, import) that a failure stops nothing.
    """

    deployment: Deployment
    ignore_errors: bool = False
    stopped: bool = False
    error: Exception | None = None
    failed_steps: list[Step] = field(default_factory=list)
    awaiting_outputs: dict[str, Step] = field(default_factory=dict)
    stack_outputs: Properties | None = None
    stack_urn: str = ""
    maybe_corrupt: bool = False

    def __post_init__(self) -> None:
        self._slots = asyncio.Semaphore(max(1, self.deployment.options.parallel))
        self._running: set[asyncio.Task[None]] = set()
        self.steps_done = 0
        self.changes: dict[str, int] = {}

    def stop(self) -> None:
        """Start nothing new; what runs is finished."""
        self.stopped = True
        self.deployment.wake()

    async def run(self, chain: Sequence[Step]) -> None:
        """Execute the steps of a chain one after another; the first failure ends it."""
        task = asyncio.create_task(self._run_chain(chain))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        await asyncio.shield(task)

    async def run_all(self, steps: Sequence[Step]) -> None:
        """Execute steps that do not depend on each other."""
        await asyncio.gather(*(self.run([step]) for step in steps))

    async def finish(self) -> None:
        """Wait until everything that was started has ended."""
        while self._running:
            await asyncio.wait(set(self._running))

    async def _run_chain(self, chain: Sequence[Step]) -> None:
        async with self._slots:
            for step in chain:
                if self.stopped:
                    return
                try:
                    await self._run_step(step)
                except Exception as error:
                    self._note_failure(error, step)
                    return

    def _note_failure(self, error: Exception, step: Step) -> None:
        if self.error is None:
            self.error = error
        goes_on = self.deployment.options.continue_on_error
        if isinstance(error, StepFailedError):
            goes_on = goes_on or isinstance(error.cause, ProtectedError)
        else:
            self.deployment.emitter.error(str(error) or type(error).__name__, step.urn)
        if self.ignore_errors:
            return
        if goes_on:
            step.fail()
            self.failed_steps.append(step)
        else:
            self.stop()

    async def _run_step(self, step: Step) -> None:
        deployment = self.deployment
        step.internal = step.internal or is_default_provider(step.urn)
        deployment.emitter.before_step(step, planning=deployment.dry_run, internal=step.internal)
        operation = await recording.begin(deployment.recorder, step)
        applied = await step.apply()
        if applied.error is None and step.logical and step.new is not None:
            self.awaiting_outputs[step.urn] = step
        self._register(step)
        if deployment.terminated:
            return
        self._report(step, applied)
        if applied.status == STATUS_PARTIAL and step.op == UPDATE and step.old is not None and step.new is not None:
            # What exists was not updated to the new inputs: keep the old ones beside the new outputs.
            step.new.inputs = step.old.inputs
        success = applied.error is None or isinstance(applied.error, InitError)
        await recording.end(deployment.recorder, step, operation, success=success)
        if applied.complete is not None:
            applied.complete()
        if applied.error is not None:
            raise StepFailedError(applied.error)
        self._stop_after_hook_failure()

    def _stop_after_hook_failure(self) -> None:
        if self.deployment.hook_errors and not self.deployment.options.continue_on_error:
            self.stop()

    def _register(self, step: Step) -> None:
        """Let the resource be found by what comes later, its secret outputs marked."""
        state = step.new
        if state is None or step.op == REPLACE:
            return
        state.outputs = self._with_secrets(state, step.urn)
        if step.op in (READ, READ_REPLACEMENT):
            self.deployment.reads[state.urn] = state
        else:
            self.deployment.news[state.urn] = state
        self.deployment.emitter.learn_secrets(state.outputs)

    def _with_secrets(self, state: ResourceState, urn: str) -> Properties:
        outputs = state.outputs
        marked: Properties = {}
        for key in state.additional_secret_outputs:
            if key == "id":
                self.deployment.emitter.warning(
                    "The 'id' property cannot be made secret. See pulumi/pulumi#2717 for more details.", urn
                )
            elif key in outputs and not is_secret(outputs[key]):
                marked[key] = make_secret(outputs[key])
        for key, value in outputs.items():
            if not is_secret(value) and key not in marked and is_secret(state.inputs.get(key)):
                marked[key] = make_secret(value)
        return {**outputs, **marked} if marked else outputs

    def _report(self, step: Step, applied: Applied) -> None:
        deployment = self.deployment
        emitter = deployment.emitter
        if applied.error is not None:
            self.maybe_corrupt = self.maybe_corrupt or applied.status == STATUS_UNKNOWN
            urn = "" if step.internal else step.urn
            if deployment.dry_run:
                emitter.error(f"Preview failed: {applied.error}", urn)
            else:
                emitter.error(str(applied.error), urn)
                emitter.step_failed(step, applied.status, self.steps_done)
            return
        counted = step.logical
        op = step.op
        if op == REFRESH and deployment.is_refresh:
            op, counted = step.result_op, True
        if isinstance(step, ReadStep):
            counted = counted and step.op == READ and self._read_changed(step)
        if counted and not step.internal:
            self.steps_done += 1
            self.changes[op] = self.changes.get(op, 0) + 1
        refreshed = step.op == REFRESH and (deployment.options.refresh or deployment.is_refresh)
        if deployment.dry_run or step.resource.custom or refreshed or step.op == DELETE:
            emitter.after_step(op, step, planning=deployment.dry_run, internal=step.internal)

    @staticmethod
    def _read_changed(step: ReadStep) -> bool:
        return step.old is not None and step.new is not None and not deep_equals(step.old.outputs, step.new.outputs)

    async def register_outputs(self, urn: str, outputs: Properties) -> None:
        """Take the outputs of a component; those of the stack are kept until the end.

        Raises:
            ValueError: no such resource is waiting for its outputs.
        """
        if urn_qualified_type(urn) == ROOT_STACK_TYPE:
            self.stack_urn, self.stack_outputs = urn, outputs
            return
        await self._finish_outputs(urn, outputs)

    async def finish_stack_outputs(self, *, failed: bool) -> None:
        """Record the stack's outputs; after a failure old ones that were not exported again are kept."""
        if self.stack_outputs is None:
            return
        outputs = self.stack_outputs
        old = self.deployment.olds.get(self.stack_urn)
        if failed and old is not None:
            outputs = {**old.outputs, **outputs}
        if self.stack_urn in self.awaiting_outputs:
            await self._finish_outputs(self.stack_urn, outputs)

    async def _finish_outputs(self, urn: str, outputs: Properties) -> None:
        step = self.awaiting_outputs.pop(urn, None)
        if step is None:
            raise ValueError(f"cannot complete a resource '{urn}' whose registration isn't pending")
        if isinstance(step, SameStep) and step.skipped_create:
            return
        deployment = self.deployment
        state = step.new
        assert state is not None
        state.outputs = outputs
        deployment.emitter.learn_secrets(outputs)
        if not state.custom:
            if isinstance(step, CreateStep):
                await deployment.after_hooks("AfterCreate", HookCall(state, new=state, new_outputs=True))
            elif isinstance(step, UpdateStep):
                call = HookCall(state, new=state, old=step.old, new_outputs=True, old_outputs=True)
                await deployment.after_hooks("AfterUpdate", call)
        deployment.emitter.after_step(
            step.op, step, planning=deployment.dry_run, internal=step.internal or is_default_provider(urn)
        )
        await recording.outputs(deployment.recorder, step)
        self._stop_after_hook_failure()
