"""What commands do to states beyond one stack's resources: graphs, moves between stacks, and the folder's layout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.engine.conformance.conf_harness import Run, Stack
from tests.engine.conformance.conf_probe import Probe

FAMILY = """
g = Group("g")
a = Thing("a", value=pulumi.Output.secret("hush"), opts=Opts(parent=g))
b = Thing("b", left=a.out, right=a.out, opts=Opts(depends_on=[g]))
c = Thing("c", opts=Opts(depends_on=[b], deleted_with=a))
d = Thing("d", opts=Opts(parent=a, protect=True))
"""


def _urn(stack: Stack, name: str) -> str:
    run = stack.pulumi("stack", "export", "--stack", "test")
    found = [
        item["urn"] for item in json.loads(run.out)["deployment"]["resources"] if item["urn"].endswith(f"::{name}")
    ]
    return str(found[0])


def _resources(stack: Stack, name: str) -> list[dict[str, Any]]:
    run = stack.pulumi("stack", "export", "--stack", name, "--show-secrets")
    assert run.code == 0, run.text
    return json.loads(run.out)["deployment"].get("resources") or []


def _short(resources: list[dict[str, Any]]) -> list[str]:
    return [item["urn"].rsplit("::", 1)[-1] for item in resources if "::default" not in item["urn"]]


@pytest.fixture
def two(stack: Stack) -> Stack:
    """The family in `test`, and an empty stack `other`."""
    stack.up(FAMILY)
    assert stack.pulumi("stack", "init", "other").code == 0
    assert stack.pulumi("stack", "select", "test").code == 0
    return stack


def _move(stack: Stack, *arguments: str) -> Run:
    return stack.pulumi("state", "move", "--source", "test", "--dest", "other", "--yes", *arguments)


def test_the_graph_of_a_stack_is_the_same_text(stack: Stack) -> None:
    """Nodes by URN, numbered as they are first met; dependencies say which properties they are for."""
    stack.up(FAMILY)
    run = stack.pulumi("stack", "graph", "g.dot")
    assert run.code == 0, run.text
    assert "Wrote stack dependency graph to `g.dot`" in run.err
    lines = (stack.folder / "g.dot").read_text().splitlines()
    prefix = "urn:pulumi:test::conf"
    assert lines[0] == "strict digraph {"
    assert lines[-1] == "}"
    assert lines[1:8] == [
        f'    Resource0 [label="{prefix}::probe:index:Group$probe:index:Thing$probe:index:Thing::d"];',
        '    Resource0 -> Resource1 [color = "#AA6639"];',
        f'    Resource1 [label="{prefix}::probe:index:Group$probe:index:Thing::a"];',
        '    Resource1 -> Resource2 [color = "#AA6639"];',
        '    Resource1 -> Resource3 [color = "#246C60", label = "left, right"];',
        f'    Resource2 [label="{prefix}::probe:index:Group::g"];',
        '    Resource2 -> Resource4 [color = "#AA6639"];',
    ]


def test_a_graph_is_drawn_as_it_is_asked_for(stack: Stack) -> None:
    """Names for labels, colours, a fragment at the head, kinds of edges left out."""
    stack.up(FAMILY)
    flags = ("--short-node-name", "--ignore-parent-edges", "--dependency-edge-color", "red", "--dot-fragment", "a=b")
    assert stack.pulumi("stack", "graph", "g.dot", *flags).code == 0
    text = (stack.folder / "g.dot").read_text()
    assert text.startswith("strict digraph {\na=b\n    Resource0")
    assert '[label="b"];' in text
    assert '[color = "red", label = "left, right"];' in text
    assert "#AA6639" not in text
    assert stack.pulumi("stack", "graph", "g.dot", "--ignore-parent-edges", "--ignore-dependency-edges").code == 0
    assert "->" not in (stack.folder / "g.dot").read_text()


def test_a_graph_that_cannot_be_written_fails(stack: Stack) -> None:
    """In one sentence."""
    stack.up("")
    run = stack.pulumi("stack", "graph", "nowhere/g.dot")
    assert run.code == 1
    assert "no such file or directory" in run.err


def test_moved_resources_take_what_is_below_them_and_their_provider_along(two: Stack, probe: Probe) -> None:
    """Under the other stack's root; what stays loses its dependencies on them, which is said; no provider is called."""
    before = len(probe.calls)
    urn = _urn(two, "a")
    run = _move(two, urn)
    assert run.code == 0, run.text
    there, here = _resources(two, "other"), _resources(two, "test")
    assert _short(there) == ["conf-other", "a", "d"]
    assert _short(here) == ["conf-test", "g", "b", "c"]
    a, d = there[-2:]
    root = "urn:pulumi:other::conf::pulumi:pulumi:Stack::conf-other"
    assert (a["urn"], a["parent"]) == ("urn:pulumi:other::conf::probe:index:Thing::a", root)
    assert (d["urn"], d["parent"]) == ("urn:pulumi:other::conf::probe:index:Thing$probe:index:Thing::d", a["urn"])
    assert d["protect"] is True
    assert json.loads(a["inputs"]["value"]["plaintext"]) == "hush"
    (provider,) = [item for item in there if "::default" in item["urn"]]
    assert a["provider"] == f"{provider['urn']}::{provider['id']}"
    b, c = here[-2:]
    assert "dependencies" not in b
    assert "propertyDependencies" not in b
    assert "deletedWith" not in c
    for line in (
        f"{b['urn']} has a dependency on {urn}",
        f"{b['urn']} (left) has a property dependency on {urn}",
        f"{c['urn']} is marked as deleted with {urn}",
        "Successfully moved resources from organization/conf/test to organization/conf/other",
    ):
        assert line in run.out
    assert len(probe.calls) == before


