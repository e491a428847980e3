"""Which resources an update may touch: `--target`, `--exclude`, `--replace` and their dependents."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pulumi_embedded.deploy.graph import dependency_urns
from pulumi_embedded.state.resource import ResourceState

if TYPE_CHECKING:
    from pulumi_embedded.deploy.deployment import Deployment


class Selection:
    """What the options select; dependents join it as they are registered, dependencies before dependents."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self._targets_actual = deployment.targets.clone()
        self._excludes_actual = deployment.excludes.clone()

    def included(self, state: ResourceState) -> bool:
        """Say whether `--target` and `--exclude` let the update touch a resource."""
        deployment = self.deployment
        if deployment.targets.constrained:
            return self._targeted(state)
        if deployment.excludes.constrained:
            return not self._excluded(state)
        return True

    def _targeted(self, state: ResourceState) -> bool:
        deployment = self.deployment
        if deployment.targets.constrained and deployment.targets.contains(state.urn):
            return True
        return deployment.options.target_dependents and any(
            self._targets_actual.contains(urn) for urn in dependency_urns(state)
        )

    def _excluded(self, state: ResourceState) -> bool:
        deployment = self.deployment
        if deployment.excludes.contains(state.urn):
            return True
        return deployment.options.exclude_dependents and any(
            self._excludes_actual.contains(urn) for urn in dependency_urns(state)
        )

    def note(self, state: ResourceState, *, targeted: bool) -> None:
        """Let what depends on a resource be selected, or left out, with it."""
        if self.deployment.excludes.constrained and not targeted and self._excluded(state):
            self._excludes_actual.add(state.urn)
        elif targeted and self._targeted(state):
            self._targets_actual.add(state.urn)

    def replacement_asked(self, urn: str, old: ResourceState | None) -> bool:
        """Say whether `--replace` or `state taint` asks for a replacement."""
        replace_targets = self.deployment.replace_targets
        if replace_targets.constrained and replace_targets.contains(urn):
            return True
        return old is not None and old.taint
