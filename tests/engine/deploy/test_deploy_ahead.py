"""Providers are asked ahead: checks of independent resources do not wait for each other, and none is asked twice."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from tests.engine.conformance.conf_probe import Probe
from tests.engine.deploy.conftest import ProcessStack

PROGRAM = """
a, b = Thing("a", value=1), Thing("b", value=1)
Thing("c", value=a.out)
"""


class Meeting(Probe):
    """Answers a check or a diff of `a` or of `b` when it was asked about both, if it is `open`."""

    open = False

    def __post_init__(self) -> None:
        super().__post_init__()
        self.meetings = {"check": threading.Barrier(2), "diff": threading.Barrier(2)}

    def _meet(self, method: str, request: Any) -> None:
        if self.open and request.urn.endswith(("::a", "::b")):
            self.meetings[method].wait(30)  # a broken barrier is an error of the provider, and fails the update

    def Check(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._meet("check", request)
        return super().Check(request, context)

    def Diff(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._meet("diff", request)
        return super().Diff(request, context)


@pytest.fixture
def probe() -> Meeting:
    """The provider of package `probe`."""
    return Meeting()


def test_checks_and_diffs_of_independent_resources_overlap(stack: ProcessStack, probe: Meeting) -> None:
    """Both are with the provider at once; each is asked about once, what depends on another after it was made."""
    if stack.engine != "embedded":
        pytest.skip("the CLI asks about one resource after another")
    probe.open = True
    stack.up(PROGRAM)
    assert sorted(probe.methods("check")) == ["check a", "check b", "check c"]
    assert probe.of("check", "c").start > probe.of("create", "a").end
    probe.forget()
    stack.up()
    assert sorted(probe.methods("check", "diff")) == [
        f"{method} {name}" for method in ("check", "diff") for name in "abc"
    ]


def test_a_check_that_fails_ahead_is_told_once(stack: ProcessStack, probe: Meeting) -> None:
    """At its turn, like any other."""
    run = stack.up('Thing("a", failCheck="no such size"); Thing("b", value=1)', fails=True)
    assert run.errors.count("has a problem") == 1
    assert "a" not in {state["urn"].rsplit("::", 1)[-1] for state in stack.states()}
