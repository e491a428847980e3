"""A crash loses nothing: killed at any moment, the next update converges and leaves no process behind."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.engine.conformance.conf_probe import Call, Probe
from tests.engine.deploy.conftest import EngineProcess, ProcessStack, until

BEFORE = """
a = Thing("a", value=1, fixedId="a")
b = Thing("b", value=a.out, fixedId="b")
c = Thing("c", value=1, replaceKeys=["value"], fixedId="c1")
d = Thing("d", value=1, replaceKeys=["value"], deleteFirst=True, fixedId="d")
e = Thing("e", up=c.out, fixedId="e")
"""
AFTER = """
a = Thing("a", value=2, fixedId="a")
c = Thing("c", value=2, replaceKeys=["value"], fixedId="c2")
d = Thing("d", value=2, replaceKeys=["value"], deleteFirst=True, fixedId="d")
e = Thing("e", up=c.out, other=d.out, fixedId="e")
f = Thing("f", value=e.out, fixedId="f")
pulumi.export("done", f.out)
"""
"""An update, a replacement after and one before its create, a delete, a same and a create."""

WANTED = {"a", "c2", "d", "e", "f"}
CHANGES = 9


class Killer:
    """Kills the engine at the n-th change that its provider is asked for, before or after the change is made."""

    def __init__(self, probe: Probe, at: int, *, after: bool) -> None:
        self._probe = probe
        self._at = at
        self._after = after
        self._count = 0
        self._lock = threading.Lock()
        self.engine: EngineProcess | None = None
        self.armed = threading.Event()
        note = probe._note

        def watched(method: str, request: Any) -> Any:
            return _Watched(self, note(method, request), method)

        probe._note = watched  # type: ignore[method-assign]
        self._restore = note

    def release(self) -> None:
        """Kill no more."""
        self._probe._note = self._restore  # type: ignore[method-assign]

    def count(self, method: str) -> bool:
        """Count a change; say whether this is the one."""
        if method not in ("create", "update", "delete"):
            return False
        self.armed.wait(30)
        with self._lock:
            self._count += 1
            return self._count == self._at

    def kill(self) -> None:
        """Kill the engine and see it gone."""
        assert self.engine is not None
        self.engine.kill()
        self.engine.process.wait()


class _Watched:
    """A call of the provider during which the engine may be killed."""

    def __init__(self, killer: Killer, inner: Any, method: str) -> None:
        self._killer = killer
        self._inner = inner
        self._method = method
        self._mine = False

    def __enter__(self) -> Call:
        self._mine = self._killer.count(self._method)
        if self._mine and not self._killer._after:
            self._killer.kill()
        call: Call = self._inner.__enter__()
        return call

    def __exit__(self, *error: Any) -> Any:
        if self._mine and self._killer._after:
            self._killer.kill()
        return self._inner.__exit__(*error)


def settle(stack: ProcessStack) -> None:
    """Say that what was under way at a kill is known now; only a refresh forgets an interrupted create."""
    left = {operation["type"] for operation in stack.export().get("pending_operations", ())}
    assert left <= {"creating"}
    stack.refresh("--clear-pending-creates")
    assert "pending_operations" not in stack.export()


def _killed_at(stack: ProcessStack, probe: Probe, at: int, *, after: bool) -> None:
    """Kill the engine at one change of an update; see the next one converge."""
    stack.up(BEFORE)
    stack.write(AFTER)
    killer = Killer(probe, at, after=after)
    running = stack.start("up", "--yes", "--skip-preview")
    killer.engine = running
    killer.armed.set()
    code, _ = running.wait()
    killer.release()
    assert running.killed
    assert code == -9
    if stack.engine == "embedded":  # those of the CLI outlive it until they lose its connection
        until(lambda: stack.processes() == [], "program and plugins die with the engine")
    assert stack.pulumi("cancel", "--yes").code == 0
    stack.up()
    assert set(probe.cloud) == WANTED, "nothing lost, nothing twice"
    assert {state["id"] for state in stack.states()} == WANTED
    settle(stack)
    stack.settled()
    assert stack.outputs() == {"done": "made"}


@pytest.mark.parametrize(("at", "after"), [(1, True), (3, False), (5, True), (8, True)])
def test_killed_at_some_changes(stack: ProcessStack, probe: Probe, at: int, after: bool) -> None:
    """A few of the moments; the full lane has every one."""
    _killed_at(stack, probe, at, after=after)


@pytest.mark.full
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", range(1, CHANGES))
def test_killed_at_every_change(stack: ProcessStack, probe: Probe, at: int, after: bool) -> None:
    """Each moment at which something is made, before the provider did it and after."""
    _killed_at(stack, probe, at, after=after)


def test_an_interrupted_create_is_told_in_one_sentence(stack: ProcessStack, probe: Probe) -> None:
    """What was made and not recorded is named by the next update."""
    probe.gates["g"] = threading.Event()
    stack.write('Thing("a", gate="g", fixedId="a")')
    running = stack.start("up", "--yes", "--skip-preview")
    until(lambda: probe.methods("create") == ["create a"], "the create begins")
    running.kill()
    running.wait()
    probe.gates["g"].set()
    assert stack.pulumi("cancel", "--yes").code == 0
    pending = stack.export()["pending_operations"]
    assert [operation["type"] for operation in pending] == ["creating"]
    run = stack.up('Thing("a", fixedId="a")')
    (warning,) = run.messages("warning")
    assert "interrupted while creating" in warning
    assert "urn:pulumi:test::conf::probe:index:Thing::a" in warning
    assert stack.export()["pending_operations"] == pending, "only a person knows what became of it"
    settle(stack)
    assert stack.up().messages("warning") == []


@pytest.mark.parametrize("adopt", [False, True], ids=["forgotten", "taken up"])
def test_an_interrupted_create_is_settled_by_a_refresh(stack: ProcessStack, probe: Probe, adopt: bool) -> None:
    """Forgotten, or taken up under the ID that it got."""
    if adopt and stack.engine == "cli":
        pytest.skip("the CLI 3.259 marks the create as imported and then drops it from the state")
    probe.gates["g"] = threading.Event()
    stack.write('Thing("a", gate="g", fixedId="a-1")')
    running = stack.start("up", "--yes", "--skip-preview")
    until(lambda: probe.methods("create") == ["create a"], "the create begins")
    running.kill()
    running.wait()
    probe.gates["g"].set()
    until(lambda: "a-1" in probe.cloud, "the provider makes it all the same")
    assert stack.pulumi("cancel", "--yes").code == 0
    urn = stack.export()["pending_operations"][0]["resource"]["urn"]
    taken = ["--import-pending-creates", urn, "--import-pending-creates", "a-1"]
    stack.refresh(*(taken if adopt else ["--clear-pending-creates"]))
    assert "pending_operations" not in stack.export()
    assert [state["id"] for state in stack.states()] == (["a-1"] if adopt else [])
    if adopt:
        stack.destroy()
        assert probe.cloud == {}


@pytest.mark.parametrize("ask", [EngineProcess.interrupt, EngineProcess.terminate], ids=["SIGINT", "SIGTERM"])
def test_the_first_interrupt_finishes_what_runs(
    stack: ProcessStack, probe: Probe, ask: Callable[[EngineProcess], None]
) -> None:
    """Nothing new is begun, providers are told, and what was made is in the state."""
    probe.gates["g"] = threading.Event()
    stack.write('a = Thing("a", gate="g"); Thing("b", value=a.out)')
    running = stack.start("up", "--yes", "--skip-preview")
    until(lambda: probe.methods("create") == ["create a"], "the create begins")
    ask(running)
    until(probe.cancelled.is_set, "the provider is told")
    probe.gates["g"].set()
    code, out = running.wait()
    assert code != 0
    assert "cancel" in out.lower()
    assert probe.methods("create") == ["create a"]
    assert stack.names() == ["a"]
    assert "pending_operations" not in stack.export()
    until(lambda: stack.processes() == [], "no process is left")


def test_the_second_interrupt_stops_at_once(stack: ProcessStack, probe: Probe) -> None:
    """What was under way stays pending in the state."""
    probe.gates["g"] = threading.Event()
    stack.write('Thing("a", gate="g")')
    running = stack.start("up", "--yes", "--skip-preview")
    until(lambda: probe.methods("create") == ["create a"], "the create begins")
    running.interrupt()
    until(probe.cancelled.is_set, "the provider is told")
    running.interrupt()
    code, _ = running.wait(20)
    assert code != 0
    probe.gates["g"].set()
    pending = stack.export()["pending_operations"]
    assert [(item["type"], item["resource"]["urn"].rsplit("::", 1)[-1]) for item in pending] == [("creating", "a")]
    until(lambda: stack.processes() == [], "no process is left")
