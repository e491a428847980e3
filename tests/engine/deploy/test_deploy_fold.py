"""Any prefix of a journal folds into a whole deployment: nothing lost, nothing doubled, dependencies first."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pulumi_embedded.deploy.fold import Operation, fold
from pulumi_embedded.state.deployment import Deployment, verify_integrity
from pulumi_embedded.state.resource import ResourceState

TYPE = "t:i:T"


def urn_of(name: str) -> str:
    """Return the URN of a test resource."""
    return f"urn:pulumi:s::p::{TYPE}::{name}"


def state(name: str, *dependencies: str, resource_id: str = "", **fields: Any) -> ResourceState:
    """Return a resource that depends on others."""
    return ResourceState(
        urn=urn_of(name),
        type=TYPE,
        custom=True,
        id=resource_id or f"{name}-0",
        dependencies=[urn_of(other) for other in dependencies],
        **fields,
    )


def names(resources: list[ResourceState]) -> list[str]:
    """Return names in order, "!" after those to be deleted, "?" after those to be made again."""
    return [
        item.urn.rsplit("::", 1)[-1] + ("!" if item.delete else "") + ("?" if item.pending_replacement else "")
        for item in resources
    ]


def whole(resources: list[ResourceState]) -> None:
    """Assert that a deployment is one that both engines load."""
    verify_integrity(Deployment(resources=[item.to_json() for item in resources]))


def test_an_empty_journal_changes_nothing() -> None:
    """Not even pending operations."""
    base, pending = [state("a")], [("updating", state("a"))]
    assert fold(base, pending, []) == (base, pending)


def test_a_begun_operation_is_pending_until_it_ends() -> None:
    """With the state it began with."""
    begin = {"kind": "begin", "id": 1, "operation": "creating", "resource": state("a").to_json()}
    resources, pending = fold([], [], [begin])
    assert resources == []
    assert [(kind, item.urn) for kind, item in pending] == [("creating", urn_of("a"))]
    end = {"kind": "end", "id": 1, "state": state("a").to_json()}
    resources, pending = fold([], [], [begin, end])
    assert names(resources) == ["a"]
    assert pending == []
    assert fold([], [], [begin, {"kind": "fail", "id": 1}]) == ([], [])


def test_a_create_that_a_crash_left_pending_stays_until_a_refresh_settles_it() -> None:
    """Its resource being made again says nothing of what was made before; other kinds are settled by any update."""
    pending: list[Operation] = [("creating", state("lost")), ("deleting", state("x"))]
    entries: list[dict[str, Any]] = [{"kind": "end", "id": 1, "state": state("other").to_json()}]
    assert [item.urn for _, item in fold([], pending, entries)[1]] == [urn_of("lost")]
    entries.append({"kind": "end", "id": 2, "state": state("lost").to_json()})
    assert [item.urn for _, item in fold([], pending, entries)[1]] == [urn_of("lost")]
    entries.append({"kind": "adopt", "index": 0})
    assert fold([], pending, entries)[1] == []


def test_a_replacement_keeps_both_until_the_old_one_is_deleted() -> None:
    """The new one first, the old one marked."""
    base = [state("a"), state("b", "a")]
    created = {
        "kind": "end",
        "id": 1,
        "state": state("a", resource_id="a-1").to_json(),
        "delete_old": 0,
    }
    assert names(fold(base, [], [created])[0]) == ["a", "a!", "b"]
    deleted = {"kind": "end", "id": 2, "remove_old": 0}
    assert names(fold(base, [], [created, deleted])[0]) == ["a", "b"]


def test_delete_before_replace_keeps_the_place() -> None:
    """What was deleted awaits its replacement where it stood."""
    base = [state("a"), state("b", "a")]
    gone = {"kind": "end", "id": 1, "pending_old": 0}
    assert names(fold(base, [], [gone])[0]) == ["a?", "b"]
    made = {"kind": "end", "id": 2, "state": state("a", resource_id="a-1").to_json(), "remove_old": 0}
    assert names(fold(base, [], [gone, made])[0]) == ["a", "b"]


def test_a_refresh_drops_references_to_what_is_gone() -> None:
    """Dependencies, and children move up to their grandparent."""
    base = [state("a"), replace(state("b", "a"), parent=urn_of("a")), state("c", "b")]
    gone = {"kind": "refreshed", "id": 1, "remove_old": 0}
    resources, _ = fold(base, [], [gone, {"kind": "rebase"}])
    assert names(resources) == ["b", "c"]
    assert resources[0].dependencies == []
    assert resources[0].parent == ""
    whole(resources)


def test_outputs_replace_the_state_in_place() -> None:
    """Of a resource of this update or of the base."""
    entries: list[dict[str, Any]] = [
        {"kind": "end", "id": 1, "state": state("a").to_json()},
        {"kind": "outputs", "state": replace(state("a"), outputs={"x": 1}).to_json(), "remove_new": 1},
    ]
    (found,), _ = fold([], [], entries)
    assert found.outputs == {"x": 1}


def test_a_renamed_resource_is_renamed_in_every_reference() -> None:
    """Also in those that the update has not come to."""
    base = [state("old"), state("user", "old")]
    renamed = replace(state("new"), aliases=[urn_of("old")])
    resources, _ = fold(base, [], [{"kind": "end", "id": 1, "state": renamed.to_json(), "remove_old": 0}])
    assert names(resources) == ["new", "user"]
    assert resources[1].dependencies == [urn_of("new")]
    assert resources[0].aliases == []


def test_an_unknown_kind_is_refused() -> None:
    """A journal of a newer engine is not guessed at."""
    with pytest.raises(ValueError, match="unknown kind 'later'"):
        fold([], [], [{"kind": "later"}])


@dataclass
class Drawn:
    """A random update: what was there, and its journal."""

    base: list[ResourceState]
    journal: list[dict[str, Any]]
    final: set[str]


@st.composite
def updates(draw: st.DrawFn) -> Drawn:
    """Draw a base graph and an update of it, its steps in a random order that respects dependencies."""
    count = draw(st.integers(1, 7))
    edges = {
        index: sorted(draw(st.sets(st.integers(0, index - 1), max_size=3))) if index else [] for index in range(count)
    }
    fates = {
        index: draw(st.sampled_from(["same", "update", "replace", "first", "delete", "create"])) for index in edges
    }
    kept = [index for index in edges if fates[index] != "delete"]
    base_members = [index for index in edges if fates[index] != "create"]
    position = {index: place for place, index in enumerate(base_members)}
    base = [state(f"r{index}", *(f"r{other}" for other in edges[index] if other in position)) for index in base_members]
    journal: list[dict[str, Any]] = []
    waiting, done, number = set(kept), set[int](), 0
    while waiting:
        ready = [index for index in sorted(waiting) if all(other in done for other in edges[index] if other in kept)]
        index = draw(st.sampled_from(ready))
        waiting.discard(index)
        done.add(index)
        new = state(f"r{index}", *(f"r{other}" for other in edges[index] if other in kept), resource_id=f"r{index}-1")
        old = position.get(index)
        moved = old is not None and base[old].dependencies != new.dependencies
        number = _steps(journal, number, fates[index], new, old, moved=moved)
    doomed = [index for index in reversed(base_members) if fates[index] in ("delete", "replace")]
    for index in doomed:
        number += 1
        resource = base[position[index]].to_json()
        journal.append({"kind": "begin", "id": number, "operation": "deleting", "resource": resource})
        journal.append({"kind": "end", "id": number, "remove_old": position[index]})
    return Drawn(base, journal, {f"r{index}" for index in kept})


def _steps(
    journal: list[dict[str, Any]], number: int, fate: str, new: ResourceState, old: int | None, *, moved: bool
) -> int:
    number += 1
    if fate == "same" and moved:
        journal.append({"kind": "end", "id": number, "state": new.to_json(), "remove_old": old})
        return number
    if fate == "same":
        journal.append({"kind": "same", "id": number, "old": old})
        return number
    operation = "updating" if fate == "update" else "creating"
    if fate == "first":
        journal.append({"kind": "begin", "id": number, "operation": "deleting", "resource": new.to_json()})
        journal.append({"kind": "end", "id": number, "pending_old": old})
        number += 1
    journal.append({"kind": "begin", "id": number, "operation": operation, "resource": new.to_json()})
    end: dict[str, Any] = {"kind": "end", "id": number, "state": new.to_json()}
    if fate in ("update", "first"):
        end["remove_old"] = old
    elif fate == "replace":
        end["delete_old"] = old
    journal.append(end)
    return number


@settings(max_examples=300, deadline=None)
@given(updates())
def test_any_prefix_is_whole(drawn: Drawn) -> None:
    """After a crash at any entry the deployment loads, and each resource is there exactly as often as it exists."""
    for length in range(len(drawn.journal) + 1):
        resources, pending = fold(drawn.base, [], drawn.journal[:length])
        whole(resources)
        existing = [(item.urn, item.id) for item in resources]
        assert len(existing) == len(set(existing))
        assert len(pending) <= 1
    resources, pending = fold(drawn.base, [], drawn.journal)
    assert pending == []
    assert {item.urn.rsplit("::", 1)[-1] for item in resources} == drawn.final
    assert not any(item.delete or item.pending_replacement for item in resources)


@settings(max_examples=100, deadline=None)
@given(updates(), st.data())
def test_an_update_after_a_crash_starts_from_the_fold(drawn: Drawn, data: st.DataObject) -> None:
    """Folding in two parts, with the first result as the second base's list, loses nothing that was made."""
    cut = data.draw(st.integers(0, len(drawn.journal)))
    resources, _ = fold(drawn.base, [], drawn.journal[:cut])
    again, _ = fold(resources, [], [{"kind": "rebase"}])
    assert names(again) == names(resources)
