"""`python -m providers.kubernetes.emulated build|check|run|start|stop`: a Kubernetes cluster on this machine.

`run` serves in the foreground until SIGTERM; `start` does so in a process of its own that outlives the caller, and
prints one JSON line (server, kubeconfig); `stop` ends the one that `start` made. `check` says whether the programs are
built, have to be, or cannot be.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil

from providers.kubernetes.emulated.building import BuildError, build, cached, go_problem, missing
from providers.kubernetes.emulated.running import END_SECONDS, Files, Running, StartError

START_SECONDS = 300.0


def owner(folder: Path) -> psutil.Process | None:
    """The process that serves the cluster in `folder`; None when none does, whatever a file says."""
    told = _told(folder)
    try:
        process = psutil.Process(int(told["pid"]))
        same = abs(process.create_time() - float(told["started"])) < 0.01
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except (psutil.Error, KeyError, ValueError):
        return None


def run(folder: Path, cache: Path) -> int:
    """Serve until SIGTERM or SIGINT; returns the exit status."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    cluster = Running(folder, cached(cache))
    try:
        told = cluster.start()
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()
        broken = cluster.watch(stop)
    except StartError as error:
        broken = str(error)
    finally:
        cluster.end()
    if broken:
        sys.stderr.write(f"the emulated Kubernetes ended: {broken}\n")
    return 1 if broken else 0


def start(folder: Path, cache: Path) -> dict[str, Any]:
    """The running cluster, started in a session of its own when there is none.

    Raises:
        StartError: it did not start.
    """
    files = Files(folder)
    if owner(folder) is not None:
        return _told(folder)
    files.told.unlink(missing_ok=True)
    (folder / "logs").mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-P", "-m", "providers.kubernetes.emulated"]
    command += ["run", "--folder", str(folder), "--cache", str(cache)]
    root = str(Path(__file__).resolve().parents[3])
    with files.log("emulated").open("ab") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=root, start_new_session=True,
            env={**os.environ, "PYTHONPATH": root},
        )  # fmt: skip
    deadline = time.monotonic() + START_SECONDS
    while not files.told.exists():
        if process.poll() is not None:
            raise StartError(f"the emulated Kubernetes did not start; {files.log('emulated')} says why.")
        if time.monotonic() > deadline:
            process.terminate()
            raise StartError(f"the emulated Kubernetes was not ready after {START_SECONDS:.0f} s.")
        time.sleep(0.05)
    return _told(folder)


def stop(folder: Path) -> bool:
    """End the cluster in `folder`; returns whether there was one."""
    process = owner(folder)
    if process is None:
        return False
    process.terminate()
    try:
        process.wait(END_SECONDS * 2)
    except psutil.TimeoutExpired:
        # Its children are told of its end by the kernel.
        process.kill()
    return True


def _told(folder: Path) -> dict[str, Any]:
    try:
        told = json.loads(Files(folder).told.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def main() -> int:
    """Do what the arguments say; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m providers.kubernetes.emulated", description=__doc__)
    parser.add_argument("command", choices=("build", "check", "run", "start", "stop"))
    parser.add_argument("--folder", type=Path, help="the cluster's own folder: data, credentials, logs")
    parser.add_argument("--cache", type=Path, help="where built programs are kept")
    arguments = parser.parse_args()
    wants_folder = arguments.command in ("run", "start", "stop")
    if (wants_folder and not arguments.folder) or (arguments.command != "stop" and not arguments.cache):
        parser.error(f"{arguments.command} needs --folder and --cache" if wants_folder else "give --cache")
    try:
        return _do(arguments)
    except (BuildError, StartError) as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _do(arguments: argparse.Namespace) -> int:
    match arguments.command:
        case "check":
            if not missing(arguments.cache):
                sys.stdout.write("built\n")
                return 0
            problem = go_problem()
            sys.stdout.write(f"{problem or 'to be built'}\n")
            return 1 if problem else 0
        case "build":
            sys.stdout.write(f"{build(arguments.cache)}\n")
        case "run":
            build(arguments.cache)
            return run(arguments.folder.absolute(), arguments.cache.absolute())
        case "start":
            build(arguments.cache)
            told = start(arguments.folder.absolute(), arguments.cache.absolute())
            sys.stdout.write(json.dumps({"server": told["server"], "kubeconfig": told["kubeconfig"]}) + "\n")
        case "stop":
            stop(arguments.folder.absolute())
    return 0


if __name__ == "__main__":
    sys.exit(main())
