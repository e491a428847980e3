"""Under which earlier names a resource may stand in the state.

Source: pulumi `pkg/resource/deploy/step_generator.go` (`generateAliases`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pulumi_embedded.deploy.goal import AliasSpec
from pulumi_embedded.urn import (
    ROOT_STACK_TYPE,
    make_urn,
    urn_name,
    urn_project,
    urn_qualified_type,
    urn_stack,
    urn_type,
)


@dataclass(slots=True)
class AliasBook:
    """The aliases of one deployment.

    `aliased` leads from an old URN to the resource that claimed it, `taken` from a resource to the old URN it was found
    under, which its children inherit.
    """

    project: str
    stack: str
    aliased: dict[str, str] = field(default_factory=dict)
    taken: dict[str, str] = field(default_factory=dict)

    def of(self, name: str, resource_type: str, parent: str, specs: list[AliasSpec]) -> list[str]:
        """Return the old URNs to look for, in order, each once."""
        found = dict.fromkeys(self._collapse(spec, name, resource_type, parent) for spec in specs)
        inherited = self.taken.get(parent) if parent else None
        if inherited:
            parent_name = urn_name(parent)
            found[self._inherit(resource_type, name, parent_name, inherited)] = None
            for spec in specs:
                own = self._collapse(spec, name, resource_type, parent)
                found[self._inherit(urn_type(own), urn_name(own), parent_name, inherited)] = None
        return list(found)

    def _collapse(self, spec: AliasSpec, name: str, resource_type: str, parent: str) -> str:
        if spec.urn:
            return spec.urn
        if spec.parent:
            parent = self.taken.get(spec.parent, spec.parent)
        parent_type = urn_qualified_type(parent) if parent else ""
        stack, project = spec.stack or self.stack, spec.project or self.project
        if spec.no_parent or parent_type == ROOT_STACK_TYPE:
            parent_type = ""
        elif parent:  # its URN says where it stood: what the alias says of stack and project is not looked at
            stack, project = urn_stack(parent), urn_project(parent)
        return make_urn(stack, project, parent_type, spec.type or resource_type, spec.name or name)

    def _inherit(self, child_type: str, child_name: str, parent_name: str, parent_alias: str) -> str:
        """Return the child's URN under its parent's old URN.

        A child whose name begins with its parent's is taken to be named after it, and renamed with it.
        """
        name = child_name
        if child_name.startswith(parent_name):
            name = urn_name(parent_alias) + child_name[len(parent_name) :]
        return make_urn(self.stack, self.project, urn_qualified_type(parent_alias), child_type, name)
