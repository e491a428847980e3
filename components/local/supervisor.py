"""supervisord of the stack, the only process a provider starts itself; it starts all others.

It runs in a session of its own with its streams on files: a process that kept the engine's pipes would make `pulumi up`
wait for it for ever, and one in the engine's session would be ended with it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

import pulumi
import pulumi.dynamic

from components.local.accounts import own_folder
from components.local.durable_file import last_line
from components.local.errors import LocalPlatformError
from components.local.leftovers import PROCESS_VARIABLE, STACK_VARIABLE, end_leftovers, wait_for_end
from components.local.listeners import listener_on
from components.local.locks import exclusively
from components.local.provider import LocalProvider, Properties
from components.local.supervision import Supervision, SupervisorDownError, running_daemon

START_DEADLINE_SECONDS = 20.0
STOP_DEADLINE_SECONDS = 40.0
POLL_SECONDS = 0.05


@dataclass(frozen=True)
class SupervisorArgs:
    """Arguments of `Supervisor`.

    Attributes:
        stack_folder: folder of the running stack.
        address: where its XML-RPC interface listens.
        settings_file: supervisord.conf, a 0600 file.
        password_file: the 0600 file from which its clients read the password.
        fingerprint: changes when one of the two files does; it is then started again.
    """

    stack_folder: pulumi.Input[str]
    address: pulumi.Input[str]
    settings_file: pulumi.Input[str]
    password_file: pulumi.Input[str]
    fingerprint: pulumi.Input[str]


def _environment(stack: Path) -> dict[str, str]:
    """A clean environment: passphrases and cloud keys of the caller must not reach the stack's processes."""
    passed_on = {key: os.environ[key] for key in ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR") if key in os.environ}
    return {**passed_on, STACK_VARIABLE: str(stack), PROCESS_VARIABLE: "supervisord", "HOME": str(stack)}


def start_daemon(stack: Path, address: str, settings_file: str, password_file: str) -> None:
    """Start supervisord and wait until it answers."""
    listener = listener_on(int(address.rsplit(":", 1)[1]))
    if listener is not None:
        raise LocalPlatformError(
            f"supervisord cannot listen on {address}: {listener} does. End that program and run again."
        )
    for folder in ("logs", "supervisor", "supervisor/processes"):
        own_folder(stack / folder)
    output = stack / "logs" / "supervisord.out"
    with output.open("wb") as sink:
        started = subprocess.run(
            [sys.executable, "-m", "supervisor.supervisord", "-c", settings_file],
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            cwd="/",
            env=_environment(stack),
            start_new_session=True,
            check=False,
            timeout=START_DEADLINE_SECONDS,
        )
    if started.returncode != 0:
        raise LocalPlatformError(f"supervisord did not start: {last_line(output) or 'it said nothing'}")
    deadline = time.monotonic() + START_DEADLINE_SECONDS
    while True:
        try:
            Supervision(address, Path(password_file)).state("")
            return
        except SupervisorDownError as error:
            if time.monotonic() > deadline:
                said = last_line(stack / "logs" / "supervisord.log")
                raise LocalPlatformError(
                    f"supervisord did not answer within {START_DEADLINE_SECONDS:.0f} s ({said})."
                ) from error
        time.sleep(POLL_SECONDS)


def stop_daemon(stack: Path) -> None:
    """End supervisord with everything it runs, and whatever an earlier one left running."""
    daemon = running_daemon(stack)
    if daemon is not None:
        daemon.send_signal(signal.SIGTERM)
        wait_for_end([daemon], STOP_DEADLINE_SECONDS)
    end_leftovers(stack)
    (stack / "supervisor" / "supervisord.pid").unlink(missing_ok=True)


class SupervisorProvider(LocalProvider):
    """supervisord by its stack's folder. Each start is a new `incarnation`, for which all processes start again."""

    replaced_by = frozenset({"stackFolder"})

    def make(self, inputs: Properties) -> tuple[str, Properties]:
        stack = Path(inputs["stackFolder"])
        with exclusively(stack, "supervisord"):
            stop_daemon(stack)
            start_daemon(stack, inputs["address"], inputs["settingsFile"], inputs["passwordFile"])
        return f"supervisord-{stack.parent.name}", {**inputs, "running": True, "incarnation": uuid.uuid4().hex}

    def observe(self, identifier: str, recorded: Properties) -> Properties | None:
        if running_daemon(Path(recorded["stackFolder"])) is None:
            return {**recorded, "running": False}
        try:
            Supervision(recorded["address"], Path(recorded["passwordFile"])).state("")
        except SupervisorDownError:
            return {**recorded, "running": False}
        return {**recorded, "running": True}

    def remove(self, identifier: str, recorded: Properties) -> None:
        stack = Path(recorded["stackFolder"])
        with exclusively(stack, "supervisord"):
            stop_daemon(stack)


class Supervisor(pulumi.dynamic.Resource, module="railyard", name="Supervisor"):
    """The running supervisord."""

    incarnation: pulumi.Output[str]
    address: pulumi.Output[str]
    passwordFile: pulumi.Output[str]  # noqa: N815 - properties are named as the state names them

    def __init__(self, name: str, args: SupervisorArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        properties = {
            "stackFolder": args.stack_folder,
            "address": args.address,
            "settingsFile": args.settings_file,
            "passwordFile": args.password_file,
            "fingerprint": args.fingerprint,
            "running": True,
            "incarnation": None,
        }
        super().__init__(SupervisorProvider(), name, properties, opts)