def test_moved_resources_are_the_same_to_the_other_stacks_program(two: Stack, probe: Probe) -> None:
    """A move there and the programs that follow it change nothing."""
    assert _move(two, _urn(two, "g"), _urn(two, "b"), _urn(two, "c")).code == 0
    assert _short(_resources(two, "test")) == ["conf-test"]
    two.write(FAMILY)
    run = two.pulumi("preview", "--stack", "other", "--expect-no-changes")
    assert run.code == 0, run.text
    probe.calls.clear()
    assert two.up(FAMILY, "--stack", "other").changes == {}
    assert probe.methods() == []


def test_a_second_move_uses_the_provider_that_is_there(two: Stack) -> None:
    """And a dependency on what stays behind is cut."""
    assert _move(two, _urn(two, "a")).code == 0
    run = _move(two, _urn(two, "c"))
    assert run.code == 0, run.text
    assert "urn:pulumi:test::conf::probe:index:Thing::c has a dependency on" in run.out
    there = _resources(two, "other")
    assert _short(there) == ["conf-other", "a", "d", "c"]
    assert sum(1 for item in there if "::default" in item["urn"]) == 1
    assert "dependencies" not in there[-1]


def test_parents_are_moved_when_asked_for(two: Stack) -> None:
    """All the way up, and then everything below them."""
    run = _move(two, _urn(two, "d"), "--include-parents")
    assert run.code == 0, run.text
    assert _short(_resources(two, "other")) == ["conf-other", "g", "a", "d"]


def test_moves_that_cannot_be_are_refused_and_change_nothing(two: Stack) -> None:
    """A provider, a URN that is not there, a stack that is not there, a name that is taken."""
    before = _resources(two, "test")
    provider = next(item["urn"] for item in before if "::default" in item["urn"])
    run = _move(two, provider)
    assert run.code == 1
    assert "cannot move providers" in run.err
    run = _move(two, "urn:pulumi:test::conf::probe:index:Thing::nobody")
    assert run.code == 1
    assert "Resource urn:pulumi:test::conf::probe:index:Thing::nobody not found in source stack" in run.out
    assert "no resources found to move" in run.err
    assert two.pulumi("state", "move", "--dest", "nowhere", "--yes", _urn(two, "b")).code == 6
    run = two.pulumi("state", "move", "--yes", _urn(two, "b"))
    assert "at least one of --source or --dest must be provided" in run.err
    two.up('Thing("b")', "--stack", "other")
    run = _move(two, _urn(two, "b"))
    assert run.code == 1
    assert "already exists in destination stack" in run.err
    assert _resources(two, "test") == before


def test_protection_can_be_ignored_for_one_operation(stack: Stack, probe: Probe) -> None:
    """By an update that deletes or replaces, and by a destroy; the flag outlives nothing."""
    program = 'Thing("a", value={}, replaceKeys=["value"], opts=Opts(protect=True))'
    stack.up(program.format(1))
    stack.up(program.format(2), fails=True)
    probe.calls.clear()
    run = stack.up(program.format(2), "--ignore-protect")
    assert run.changes == {"replace": 1}
    assert probe.methods() == ["create a", "delete a"]
    assert stack.state("a")["protect"] is True
    stack.destroy(fails=True)
    assert stack.names() == ["a"]
    both = stack.pulumi("destroy", "--yes", "--skip-preview", "--ignore-protect", "--exclude-protected")
    assert both.code == 1
    assert "exclude-protected" in both.err
    stack.destroy("--ignore-protect")
    assert stack.names() == []


