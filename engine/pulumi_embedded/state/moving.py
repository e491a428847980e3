"""Moving resources from one stack's state to another's, as `state move` does: who goes, what breaks, the new names.

Works on resources in the form of the state file, with readable secrets, and changes none of those given. Source: pulumi
`pkg/cmd/pulumi/state/state_move.go`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pulumi_embedded.errors import EngineError
from pulumi_embedded.urn import (
    ROOT_STACK_TYPE,
    is_provider_type,
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
_LINKS = ("dependencies", "propertyDependencies", "deletedWith", "replaceWith")


@dataclass
class Move:
    """What a move would do.

    `source` and `dest` are the two states after it, `moved` the URNs of what goes; `broken_source` and `broken_dest`
    are sentences about dependencies that cannot be kept, `unmatched` are URNs that the source does not have.
    """

    source: list[Resource] = field(default_factory=list)
    dest: list[Resource] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)
    broken_source: list[str] = field(default_factory=list)
    broken_dest: list[str] = field(default_factory=list)
    unmatched: list[str] = field(default_factory=list)


def plan_move(
    source: list[Resource], dest: list[Resource], urns: list[str], to: tuple[str, str], *, include_parents: bool
) -> Move:
    """Return what moving `urns`, with everything below them, to the stack `to` (project, stack) does.

    Raises:
        EngineError: a provider is named, nothing matches, or the destination has one of that name.
    """
    chosen = _chosen(source, urns, include_parents=include_parents)
    move = Move(unmatched=[urn for urn in urns if all(item["urn"] != urn for item in source)])
    if not chosen:
        return move
    wanted = {str(item.get("provider")) for item in source if item["urn"] in chosen}
    going = [item for item in source if item["urn"] in chosen]
    staying = [item for item in source if item["urn"] not in chosen]
    move.moved = [str(item["urn"]) for item in going]
    move.source = [_without(item, chosen, move.broken_source) for item in staying]
    remaining = {str(item["urn"]) for item in staying}
    move.dest = list(dest)
    root = _root(move.dest, to)
    names: dict[str, str] = {}
    copied = [item for item in staying if _reference(item) in wanted]
    for provider in copied:
        _bring_provider(provider, move, chosen, remaining, root, to, names)
    present = {str(item["urn"]) for item in move.dest}
    for item in going:
        new = _without(item, remaining, move.broken_dest)
        new = _renamed(_reparented(new, chosen, root), to, names)
        names[str(item["urn"])] = str(new["urn"])
        if new["urn"] in present:
            raise EngineError(f"resource {new['urn']} already exists in destination stack")
        move.dest.append(new)
    return move


def _chosen(source: list[Resource], urns: list[str], *, include_parents: bool) -> set[str]:
    """Return the URNs of what goes: those named, perhaps what is above them, and all below; never providers."""
    named = [item for item in source if item["urn"] in urns]
    if any(is_provider_type(str(item["type"])) for item in named):
        raise EngineError(
            "cannot move providers. Only resources can be moved, and providers will be included automatically"
        )
    movable = [item for item in source if not is_provider_type(str(item["type"]))]
    roots = {str(item["urn"]) for item in movable if item["type"] == ROOT_STACK_TYPE and not item.get("parent")}
    chosen = {str(item["urn"]) for item in named}
    if include_parents:
        for item in reversed(movable):  # parents stand before their children
            if item["urn"] in chosen and item.get("parent") and item["parent"] not in roots:
                chosen.add(str(item["parent"]))
    for item in movable:
        if item.get("parent") in chosen:
            chosen.add(str(item["urn"]))
    return chosen - roots


def _root(dest: list[Resource], to: tuple[str, str]) -> str:
    """Return the URN of the destination's root stack resource, which is made when it has none."""
    for item in dest:
        if item["type"] == ROOT_STACK_TYPE and not item.get("parent"):
            return str(item["urn"])
    project, stack = to
    urn = make_urn(stack, project, "", ROOT_STACK_TYPE, f"{project}-{stack}")
    dest.insert(0, {"urn": urn, "custom": False, "type": ROOT_STACK_TYPE})
    return urn


def _reference(resource: Resource) -> str:
    return provider_reference(str(resource["urn"]), str(resource.get("id", "")))


def _bring_provider(
    provider: Resource,
    move: Move,
    chosen: set[str],
    remaining: set[str],
    root: str,
    to: tuple[str, str],
    names: dict[str, str],
) -> None:
    """Copy a provider that what goes needs, unless the destination has it: the same id, or the same inputs."""
    new = _without(provider, remaining, move.broken_dest)
    new = _renamed(_reparented(new, chosen, root), to, {})
    there = next((item for item in move.dest if item["urn"] == new["urn"]), None)
    if there is None:
        move.dest.append(new)
    elif there.get("id") == new.get("id") or (there.get("inputs") or {}) == (new.get("inputs") or {}):
        new = there
    else:
        raise EngineError(f"provider {new['urn']} already exists in destination stack")
    names[_reference(provider)] = _reference(new)


def _without(resource: Resource, gone: set[str], broken: list[str]) -> Resource:
    """Return a resource without its dependencies on `gone`; each of them is told in `broken`."""
    result = {key: value for key, value in resource.items() if key not in _LINKS}
    urn = resource["urn"]

    def keep(key: str, said: str) -> None:
        urns = resource.get(key) or []
        broken.extend(f"{urn} {said} {other}" for other in urns if other in gone)
        if kept := [other for other in urns if other not in gone]:
            result[key] = kept

    keep("dependencies", "has a dependency on")
    properties = {}
    for key, urns in sorted((resource.get("propertyDependencies") or {}).items()):
        broken += [f"{urn} ({key}) has a property dependency on {other}" for other in urns or [] if other in gone]
        if kept := [other for other in urns or [] if other not in gone]:
            properties[key] = kept
    if properties:
        result["propertyDependencies"] = properties
    other = resource.get("deletedWith")
    if other in gone:
        broken.append(f"{urn} is marked as deleted with {other}")
    elif other:
        result["deletedWith"] = other
    keep("replaceWith", "is marked as replace with")
    return result


def _reparented(resource: Resource, chosen: set[str], root: str) -> Resource:
    return resource if resource.get("parent") in chosen else {**resource, "parent": root}


def _renamed(resource: Resource, to: tuple[str, str], names: dict[str, str]) -> Resource:
    """Return a resource with its own URN and those that it refers to as they are in the destination."""
    project, stack = to

    def change(urn: str) -> str:
        return names.get(urn) or rename_urn(urn, stack=stack, project=project)

    result = {**resource, "parent": change(str(resource["parent"]))}
    if reference := str(resource.get("provider") or ""):
        urn, provider_id = split_provider_reference(reference)
        result["provider"] = names.get(reference) or provider_reference(change(urn), provider_id)
    for key in ("dependencies", "replaceWith"):
        if key in result:
            result[key] = [change(urn) for urn in result[key]]
    if "propertyDependencies" in result:
        result["propertyDependencies"] = {
            key: [change(urn) for urn in urns] for key, urns in result["propertyDependencies"].items()
        }
    if "deletedWith" in result:
        result["deletedWith"] = change(result["deletedWith"])
    old = rename_urn(str(resource["urn"]), stack=stack, project=project)
    above = urn_qualified_type(result["parent"])
    result["urn"] = make_urn(urn_stack(old), urn_project(old), above, urn_type(old), urn_name(old))
    return result
