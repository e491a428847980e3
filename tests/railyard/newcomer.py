"""A newcomer's checkout and the commands run in it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil


@dataclass(frozen=True)
class Checkout:
    """A copy of the tree and how to run its command.

    Attributes:
        root: the checkout.
        state: its state folder (`RAILYARD_STATE`).
        environment: what its commands run with.
    """

    root: Path
    state: Path
    environment: dict[str, str]

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start `./railyard ARGUMENTS` in a process group of its own."""
        return subprocess.Popen(
            [self.root / "railyard", *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str, code: int = 0, timeout_seconds: float = 300) -> str:
        """Run `./railyard ARGUMENTS`, expect the exit code, and return what it printed."""
        process = self.start(*arguments)
        try:
            out, err = process.communicate(timeout=timeout_seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, err = process.communicate()
            raise AssertionError(f"{arguments} still ran after {timeout_seconds} s:\n{out}\n{err}") from None
        assert process.returncode == code, f"{arguments} exited {process.returncode}:\n{out}\n{err}"
        return out if code == 0 else out + err

    def json(self, *arguments: str) -> Any:
        """Run a command that prints JSON alone, and parse it."""
        return json.loads(self.run(*arguments))

    def git(self, *arguments: str) -> str:
        return subprocess.run(
            ["git", "-c", "user.name=t", "-c", "user.email=t@localhost", *arguments],
            cwd=self.root, capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip

    def processes(self) -> list[psutil.Process]:
        """The processes that run from this checkout or on its state, found by their arguments and folders.

        supervisord first: who kills them in this order kills it before it starts the others again.
        """
        marks = (str(self.root), str(self.state))
        found = []
        for process in psutil.process_iter():
            try:
                words = [*process.cmdline(), process.cwd()]
            except psutil.Error:
                continue
            if any(mark in word for mark in marks for word in words) and process.pid != os.getpid():
                found.append((not any("supervisor.supervisord" in word for word in words), process))
        return [process for _, process in sorted(found, key=lambda one: one[0])]

    def engine_once(self, started: str, *, deadline_seconds: float = 60) -> psutil.Process:
        """The engine's process, as soon as the update it runs has started a server whose command holds `started`."""
        end = time.monotonic() + deadline_seconds
        while time.monotonic() < end:
            mine = [(p, self._command(p)) for p in self.processes()]
            if any(started in command for _, command in mine):
                for process, command in mine:
                    if "pulumi_embedded" in command and " up " in f"{command} ":
                        return process
            time.sleep(0.02)
        raise AssertionError(f"no engine that had started {started} within {deadline_seconds} s")

    @staticmethod
    def _command(process: psutil.Process) -> str:
        try:
            return " ".join(process.cmdline())
        except psutil.Error:
            return ""
