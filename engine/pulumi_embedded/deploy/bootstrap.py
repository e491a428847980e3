"""Starts a program, a plugin or a policy pack so that it never outlives the engine. Runs in the project's interpreter.

`python -u bootstrap.py <engine pid> module <name> <args...>` runs a module, `... exec <binary> <args...>` becomes a
binary, `... script <path> <args...>` runs a script. Uses the standard library alone: the engine is not installed there.
"""

# ruff: noqa: PTH100, PTH109, PTH120, S606
from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
import time


def die_with(parent: int) -> None:
    """Ask the kernel to kill this process when the engine dies; where it cannot, watch for it."""
    if sys.platform.startswith("linux"):
        import ctypes

        set_parent_death_signal = 1
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)
    else:
        threading.Thread(target=_watch, args=(parent,), daemon=True).start()
    if os.getppid() != parent:
        os._exit(1)


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    """Do as the arguments say."""
    parent, kind, target, rest = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4:]
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [path for path in sys.path if os.path.abspath(path or ".") != here]
    die_with(parent)
    if kind == "exec":
        os.execv(target, [target, *rest])
    if kind == "module":
        sys.path.insert(0, os.getcwd())
        sys.argv = [target, *rest]
        runpy.run_module(target, run_name="__main__", alter_sys=True)
    else:
        sys.argv = [target, *rest]
        sys.path.insert(0, os.path.dirname(os.path.abspath(target)))
        runpy.run_path(target, run_name="__main__")


if __name__ == "__main__":
    main()
