"""Starts a program's process ahead of time: it imports the SDK while the engine gets ready, and waits to be told.

None of the program's own code runs before `begin`: until then the update may still be refused. What `begin` hands over,
secrets among it, goes through a pipe and never stands in a command line. Imports neither grpc nor pulumi.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pulumi_embedded.deploy.interpreter import Interpreter, resolve_interpreter
from pulumi_embedded.deploy.request import ProjectSpec
from pulumi_embedded.errors import EngineError, UsageError

RUN_PROGRAM = Path(__file__).with_name("run_program.py")


def spawn(
    command: Sequence[str], *, cwd: Path, environment: Mapping[str, str], name: str, fed: bool = False
) -> subprocess.Popen[bytes]:
    """Start a process as leader of its own group, with pipes for what it prints; `fed` gives it one to read, too.

    Raises:
        EngineError: it cannot be started.
    """
    try:
        return subprocess.Popen(
            command,
            cwd=cwd,
            env=dict(environment),
            stdin=subprocess.PIPE if fed else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            process_group=0,
        )
    except OSError as error:
        raise EngineError(f"{name} cannot be started: {error.strerror}: '{command[0]}'") from None


def program_folder(project: ProjectSpec) -> tuple[Path, str]:
    """Return the folder the program runs in, and the entry point relative to it.

    Raises:
        UsageError: `main` in Pulumi.yaml leads nowhere.
    """
    root = project.root.absolute()
    if not project.main:
        return root, "."
    main = root / project.main
    if not main.exists():
        raise UsageError(f"project 'main' could not be read: '{main}' does not exist")
    return (main, ".") if main.is_dir() else (main.parent, main.name)


class Launch:
    """A program's process that waits for its arguments.

    Raises:
        EngineError: there is no such interpreter or folder, or it cannot be started.
    """

    def __init__(
        self, project: ProjectSpec, interpreter: Interpreter | None = None, environment: Mapping[str, str] | None = None
    ) -> None:
        chosen = interpreter or resolve_interpreter(project.root, project.runtime_options)
        self.process = spawn(
            [chosen.path, "-u", str(RUN_PROGRAM), str(os.getpid())],
            cwd=program_folder(project)[0],
            environment={**os.environ, **(environment or {}), **chosen.environment},
            name="the program",
            fed=True,
        )
        self._used = False

    def adopt(self) -> subprocess.Popen[bytes]:
        """Hand the process over to whoever runs, and ends, the program."""
        self._used = True
        return self.process

    def begin(self, arguments: Mapping[str, Any]) -> None:
        """Let the program run. One that ended before, because it has no SDK, says so itself."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps(arguments).encode() + b"\n")
            self.process.stdin.close()

    def discard(self) -> None:
        """End the process, unless it was handed over."""
        if self._used:
            return
        self._used = True
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()
        self.process.wait()
