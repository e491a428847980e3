"""What a preview of a cloud's stack takes: `railyard preview staging --emulated`, on ECS and on Kubernetes.

    .venv/bin/python benchmarks/preview.py [--runs 3] [--platforms ecs kubernetes] [--deployed]

The whole command from its start to its end: engine, providers, policies and program. Beside it, in the same run and
turn by turn, the same program under an engine that answers every call and does nothing else (`null_engine.py`): the
ratio of the two says the same on a busy machine. `--deployed` makes the stack first, so that the preview finds no
changes. In a copy of the checkout with a state of its own; Kubernetes only where its programs are built
(`$RAILYARD_CACHE`) or Go is. Memory is each process's own peak.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import NamedTuple

import psutil
import yaml

from components.settings import Settings
from operations.emulated.cluster import cache_folder
from providers.kubernetes.emulated.building import go_problem, missing

HERE = Path(__file__).resolve().parent
STACK = "staging"
LIMIT_SECONDS, LIMIT_MEBIBYTES = 6.0, 400.0


class Cost(NamedTuple):
    """What one command took: wall-clock seconds, processor seconds of it and its children."""

    wall: float
    cpu: float


class Peaks(threading.Thread):
    """Watches the processes below a process and keeps the largest resident size of the program's and of any."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.program = self.largest = 0.0
        self._pid, self._done = pid, threading.Event()

    def run(self) -> None:
        while not self._done.wait(0.05):
            try:
                below = psutil.Process(self._pid).children(recursive=True)
            except psutil.Error:
                return
            for process in below:
                try:
                    size = process.memory_info().rss / 1024 / 1024
                    self.largest = max(self.largest, size)
                    if any(part.endswith("run_program.py") for part in process.cmdline()):
                        self.program = max(self.program, size)
                except psutil.Error:
                    continue

    def stop(self) -> None:
        self._done.set()
        self.join()


def copy_of_checkout(folder: Path, platform: str) -> None:
    """A copy of the checkout, its staging on this platform."""
    root = HERE.parent
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=root, capture_output=True, text=True, check=True).stdout.split("\0")
    for name in filter(None, names):
        if (root / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, folder / name)
    (folder / ".venv").symlink_to(sys.prefix)
    file = folder / f"Pulumi.{STACK}.yaml"
    settings = yaml.safe_load(file.read_text(encoding="utf-8"))
    settings["config"]["railyard:platform"] = platform
    file.write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")


def environment_for(state: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PULUMI_", "AWS_", "PYTHON"))}
    return {
        **kept,
        "RAILYARD_CACHE": str(cache_folder()),
        "RAILYARD_STATE": str(state),
        "PYTHONPYCACHEPREFIX": str(state.parent / "bytecode"),
    }


def program_environment(folder: Path) -> dict[str, str]:
    """The stack's settings as an engine hands them to the program, with stand-ins for the secrets."""
    config = yaml.safe_load((folder / f"Pulumi.{STACK}.yaml").read_text(encoding="utf-8"))["config"]
    secrets = [f"railyard:{value.key}" for value in Settings.from_mapping(config).generated]
    told = {key: value if isinstance(value, str) else json.dumps(value) for key, value in config.items()}
    told |= dict.fromkeys(secrets, "a stand-in of the benchmark's own")
    return {"PULUMI_CONFIG": json.dumps(told), "PULUMI_CONFIG_SECRET_KEYS": json.dumps(secrets)}


def timed(command: list[str], folder: Path, environment: dict[str, str], peaks: list[Peaks] | None = None) -> Cost:
    """What the command takes; ends the benchmark when it fails."""
    with tempfile.TemporaryFile("w+") as output:
        begun = time.monotonic()
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=output)
        watcher = Peaks(process.pid)
        if peaks is not None:
            watcher.start()
            peaks.append(watcher)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall = time.monotonic() - begun
        if peaks is not None:
            watcher.stop()
        if process.returncode != 0:
            output.seek(0)
            sys.exit(f"{' '.join(command)} exited {process.returncode}:\n{output.read()}")
    return Cost(wall, usage.ru_utime + usage.ru_stime)


def measure(platform: str, runs: int, *, deployed: bool) -> None:
    """Print a platform's lines."""
    with tempfile.TemporaryDirectory(prefix="railyard-preview-") as name:
        folder, state = Path(name) / "railyard", Path(name) / "state"
        copy_of_checkout(folder, platform)
        environment = environment_for(state)
        railyard = [sys.executable, "-m", "operations"]
        null = [sys.executable, str(HERE / "null_engine.py")]
        quiet = {**environment, **program_environment(folder), "PYTHONPATH": f"{folder}{os.pathsep}{folder}/engine"}
        peaks: list[Peaks] = []
        whole: list[Cost] = []
        floor: list[Cost] = []
        try:
            # Byte code is written and account and cluster are started once, by what is not counted.
            first = [*railyard, "up" if deployed else "preview", STACK, "--emulated"]
            made = timed(first, folder, environment)
            timed(null, folder, quiet)
            for _ in range(runs):
                whole.append(timed([*railyard, "preview", STACK, "--emulated"], folder, environment, peaks))
                floor.append(timed(null, folder, quiet))
        finally:
            subprocess.run([*railyard, "down", STACK, "--emulated", "--yes"], cwd=folder, env=environment, check=False,
                           stdout=subprocess.DEVNULL)  # fmt: skip
    ours, least = _median(whole), _median(floor)
    program, largest = max(each.program for each in peaks), max(each.largest for each in peaks)
    fits = "within" if ours.wall < LIMIT_SECONDS and largest < LIMIT_MEBIBYTES else "over"
    print(
        f"{platform:<11} preview {ours.wall:5.2f} s ({ours.cpu:5.2f} cpu)   program alone {least.wall:5.2f} s "
        f"({least.cpu:5.2f} cpu)   ratio {ours.wall / least.wall:4.2f} ({ours.cpu / least.cpu:4.2f} cpu)   "
        f"program {program:.0f} MiB, largest process {largest:.0f} MiB   {fits} {LIMIT_SECONDS:.0f} s "
        f"and {LIMIT_MEBIBYTES:.0f} MiB   (the first {'up' if deployed else 'preview'}: {made.wall:.1f} s)",
        flush=True,
    )


def _median(costs: list[Cost]) -> Cost:
    return Cost(*(statistics.median(values) for values in zip(*costs, strict=True)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3, help="previews to take the median of (3)")
    parser.add_argument("--platforms", nargs="+", default=["ecs", "kubernetes"], choices=["ecs", "kubernetes"])
    parser.add_argument("--deployed", action="store_true", help="of a stack that was made before")
    arguments = parser.parse_args()
    for platform in arguments.platforms:
        problem = go_problem() if platform == "kubernetes" and missing(cache_folder()) else ""
        if problem:
            print(f"{platform:<11} left out: {problem}")
            continue
        measure(platform, arguments.runs, deployed=arguments.deployed)


if __name__ == "__main__":
    main()
