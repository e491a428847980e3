"""The program's process is started ahead, and waits: nothing of the program runs before the update does."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from pulumi_embedded.deploy.launch import Launch
from pulumi_embedded.deploy.request import ProjectSpec
from tests.engine.conformance.conf_probe import Probe
from tests.engine.deploy.conftest import ProcessStack, until


@pytest.fixture
def project(tmp_path: Path) -> ProjectSpec:
    """A program that leaves a file where it runs."""
    (tmp_path / "__main__.py").write_text('import pathlib\npathlib.Path("ran").touch()\n')
    return ProjectSpec("launch", tmp_path)


def test_a_program_that_is_never_told_to_run_does_not(project: ProjectSpec) -> None:
    """It ends by itself when the engine lets go, and leaves nothing."""
    launch = Launch(project)
    assert launch.process.stdin is not None
    launch.process.stdin.close()
    assert launch.process.wait(60) == 0
    assert not (project.root / "ran").exists()


def test_a_discarded_program_is_reaped(project: ProjectSpec) -> None:
    """At once, wherever it is with its imports."""
    launch = Launch(project)
    launch.discard()
    assert launch.process.returncode is not None
    launch.discard()  # once is enough


@pytest.mark.parametrize("size", [10, 100_000], ids=["short", "longer than a pipe"])
def test_configuration_reaches_the_program_and_no_list_of_processes(stack: ProcessStack, size: int) -> None:
    """Settings come through a pipe: neither the command line nor the process's first environment has them."""
    secret = "s" * size
    stack.write(f"""
        import os, pathlib, sys
        pulumi.export("length", len(pulumi.Config().require("token")))
        pulumi.export("variable", len(json.loads(os.environ["PULUMI_CONFIG"])["conf:token"]))
        seen = pathlib.Path("/proc/self/environ").read_bytes() + pathlib.Path("/proc/self/cmdline").read_bytes()
        pulumi.export("seen", b"{secret[:10]}" in seen)
        pulumi.export("input", sys.stdin.read())
        """)
    assert stack.pulumi("config", "set", "token", secret).code == 0
    stack.up()
    expected = {"length": size, "variable": size, "input": ""}
    outputs = stack.outputs()
    assert {key: outputs[key] for key in expected} == expected
    assert stack.engine != "embedded" or outputs["seen"] is False


def test_a_refused_update_runs_nothing_and_leaves_no_process(stack: ProcessStack, probe: Probe) -> None:
    """Another update holds the lock."""
    folder = stack.folder.parent / "backend" / ".pulumi" / "locks" / "organization" / "conf" / "test"
    folder.mkdir(parents=True)
    holder = {"pid": 1, "username": "ann", "hostname": "elsewhere", "timestamp": "2026-01-02T03:04:05Z"}
    (folder / "4711.json").write_text(json.dumps(holder))
    stack.write('import pathlib; pathlib.Path("ran").touch()')
    running = stack.start("up", "--yes", "--skip-preview")
    code, output = running.wait()
    assert code != 0
    assert "lock" in output
    until(lambda: stack.processes() == [], "no process is left")
    assert not (stack.folder / "ran").exists()
    assert probe.calls == []


def test_debug_messages_are_sent_where_somebody_hears_them(stack: ProcessStack) -> None:
    """The event log has them, those of the SDK too; the display has not."""
    run = stack.preview('pulumi.log.debug("whispered"); pulumi.log.info("said")')
    assert "whispered" in run.messages("debug")
    assert any("registering resource" in message for message in run.messages("debug"))
    assert "whispered" not in run.text
    quiet = stack.pulumi("preview")
    assert "said" in quiet.text
    assert "whispered" not in quiet.text


@pytest.mark.parametrize("module", ["__main__", "helper"])
def test_a_program_that_is_written_again_at_once_runs_as_it_is(
    stack: ProcessStack, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    """Also where its size and its second are what they were, and byte code is kept."""
    for name in ("PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX"):
        monkeypatch.delenv(name, raising=False)
        stack.environment.pop(name, None)
    now = time.time() + 60
    for value in ("one", "two"):
        stack.write(
            "import helper; pulumi.export('value', helper.value)"
            if module == "helper"
            else f"pulumi.export('value', '{value}')"
        )
        (stack.folder / "helper.py").write_text(f"value = '{value}'\n")
        for file in stack.folder.glob("*.py"):
            os.utime(file, (now, now))
        stack.up()
        assert stack.outputs()["value"] == value
