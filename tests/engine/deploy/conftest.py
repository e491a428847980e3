"""The engine under test as a process of its own, with a probe provider that outlives it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.engine.conformance.conf_harness import Stack
from tests.engine.conformance.conf_probe import Probe, serving

ENGINE = Path(__file__).parents[3] / "engine"


@dataclass
class EngineProcess:
    """A running `pulumi` command."""

    process: subprocess.Popen[str]
    killed: bool = False

    def kill(self) -> None:
        """Kill it as a power cut would: no clean stop."""
        self.killed = True
        self.process.kill()

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    def terminate(self) -> None:
        """Ask it to end, as a process supervisor does."""
        self.process.send_signal(signal.SIGTERM)

    def wait(self, seconds: float = 60.0) -> tuple[int, str]:
        """Wait for its end; return the exit code and what it printed."""
        out, _ = self.process.communicate(timeout=seconds)
        return self.process.returncode, out


@dataclass
class ProcessStack(Stack):
    """A stack whose commands can also be started in a process of their own."""

    started: list[EngineProcess] = field(default_factory=list)

    def start(self, *arguments: str) -> EngineProcess:
        """Start a command."""
        command = [sys.executable, "-m", "pulumi_embedded"] if self.engine == "embedded" else ["pulumi"]
        running = EngineProcess(
            subprocess.Popen(
                [*command, *arguments, "--non-interactive"],
                cwd=self.folder,
                env={**os.environ, **self.environment, "PYTHONPATH": str(ENGINE)},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                text=True,
            )
        )
        self.started.append(running)
        return running

    def processes(self) -> list[str]:
        """Return the command lines of the processes that work in the project's folder."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                try:
                    if (entry / "cwd").readlink() == self.folder and (entry / "cmdline").read_bytes():
                        found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
                except OSError:
                    continue
        return found


def until(condition: Callable[[], bool], what: str, seconds: float = 20.0) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"timed out: {what}"
        time.sleep(0.02)


@pytest.fixture
def probe() -> Probe:
    """The provider of package `probe`."""
    return Probe()


@pytest.fixture
def stack(tmp_path: Path, probe: Probe, engine_name: str) -> Iterator[ProcessStack]:
    """An empty stack of the engine under test."""
    folder = tmp_path / "project"
    for name in ("project", "backend", "home"):
        (tmp_path / name).mkdir()
    with serving(probe) as port:
        stack = ProcessStack(
            folder,
            engine_name,
            {
                "PULUMI_HOME": str(tmp_path / "home"),
                "PULUMI_BACKEND_URL": f"file://{tmp_path / 'backend'}",
                "PULUMI_CONFIG_PASSPHRASE": "crash",
                "PULUMI_DEBUG_PROVIDERS": f"probe:{port}",
                "PULUMI_DEBUG_COMMANDS": "true",
                "PULUMI_SKIP_UPDATE_CHECK": "true",
                "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            },
        )
        stack.create()
        yield stack
        for running in stack.started:
            if running.process.poll() is None:
                running.kill()
            running.process.communicate()
