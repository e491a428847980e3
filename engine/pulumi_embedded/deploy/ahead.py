"""Asks providers ahead of the generator's turn, so that registrations that wait for it do not wait for each other.

The generator decides on one registration at a time, in order, as the CLI does. What it needs from a provider to decide
(are these inputs right, what would change) depends on nothing that was decided before, but for rare cases: so the
question goes out when the registration comes in, and the answer is used if at its turn the question is still the same.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from pulumi_embedded.deploy.goal import Goal
from pulumi_embedded.deploy.property_path import reset
from pulumi_embedded.deploy.provider import CheckResult, DiffRequest, Provider
from pulumi_embedded.urn import is_provider_type

if TYPE_CHECKING:
    from pulumi_embedded.deploy.deployment import Deployment
    from pulumi_embedded.deploy.diffing import DiffResult
    from pulumi_embedded.properties import Properties
    from pulumi_embedded.state.resource import ResourceState


class Asked:
    """One question that went out: a check, and after it a diff against the old state."""

    def __init__(self, urn: str, old: ResourceState | None, goal: Goal, seed: bytes) -> None:
        self.urn = urn
        self.old = old
        self.goal = goal
        self.seed = seed
        loop = asyncio.get_running_loop()
        self._checked: asyncio.Future[CheckResult] = loop.create_future()
        self._diffed: asyncio.Future[DiffResult] = loop.create_future()

    async def ask(self, provider: Provider, slots: asyncio.Semaphore, *, preview: bool) -> None:
        """Ask the provider; each answer, or what went wrong instead, is kept for who wants it."""
        old, goal = self.old, self.goal
        async with slots:
            try:
                news = goal.properties if old is None else reset(goal.properties, old.inputs, goal.ignore_changes)[0]
                checked = await provider.check(
                    self.urn, None if old is None else old.inputs, news, allow_unknowns=preview, seed=self.seed
                )
            except Exception as error:
                self._checked.set_exception(error)
                self._checked.exception()  # seen, even if nobody asks for it
                return
            self._checked.set_result(checked)
            if old is None or checked.failures:
                return
            try:
                request = DiffRequest(
                    self.urn, old.id, old.inputs, old.outputs, checked.inputs, preview, goal.ignore_changes
                )
                self._diffed.set_result(await provider.diff(request))
            except Exception as error:
                self._diffed.set_exception(error)
                self._diffed.exception()

    async def checked(self) -> CheckResult:
        """Return what the provider made of the inputs."""
        return await self._checked

    def difference(self, old: ResourceState, inputs: Properties) -> asyncio.Future[DiffResult] | None:
        """Return the provider's verdict on these inputs, None when it was asked about others."""
        answered = self._checked.done() and self._checked.exception() is None
        if not answered or self.old is not old or self._checked.result().inputs is not inputs:
            return None
        return None if self._checked.result().failures else self._diffed


class Ahead:
    """Sends questions out, as many at once as `--parallel` allows steps."""

    def __init__(self, deployment: Deployment, *, possible: bool) -> None:
        options = deployment.options
        constrained = any(
            targets.constrained for targets in (deployment.targets, deployment.excludes, deployment.replace_targets)
        )
        self._deployment = deployment
        self._possible = possible and options.parallel > 1 and not constrained
        self._slots = asyncio.Semaphore(max(1, options.parallel))
        self._tasks: set[asyncio.Task[None]] = set()

    def ask(self, goal: Goal, urn: str) -> Asked | None:
        """Ask about a registration that has to wait for its turn; None when the turn has to come first."""
        deployment = self._deployment
        if not self._possible or deployment.executor.stopped or not goal.custom or goal.import_id:
            return None
        provider = deployment.registry.get(goal.provider) if goal.provider else None
        old = deployment.olds.get(urn)
        if provider is None or is_provider_type(goal.type) or (old is not None and (old.external or old.taint)):
            return None
        asked = Asked(urn, old, goal, deployment.seed())
        task = asyncio.create_task(asked.ask(provider, self._slots, preview=deployment.dry_run))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return asked
