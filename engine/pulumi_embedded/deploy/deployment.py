"""One deployment: what it starts from, what it has seen, and the parts that work on it.

Source: pulumi `pkg/resource/deploy/deployment.go`.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable
from dataclasses import replace
from typing import TYPE_CHECKING

from pulumi_embedded.deploy.diffing import NONE, SOME, UNKNOWN_CHANGES, DiffResult, changed_keys, detailed_diff
from pulumi_embedded.deploy.events import INFO, Emitter
from pulumi_embedded.deploy.generator import BailError, Generator, Mode, Work, default_urn
from pulumi_embedded.deploy.go_text import go_text
from pulumi_embedded.deploy.goal import Goal, ReadRequest
from pulumi_embedded.deploy.graph import DependencyGraph, dependency_urns
from pulumi_embedded.deploy.hooks import HookCall, Hooks
from pulumi_embedded.deploy.journal import Recorder
from pulumi_embedded.deploy.property_path import reset
from pulumi_embedded.deploy.provider import CheckFailure, DiffRequest, Provider, ProviderError
from pulumi_embedded.deploy.read_steps import ImportStep
from pulumi_embedded.deploy.registry import Registry, without_internal
from pulumi_embedded.deploy.request import UpdateRequest
from pulumi_embedded.deploy.step_base import Registration, Step, StepFailedError
from pulumi_embedded.deploy.targets import UrnTargets
from pulumi_embedded.properties import Properties, without_secrets
from pulumi_embedded.state.resource import ResourceState
from pulumi_embedded.urn import is_provider_type, split_provider_reference, urn_name

if TYPE_CHECKING:
    from pulumi_embedded.deploy.executor import Executor
    from pulumi_embedded.deploy.policies import Policies


class Deployment:
    """The state of one run of the engine, shared by its generator, executor and steps."""

    registry: Registry
    hooks: Hooks
    policies: Policies
    generator: Generator
    executor: Executor

    def __init__(self, request: UpdateRequest, emitter: Emitter, recorder: Recorder, base: list[ResourceState]) -> None:
        self.request = request
        self.options = request.options
        self.emitter = emitter
        self.recorder = recorder
        self.project = request.project.name
        self.stack = request.stack
        self.dry_run = request.dry_run
        self.is_refresh = request.kind == "refresh"
        self.targets = UrnTargets(self.options.targets)
        self.excludes = UrnTargets(self.options.excludes)
        self.replace_targets = UrnTargets(self.options.replace)
        self.goals: dict[str, Goal] = {}
        self.news: dict[str, ResourceState] = {}
        self.reads: dict[str, ResourceState] = {}
        self.deleted: set[str] = set()
        self.hook_errors: list[str] = []
        self.skipped: set[str] = set()
        self.terminated = False
        self.failed = False
        self.attention = asyncio.Event()
        self.rebase(base)

    def rebase(self, resources: list[ResourceState]) -> None:
        """Start from these resources.

        Raises:
            ValueError: two of them have one URN and neither is to be deleted.
        """
        self.previous = resources
        self.olds: dict[str, ResourceState] = {}
        self.all_olds: dict[str, list[ResourceState]] = {}
        self.graph = DependencyGraph(resources)
        for state in resources:
            self.all_olds.setdefault(state.urn, []).append(state)
            if state.delete:
                continue
            if state.urn in self.olds:
                raise ValueError(f"unexpected duplicate resource '{state.urn}'")
            self.olds[state.urn] = state

    def begin(self, executor: Executor, *, mode: Mode = "update", refresh: bool = False) -> None:
        """Make the deployment ready for the program's registrations."""
        self.executor = executor
        self.generator = Generator(self, mode=mode, refresh=refresh)

    def wake(self) -> None:
        """Let the main loop look at what happened."""
        self.attention.set()

    def make_urn(self, parent: str, resource_type: str, name: str) -> str:
        """Return the URN of a resource of this stack."""
        return default_urn(self.stack, self.project, parent, resource_type, name)

    @staticmethod
    def seed() -> bytes:
        """Return the randomness that a provider may use for names."""
        return secrets.token_bytes(32)

    async def register(self, goal: Goal, registration: Registration) -> None:
        """Bring one resource to the state the program asks for; the answer goes to `registration`."""
        urn = self.make_urn(goal.parent, goal.type, goal.name)
        try:
            await self._register(goal, registration, urn)
        except BailError:
            self._give_up()
        except StepFailedError:
            self._give_up()
        except Exception as error:
            self.emitter.error(str(error) or type(error).__name__, urn)
            self._give_up()

    async def _register(self, goal: Goal, registration: Registration, urn: str) -> None:
        generator, executor = self.generator, self.executor
        asked = generator.ahead.ask(goal, urn)
        async with generator.turn:
            work = generator.begin(goal, registration, asked)
            refresh = generator.refresh_step(work)
            if refresh is None:
                decided = await generator.after_refresh(work)
        if refresh is not None:
            await executor.run([refresh])
            if executor.stopped:
                return
            async with generator.turn:
                generator.note_refreshed(work, refresh.new)
                decided = await generator.after_refresh(work)
        if isinstance(decided, ImportStep):
            imported = await self._import(work, decided)
            if imported is None:
                return
            decided = imported
        async with generator.turn:
            steps = generator.validated(decided)
        await self._execute(steps)

    async def _import(self, work: Work, step: ImportStep) -> list[Step] | None:
        """Import a resource, then decide how it gets from what it is to what the program wants."""
        await self._execute([step, *self.generator.import_companions(work, step)])
        if step.urn in self.skipped or self.executor.stopped or step.old is None or step in self.executor.failed_steps:
            return None
        async with self.generator.turn:
            self.generator.imported_as(work, step)
            return await self.generator.after_import(work)

    async def read(self, request: ReadRequest, registration: Registration) -> None:
        """Read one resource that the program does not own; the answer goes to `registration`."""
        urn = self.make_urn(request.parent, request.type, request.name)
        try:
            async with self.generator.turn:
                steps = await self.generator.read(request, registration)
            await self._execute(steps)
        except BailError:
            self._give_up()
        except Exception as error:
            self.emitter.error(str(error) or type(error).__name__, urn)
            self._give_up()

    async def _execute(self, steps: list[Step]) -> None:
        """Run steps, but for those that depend on something that failed."""
        self.skipped.update(step.urn for step in self.executor.failed_steps)
        chain = []
        for step in steps:
            depends_on = {urn for urn in dependency_urns(step.resource) if urn in self.skipped}
            if depends_on:
                step.skip()
                self.skipped.add(step.urn)
            else:
                chain.append(step)
        if chain:
            await self.executor.run(chain)

    def _give_up(self) -> None:
        self.failed = True
        self.executor.stop()

    async def provider_for(self, resource_type: str, reference: str, urn: str) -> Provider:
        """Return the provider of a resource.

        Raises:
            ProviderError: there is none.
        """
        if is_provider_type(resource_type):
            return self.registry
        provider = self.registry.get(reference) if reference else None
        if provider is None:
            raise ProviderError(f"unknown provider '{reference}' for resource {urn}")
        return provider

    def old_provider(self, reference: str) -> ResourceState | None:
        """Return the provider that a reference names, as the state has it."""
        if not reference:
            return None
        urn, provider_id = split_provider_reference(reference)
        for state in self.all_olds.get(urn, ()):
            if state.id == provider_id:
                return state
        return None

    async def ensure_provider(self, reference: str) -> None:
        """Load the provider that a reference names from the state, unless it is loaded.

        Raises:
            ProviderError: the state has no such provider, or it cannot be loaded.
        """
        if not reference or self.registry.get(reference) is not None:
            return
        state = self.old_provider(reference)
        if state is None:
            raise ProviderError(f"could not find provider {reference}")
        await self.registry.same(state, from_check=False)

    @staticmethod
    def provider_config(inputs: Properties) -> Properties:
        """Return a provider's inputs as the plugin sees them."""
        return without_internal(inputs)

    async def diff_resource(
        self,
        urn: str,
        resource_id: str,
        old_inputs: Properties,
        old_outputs: Properties,
        new_inputs: Properties,
        provider: Provider,
        ignore_changes: list[str],
        *,
        allow_unknowns: bool | None = None,
        asked: Awaitable[DiffResult] | None = None,
    ) -> DiffResult:
        """Return what a provider says would change; where it does not know, any change of the inputs is one.

        `asked` is the provider's answer to this very question, if it was asked before.
        """
        diff = await (
            asked
            or provider.diff(
                DiffRequest(
                    urn=urn,
                    id=resource_id,
                    old_inputs=old_inputs,
                    old_outputs=old_outputs,
                    new_inputs=new_inputs,
                    allow_unknowns=self.dry_run if allow_unknowns is None else allow_unknowns,
                    ignore_changes=ignore_changes,
                )
            )
        )
        if diff.changes != UNKNOWN_CHANGES:
            return diff
        news, invalid = reset(new_inputs, old_inputs, ignore_changes)
        self.warn_ignored(urn, invalid)
        before, after = without_secrets(old_inputs), without_secrets(news)
        keys = changed_keys(before, after)
        if not keys:
            return replace(diff, changes=NONE)
        return replace(diff, changes=SOME, changed_keys=keys, detailed=detailed_diff(before, after, input_diff=True))

    async def after_hooks(self, kind: str, call: HookCall) -> None:
        """Run hooks after a step; a failure fails the update, but the step is recorded."""
        try:
            await self.hooks.run(kind, call)
        except ProviderError as error:
            self.emitter.error(str(error), call.subject.urn)
            self.hook_errors.append(str(error))

    def warn_ignored(self, urn: str, paths: list[str]) -> None:
        """Tell which `ignoreChanges` have no effect."""
        if paths:
            text = ", ".join(paths)
            self.emitter.diagnostic(
                INFO, f'cannot ignore changes in added or removed elements of the path: "{text}"', urn
            )

    def report_check_failures(
        self, state: ResourceState, failures: list[CheckFailure], *, as_warnings: bool = False
    ) -> bool:
        """Tell what is wrong with a resource's inputs; return whether anything is."""
        for failure in failures:
            name = urn_name(state.urn)
            if failure.property:
                value = go_text(state.inputs.get(failure.property))
                text = f"{state.type} resource '{name}': property {failure.property} value {value} has a problem"
            else:
                text = f"{state.type} resource '{name}' has a problem"
            report = self.emitter.warning if as_warnings else self.emitter.error
            report(f"{text}: {failure.reason}", state.urn)
        return bool(failures)
