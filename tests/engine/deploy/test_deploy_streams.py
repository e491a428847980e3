"""Output that nobody reads, streams that are closed, a disk that is full: said in a sentence, and nothing is lost."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from tests.engine.conformance.conf_probe import Probe
from tests.engine.deploy.conftest import ENGINE, ProcessStack, until

ENGINE_COMMAND = f"PYTHONPATH='{ENGINE}' '{sys.executable}' -m pulumi_embedded"
UP = f"{ENGINE_COMMAND} up --yes --skip-preview --non-interactive"


def shell(stack: ProcessStack, line: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run a line of shell in the project."""
    variables = {**os.environ, **stack.environment, **environment}
    return subprocess.run(["sh", "-c", line], cwd=stack.folder, env=variables, capture_output=True, timeout=120)


def locks(stack: ProcessStack) -> list[str]:
    """Return the lock files that are left."""
    folder = stack.folder.parent / "backend" / ".pulumi" / "locks"
    return [str(path) for path in folder.rglob("*.json")]


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_do_not_stop_an_update(stack: ProcessStack, closed: str) -> None:
    """What would be printed is lost; no file that is opened takes its place."""
    stack.write('print("said"); pulumi.export("v", 1)')
    assert shell(stack, f"{UP} {closed}").returncode == 0
    assert stack.outputs() == {"v": 1}


def test_an_output_that_is_full_is_told_in_one_sentence(stack: ProcessStack, probe: Probe) -> None:
    """The state knows what was made before, and the lock is given back."""
    stack.write('Thing("a", fixedId="a")')
    run = shell(stack, f"{UP} > /dev/full")
    assert run.returncode == 1
    assert run.stderr.decode() == "error: standard output cannot be written: no space left on device\n"
    assert locks(stack) == []
    assert {state["id"] for state in stack.states()} == set(probe.cloud)


def test_a_reader_that_goes_away_ends_the_update_and_loses_nothing(stack: ProcessStack, probe: Probe) -> None:
    """As with `| head -1`: what was under way is in the state, no process is left."""
    probe.gates["g"] = threading.Event()
    stack.write('a = Thing("a", gate="g", fixedId="a"); Thing("b", value=a.out, fixedId="b")')
    running = stack.start("up", "--yes", "--skip-preview")
    until(lambda: probe.methods("create") == ["create a"], "the create begins")
    assert running.process.stdout is not None
    running.process.stdout.close()
    running.process.stdout = None
    probe.gates["g"].set()
    assert running.process.wait(60) != 0
    until(lambda: stack.processes() == [], "no process is left")
    assert locks(stack) == []
    assert {state["id"] for state in stack.states()} == set(probe.cloud) != set()
    stack.up()
    stack.settled()


def test_the_c_locale_gets_the_same_bytes(stack: ProcessStack) -> None:
    """UTF-8, as the CLI writes it everywhere."""
    stack.up('pulumi.export("schlüssel", "名前")')
    command = f"{ENGINE_COMMAND} stack output --json"
    plain = shell(stack, command, LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert plain.stdout == shell(stack, command).stdout
    assert "名前" in plain.stdout.decode()


def test_a_full_disk_is_told_and_what_was_made_before_is_known(stack: ProcessStack, probe: Probe) -> None:
    """The limit on a file's size stands in for it; with room again the next update converges."""
    stack.write('a = Thing("a", fixedId="a"); Thing("b", value=a.out, fixedId="b", big="x" * 400_000)')
    run = shell(stack, f"ulimit -f 200; {UP}")
    assert run.returncode == 1
    errors = [line for line in run.stderr.decode().splitlines() if line.startswith("error")]
    assert len(errors) == 1
    assert "cannot be written" in errors[0]
    assert b"Traceback" not in run.stderr + run.stdout
    assert locks(stack) == []
    assert "a" in {state.get("id") for state in stack.states()}
    stack.up()
    assert set(probe.cloud) == {"a", "b"}
    stack.settled()
