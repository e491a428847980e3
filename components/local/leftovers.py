"""Processes of a stack that nobody supervises any more, found and ended.

A kill -9 of supervisord leaves its children running and holding their ports. Every process of a stack carries two
environment variables by which it is known again; PostgreSQL's backends, which overwrite their environment to show a
title, are known by their working folder, the data folder.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path

import psutil

from components.local.errors import LocalPlatformError

STACK_VARIABLE = "RAILYARD_LOCAL_STACK"
PROCESS_VARIABLE = "RAILYARD_LOCAL_PROCESS"
END_WAIT_SECONDS = 8.0
POLL_SECONDS = 0.02


def is_alive(process: psutil.Process) -> bool:
    """Whether it still runs; a zombie is dead, though a machine without a real init may keep it for ever."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_for_end(processes: Iterable[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Wait until all have ended, at most `seconds`; return those that have not. A zombie counts as ended."""
    deadline = time.monotonic() + seconds
    while True:
        alive = [process for process in processes if is_alive(process)]
        if not alive or time.monotonic() > deadline:
            return alive
        time.sleep(POLL_SECONDS)


def processes_of(stack: Path, name: str | None = None, data_folder: Path | None = None) -> list[psutil.Process]:
    """The live processes that carry the mark of the stack in folder `stack`: all, or those of one named process.

    Args:
        data_folder: whoever works in this folder is counted in, mark or not.
    """
    found = []
    for process in psutil.process_iter():
        if process.pid == os.getpid():
            continue
        try:
            environment = process.environ()
            ours = environment.get(STACK_VARIABLE) == str(stack)
            named = name is None or environment.get(PROCESS_VARIABLE) == name
            at_home = False
            if data_folder is not None and not (ours and named):
                at_home = Path(process.cwd()).is_relative_to(data_folder)
        except (psutil.Error, OSError):
            continue
        if ((ours and named) or at_home) and is_alive(process):
            found.append(process)
    return found


def end_leftovers(
    stack: Path,
    name: str | None = None,
    data_folder: Path | None = None,
    stop_signal: signal.Signals = signal.SIGTERM,
) -> None:
    """End every process `processes_of` finds: politely, then with SIGKILL.

    Raises:
        LocalPlatformError: one of them survives SIGKILL (it hangs in the kernel) or belongs to another account.
    """
    found = processes_of(stack, name, data_folder)
    if not found:
        return
    pids = {process.pid for process in found}
    tops = [process for process in found if _parent_of(process) not in pids]
    _send(tops, stop_signal)
    wait_for_end(found, END_WAIT_SECONDS)
    # A parent that was killed hard has left children that the first look may not have seen.
    remaining = [process for process in {*found, *processes_of(stack, name, data_folder)} if is_alive(process)]
    _send(remaining, signal.SIGKILL)
    survivors = wait_for_end(remaining, END_WAIT_SECONDS)
    if survivors:
        pids_text = ", ".join(str(process.pid) for process in survivors)
        raise LocalPlatformError(f"Processes {pids_text} of the stack in {stack} do not end: end them by hand.")


def _parent_of(process: psutil.Process) -> int:
    try:
        return process.ppid()
    except psutil.NoSuchProcess:
        return 0


def _send(processes: Iterable[psutil.Process], what: signal.Signals) -> None:
    for process in processes:
        try:
            process.send_signal(what)
        except psutil.NoSuchProcess:
            continue
        except psutil.AccessDenied:
            raise LocalPlatformError(
                f"Process {process.pid} of the stack belongs to another account: end it by hand."
            ) from None
