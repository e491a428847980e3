"""What a local stack costs: the first `./railyard up`, the second, the memory of the engine and of the running stack.

    .venv/bin/python benchmarks/local_stack.py [--runs N]

Machines are noisy, so each time is also given as a multiple of a yardstick taken in the same run: a Python that
imports `pulumi` and ends, which every program of a stack has to do at least once. The state folder is one of its own;
take the checkout's local stack down first, because its settings file is used.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[1]
MEBIBYTE = 1024 * 1024


def yardstick_seconds() -> float:
    """Median time of a Python that imports pulumi."""
    times = []
    for _ in range(5):
        begun = time.monotonic()
        subprocess.run([sys.executable, "-c", "import pulumi"], check=True)
        times.append(time.monotonic() - begun)
    return statistics.median(times)


class EngineMemory(threading.Thread):
    """Watches the engine's own process (not the program's or a provider's) and keeps its largest resident size."""

    def __init__(self, state: Path) -> None:
        super().__init__(daemon=True)
        self.peak_bytes = 0
        self._state, self._done = str(state), threading.Event()

    def run(self) -> None:
        while not self._done.wait(0.05):
            for process in psutil.process_iter():
                try:
                    command = process.cmdline()
                    if "pulumi_embedded" in command and process.environ().get("RAILYARD_STATE") == self._state:
                        self.peak_bytes = max(self.peak_bytes, process.memory_info().rss)
                except psutil.Error:
                    continue

    def stop(self) -> int:
        self._done.set()
        self.join()
        return self.peak_bytes


def stack_bytes(state: Path) -> int:
    """Proportional set size of every process of the stack: shared pages are counted once."""
    total, seen = 0, set[int]()
    for process in psutil.process_iter():
        try:
            words = [*process.cmdline(), process.cwd()]
            if any(str(state) in word for word in words):
                for member in (process, *process.children(recursive=True)):
                    total += 0 if member.pid in seen else member.memory_full_info().pss
                    seen.add(member.pid)
        except psutil.Error:
            continue
    return total


def railyard(environment: dict[str, str], *arguments: str) -> tuple[float, str]:
    """Run the command; return how long it took in seconds, and what it printed."""
    begun = time.monotonic()
    done = subprocess.run(
        [ROOT / "railyard", *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        sys.exit(f"./railyard {' '.join(arguments)} exited {done.returncode}:\n{done.stdout}{done.stderr}")
    return time.monotonic() - begun, done.stdout


def main() -> None:
    if (ROOT / "Pulumi.local.yaml").exists():
        sys.exit("A local stack of this checkout exists: ./railyard down first.")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3, help="second updates to take the median of (3)")
    runs = parser.parse_args().runs
    yardstick = yardstick_seconds()
    with tempfile.TemporaryDirectory(prefix="railyard-benchmark-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        state = Path(folder) / "state"
        environment = {**os.environ, "RAILYARD_STATE": str(state), "RAILYARD_ENGINE": "embedded"}
        watch = EngineMemory(state)
        watch.start()
        try:
            first, _ = railyard(environment, "up")
            again = statistics.median(railyard(environment, "up")[0] for _ in range(runs))
            engine = watch.stop()
            status, printed = railyard(environment, "status", "--json")
            services = len(json.loads(printed)["services"])
            memory = stack_bytes(state)
        finally:
            down, _ = railyard(environment, "down", "--yes")
    print(f"yardstick (import pulumi)   {yardstick:7.2f} s")
    for name, seconds in (("first up", first), ("second up", again), ("status --json", status), ("down", down)):
        print(f"{name:<27} {seconds:7.2f} s  {seconds / yardstick:6.1f} x the yardstick")
    print(f"engine, largest             {engine / MEBIBYTE:7.0f} MiB")
    print(f"stack, {services} services         {memory / MEBIBYTE:7.0f} MiB")


if __name__ == "__main__":
    main()
