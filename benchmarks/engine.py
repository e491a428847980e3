"""How long the engines take: preview, up, an up that changes nothing, and destroy, of 100 and of 1,000 resources.

    .venv/bin/python benchmarks/engine.py [--sizes 100 1000] [--runs 3]

Measured in one run, turn by turn, with the same program and the same provider process: the embedded engine; the Pulumi
CLI where one is on PATH, with plugin downloads switched off; and an engine that answers every call and does nothing
else (`null_engine.py`), which is the floor, because the program's one Python process is the same for all. Two figures
each, medians: wall-clock seconds, and processor seconds of the command with the program that it runs (not of the
provider), which say the same on a busy machine. The ratios are embedded to CLI and embedded to floor, first of the wall
clock, then of the processor.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
EMBEDDED = [sys.executable, "-m", "pulumi_embedded"]
OPERATIONS = {
    "preview": ["preview", "--non-interactive"],
    "up": ["up", "--yes", "--skip-preview", "--non-interactive"],
    "no-op up": ["up", "--yes", "--skip-preview", "--non-interactive"],
    "destroy": ["destroy", "--yes", "--skip-preview", "--non-interactive"],
}


@contextmanager
def provider() -> Iterator[int]:
    """The trivial provider's port, while it runs."""
    with subprocess.Popen([sys.executable, HERE / "trivial_provider.py"], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.kill()


class Cost(NamedTuple):
    """What one command took: wall-clock seconds, processor seconds of it and its children, and its peak in MiB."""

    wall: float
    cpu: float
    peak: float


def timed(command: Sequence[str | Path], folder: Path, environment: dict[str, str]) -> Cost:
    """What the command takes; ends the benchmark when it fails."""
    with tempfile.TemporaryFile("w+") as output:
        begun = time.monotonic()
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=output)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall = time.monotonic() - begun
        if process.returncode != 0:
            output.seek(0)
            sys.exit(f"{' '.join(map(str, command))} exited {process.returncode}:\n{output.read()}")
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def measure(command: Sequence[str], environment: dict[str, str]) -> dict[str, Cost]:
    """One life of a stack under one engine: what each operation takes."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        shutil.copytree(HERE / "engine_project", folder / "project")
        environment = {
            **environment,
            "PULUMI_BACKEND_URL": f"file://{folder}",
            "PULUMI_HOME": str(folder / "home"),
        }
        timed([*command, "stack", "init", "bench"], folder / "project", environment)
        return {
            operation: timed([*command, *arguments], folder / "project", environment)
            for operation, arguments in OPERATIONS.items()
        }


def environment_for(resources: int, port: int) -> dict[str, str]:
    engine = HERE.parent / "engine"
    return {
        **os.environ,
        "BENCH_RESOURCES": str(resources),
        "PULUMI_DEBUG_PROVIDERS": f"bench:{port}",
        "PULUMI_CONFIG_PASSPHRASE": "benchmark",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(engine),
        "PYTHONDONTWRITEBYTECODE": "",  # modules are compiled once, as in any installation
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 1000], help="resources (100 1000)")
    parser.add_argument("--runs", type=int, default=3, help="lives of a stack to take the median of (3)")
    arguments = parser.parse_args()
    cli = shutil.which("pulumi")
    print(f"the Pulumi CLI: {cli or 'none on PATH, so there is nothing to compare with but the floor'}")
    print(
        f"{'resources':>9}  {'operation':<9} {'embedded':>15} {'CLI':>15} {'ratios':>11} {'floor':>15} {'ratios':>11}"
    )
    peaks: dict[int, float] = {}
    for size in arguments.sizes:
        embedded: list[dict[str, Cost]] = []
        real: list[dict[str, Cost]] = []
        floor: list[Cost] = []
        with provider() as port:
            environment = environment_for(size, port)
            for _ in range(arguments.runs):
                embedded.append(measure(EMBEDDED, environment))
                if cli:
                    real.append(measure([cli], environment))
                floor.append(timed([sys.executable, HERE / "null_engine.py"], HERE / "engine_project", environment))
        for operation in OPERATIONS:
            ours = _median([run[operation] for run in embedded])
            theirs = _median([run[operation] for run in real])
            least = _median(floor) if operation != "destroy" else None
            print(
                f"{size:>9}  {operation:<9} {_seconds(ours)} {_seconds(theirs)} {_ratios(ours, theirs)}"
                f" {_seconds(least)} {_ratios(ours, least)}",
                flush=True,
            )
        peaks[size] = max(cost.peak for run in embedded for cost in run.values())
    for size, peak in peaks.items():
        print(f"{size:>9}  largest process of the embedded engine: {peak:.0f} MiB")


def _median(costs: Sequence[Cost]) -> Cost | None:
    if not costs:
        return None
    return Cost(*(statistics.median(values) for values in zip(*costs, strict=True)))


def _seconds(cost: Cost | None) -> str:
    return f"{'-':>18}" if cost is None else f"{cost.wall:.2f} s, {cost.cpu:.2f} cpu".rjust(18)


def _ratios(ours: Cost | None, other: Cost | None) -> str:
    if ours is None or other is None:
        return f"{'':>11}"
    return f"{ours.wall / other.wall:>5.2f} {ours.cpu / other.cpu:>5.2f}"


if __name__ == "__main__":
    main()
