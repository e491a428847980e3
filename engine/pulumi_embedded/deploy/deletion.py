"""What happens after the program has registered everything: deletes of what it no longer has, late refreshes.

Source: pulumi `pkg/resource/deploy/step_generator.go` (`GenerateDeletes`, `ScheduleDeletes`).
"""

from __future__ import annotations

from pulumi_embedded.deploy.generator import BailError, Generator
from pulumi_embedded.deploy.graph import DependencyGraph, dependencies
from pulumi_embedded.deploy.read_steps import RefreshStep
from pulumi_embedded.deploy.step_base import Step
from pulumi_embedded.deploy.steps import DeleteStep, RemovePendingReplaceStep, SameStep
from pulumi_embedded.state.resource import ResourceState


class Deletion:
    """Decides on the deletes of one deployment and on their order."""

    def __init__(self, generator: Generator) -> None:
        self._generator = generator
        self._deployment = generator.deployment

    async def generate(self) -> tuple[list[Step], list[Step]]:
        """Return the steps that carry untargeted resources over, and the deletes in no particular order.

        Raises:
            BailError: a delete would take a resource that `--target` does not name.
        """
        generator, deployment = self._generator, self._deployment
        allowed = await self._allowed()
        kept = self._kept()

        def targeted(state: ResourceState) -> bool:
            if allowed is not None:
                return state.urn in allowed
            return kept is None or state.urn not in kept

        sames: list[Step] = []
        deletes: list[Step] = []
        for state in deployment.previous:
            if state.view_of:
                continue
            if not targeted(state):
                if not generator.is_operated_on(state.urn):
                    sames.append(SameStep.untargeted_of(deployment, state))
                continue
            refreshed = generator.refreshed_states.get(id(state))
            step = self._delete(refreshed[1] if refreshed else state)
            if step is not None:
                generator.deletes.add(step.urn)
                deletes.append(step)
            if state.urn in generator.deletes:
                await deployment.ensure_provider(state.provider)
        for state in generator.to_delete:
            if targeted(state):
                generator.deletes.add(state.urn)
                deletes.append(DeleteStep(deployment, state))
        self._refuse_untargeted(deletes)
        return sames, deletes

    def _delete(self, state: ResourceState) -> Step | None:
        generator, deployment = self._generator, self._deployment
        if state.delete:
            if id(state) in generator.pending_deletes:
                return None
            return DeleteStep(deployment, state, replacing=True)
        if generator.is_operated_on(state.urn):
            return None
        if state.pending_replacement:
            return RemovePendingReplaceStep(deployment, state)
        return DeleteStep(deployment, state)

    def _refuse_untargeted(self, deletes: list[Step]) -> None:
        deployment = self._deployment
        if deployment.options.target_dependents:
            return
        refused = [step.urn for step in deletes if not deployment.targets.contains(step.urn)]
        for urn in refused:
            deployment.emitter.error(
                f"Resource '{urn}' will be destroyed but was not specified in --target list.\n"
                "Either include resource in --target list or pass --target-dependents to proceed.",
                urn,
            )
            self._generator.failed = True
        if refused and not deployment.dry_run:
            raise BailError

    async def _allowed(self) -> set[str] | None:
        """Return what `--target` allows to be deleted: the targets, and all that cannot stay without them."""
        deployment = self._deployment
        if not deployment.targets.constrained:
            return None
        frontier = [state for state in deployment.previous if deployment.targets.contains(state.urn)]
        graph = self._graph()
        implicated: set[str] = set()
        while frontier:
            state = frontier.pop(0)
            if state.urn in implicated:
                continue
            implicated.add(state.urn)
            frontier += graph.depending_on(state, implicated, include_children=True)
        allowed = set()
        for urn in implicated:
            for state in deployment.all_olds.get(urn, ()):
                allowed.add(urn)
                for dependent, _ in [
                    *await self._generator.replacements.of(state),
                    *self._generator.replacements.cascading(urn),
                ]:
                    allowed.add(dependent.urn)
        return allowed

    def _kept(self) -> set[str] | None:
        """Return what `--exclude` keeps: the excluded resources and all that they need."""
        deployment = self._deployment
        if deployment.targets.constrained or not deployment.excludes.constrained:
            return None
        graph = self._graph()
        frontier = [state for state in deployment.previous if deployment.excludes.contains(state.urn)]
        kept: set[str] = set()
        while frontier:
            state = frontier.pop(0)
            if state.urn in kept:
                continue
            kept.add(state.urn)
            frontier += graph.dependencies_of(state)
            if deployment.options.exclude_dependents:
                frontier += graph.depending_on(state, kept, include_children=True)
        return {urn for urn in kept if urn in deployment.olds}

    def _graph(self) -> DependencyGraph:
        generator = self._generator
        graph = DependencyGraph([*generator.to_delete, *self._deployment.previous])
        for old, new in generator.refreshed_states.values():
            graph.alias(new, old)
        return graph

    def schedule(self, deletes: list[Step]) -> list[list[Step]]:
        """Group deletes into batches: each may run at once, and only after the batch before it is done."""
        graph = self._graph()
        by_state = {id(step.resource): step for step in deletes}
        waiting_for = {
            key: {id(state) for state in graph.dependencies_of(step.resource)} & by_state.keys()
            for key, step in by_state.items()
        }
        batches: list[list[Step]] = []
        while waiting_for:
            ready = [key for key, needed in waiting_for.items() if not needed]
            if not ready:  # a cycle in a damaged state: take what is left in the order of the state
                ready = list(waiting_for)
            for key in ready:
                del waiting_for[key]
            done = set(ready)
            for needed in waiting_for.values():
                needed -= done
            batches.append([by_state[key] for key in ready])
        batches.reverse()
        return batches

    async def late_refreshes(self) -> list[RefreshStep]:
        """Return the refreshes of resources that the program did not register (`refresh --run-program`)."""
        generator, deployment = self._generator, self._deployment
        targets, excludes = deployment.targets.clone(), deployment.excludes.clone()
        options = deployment.options
        steps = []
        for state in deployment.previous:
            if state.view_of or generator.is_operated_on(state.urn):
                continue
            if excludes.constrained:
                wanted = not excludes.contains(state.urn)
                if not wanted and options.exclude_dependents:
                    for edge in dependencies(state):
                        excludes.add(edge.urn)
            else:
                wanted = targets.contains(state.urn)
                if wanted and targets.constrained and options.target_dependents:
                    for edge in dependencies(state):
                        targets.add(edge.urn)
            if wanted:
                generator.refreshes.add(state.urn)
                await deployment.ensure_provider(state.provider)
                steps.append(RefreshStep(deployment, state))
        return steps
