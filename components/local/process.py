"""A process of the stack under supervisord: started, watched until it is ready, seen when it is dead."""

from __future__ import annotations

import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
import pulumi.dynamic

from components.local.accounts import account_named, own_folder
from components.local.durable_file import end_of, last_line, write_durably
from components.local.errors import LocalPlatformError, with_cure
from components.local.leftovers import end_leftovers
from components.local.listeners import listener_on
from components.local.locks import exclusively
from components.local.provider import LocalProvider, Properties
from components.local.readiness import Kind, ReadyCheck
from components.local.supervision import RUNS, Program, Supervision, SupervisorDownError

POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Ready:
    """A ready check in a resource's arguments; `components.local.readiness.ReadyCheck` says what they mean."""

    kind: Kind
    address: pulumi.Input[str]
    path: str = ""


@dataclass(frozen=True)
class ProcessArgs:
    """Arguments of `Process`.

    Attributes:
        name: supervisord's name for it.
        stack_folder: folder of the running stack.
        supervisor: address of supervisord's XML-RPC interface; `password_file` holds its password.
        incarnation: of supervisord; another one means that this process has to be started again.
        command: the program with its arguments; no secret among them.
        directory: working folder.
        environment: plain variables; secrets are files.
        fingerprint: changes when something the process reads at its start does (secret files, settings, release).
        listens: every "127.0.0.1:<port>" it listens on.
        ready: how to see that it is ready, within `ready_within_seconds`.
        log: where its output goes.
        account: whom to run it as; "" for the account supervisord has.
        data_folders: made for it before it starts; the first one is where its own files are.
        stale_files: removed before it starts, once nothing of it runs any more.
        stop_signal: what ends it politely, within `stop_wait_seconds`.
    """

    name: str
    stack_folder: pulumi.Input[str]
    supervisor: pulumi.Input[str]
    password_file: pulumi.Input[str]
    incarnation: pulumi.Input[str]
    command: Sequence[pulumi.Input[str]]
    directory: pulumi.Input[str]
    environment: Mapping[str, pulumi.Input[str]]
    fingerprint: pulumi.Input[str]
    listens: Sequence[pulumi.Input[str]]
    ready: Ready
    log: pulumi.Input[str]
    account: str = ""
    data_folders: Sequence[pulumi.Input[str]] = ()
    stale_files: Sequence[pulumi.Input[str]] = ()
    stop_signal: str = "TERM"
    stop_wait_seconds: int = 10
    ready_within_seconds: int = 30

    def properties(self) -> dict[str, Any]:
        """The resource's inputs; `running` is what makes a process that died a difference."""
        return {
            "process": self.name,
            "stackFolder": self.stack_folder,
            "supervisor": self.supervisor,
            "passwordFile": self.password_file,
            "incarnation": self.incarnation,
            "command": list(self.command),
            "directory": self.directory,
            "environment": dict(self.environment),
            "fingerprint": self.fingerprint,
            "listens": list(self.listens),
            "ready": {"kind": self.ready.kind, "address": self.ready.address, "path": self.ready.path},
            "readyWithinSeconds": self.ready_within_seconds,
            "log": self.log,
            "account": self.account,
            "dataFolders": list(self.data_folders),
            "staleFiles": list(self.stale_files),
            "stopSignal": self.stop_signal,
            "stopWaitSeconds": self.stop_wait_seconds,
            "restarts": True,
            "running": True,
        }


def _supervision(properties: Properties) -> Supervision:
    return Supervision(properties["supervisor"], Path(properties["passwordFile"]))


def _settings_file(properties: Properties) -> Path:
    return Path(properties["stackFolder"]) / "supervisor" / "processes" / f"{properties['process']}.conf"


def stop(properties: Properties) -> None:
    """End the process and whatever an earlier life of it left; supervisord forgets it. Nothing running is success."""
    name = properties["process"]
    try:
        supervision = _supervision(properties)
        deadline = time.monotonic() + float(properties["stopWaitSeconds"]) + 10
        # Again and again: one that has just crashed is perhaps being started anew.
        while state := supervision.state(name):
            if state != "STOPPING":
                supervision.request_stop(name)
                supervision.forget(name)
            if time.monotonic() > deadline:
                raise LocalPlatformError(f"{name} does not stop; look at {properties['log']}.")
            time.sleep(POLL_SECONDS)
    except SupervisorDownError:
        pass  # Then only leftovers can run, and they are ended next.
    data_folders = properties["dataFolders"]
    end_leftovers(
        Path(properties["stackFolder"]),
        name,
        Path(data_folders[0]) if data_folders else None,
        signal.Signals[f"SIG{properties['stopSignal']}"],
    )


