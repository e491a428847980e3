"""Surgery on a deployment's resources: delete, rename, protect, taint, repair. Secrets stay sealed throughout.

Functions take resources as they stand on disk and return new ones; the caller checks the result's integrity.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from pulumi_embedded.errors import EngineError, StateError
from pulumi_embedded.state.sealing import RESOURCE_REFERENCE_SIG, SIG
from pulumi_embedded.urn import (
    ROOT_STACK_TYPE,
    is_provider_type,
    is_urn,
    make_urn,
    provider_reference,
    rename_urn,
    split_provider_reference,
    urn_name,
    urn_project,
    urn_qualified_type,
    urn_stack,
    urn_type,
)

Resource = dict[str, Any]
_LISTS = ("dependencies", "replaceWith", "aliases")
_SINGLES = ("urn", "parent", "deletedWith", "viewOf")


def references(resource: Resource) -> list[str]:
    """Return the URNs that a resource needs before it: parent, provider, dependencies of every kind."""
    found = [str(resource[key]) for key in ("parent", "deletedWith") if resource.get(key)]
    found += [str(urn) for key in ("dependencies", "replaceWith") for urn in resource.get(key) or []]
    for urns in (resource.get("propertyDependencies") or {}).values():
        found += [str(urn) for urn in urns or []]
    if resource.get("provider"):
        try:
            found.append(split_provider_reference(str(resource["provider"]))[0])
        except ValueError:
            raise StateError(f"resource {resource.get('urn')} has a malformed provider reference") from None
    return found


def map_urns(resource: Resource, change: Callable[[str], str]) -> Resource:
    """Return a resource with every URN in it put through `change`, those in its properties too."""
    result = dict(resource)
    for key in _SINGLES:
        if result.get(key):
            result[key] = change(result[key])
    for key in _LISTS:
        if result.get(key):
            result[key] = [change(urn) for urn in result[key]]
    if result.get("propertyDependencies"):
        result["propertyDependencies"] = {
            key: [change(urn) for urn in urns or []] for key, urns in result["propertyDependencies"].items()
        }
    if result.get("provider"):
        urn, provider_id = split_provider_reference(str(result["provider"]))
        result["provider"] = provider_reference(change(urn), provider_id)
    for key in ("inputs", "outputs", "replacementTrigger"):
        if result.get(key):
            result[key] = _map_property(result[key], change)
    return result


def _map_property(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, dict):
        if value.get(SIG) == RESOURCE_REFERENCE_SIG and isinstance(value.get("urn"), str):
            return {**value, "urn": change(value["urn"])}
        return {key: _map_property(item, change) for key, item in value.items()}
    if isinstance(value, list):
        return [_map_property(item, change) for item in value]
    return value


def rename_stack(resources: Iterable[Resource], old: tuple[str, str], new: tuple[str, str]) -> list[Resource]:
    """Return resources moved from one (project, stack) to another, the root stack resource renamed with them."""
    old_root, new_root = f"{old[0]}-{old[1]}", f"{new[0]}-{new[1]}"

    def change(urn: str) -> str:
        if not is_urn(urn) or urn_stack(urn) != old[1] or urn_project(urn) != old[0]:
            return urn
        root = urn_qualified_type(urn) == ROOT_STACK_TYPE and urn_name(urn) == old_root
        return rename_urn(urn, stack=new[1], project=new[0], name=new_root if root else None)

    return [map_urns(resource, change) for resource in resources]


def find(resources: list[Resource], urn: str) -> Resource:
    """Return the one resource with this URN; of several the one that is not waiting to be deleted.

    Raises:
        EngineError: there is none.
    """
    found = [resource for resource in resources if resource.get("urn") == urn]
    if not found:
        raise EngineError(
            f"No such resource {urn!r} exists in the current state; `pulumi stack --show-urns` lists them"
        )
    return next((resource for resource in found if not resource.get("delete")), found[0])


def dependents(resources: list[Resource], of: Resource) -> list[Resource]:
    """Return the resources that need `of`, directly or through others, in the state's order."""
    if sum(1 for resource in resources if resource.get("urn") == of["urn"]) > 1:
        return []  # another resource of the same name remains for them to refer to
    needed = {str(of["urn"])}
    found = []
    for resource in resources:
        if resource is not of and not needed.isdisjoint(references(resource)):
            needed.add(str(resource["urn"]))
            found.append(resource)
    return found


