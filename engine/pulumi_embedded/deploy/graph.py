"""Which resource depends on which, read from a list of states in dependency order.

Source: pulumi `pkg/resource/graph/dependency_graph.go`.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import NamedTuple

from pulumi_embedded.state.resource import ResourceState
from pulumi_embedded.urn import split_provider_reference


class Dependency(NamedTuple):
    """One edge: its kind ("parent", "dependency", "property", "deleted_with", "replace_with") and where it leads."""

    kind: str
    urn: str
    key: str = ""


def provider_urn(state: ResourceState) -> str:
    """Return the URN of the resource's provider, "" when it has none."""
    return split_provider_reference(state.provider)[0] if state.provider else ""


def dependencies(state: ResourceState) -> Iterator[Dependency]:
    """Yield every edge of a resource but the one to its provider."""
    if state.parent:
        yield Dependency("parent", state.parent)
    for urn in state.dependencies:
        yield Dependency("dependency", urn)
    for key, urns in state.property_dependencies.items():
        for urn in urns:
            yield Dependency("property", urn, key)
    if state.deleted_with:
        yield Dependency("deleted_with", state.deleted_with)
    for urn in state.replace_with:
        yield Dependency("replace_with", urn)


def dependency_urns(state: ResourceState) -> set[str]:
    """Return the URNs of everything the resource depends on, its provider included."""
    urns = {edge.urn for edge in dependencies(state)}
    if state.provider:
        urns.add(provider_urn(state))
    return urns


class DependencyGraph:
    """The graph of a list of resources in which dependencies come first.

    States are told apart by identity, not by URN: during a replacement two of them share one.
    """

    def __init__(self, resources: list[ResourceState]) -> None:
        self._resources = resources
        self._index: dict[int, int] = {}
        self._at: dict[str, list[int]] = {}
        self._children: dict[str, list[int]] = {}
        self._aliased: list[ResourceState] = []
        for index, state in enumerate(resources):
            self._index[id(state)] = index
            self._at.setdefault(state.urn, []).append(index)
            if state.parent:
                self._children.setdefault(state.parent, []).append(index)

    def alias(self, new: ResourceState, existing: ResourceState) -> None:
        """Let `new` stand for `existing` from now on."""
        self._index[id(new)] = self._index[id(existing)]
        self._aliased.append(new)

    def contains(self, state: ResourceState) -> bool:
        """Say whether `state` itself is in the graph."""
        return id(state) in self._index

    def depending_on(
        self, state: ResourceState, ignore: Container[str] = (), *, include_children: bool = False
    ) -> list[ResourceState]:
        """Return everything that depends on `state`, directly or not, in dependency order."""
        dependent_urns = {state.urn}
        found: list[ResourceState] = []
        for candidate in self._resources[self._index[id(state)] + 1 :]:
            if candidate.urn in ignore:
                continue
            edges = (edge.urn for edge in dependencies(candidate) if include_children or edge.kind != "parent")
            if any(urn in dependent_urns for urn in edges) or provider_urn(candidate) in dependent_urns:
                found.append(candidate)
                dependent_urns.add(candidate.urn)
        return found

    def dependencies_of(self, state: ResourceState) -> list[ResourceState]:
        """Return what `state` depends on directly; of a component also the children that come before `state`."""
        cursor = self._index[id(state)]
        found: dict[int, ResourceState] = {}
        wanted = {edge.urn for edge in dependencies(state) if edge.kind != "parent"}
        if state.provider:
            wanted.add(provider_urn(state))
        for urn in wanted:
            for index in self._before(urn, cursor):
                found[index] = self._resources[index]
                if not self._resources[index].custom:
                    for child in self._descendants(urn):
                        if child < cursor:
                            found[child] = self._resources[child]
        if state.parent:
            for index in self._before(state.parent, cursor):
                found[index] = self._resources[index]
        return list(found.values())

    def transitive_dependencies_of(self, state: ResourceState) -> list[ResourceState]:
        """Return everything that `state` depends on, directly or not; of two with one URN the one of its own age."""
        olds = {item.urn: item for item in self._resources if item.delete}
        news = {item.urn: item for item in self._resources if not item.delete}

        def look_up(urn: str, origin: ResourceState) -> ResourceState | None:
            first, second = (olds, news) if origin.delete else (news, olds)
            return first.get(urn) or second.get(urn)

        found: dict[int, ResourceState] = {}
        frontier = [state]
        while frontier:
            current = frontier.pop()
            for urn in dependency_urns(current):
                dependency = look_up(urn, current)
                if dependency is not None and id(dependency) not in found:
                    found[id(dependency)] = dependency
                    frontier.append(dependency)
        return list(found.values())

    def _before(self, urn: str, cursor: int) -> list[int]:
        return [index for index in self._at.get(urn, ()) if index < cursor]

    def _descendants(self, urn: str) -> Iterator[int]:
        frontier = [urn]
        seen: set[str] = set()
        while frontier:
            parent = frontier.pop()
            if parent in seen:
                continue
            seen.add(parent)
            for child in self._children.get(parent, ()):
                yield child
                frontier.append(self._resources[child].urn)
