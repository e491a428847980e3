"""What else has to go when a resource is deleted before its replacement is made.

Source: pulumi `pkg/resource/deploy/step_generator.go` (`calculateDependentReplacements`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pulumi_embedded.deploy.diffing import apply_replace_on_changes
from pulumi_embedded.deploy.graph import provider_urn
from pulumi_embedded.deploy.step_base import Step
from pulumi_embedded.deploy.steps import DeleteStep
from pulumi_embedded.properties import UNKNOWN
from pulumi_embedded.state.resource import ResourceState
from pulumi_embedded.urn import is_provider_type

if TYPE_CHECKING:
    from pulumi_embedded.deploy.generator import Generator

Dependent = tuple[ResourceState, list[str]]
"""A resource that has to be replaced too, and the properties that force it."""


class Replacements:
    """Finds dependents that must be replaced together with a resource; `keys` says why each of them was."""

    def __init__(self, generator: Generator) -> None:
        self._generator = generator
        self.keys: dict[str, list[str]] = {}

    async def delete_dependents(self, urn: str, old: ResourceState) -> list[Step]:
        """Return the deletes of everything that goes before `old`, last made first.

        Raises:
            BailError: one of them is protected.
        """
        from pulumi_embedded.deploy.generator import BailError

        generator = self._generator
        deployment = generator.deployment
        doomed: list[Dependent] = []
        if deployment.graph.contains(old):  # in a preview `old` may have just been imported
            doomed = await self.of(old)
        doomed += self.cascading(urn)
        steps: list[Step] = []
        for dependent, keys in reversed(doomed):
            if id(dependent) in generator.pending_deletes:
                continue
            self.keys[dependent.urn] = keys
            if dependent.delete:
                steps.append(DeleteStep(deployment, dependent))
            else:
                if dependent.protect and not deployment.options.ignore_protect:
                    deployment.emitter.error(
                        f'unable to replace resource "{dependent.urn}" as part of replacing "{urn}" as it is currently '
                        "marked for protection. To unprotect the resource, remove the `protect` flag from the resource "
                        "in your Pulumi program and run `pulumi up`, or use the command:\n"
                        f"`pulumi state unprotect '{dependent.urn}'`",
                        urn,
                    )
                    generator.failed = True
                    raise BailError
                steps.append(DeleteStep(deployment, dependent, replacing=True, pending_replacement=True))
            generator.deletes.add(dependent.urn)
            generator.pending_deletes.add(id(dependent))
        return steps

    async def of(self, root: ResourceState) -> list[Dependent]:
        """Return the resources that must be replaced when `root` is, in dependency order."""
        generator = self._generator
        condemned = {root.urn}
        seen = set().union(
            generator.reads,
            generator.creates,
            generator.sames,
            generator.updates,
            generator.deletes,
            generator.replaces,
        )
        found: list[Dependent] = []
        for dependent in generator.deployment.graph.depending_on(root, seen):
            keys = await self._forced(dependent, condemned)
            if keys is not None:
                found.append((dependent, keys))
                condemned.add(dependent.urn)
        return found

    def cascading(self, urn: str) -> list[Dependent]:
        """Return the resources that ask to be replaced or deleted together with `urn`."""
        deployment = self._generator.deployment
        found: dict[str, Dependent] = {}
        for state in (*deployment.news.values(), *deployment.olds.values()):
            if state.urn not in found and (urn in state.replace_with or state.deleted_with == urn):
                found[state.urn] = (state, [])
        return list(found.values())

    async def _forced(self, state: ResourceState, condemned: set[str]) -> list[str] | None:
        """Return why a resource must be replaced with the condemned ones, None when it need not be."""
        deployment = self._generator.deployment
        if not state.custom or state.external:
            return None
        if state.provider and provider_urn(state) in condemned:
            await deployment.ensure_provider(state.provider)
            return []
        if state.deleted_with and state.deleted_with in condemned:
            return []
        affected = {
            key for key, urns in state.property_dependencies.items() if key in state.inputs and condemned & set(urns)
        }
        if not affected:
            return None
        if is_provider_type(state.type):
            await deployment.registry.same(state, from_check=False)
        else:
            await deployment.ensure_provider(state.provider)
        provider = await deployment.provider_for(state.type, state.provider, state.urn)
        inputs = {key: UNKNOWN if key in affected else value for key, value in state.inputs.items()}
        diff = await deployment.diff_resource(
            state.urn,
            state.id,
            state.inputs,
            state.outputs,
            inputs,
            provider,
            state.ignore_changes,
            allow_unknowns=True,
        )
        diff = apply_replace_on_changes(diff, state.replace_on_changes, has_init_errors=False)
        return list(diff.replace_keys) if diff.replaces else None