def delete(resources: list[Resource], urns: list[str], *, force: bool, with_dependents: bool) -> list[Resource]:
    """Return the resources without those named.

    Raises:
        EngineError: one is protected (and not `force`), or others need it (and not `with_dependents`).
    """
    condemned = [find(resources, urn) for urn in urns]
    names = set(urns)
    for resource in list(condemned):
        needing = [item for item in dependents(resources, resource) if item["urn"] not in names]
        if needing and not with_dependents:
            listed = "\n".join(f" * {_quoted(urn_name(item['urn'])):<15} ({item['urn']})" for item in needing)
            raise EngineError(
                f"{resource['urn']} can't be safely deleted because the following resources depend on it:\n{listed}\n\n"
                "Delete those resources first or pass --target-dependents."
            )
        condemned += [item for item in needing if not any(item is other for other in condemned)]
    for resource in condemned:
        if resource.get("protect") and not force:
            raise EngineError(
                f"{resource['urn']} can't be safely deleted because it is protected. Re-run this command with --force "
                "to force deletion"
            )
    return [resource for resource in resources if not any(resource is item for item in condemned)]


def _quoted(name: str) -> str:
    return f'"{name}"'


def rename(resources: list[Resource], urn: str, name: str) -> list[Resource]:
    """Return the resources with one renamed, and everything that refers to it.

    Raises:
        EngineError: there is no such resource, or one of the new name exists.
    """
    find(resources, urn)
    new = rename_urn(urn, name=name)
    if any(resource.get("urn") == new for resource in resources):
        raise EngineError(f"the new name is taken: {new} exists in the state")
    return [map_urns(resource, lambda other: new if other == urn else other) for resource in resources]


def set_flag(resources: list[Resource], urns: list[str] | None, key: str, value: bool) -> list[Resource]:
    """Return the resources with a flag (`protect`, `taint`) set or cleared on those named, on all when None.

    Raises:
        EngineError: a named resource does not exist.
    """
    for urn in urns or []:
        find(resources, urn)
    chosen = set(urns or [])
    result = []
    for resource in resources:
        wanted = resource.get("type") != ROOT_STACK_TYPE if urns is None else resource.get("urn") in chosen
        if wanted and (urns is not None or not is_provider_type(str(resource.get("type")))):
            resource = {k: v for k, v in resource.items() if k != key} | ({key: True} if value else {})
        result.append(resource)
    return result


def repair(resources: list[Resource]) -> tuple[list[Resource], list[str]]:
    """Return the resources sorted, dependencies first, and without references to what is gone; and what was done.

    Raises:
        StateError: they depend on one another in a circle.
    """
    names = {str(resource.get("urn")) for resource in resources}
    notes: list[str] = []
    pruned = [_prune(resource, names, notes) for resource in resources]
    placed: set[str] = set()
    waiting, result = list(pruned), []
    while waiting:
        ready = [item for item in waiting if all(urn in placed or urn == item["urn"] for urn in references(item))]
        if not ready:
            circle = ", ".join(str(item["urn"]) for item in waiting[:5])
            raise StateError(
                f"the state cannot be repaired: these resources depend on one another in a circle: {circle}"
            )
        # One at a time, in the old order: what needs no move is not moved.
        result.append(ready[0])
        placed.add(str(ready[0]["urn"]))
        waiting = [item for item in waiting if item is not ready[0]]
    notes += [f"moved {item['urn']}" for item, old in zip(result, pruned, strict=True) if item["urn"] != old["urn"]]
    return result, notes


def _prune(resource: Resource, names: set[str], notes: list[str]) -> Resource:
    gone = [urn for urn in references(resource) if urn not in names]
    if not gone:
        return resource
    result = dict(resource)
    for key in ("dependencies", "replaceWith"):
        if result.get(key):
            result[key] = [urn for urn in result[key] if urn in names]
    if result.get("propertyDependencies"):
        result["propertyDependencies"] = {
            key: [urn for urn in urns or [] if urn in names] for key, urns in result["propertyDependencies"].items()
        }
    if result.get("deletedWith") and result["deletedWith"] not in names:
        del result["deletedWith"]
    urn = str(result["urn"])
    if result.get("parent") and result["parent"] not in names:
        del result["parent"]
        result["urn"] = make_urn(urn_stack(urn), urn_project(urn), "", urn_type(urn), urn_name(urn))
        names.add(str(result["urn"]))
    notes.append(f"removed references of {urn} to {', '.join(sorted(set(gone)))}")
    return result
