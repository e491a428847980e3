"""For any program and any edits of it: what depends waits, the outcome is settled for either engine, all of it goes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.engine.conformance.conf_graphs import Graph, edited_graphs
from tests.engine.conformance.conf_harness import Stack, engines
from tests.engine.conformance.conf_probe import Call, Probe
from tests.engine.conformance.conftest import new_stack

COMMON = settings(
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    phases=[Phase.generate, Phase.shrink],
)


def assert_waited(probe: Probe, graph: Graph, method: str) -> None:
    """Assert that each resource was made after everything it needs was, or deleted before it."""
    by_resource = {node.resource: node.name for node in graph.nodes if node.kind == "Thing"}
    done: dict[str, Call] = {}
    for call in probe.calls:
        if call.method == method and call.name in by_resource:
            done[by_resource[call.name]] = call
    for name, call in done.items():
        for needed in graph.needs(name) & done.keys():
            first, second = (call, done[needed]) if method == "delete" else (done[needed], call)
            assert first.end <= second.start, f"{method}: {second.name} did not wait for {first.name}"


def assert_true_state(stack: Stack, probe: Probe, graph: Graph) -> None:
    """Assert that the state has what exists and nothing else, once each, what depends after what it needs."""
    states = stack.states()
    assert sorted(state["id"] for state in states if state.get("id")) == sorted(probe.cloud)
    assert sorted(stack.names()) == sorted(node.resource for node in graph.nodes)
    seen: set[str] = set()
    for state in stack.export().get("resources") or []:
        needed = {*state.get("dependencies", ()), state.get("parent") or ""} - {""}
        assert needed <= seen, f"{state['urn']} stands before {needed - seen}"
        seen.add(state["urn"])


def converges(folder: Path, engine: str, versions: list[Graph]) -> None:
    """Walk one stack through the versions of a program and to its end."""
    probe = Probe()
    home = folder / "home"
    home.mkdir()
    with new_stack(folder, home, engine, probe) as stack:
        for graph in versions:
            probe.forget()
            stack.up(graph.program)
            assert_waited(probe, graph, "create")
            assert_true_state(stack, probe, graph)
            for other in engines():
                stack.under(other).settled()
        probe.forget()
        stack.destroy()
        assert_waited(probe, versions[-1], "delete")
        assert probe.cloud == {}
        assert stack.export().get("resources") is None


@settings(COMMON, max_examples=3)
@given(versions=edited_graphs(most=5))
def test_a_few_programs_and_edits(
    tmp_path_factory: pytest.TempPathFactory, engine_name: str, versions: list[Graph]
) -> None:
    """A few; the full lane has more, and larger ones."""
    converges(tmp_path_factory.mktemp("graph"), engine_name, versions)


@pytest.mark.full
@settings(COMMON, max_examples=60)
@given(versions=edited_graphs(most=9))
def test_any_program_and_edits(
    tmp_path_factory: pytest.TempPathFactory, engine_name: str, versions: list[Graph]
) -> None:
    """Values changed, made secret and plain again, both orders of replacement, names changed under an alias."""
    converges(tmp_path_factory.mktemp("graph"), engine_name, versions)
