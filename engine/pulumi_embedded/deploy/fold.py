"""Folds the journal of an update into the deployment it left. Pure; imports neither grpc nor pulumi.

An update has a base (the resources of the checkpoint, by index) and operations (numbered from 1). Entries:

- `begin` {id, operation, resource}: a provider is about to be called; pending until its `end` or `fail`.
- `same` {id, old}: base resource `old` is part of the new deployment, unchanged.
- `end` {id, state?, remove_old|remove_new?, delete_old|delete_new?, pending_old|pending_new?, refresh?}: the
  operation succeeded. `state` joins the new deployment; the resource under `remove_*` leaves it, the one under
  `delete_*` is marked for deletion, the one under `pending_*` was deleted and awaits its replacement.
- `fail` {id}: the operation failed and left nothing.
- `outputs` {state, remove_old|remove_new}: a resource that is already recorded got its final outputs, in place.
- `refreshed` {id, state?, remove_old|remove_new}: a resource was read again, in place; without a state it is gone.
- `adopt` {index, state?}: pending operation `index` of the base was resolved: `state` joins the base, or nothing does.
- `rebase` {}: what there is now becomes the base, and indices count from it.

`*_old` are indices of the base, `*_new` numbers of operations. New resources come first in the result, in the order in
which their operations ended, then what is left of the base in its order: an operation only begins after those it
depends on ended, so any prefix of a journal gives a deployment in which dependencies come first.
Source: pulumi `pkg/backend/journal.go` (`JournalReplayer`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from pulumi_embedded.state.resource import ResourceState
from pulumi_embedded.urn import (
    ROOT_STACK_TYPE,
    make_urn,
    provider_reference,
    split_provider_reference,
    urn_name,
    urn_project,
    urn_qualified_type,
    urn_stack,
    urn_type,
)

Operation = tuple[str, ResourceState]
"""A pending operation ("creating", "updating", "deleting", "reading", "importing") and the resource it is about."""


def fold(
    base: list[ResourceState],
    pending: list[Operation],
    entries: Iterable[Mapping[str, Any]],
) -> tuple[list[ResourceState], list[Operation]]:
    """Return the resources, dependencies first, and the operations that were under way when `entries` end.

    Args:
        base: the resources of the checkpoint that the update started from, in its order; not changed.
        pending: that checkpoint's pending operations. Those of kind "creating" stay until a refresh is told what became
            of them: another create of the same resource says nothing of it. The others are settled by the update.
        entries: the journal, oldest first; each state in it is a `ResourceState.to_json()` with readable secrets.
    """
    folder = Folder(base, pending)
    for entry in entries:
        folder.add(entry)
    return folder.result()


class Folder:
    """A fold in progress: takes entries one at a time, and can say at any moment what they amount to."""

    def __init__(self, base: list[ResourceState], pending: list[Operation]) -> None:
        self._start(base, pending)

    def _start(self, base: list[ResourceState], pending: list[Operation]) -> None:
        self._base: list[ResourceState | None] = list(base)
        self._pending: list[Operation | None] = list(pending)
        self._news: list[ResourceState | None] = []
        self._position: dict[int, int] = {}
        self._begun: dict[int, Operation] = {}
        self._refreshed = False
        self._touched = False

    def add(self, entry: Mapping[str, Any]) -> None:
        """Take the next entry.

        Raises:
            ValueError: the entry is of a kind this engine does not write.
        """
        handler = getattr(self, f"_on_{entry['kind']}", None)
        if handler is None:
            raise ValueError(f"the journal holds an entry of unknown kind '{entry['kind']}'")
        handler(entry)
        self._touched = True

    def result(self) -> tuple[list[ResourceState], list[Operation]]:
        """Return the resources and pending operations of the entries so far."""
        resources = [state for state in (*self._news, *self._base) if state is not None]
        if self._refreshed:
            resources = without_dangling(resources)
        if self._touched:
            resources = _normalised(resources)
        kept = [
            operation
            for operation in self._pending
            if operation is not None and (not self._touched or operation[0] == "creating")
        ]
        return resources, [*kept, *self._begun.values()]

    def _on_begin(self, entry: Mapping[str, Any]) -> None:
        self._begun[entry["id"]] = (entry["operation"], ResourceState.from_json(entry["resource"]))

    def _on_fail(self, entry: Mapping[str, Any]) -> None:
        self._begun.pop(entry["id"], None)

    def _on_same(self, entry: Mapping[str, Any]) -> None:
        state = self._base[entry["old"]]
        self._base[entry["old"]] = None
        self._append(entry["id"], state)

    def _on_end(self, entry: Mapping[str, Any]) -> None:
        self._begun.pop(entry["id"], None)
        if entry.get("state") is not None:
            state = ResourceState.from_json(entry["state"])
            self._append(entry["id"], state)
        self._replace(entry, "remove", None)
        for key, flag in (("delete", "delete"), ("pending", "pending_replacement")):
            marked = self._find(entry, key)
            if marked is not None:
                self._replace(entry, key, _marked(marked, flag))
        self._refreshed = self._refreshed or bool(entry.get("refresh"))

    def _on_outputs(self, entry: Mapping[str, Any]) -> None:
        if self._find(entry, "remove") is not None:
            self._replace(entry, "remove", ResourceState.from_json(entry["state"]))

    def _on_refreshed(self, entry: Mapping[str, Any]) -> None:
        self._begun.pop(entry["id"], None)
        self._refreshed = True
        state = entry.get("state")
        if self._find(entry, "remove") is not None:
            self._replace(entry, "remove", ResourceState.from_json(state) if state is not None else None)

    def _on_adopt(self, entry: Mapping[str, Any]) -> None:
        self._pending[entry["index"]] = None
        if entry.get("state") is not None:
            self._base.append(ResourceState.from_json(entry["state"]))

    def _on_rebase(self, entry: Mapping[str, Any]) -> None:
        self._start(*self.result())

    def _append(self, operation: int, state: ResourceState | None) -> None:
        self._position[operation] = len(self._news)
        self._news.append(state)

    def _find(self, entry: Mapping[str, Any], key: str) -> ResourceState | None:
        old, new = entry.get(f"{key}_old"), entry.get(f"{key}_new")
        if old is not None:
            return self._base[int(old)]
        if new is not None and new in self._position:
            return self._news[self._position[new]]
        return None

    def _replace(self, entry: Mapping[str, Any], key: str, state: ResourceState | None) -> None:
        old, new = entry.get(f"{key}_old"), entry.get(f"{key}_new")
        if old is not None:
            self._base[old] = state
        elif new is not None and new in self._position:
            self._news[self._position[new]] = state


def _marked(state: ResourceState, flag: str) -> ResourceState:
    marked = replace(state)
    setattr(marked, flag, True)
    return marked


def without_dangling(resources: list[ResourceState]) -> list[ResourceState]:
    """Drop references to resources that a refresh found gone; a child of one moves up to its grandparent."""
    seen: set[str] = set()
    every = {state.urn for state in resources}
    parents: dict[str, str] = {}
    result = []
    for state in resources:
        changes: dict[str, Any] = {}
        if any(urn not in seen for urn in state.dependencies):
            changes["dependencies"] = [urn for urn in state.dependencies if urn in seen]
        known = {key: [urn for urn in urns if urn in seen] for key, urns in state.property_dependencies.items()}
        known = {key: urns for key, urns in known.items() if urns}
        if known != state.property_dependencies:
            changes["property_dependencies"] = known
        if any(urn not in seen for urn in state.replace_with):
            changes["replace_with"] = [urn for urn in state.replace_with if urn in seen]
        if state.deleted_with and state.deleted_with not in seen:
            changes["deleted_with"] = ""
        if state.parent and state.parent not in every:
            changes["parent"] = parents.get(state.parent, "")
        fixed = replace(state, **changes) if changes else state
        parents[state.urn] = fixed.parent
        seen.add(state.urn)
        result.append(fixed)
    return result


def _normalised(resources: list[ResourceState]) -> list[ResourceState]:
    """Let every reference use the name that a renamed resource has now, and forget its old names."""
    aliased: dict[str, str] = {}
    for state in resources:
        for alias in state.aliases:
            aliased[alias] = state.urn
        parent = aliased.get(state.parent)
        if parent and urn_qualified_type(parent) != ROOT_STACK_TYPE:
            urn = state.urn
            aliased[urn] = make_urn(
                urn_stack(urn), urn_project(urn), urn_qualified_type(parent), urn_type(urn), urn_name(urn)
            )
    if not aliased:
        return resources

    def now(urn: str) -> str:
        return aliased.get(urn, urn)

    result = []
    for state in resources:
        provider = state.provider
        if provider:
            urn, provider_id = split_provider_reference(provider)
            provider = provider_reference(now(urn), provider_id)
        result.append(
            replace(
                state,
                urn=now(state.urn),
                parent=now(state.parent),
                provider=provider,
                dependencies=[now(urn) for urn in state.dependencies],
                property_dependencies=_renamed(state.property_dependencies, aliased),
                deleted_with=now(state.deleted_with),
                replace_with=[now(urn) for urn in state.replace_with],
                view_of=now(state.view_of),
                aliases=[],
            )
        )
    return result


def _renamed(dependencies: dict[str, list[str]], names: dict[str, str]) -> dict[str, list[str]]:
    """Rename in property dependencies; as in the CLI, the empty ones go when another changes."""
    if not any(urn in names for urns in dependencies.values() for urn in urns):
        return dependencies
    return {key: [names.get(urn, urn) for urn in urns] for key, urns in dependencies.items() if urns}
