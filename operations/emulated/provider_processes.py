"""The offline providers of one command: a process a package, attached by PULUMI_DEBUG_PROVIDERS, ended with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from operations.checkout import ROOT
from operations.emulated.account import without_own_account
from operations.errors import OperationError

ATTACH = "PULUMI_DEBUG_PROVIDERS"


@contextmanager
def providers(
    endpoints: Mapping[str, str], log_folder: Path, variables: Mapping[str, str] | None = None
) -> Iterator[str]:
    """Run a provider for each package; yields what PULUMI_DEBUG_PROVIDERS has to be.

    Args:
        endpoints: package -> URL of what it speaks to, "" where it needs none.
        log_folder: gets `<package>.log`.
        variables: of the processes, beside those they inherit.

    Raises:
        OperationError: one did not start.
    """
    log_folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as running:
        started = {
            name: running.enter_context(_process(name, url, log_folder, variables or {}))
            for name, url in endpoints.items()
        }
        ports = {name: _port(name, process, log_folder) for name, process in started.items()}
        yield ",".join(f"{name}:{port}" for name, port in ports.items())


@contextmanager
def _process(name: str, url: str, log_folder: Path, variables: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-P", "-m", "providers", name, *(["--endpoint", url] if url else [])]
    with (log_folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**without_own_account(os.environ), **variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            # Ctrl-C in a terminal is the engine's to answer, which still needs its providers.
            start_new_session=True,
        )
    try:
        yield process
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        assert process.stdout is not None
        process.stdout.close()


def _port(name: str, process: subprocess.Popen[str], log_folder: Path) -> int:
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    if not line.isdigit():
        said = (log_folder / f"{name}.log").read_text(encoding="utf-8", errors="replace").strip().splitlines()
        raise OperationError(f"the offline provider {name} did not start: {said[-1] if said else 'it said nothing'}")
    return int(line)


def recorded() -> dict[str, dict[str, str]]:
    """What the emulated account lacks: type -> property ("*" for the whole type) -> why.

    Raises:
        OperationError: the providers cannot tell.
    """
    done = subprocess.run(
        [sys.executable, "-P", "-m", "providers.recorded", "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise OperationError(f"what is not emulated cannot be told: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
    found: dict[str, dict[str, str]] = json.loads(done.stdout)
    return found
