"""`--target`, `--exclude` and their dependents."""

from __future__ import annotations

from tests.engine.conformance.conf_harness import Stack
from tests.engine.conformance.conf_probe import Probe

PROGRAM = """
a = Thing("a", value={value})
b = Thing("b", value={value}, up=a.out)
c = Thing("c", value={value})
"""
URN = "urn:pulumi:test::conf::probe:index:Thing::{}"


def test_only_the_target_is_updated(stack: Stack, probe: Probe) -> None:
    """The others keep their state."""
    stack.up(PROGRAM.format(value=1))
    probe.forget()
    stack.up(PROGRAM.format(value=2), "--target", URN.format("c"))
    assert probe.methods() == ["update c"]
    assert stack.state("a")["inputs"]["value"] == 1
    stack.up()
    stack.settled()


def test_target_dependents_come_along(stack: Stack, probe: Probe) -> None:
    """With `--target-dependents`."""
    stack.up(PROGRAM.format(value=1))
    probe.forget()
    stack.up(PROGRAM.format(value=2), "--target", URN.format("a"), "--target-dependents")
    assert probe.methods() == ["update a", "update b"]


def test_wildcards_in_targets(stack: Stack, probe: Probe) -> None:
    """`**` reaches across the parts of a URN."""
    stack.up(PROGRAM.format(value=1))
    probe.forget()
    stack.up(PROGRAM.format(value=2), "--target", "**::c")
    assert probe.methods() == ["update c"]


def test_untargeted_resources_are_not_created(stack: Stack, probe: Probe) -> None:
    """They come when they are asked for."""
    stack.up('Thing("a"); Thing("c")', "--target", URN.format("c"))
    assert probe.methods() == ["create c"]
    assert stack.names() == ["c"]
    stack.up()
    assert sorted(stack.names()) == ["a", "c"]


def test_a_target_that_needs_an_untargeted_create_is_refused(stack: Stack, probe: Probe) -> None:
    """Nothing is made that was not named."""
    run = stack.up(PROGRAM.format(value=1), "--target", URN.format("b"), fails=True)
    assert "was not specified in --target list" in run.errors
    assert probe.methods() == []


def test_an_unknown_target_is_refused(stack: Stack) -> None:
    """With its name."""
    stack.up(PROGRAM.format(value=1))
    run = stack.up(None, "--target", URN.format("nobody"), fails=True)
    assert "could not be found in the stack" in run.errors


def test_targeted_destroy_deletes_the_target_alone(stack: Stack, probe: Probe) -> None:
    """And refuses when something depends on it, unless dependents may go."""
    stack.up(PROGRAM.format(value=1))
    probe.forget()
    stack.destroy("--target", URN.format("c"))
    assert probe.methods() == ["delete c"]
    run = stack.destroy("--target", URN.format("a"), fails=True)
    assert "will be destroyed but was not specified in --target list" in run.errors
    stack.destroy("--target", URN.format("a"), "--target-dependents")
    assert stack.names() == []


def test_targets_keep_deleted_dependencies_of_what_stays(stack: Stack) -> None:
    """A program that lost a resource, and a target elsewhere: the state stays whole."""
    stack.up(PROGRAM.format(value=1))
    stack.up('Thing("c", value=2)', "--target", URN.format("c"))
    assert sorted(stack.names()) == ["a", "b", "c"]
    names = stack.names()
    assert names.index("a") < names.index("b")


def test_excluded_resources_are_left_alone(stack: Stack, probe: Probe) -> None:
    """`--exclude` touches everything else."""
    stack.up(PROGRAM.format(value=1))
    probe.forget()
    stack.up(PROGRAM.format(value=2), "--exclude", URN.format("a"))
    assert sorted(probe.methods()) == ["update b", "update c"]


def test_exclude_dependents(stack: Stack, probe: Probe) -> None:
    """With `--exclude-dependents` what depends on them is left alone, too."""
    stack.up(PROGRAM.format(value=1))
    probe.forget()
    stack.up(PROGRAM.format(value=2), "--exclude", URN.format("a"), "--exclude-dependents")
    assert probe.methods() == ["update c"]


def test_excluded_from_destroy_keeps_what_it_needs(stack: Stack, probe: Probe) -> None:
    """An excluded resource's dependencies stay with it."""
    stack.up(PROGRAM.format(value=1))
    probe.forget()
    stack.destroy("--exclude", URN.format("b"))
    assert probe.methods() == ["delete c"]
    assert stack.names() == ["a", "b"]


def test_targeted_refresh(stack: Stack, probe: Probe) -> None:
    """Only the target is read."""
    stack.up(PROGRAM.format(value=1))
    probe.forget()
    stack.refresh("--target", URN.format("a"))
    assert probe.methods("read") == ["read a"]
