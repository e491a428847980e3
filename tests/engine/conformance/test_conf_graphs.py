"""Random programs: what depends waits, what changed converges, and nothing is left in the end."""

from __future__ import annotations

import pytest

from tests.engine.conformance.conf_graphs import Graph, versions
from tests.engine.conformance.conf_harness import Stack
from tests.engine.conformance.conf_probe import Call, Probe


def _waited(calls: list[Call], graph: Graph, *, deleting: bool) -> None:
    """Assert that each resource was made after what it needs, or deleted before it."""
    done = {call.name: call for call in calls}
    for name, call in done.items():
        if name not in graph.things:
            continue
        for needed in graph.needs(name) & done.keys():
            earlier, later = (call, done[needed]) if deleting else (done[needed], call)
            assert earlier.end <= later.start, f"{later.method} {later.name} did not wait for {earlier.name}"


def _nothing_lost(probe: Probe, known: set[str], gone_along: set[str]) -> None:
    """Assert that what exists is what the state knows; what goes along with another is not deleted by itself."""
    assert known <= set(probe.cloud)
    assert {item.rsplit("-", 1)[0] for item in set(probe.cloud) - known} <= gone_along


def _converges(stack: Stack, probe: Probe, seed: int) -> None:
    gone_along: set[str] = set()
    for graph in versions(seed):
        probe.forget()
        stack.up(graph.program)
        _waited([call for call in probe.calls if call.method == "create"], graph, deleting=False)
        gone_along |= {state["urn"].rsplit("::", 1)[-1] for state in stack.states() if state.get("deletedWith")}
        _nothing_lost(probe, {state["id"] for state in stack.states() if state.get("id")}, gone_along)
        assert sorted(stack.names()) == sorted(node.name for node in graph.nodes)
        stack.settled()
    probe.forget()
    stack.destroy()
    _waited([call for call in probe.calls if call.method == "delete"], graph, deleting=True)
    _nothing_lost(probe, set(), gone_along)
    assert stack.export().get("resources") is None


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_some_random_programs(stack: Stack, probe: Probe, seed: int) -> None:
    """A few; the full lane has more."""
    _converges(stack, probe, seed)


@pytest.mark.full
@pytest.mark.parametrize("seed", range(4, 30))
def test_random_programs(stack: Stack, probe: Probe, seed: int) -> None:
    """Changed inputs, lost and new resources, both orders of replacement, components, parents, `deleted_with`."""
    _converges(stack, probe, seed)
