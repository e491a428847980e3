"""How long the engines take: preview, up, an up that changes nothing, and destroy, of 100 and of 1,000 resources.

    .venv/bin/python benchmarks/engine.py [--sizes 100 1000] [--runs 3]

Measured in one run, with the same program and the same provider process: the embedded engine; the Pulumi CLI where
one is on PATH, with plugin downloads switched off; and an engine that answers every call and does nothing else
(`null_engine.py`), which is the floor, because the program's one Python process is the same for all. Times are medians
of wall-clock seconds; the columns behind them are ratios, which hold on a noisy machine.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

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


def timed(command: Sequence[str | Path], folder: Path, environment: dict[str, str]) -> float:
    """Seconds the command takes; ends the benchmark when it fails."""
    begun = time.monotonic()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} exited {done.returncode}:\n{done.stdout}{done.stderr}")
    return time.monotonic() - begun


def measure(command: Sequence[str], environment: dict[str, str]) -> dict[str, float]:
    """One life of a stack under one engine: seconds of each operation."""
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
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 1000], help="resources (100 1000)")
    parser.add_argument("--runs", type=int, default=3, help="lives of a stack to take the median of (3)")
    arguments = parser.parse_args()
    cli = shutil.which("pulumi")
    print(f"the Pulumi CLI: {cli or 'none on PATH, so there is nothing to compare with but the floor'}")
    print(f"{'resources':>9}  {'operation':<9} {'embedded':>9} {'CLI':>9} {'ratio':>6} {'floor':>9} {'ratio':>6}")
    for size in arguments.sizes:
        with provider() as port:
            environment = environment_for(size, port)
            embedded, real, floor = [], [], []
            for _ in range(arguments.runs):
                embedded.append(measure(EMBEDDED, environment))
                if cli:
                    real.append(measure([cli], environment))
                floor.append(timed([sys.executable, HERE / "null_engine.py"], HERE / "engine_project", environment))
        for operation in OPERATIONS:
            ours = statistics.median(run[operation] for run in embedded)
            theirs = statistics.median(run[operation] for run in real) if real else None
            least = statistics.median(floor) if operation != "destroy" else None
            print(
                f"{size:>9}  {operation:<9} {ours:>7.2f} s {_seconds(theirs)} {_ratio(ours, theirs)}"
                f" {_seconds(least)} {_ratio(ours, least)}",
                flush=True,
            )
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"largest process of all: {children:.0f} MiB")


def _seconds(value: float | None) -> str:
    return f"{'-':>9}" if value is None else f"{value:>7.2f} s"


def _ratio(ours: float, other: float | None) -> str:
    return f"{'':>6}" if other is None else f"{ours / other:>6.2f}"


if __name__ == "__main__":
    main()
