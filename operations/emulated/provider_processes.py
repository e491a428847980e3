"""The offline providers of one command: one process, attached by PULUMI_DEBUG_PROVIDERS, ended with the command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from operations.checkout import ROOT
from operations.emulated.account import without_own_account
from operations.errors import OperationError

ATTACH = "PULUMI_DEBUG_PROVIDERS"


class Running:
    """The process of a command's providers."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self._process, self._log = process, log

    @cached_property
    def addresses(self) -> str:
        """What PULUMI_DEBUG_PROVIDERS has to be; waits until they serve.

        Raises:
            OperationError: they did not start.
        """
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        if not line:
            said = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            raise OperationError(f"the offline providers did not start: {said[-1] if said else 'they said nothing'}")
        return line


@contextmanager
def providers(
    endpoints: Mapping[str, str], log_folder: Path, variables: Mapping[str, str] | None = None
) -> Iterator[Running]:
    """Run a provider for each package, all in one process; they start while the caller goes on.

    Args:
        endpoints: package -> URL of what it speaks to, "" where it needs none.
        log_folder: gets `providers.log`.
        variables: of the process, beside those it inherits.
    """
    log_folder.mkdir(parents=True, exist_ok=True)
    packages = [f"{name}={url}" if url else name for name, url in endpoints.items()]
    written = log_folder / "providers.log"
    with written.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "providers", *packages],
            cwd=ROOT,
            env={**without_own_account(os.environ), **(variables or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            # Ctrl-C in a terminal is the engine's to answer, which still needs its providers.
            start_new_session=True,
        )
    try:
        yield Running(process, written)
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