def _prepare(properties: Properties) -> None:
    for address in properties["listens"]:
        listener = listener_on(int(address.rsplit(":", 1)[1]))
        if listener is not None:
            raise LocalPlatformError(
                f"{properties['process']} cannot listen on {address}: {listener} does. End that program, or configure "
                "another port in railyard:ports."
            )
    account = account_named(properties["account"])
    for folder in properties["dataFolders"]:
        own_folder(Path(folder), account)
    for path in properties["staleFiles"]:
        Path(path).unlink(missing_ok=True)


def _program(properties: Properties) -> Program:
    return Program(
        name=properties["process"],
        command=properties["command"],
        directory=properties["directory"],
        environment=properties["environment"],
        account=properties["account"],
        log=properties["log"],
        stop_signal=properties["stopSignal"],
        stop_wait_seconds=int(properties["stopWaitSeconds"]),
    )


def _await_ready(supervision: Supervision, properties: Properties, log_size_before: int) -> None:
    """Return when the process runs and is ready; raise with its last words when it ends or takes too long."""
    name, log = properties["process"], Path(properties["log"])
    check = ReadyCheck.from_properties(properties["ready"])
    allowed_seconds = float(properties["readyWithinSeconds"])
    deadline = time.monotonic() + allowed_seconds
    while True:
        passed = check.passes()
        state = supervision.state(name)
        if state not in RUNS:
            said = last_line(log, log_size_before)
            reason = (
                f"{name} will not start; its log ends: {said!r}. The whole log: {log}"
                if said
                else f"{name} will not start and said nothing: {_end_of(name, log)}; log: {log}"
            )
            raise LocalPlatformError(with_cure(reason, end_of(log, log_size_before), properties["directory"]))
        if passed:
            return
        if time.monotonic() > deadline:
            said = last_line(log, log_size_before) or "nothing"
            reason = f"{name} runs, but {check} is not ready after {allowed_seconds:.0f} s; its log ends: {said!r}. "
            reason += f"The whole log: {log}"
            raise LocalPlatformError(with_cure(reason, end_of(log, log_size_before), properties["directory"]))
        time.sleep(POLL_SECONDS)


def _end_of(name: str, log: Path) -> str:
    """How supervisord saw a process end, from its own log."""
    ends = [
        line.split(f"exited: {name} ", 1)[1]
        for line in end_of(log.parent / "supervisord.log", 0).splitlines()
        if f"exited: {name} " in line
    ]
    return ends[-1].strip("()") if ends else "it never ran"


def start(properties: Properties) -> int:
    """Run the process anew and wait until it is ready; returns its process id. When it does not become ready nothing of
    it is left running."""
    stop(properties)
    _prepare(properties)
    supervision, log = _supervision(properties), Path(properties["log"])
    stack = Path(properties["stackFolder"])
    write_durably(_settings_file(properties), _program(properties).settings(stack), 0o600)
    log_size_before = log.stat().st_size if log.exists() else 0
    try:
        supervision.learn(properties["process"])
        supervision.request_start(properties["process"])
        _await_ready(supervision, properties, log_size_before)
        return supervision.pid(properties["process"])
    except LocalPlatformError:
        stop(properties)
        _settings_file(properties).unlink(missing_ok=True)
        raise


class ProcessProvider(LocalProvider):
    """A process by its name. Every change is a new start; one found running under the name is ended first.

    One that crashed and was started again by supervisord does not count as running: it serves meanwhile, but what it
    left behind was not ended, nor what depends on it started after it. It is drift, which the next `up` heals.
    """

    replaced_by = frozenset({"process", "stackFolder"})

    def make(self, inputs: Properties) -> tuple[str, Properties]:
        with exclusively(Path(inputs["stackFolder"]), inputs["process"]):
            pid = start(inputs)
        return inputs["process"], {**inputs, "running": True, "pid": pid}

    def observe(self, identifier: str, recorded: Properties) -> Properties | None:
        try:
            supervision, name = _supervision(recorded), recorded["process"]
            running = supervision.state(name) in RUNS
            # A stack of an earlier release has no process id in its state.
            running = running and supervision.pid(name) == recorded.get("pid", supervision.pid(name))
        except SupervisorDownError:
            running = False
        return {**recorded, "running": running}

    def remove(self, identifier: str, recorded: Properties) -> None:
        with exclusively(Path(recorded["stackFolder"]), recorded["process"]):
            stop(recorded)
            _settings_file(recorded).unlink(missing_ok=True)


class Process(pulumi.dynamic.Resource, module="railyard", name="Process"):
    """A running, ready process."""

    log: pulumi.Output[str]

    def __init__(self, name: str, args: ProcessArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(ProcessProvider(), name, args.properties(), opts)