def test_a_protected_dependent_is_replaced_along_when_protection_is_ignored(stack: Stack, probe: Probe) -> None:
    """Delete before replace takes it first."""
    program = """
    a = Thing("a", value={}, replaceKeys=["value"], deleteFirst=True)
    Thing("b", value=a.id, replaceKeys=["value"], opts=Opts(protect=True))
    """
    stack.up(program.format(1))
    stack.up(program.format(2), fails=True)
    probe.calls.clear()
    stack.up(program.format(2), "--ignore-protect")
    assert probe.methods() == ["delete b", "delete a", "create a", "create b"]


def _to_legacy(backend: Path) -> None:
    """Lay the stack `test` out as versions of Pulumi before projects did."""
    folder = backend / ".pulumi"
    for path in (folder / "stacks" / "conf").iterdir():
        path.rename(folder / "stacks" / path.name)
    (folder / "stacks" / "conf").rmdir()
    (folder / "history" / "conf" / "test").rename(folder / "history" / "test")
    for path in folder.glob("meta.yaml*"):
        path.unlink()


def test_a_legacy_state_folder_is_brought_to_projects(stack: Stack, probe: Probe) -> None:
    """Refused before; state and history are there afterwards, and what has no project is told and stays."""
    backend = Path(stack.environment["PULUMI_BACKEND_URL"].removeprefix("file://"))
    program = 'Thing("a", value=1)'
    stack.up(program)
    before = stack.export()
    _to_legacy(backend)
    empty = {"version": 3, "checkpoint": {"stack": "void"}}
    (backend / ".pulumi" / "stacks" / "void.json").write_text(json.dumps(empty))
    refused = stack.pulumi("stack", "ls")
    assert refused.code == 1
    assert "pulumi state upgrade" in refused.err
    stack.environment |= {
        "PULUMI_DIY_BACKEND_IGNORE_DEPRECATION_ERROR": "true",
        "PULUMI_DIY_BACKEND_NO_LEGACY_WARNING": "true",
    }
    run = stack.pulumi("state", "upgrade")
    assert (run.code, "Upgrade cancelled" in run.out) == (0, True)
    assert not (backend / ".pulumi" / "meta.yaml").exists()
    run = stack.pulumi("state", "upgrade", "--yes")
    assert run.code == 0, run.text
    assert "Upgraded 1 stack(s) to project mode" in run.err
    assert "no project name found" in run.err
    assert (backend / ".pulumi" / "stacks" / "void.json").exists()
    assert stack.export()["resources"] == before["resources"]
    assert len(json.loads(stack.pulumi("stack", "history", "--json").out)) == 1
    probe.calls.clear()
    assert stack.up(program).changes == {}
    assert probe.methods() == []


def test_an_upgrade_of_what_is_new_already_does_nothing(stack: Stack) -> None:
    """And says that."""
    stack.up("")
    before = stack.export()
    run = stack.pulumi("state", "upgrade", "--yes")
    assert run.code == 0
    assert "Upgraded 0 stack(s) to project mode" in run.err
    assert stack.export() == before


def test_a_damaged_legacy_stack_stops_an_upgrade_before_it_begins(stack: Stack) -> None:
    """Nothing is moved."""
    backend = Path(stack.environment["PULUMI_BACKEND_URL"].removeprefix("file://"))
    stack.up('Thing("a")')
    _to_legacy(backend)
    (backend / ".pulumi" / "stacks" / "bad.json").write_text('{"version": 3')
    run = stack.pulumi("state", "upgrade", "--yes", PULUMI_DIY_BACKEND_IGNORE_DEPRECATION_ERROR="true")
    assert run.code == 1
    assert "bad" in run.err
    assert (backend / ".pulumi" / "stacks" / "test.json").exists()
    assert not (backend / ".pulumi" / "meta.yaml").exists()


def test_an_edit_needs_a_terminal(stack: Stack) -> None:
    """Elsewhere it is refused."""
    stack.up("")
    run = stack.pulumi("state", "edit")
    assert run.code == 1
    assert "pulumi state edit must be run in interactive mode" in run.err
