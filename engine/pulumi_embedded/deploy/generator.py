"""Decides which steps lead a resource from the state it is in to the one the program asks for.

One registration is worked on at a time, as in the CLI; while a step of it runs (a refresh, an import) others go on.
Source: pulumi `pkg/resource/deploy/step_generator.go`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from pulumi_embedded.deploy.ahead import Ahead, Asked
from pulumi_embedded.deploy.aliases import AliasBook
from pulumi_embedded.deploy.diffing import (
    NONE,
    SOME,
    DiffResult,
    DiffUnavailableError,
    apply_replace_on_changes,
    trigger_changed,
)
from pulumi_embedded.deploy.go_text import go_text
from pulumi_embedded.deploy.goal import Goal, ReadRequest
from pulumi_embedded.deploy.graph import dependencies, dependency_urns, provider_urn
from pulumi_embedded.deploy.property_path import reset
from pulumi_embedded.deploy.provider import Provider
from pulumi_embedded.deploy.read_steps import ImportStep, ReadStep, RefreshStep
from pulumi_embedded.deploy.replacements import Replacements
from pulumi_embedded.deploy.selection import Selection
from pulumi_embedded.deploy.step_base import Registration, Step
from pulumi_embedded.deploy.steps import CreateStep, DeleteStep, ReplaceStep, SameStep, UpdateStep
from pulumi_embedded.properties import (
    contains_unknowns,
    deep_equals,
)
from pulumi_embedded.state.resource import ResourceState
from pulumi_embedded.urn import ROOT_STACK_TYPE, is_provider_type, make_urn, urn_qualified_type

if TYPE_CHECKING:
    from pulumi_embedded.deploy.deployment import Deployment

Mode = Literal["update", "destroy", "refresh"]


class BailError(Exception):
    """The deployment cannot go on; why has been shown already."""


@dataclass(slots=True)
class Work:
    """One registration on its way through the generator."""

    goal: Goal
    registration: Registration
    urn: str
    old: ResourceState | None
    new: ResourceState
    invalid: bool
    seed: bytes
    asked: Asked | None = None
    provider: Provider | None = None
    recreating: bool = False
    imported: bool = False


class Generator:
    """What one deployment has seen and decided so far, by URN."""

    def __init__(self, deployment: Deployment, *, mode: Mode, refresh: bool) -> None:
        self.deployment = deployment
        self.mode = mode
        self.refresh = refresh
        self.failed = False
        self.turn = asyncio.Lock()
        self.ahead = Ahead(deployment, possible=mode == "update" and not refresh)
        self.urns: set[str] = set()
        self.reads: set[str] = set()
        self.deletes = deployment.deleted
        self.replaces: set[str] = set()
        self.updates: set[str] = set()
        self.creates: set[str] = set()
        self.sames: set[str] = set()
        self.refreshes: set[str] = set()
        self.imports: set[str] = set()
        self.skipped_creates: set[str] = set()
        self.refreshed_states: dict[int, tuple[ResourceState, ResourceState]] = {}
        self.to_delete: list[ResourceState] = []
        self.pending_deletes: set[int] = set()
        self.providers: dict[str, ResourceState] = {}
        self.aliases = AliasBook(deployment.project, deployment.stack)
        self.selection = Selection(deployment)
        self.replacements = Replacements(self)
        self._carried: list[Step] = []
        self._carried_urns: set[str] = set()

    def has_step(self, urn: str) -> bool:
        """Say whether a step was decided on for this resource."""
        return any(
            urn in seen for seen in (self.creates, self.sames, self.updates, self.deletes, self.replaces, self.reads)
        )

    def is_operated_on(self, urn: str) -> bool:
        """Say whether the program still has the resource that stood under this URN."""
        urn = self.aliases.aliased.get(urn, urn)
        return any(urn in seen for seen in (self.sames, self.updates, self.replaces, self.reads, self.refreshes))

    def new_urn(self, parent: str, resource_type: str, name: str) -> str:
        """Return the URN of a resource.

        Raises:
            BailError: another resource of this program has it.
        """
        if parent and parent not in self.urns:
            raise ValueError(f"could not find parent resource {parent}")
        urn = self.deployment.make_urn(parent, resource_type, name)
        if urn in self.urns:
            self.deployment.emitter.error(f"Duplicate resource URN '{urn}'; try giving it a unique name", urn)
            raise BailError
        self.urns.add(urn)
        return urn

    async def read(self, request: ReadRequest, registration: Registration) -> list[Step]:
        """Decide how to read a resource."""
        if not request.id:
            raise ValueError(f"Expected an ID for {request.name}")
        urn = self.new_urn(request.parent, request.type, request.name)
        old, _, alias = self._find_old(urn, request.name, request.type, request.parent, Goal(request.type, "", True))
        new = ResourceState(
            urn=urn,
            type=request.type,
            custom=True,
            id=request.id,
            inputs=request.properties,
            parent=request.parent,
            external=True,
            dependencies=request.dependencies,
            provider=request.provider,
            additional_secret_outputs=request.additional_secret_outputs,
            aliases=[alias] if alias else [],
            source_position=request.source_position,
            stack_trace=request.stack_trace,
        )
        if old is not None and not old.external and old.id != request.id:
            self.replaces.add(urn)
            reading = ReadStep(self.deployment, registration, old, new, replacing=True)
            return [reading, ReplaceStep(self.deployment, old, new)]
        if self.mode == "destroy":
            self.to_delete.append(new)
        self.reads.add(urn)
        return [ReadStep(self.deployment, registration, old, new)]

    def begin(self, goal: Goal, registration: Registration, asked: Asked | None) -> Work:
        """Take a registration: its URN, and what the state has of it."""
        urn = self.new_urn(goal.parent, goal.type, goal.name)
        old, invalid, alias = self._find_old(urn, goal.name, goal.type, goal.parent, goal)
        self.deployment.goals[urn] = goal
        new = goal.new_state(urn, old, alias)
        if is_provider_type(goal.type):
            self.providers[urn] = new
            if alias:
                self.providers[alias] = new
        seed = asked.seed if asked else self.deployment.seed()
        return Work(goal, registration, urn, old, new, invalid, seed, asked)

    def refresh_step(self, work: Work) -> RefreshStep | None:
        """Return the refresh that comes before anything else, None when there is none."""
        if work.old is None or not self.refresh or not self.selection.included(work.old):
            return None
        self.refreshes.add(work.urn)
        internal = not work.goal.custom or is_provider_type(work.goal.type)
        return RefreshStep(self.deployment, work.old, persisted=True, internal=internal)

    def note_refreshed(self, work: Work, refreshed: ResourceState | None) -> None:
        """Go on from what a refresh found."""
        if work.old is not None and refreshed is not None:
            self.deployment.graph.alias(refreshed, work.old)
            self.refreshed_states[id(work.old)] = (work.old, refreshed)
        work.old = refreshed

    async def after_refresh(self, work: Work) -> list[Step] | ImportStep:
        """Decide what comes next; an import step comes back alone, its result goes to `after_import`."""
        shortcut = self._shortcut(work)
        if shortcut is not None:
            return shortcut
        goal, old = work.goal, work.old
        if goal.custom:
            if is_provider_type(goal.type):
                work.provider = self.deployment.registry
            else:
                work.provider = await self._load_provider(work)
        work.recreating = work.urn in self.deletes
        imported_as = (old.import_id or old.id) if old is not None else ""
        if goal.custom and goal.import_id and (old is None or old.external or imported_as != goal.import_id):
            self.imports.add(work.urn)
            original = old if old is not None and not work.recreating else None
            return ImportStep(
                self.deployment,
                work.registration,
                work.new,
                original=original,
                ignore_changes=goal.ignore_changes,
            )
        return await self.after_import(work)

    async def _load_provider(self, work: Work) -> Provider:
        """Return a resource's provider; one that only the old state has is loaded from there."""
        reference = work.goal.provider
        provider = self.deployment.registry.get(reference) if reference else None
        if provider is not None:
            return provider
        old = self.deployment.old_provider(reference)
        if old is None:
            self.deployment.emitter.error(f"unknown provider '{reference}' for resource '{work.urn}'", work.urn)
            raise BailError
        await self.deployment.ensure_provider(reference)
        if old.urn not in self._carried_urns:
            self._carried_urns.add(old.urn)
            self._carried.append(SameStep.untargeted_of(self.deployment, old))
        loaded = self.deployment.registry.get(reference)
        assert loaded is not None
        return loaded

    def import_companions(self, work: Work, step: ImportStep) -> list[Step]:
        """Return the steps that go with an import: what it replaces is shown as replaced."""
        if step.original is None:
            return []
        return [ReplaceStep(self.deployment, step.original, work.new)]

    def imported_as(self, work: Work, step: ImportStep) -> None:
        """Go on from an import: what was read is the old state now."""
        goal = work.goal
        work.old = step.new
        work.imported = True
        work.new = replace(
            goal.new_state(work.urn, step.new, ""),
            protect=work.new.protect,
            retain_on_delete=work.new.retain_on_delete,
            aliases=list(work.new.aliases),
            import_id=work.new.import_id,
        )

    def _shortcut(self, work: Work) -> list[Step] | None:
        """Return the steps of a resource that a refresh or a destroy with a program does not touch yet."""
        goal, old, new = work.goal, work.old, work.new
        deployment = self.deployment
        manages = goal.custom and not is_provider_type(goal.type)
        depends_on_skipped = bool(dependency_urns(new) & self.skipped_creates)
        if self.mode == "refresh" and (manages or depends_on_skipped):
            if old is None:
                self.sames.add(work.urn)
                self.skipped_creates.add(work.urn)
                return [SameStep.skipped(deployment, work.registration, new)]
            work.registration.done(old)
            return []
        if self.mode != "destroy":
            return None
        if depends_on_skipped:
            self.skipped_creates.add(work.urn)
            if old is not None:
                new.outputs = old.outputs
            return [SameStep.skipped(deployment, work.registration, new)]
        if manages:
            if old is None:
                self.skipped_creates.add(work.urn)
                return [SameStep.skipped(deployment, work.registration, new)]
            self.sames.add(work.urn)
            self.to_delete.append(new)
            new.inputs = old.inputs
            return [SameStep(deployment, work.registration, old, new)]
        self.to_delete.append(new)
        return None

    async def after_import(self, work: Work) -> list[Step]:
        """Check the inputs, ask the policies, and decide on the steps."""
        goal, old, new, urn = work.goal, work.old, work.new, work.urn
        deployment = self.deployment
        inputs = new.inputs
        if old is not None:
            inputs, invalid = reset(inputs, old.inputs, goal.ignore_changes)
            deployment.warn_ignored(urn, invalid)
        implicit = is_provider_type(goal.type) or urn_qualified_type(urn) == ROOT_STACK_TYPE
        targeted = implicit or self.selection.included(new)
        afresh = work.recreating or old is None or old.external or self.selection.replacement_asked(urn, old)
        if work.provider is not None and targeted:
            if work.asked is not None and work.asked.old is old and (old is None or not afresh):
                checked = await work.asked.checked()
            else:
                olds = None if afresh or old is None else old.inputs
                news = goal.properties if afresh else inputs
                checked = await work.provider.check(urn, olds, news, allow_unknowns=deployment.dry_run, seed=work.seed)
            inputs = checked.inputs
            new.inputs = inputs
            work.invalid = deployment.report_check_failures(new, checked.failures) or work.invalid
        elif work.provider is not None and old is not None:
            inputs = old.inputs
        new.inputs = inputs
        deployment.emitter.learn_secrets(inputs)
        if targeted:
            self._carry_dependencies(new)
        if await deployment.policies.judge(new, goal, self.provider_resource(new)):
            work.invalid = True
        if deployment.policies.saw_mandatory:
            self.failed = True
        if work.invalid:
            raise BailError
        if work.recreating:
            assert old is not None
            return self._recreate(work, old)
        if old is not None and old.external:
            self.creates.add(urn)
            create = CreateStep(deployment, work.registration, new, old=old, replacing=True, pending_delete=True)
            return [create, ReplaceStep(deployment, old, new)]
        self.selection.note(new, targeted=targeted)
        if old is not None:
            if not targeted:
                return await self._carry(work, old)
            return await self._compare(work, old)
        if not targeted:
            self.sames.add(urn)
            self.skipped_creates.add(urn)
            return [SameStep.skipped(deployment, work.registration, new)]
        self.creates.add(urn)
        return [CreateStep(deployment, work.registration, new)]

    def _recreate(self, work: Work, old: ResourceState) -> list[Step]:
        """Create again what had to be deleted before something it depends on."""
        self.deletes.discard(work.urn)
        self.replaces.add(work.urn)
        diff = DiffResult(changes=SOME, replace_keys=self.replacements.keys.get(work.urn, []))
        return [
            ReplaceStep(self.deployment, old, work.new),
            CreateStep(self.deployment, work.registration, work.new, old=old, diff=diff, replacing=True),
        ]

    async def _compare(self, work: Work, old: ResourceState) -> list[Step]:
        steps = await self._steps_from_diff(work, old, *await self._diff(work, old))
        if steps:
            return steps
        if work.urn in self.imports:
            work.registration.done(old)
            return []
        self.sames.add(work.urn)
        return [SameStep(self.deployment, work.registration, old, work.new)]

    async def _diff(self, work: Work, old: ResourceState) -> tuple[DiffResult, bool]:
        """Return what differs, and whether the replacement trigger changed."""
        new, deployment = work.new, self.deployment
        trigger = new.replacement_trigger
        if trigger is not None and not deployment.dry_run and contains_unknowns(trigger):
            deployment.emitter.error(f"replacement trigger contains unknowns for {work.urn}", work.urn)
            raise BailError
        if trigger_changed(new.replacement_trigger, old.replacement_trigger):
            return DiffResult(changes=SOME), True
        blame = await self._blame(work, old)
        if blame:
            return DiffResult(changes=SOME, replace_keys=[blame]), False
        if work.provider is None:
            same = deep_equals(old.inputs, new.inputs)
            return DiffResult(changes=NONE if same else SOME), False
        try:
            asked, ignored = work.asked.difference(old, new.inputs) if work.asked else None, work.goal.ignore_changes
            diff = await deployment.diff_resource(
                work.urn, old.id, old.inputs, old.outputs, new.inputs, work.provider, ignored, asked=asked
            )
        except DiffUnavailableError as error:
            deployment.emitter.warning(str(error), work.urn)
            diff = DiffResult(changes=SOME)
        return diff, False

    async def _blame(self, work: Work, old: ResourceState) -> str:
        """Return the reason to replace a resource that needs no look at its properties, "" for none."""
        if self.selection.replacement_asked(work.urn, old):
            return "id"
        if any(urn in self.replaces for urn in work.new.replace_with):
            return "replaceWith"
        if work.new.deleted_with and work.new.deleted_with in self.replaces:
            return "deletedWith"
        if await self._provider_changed(old, work.new):
            return "provider"
        return ""

    async def _provider_changed(self, old: ResourceState, new: ResourceState) -> bool:
        """Say whether a resource moved to a provider that cannot manage what the old one made."""
        if old.provider == new.provider:
            return False
        if not old.provider or not new.provider:
            return True
        old_urn, new_urn = provider_urn(old), provider_urn(new)
        if self.aliases.aliased.get(old_urn) == new_urn:
            return False
        deployment = self.deployment
        provider = deployment.registry.get(new.provider)
        before, after = deployment.olds.get(old_urn), self.providers.get(new_urn)
        if provider is None or before is None or after is None:
            raise ValueError(f'failed to resolve provider reference: "{new.provider}"')
        diff = await provider.diff_config(
            new_urn,
            deployment.provider_config(before.inputs),
            before.outputs,
            deployment.provider_config(after.inputs),
            [],
        )
        return diff.replaces

    async def _steps_from_diff(self, work: Work, old: ResourceState, diff: DiffResult, trigger: bool) -> list[Step]:
        goal, new = work.goal, work.new
        has_init_errors = bool(old.init_errors)
        diff = apply_replace_on_changes(diff, goal.replace_on_changes, has_init_errors)
        if diff.changes == SOME or old.pending_replacement:
            if diff.replaces or trigger or old.pending_replacement:
                return await self._replace(work, old, diff)
        elif not has_init_errors:
            return []
        self.updates.add(work.urn)
        return [UpdateStep(self.deployment, work.registration, old, new, diff, goal.ignore_changes)]

    async def _replace(self, work: Work, old: ResourceState, diff: DiffResult) -> list[Step]:
        goal, new, deployment = work.goal, work.new, self.deployment
        self._refuse_replacement(work, old, diff)
        self.replaces.add(work.urn)
        if work.provider is not None and not self.selection.replacement_asked(work.urn, old):
            # Defaults were carried over from the old resource; a new one gets its own.
            checked = await work.provider.check(
                work.urn, None, goal.properties, allow_unknowns=deployment.dry_run, seed=work.seed
            )
            if deployment.report_check_failures(new, checked.failures):
                raise BailError
            new.inputs = checked.inputs
        delete_first = diff.delete_before_replace
        if goal.delete_before_replace is not None:
            delete_first = goal.delete_before_replace
        if delete_first:
            steps: list[Step] = await self.replacements.delete_dependents(work.urn, old)
            await deployment.ensure_provider(old.provider)
            if not old.pending_replacement:
                self.deletes.add(old.urn)
                steps.append(DeleteStep(deployment, old, replacing=True, pending_replacement=True))
            create = CreateStep(deployment, work.registration, new, old=old, diff=diff, replacing=True)
            return [*steps, ReplaceStep(deployment, old, new, diff), create]
        create = CreateStep(deployment, work.registration, new, old=old, diff=diff, replacing=True, pending_delete=True)
        return [create, ReplaceStep(deployment, old, new, diff)]

    def _refuse_replacement(self, work: Work, old: ResourceState, diff: DiffResult) -> None:
        emitter, dry_run = self.deployment.emitter, self.deployment.dry_run
        if work.new.protect and old.protect and not self.deployment.options.ignore_protect:
            emitter.error(
                f'unable to replace resource "{work.urn}"\nas it is currently marked for protection. To unprotect the '
                "resource, remove the `protect` flag from the resource in your Pulumi program and run `pulumi up`",
                work.urn,
            )
            self.failed = True
            if not dry_run:
                raise BailError
        if work.goal.import_id:
            changes = "\n".join(
                f"{key}: {go_text(old.inputs.get(key))} => {go_text(work.new.inputs.get(key))}"
                for key in diff.replace_keys
            )
            message = (
                "previously-imported resources that still specify an ID may not be replaced; please remove the "
                f"`import` declaration from your program;\n{changes}"
            )
            if not dry_run:
                raise ValueError(message)
            emitter.warning(message, work.urn)

    def provider_resource(self, state: ResourceState) -> ResourceState | None:
        """Return the state of a resource's provider."""
        if not state.provider:
            return None
        return self.providers.get(provider_urn(state)) or self.deployment.old_provider(state.provider)

    def _find_old(
        self, urn: str, name: str, resource_type: str, parent: str, goal: Goal
    ) -> tuple[ResourceState | None, bool, str]:
        """Return what the state has of a resource, whether its aliases clash, and the alias it was found under."""
        book, olds, emitter = self.aliases, self.deployment.olds, self.deployment.emitter
        invalid = False
        if urn in book.aliased:
            invalid = True
            emitter.error(
                f"Duplicate resource URN '{urn}' conflicting with alias on resource with URN '{book.aliased[urn]}'", urn
            )
        for candidate in (urn, *book.of(name, resource_type, parent, goal.aliases)):
            old = olds.get(candidate)
            if old is None:
                continue
            if candidate == urn:
                return old, invalid, ""
            claimant = urn if candidate in self.urns else book.aliased.get(candidate)
            if claimant is not None:
                invalid = True
                emitter.error(
                    f"Duplicate resource alias '{candidate}' applied to resource with URN '{urn}' conflicting with "
                    f"resource with URN '{claimant}'",
                    urn,
                )
            book.aliased[candidate] = urn
            book.taken[urn] = candidate
            self.deployment.registry.register_alias(urn, candidate)
            return old, invalid, candidate
        return None, invalid, ""

    async def _carry(self, work: Work, old: ResourceState) -> list[Step]:
        """Carry over an untargeted resource, after everything it depends on that nothing else brings."""
        deployment = self.deployment
        if old.provider and deployment.registry.get(old.provider) is None:
            if deployment.old_provider(old.provider) is None:
                raise ValueError(f"could not find provider {old.provider} in old state")
            raise ValueError(
                f"provider {old.provider} for resource {work.urn} has not been registered yet, this is due to a change "
                "of providers mixed with --target. Change your program back to the original providers"
            )
        return self._carry_with_dependencies(old, work.urn, work.registration)

    def _carry_with_dependencies(self, old: ResourceState, urn: str, registration: Registration | None) -> list[Step]:
        if old.delete:
            return []
        olds = self.deployment.olds
        steps: list[Step] = []
        self.urns.add(old.urn)
        self.sames.update((urn, old.urn))
        provider = provider_urn(old)
        if provider and not self.has_step(provider) and not self.is_operated_on(provider):
            before = self.deployment.old_provider(old.provider)
            if before is not None:
                steps += self._carry_with_dependencies(before, provider, None)
        for edge in dependencies(old):
            if self.has_step(edge.urn):
                continue
            if edge.urn not in olds:
                kind = edge.kind.replace("_", " ")
                self.deployment.emitter.error(f"{kind} {edge.urn} of untargeted resource {urn} has no old state", urn)
                raise BailError
            steps += self._carry_with_dependencies(olds[edge.urn], edge.urn, None)
        steps.append(SameStep.untargeted_of(self.deployment, old, registration))
        return steps

    def _carry_dependencies(self, new: ResourceState) -> None:
        """Queue the old resources that a targeted one depends on and that the program no longer registers."""
        if not self.deployment.targets.constrained:
            return
        for edge in dependencies(new):
            self._queue(edge.urn)

    def _queue(self, urn: str) -> None:
        if not urn or self.has_step(urn) or urn in self._carried_urns:
            return
        old = self.deployment.olds.get(urn)
        if old is None or old.delete:
            return
        self._carried_urns.add(urn)
        if self.deployment.old_provider(old.provider) is not None:
            self._queue(provider_urn(old))
        for edge in dependencies(old):
            self._queue(edge.urn)
        self._carried.append(SameStep.untargeted_of(self.deployment, old))

    def validated(self, steps: list[Step]) -> list[Step]:
        """Put what has to come first in front, and refuse steps that need something that is left out, or nowhere."""
        for step in steps:
            for urn in dependency_urns(step.new) if step.new is not None else ():
                if urn not in self.urns and urn not in self.deployment.olds:
                    raise ValueError(f"'{step.urn}' refers to '{urn}', which neither the program nor the state has")
        if self._carried:
            carried, self._carried = self._carried, []
            first = [step for step in carried if not self.has_step(step.urn) and not self.is_operated_on(step.urn)]
            for step in first:
                self.urns.add(step.urn)
                self.sames.add(step.urn)
            steps = [*first, *steps]
        if self.deployment.targets.constrained or self.deployment.replace_targets.constrained:
            left_out = "was was not specified in --target list"
        elif self.deployment.excludes.constrained:
            left_out = "does not exist yet and is left out by --exclude"
        else:
            return steps
        for step in steps:
            if step.new is None or step.skipped_create:
                continue
            for urn in sorted(dependency_urns(step.new) & self.skipped_creates):
                self.deployment.emitter.error(f"Resource '{step.urn}' depends on '{urn}' which {left_out}.", step.urn)
                self.failed = True
                if not self.deployment.dry_run:
                    raise BailError
                self.skipped_creates.discard(urn)
        return steps


def default_urn(stack: str, project: str, parent: str, resource_type: str, name: str) -> str:
    """Return the URN of a resource under its parent."""
    parent_type = urn_qualified_type(parent) if parent else ""
    return make_urn(stack, project, "" if parent_type == ROOT_STACK_TYPE else parent_type, resource_type, name)
