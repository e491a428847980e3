"""Refresh makes the state say what really is."""

from __future__ import annotations

from tests.engine.conformance.conf_harness import Stack
from tests.engine.conformance.conf_probe import Probe

PROGRAM = 'a = Thing("a", value=1); Thing("b", value=a.out)'


def _drift(probe: Probe, name: str, value: int) -> None:
    resource_id = next(key for key in probe.cloud if key.startswith(f"{name}-"))
    probe.cloud[resource_id]["inputs"]["value"] = value
    probe.cloud[resource_id]["outputs"]["value"] = value


def test_without_drift_nothing_changes(stack: Stack, probe: Probe) -> None:
    """Every resource is read once."""
    stack.up(PROGRAM)
    run = stack.refresh()
    assert run.changes == {}
    assert sorted(probe.methods("read")) == ["read a", "read b"]


def test_drift_is_taken_into_the_state_and_undone_by_up(stack: Stack, probe: Probe) -> None:
    """Refresh sees it, the next update heals it."""
    stack.up(PROGRAM)
    _drift(probe, "a", 7)
    run = stack.refresh()
    assert run.changes == {"update": 1}
    assert stack.state("a")["inputs"]["value"] == 7
    assert stack.up().changes == {"update": 1}
    assert stack.state("a")["inputs"]["value"] == 1


def test_up_with_refresh_does_both(stack: Stack, probe: Probe) -> None:
    """`up --refresh` heals in one command."""
    stack.up(PROGRAM)
    _drift(probe, "a", 7)
    probe.forget()
    stack.up(None, "--refresh")
    assert probe.methods("read", "update") == ["read a", "read b", "update a"] or probe.methods("update") == [
        "update a"
    ]
    assert stack.state("a")["inputs"]["value"] == 1
    stack.settled()


def test_preview_with_refresh_shows_drift_and_keeps_the_state(stack: Stack, probe: Probe) -> None:
    """Nothing is written."""
    stack.up(PROGRAM)
    _drift(probe, "a", 7)
    run = stack.preview(None, "--refresh")
    assert run.changes.get("update") == 1
    assert stack.state("a")["inputs"]["value"] == 1


def test_what_is_gone_goes_from_the_state_and_comes_back_by_up(stack: Stack, probe: Probe) -> None:
    """References to it are dropped on the way."""
    stack.up(PROGRAM)
    probe.cloud.pop(next(key for key in probe.cloud if key.startswith("a-")))
    run = stack.refresh()
    assert run.changes == {"delete": 1}
    assert stack.names() == ["b"]
    assert "dependencies" not in stack.state("b")
    probe.forget()
    stack.up()
    assert probe.methods() == ["create a"]
    stack.settled()


def test_a_killed_resource_is_made_again_by_up_with_refresh(stack: Stack, probe: Probe) -> None:
    """One command heals what somebody removed."""
    stack.up(PROGRAM)
    probe.cloud.pop(next(key for key in probe.cloud if key.startswith("b-")))
    probe.forget()
    stack.up(None, "--refresh")
    assert probe.methods() == ["create b"]
    stack.settled()


def test_what_cannot_be_read_fails_the_refresh_and_stays(stack: Stack, probe: Probe) -> None:
    """The provider's words are shown, the others are refreshed."""
    stack.up('Thing("a", unreadable=True); Thing("b", value=1)')
    _drift(probe, "b", 7)
    run = stack.refresh(fails=True)
    assert "cannot be read" in run.errors
    assert sorted(stack.names()) == ["a", "b"]
    assert stack.state("b")["inputs"]["value"] == 7


def test_refresh_with_the_program(stack: Stack, probe: Probe) -> None:
    """`refresh --run-program` gives providers fresh settings and changes no resource."""
    stack.up('Thing("a", value=1)')
    _drift(probe, "a", 7)
    stack.write('Thing("a", value=2); Thing("new")')
    probe.forget()
    stack.refresh("--run-program")
    assert probe.methods() == []
    assert stack.state("a")["inputs"]["value"] == 7
    assert stack.names() == ["a"]


def test_destroy_with_the_program(stack: Stack, probe: Probe) -> None:
    """`destroy --run-program` deletes everything and makes nothing."""
    stack.up(PROGRAM)
    stack.write(PROGRAM + '; Thing("new")')
    probe.forget()
    stack.destroy("--run-program")
    assert probe.methods() == ["delete b", "delete a"]
    assert stack.names() == []


def test_a_resource_that_was_read_is_read_again_and_never_deleted(stack: Stack, probe: Probe) -> None:
    """`get` looks up what others own."""
    probe.cloud["theirs"] = {"inputs": {"value": 5}, "outputs": {"value": 5, "out": "theirs"}}
    program = """
    class Found(pulumi.CustomResource):
        out: pulumi.Output[str]
        def __init__(self, name, opts=None):
            super().__init__("probe:index:Thing", name, {"out": None}, opts)
    f = Found("f", Opts(id="theirs"))
    pulumi.export("out", f.out)
    """
    run = stack.up(program)
    assert run.ops()["f"] == ["read"]
    assert stack.state("f")["external"] is True
    assert stack.outputs() == {"out": "theirs"}
    stack.up("")
    assert probe.methods("delete") == []
    assert "theirs" in probe.cloud


def test_reading_what_does_not_exist_fails(stack: Stack) -> None:
    """In one sentence."""
    run = stack.up('pulumi.CustomResource("probe:index:Thing", "f", {}, Opts(id="nowhere"))', fails=True)
    assert "resource 'nowhere' does not exist" in run.errors
