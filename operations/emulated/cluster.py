"""The emulated Kubernetes of one stack: a program of `providers/` that lives as long as the stack."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from operations.checkout import ROOT, State
from operations.emulated.account import without_own_account
from operations.errors import OperationError

PROGRAM = "providers.kubernetes.emulated"
CACHE = "RAILYARD_CACHE"


def cache_folder() -> Path:
    """Where built programs are kept: $RAILYARD_CACHE, or a folder of the checkout's state."""
    given = os.environ.get(CACHE, "")
    return Path(given).absolute() if given else State.of_this_checkout().folder / "cache"


@dataclass(frozen=True)
class EmulatedCluster:
    """The cluster of one stack.

    Attributes:
        folder: its data, credentials and logs.
    """

    folder: Path

    @property
    def kubeconfig(self) -> Path:
        """With the administrator's token; only its owner can read it."""
        return self.folder / "kubeconfig"

    @property
    def url(self) -> str:
        """Where its API server answers; "" when it does not run."""
        told = self._told()
        try:
            import psutil

            process = psutil.Process(int(told["pid"]))
            same = abs(process.create_time() - float(told["started"])) < 0.02
            alive = same and process.status() != psutil.STATUS_ZOMBIE
        except (psutil.Error, KeyError, ValueError):
            return ""
        return str(told["server"]) if alive else ""

    def needs_building(self) -> bool:
        """Whether its programs have to be built first, which takes minutes."""
        return self._run("check", "--cache", str(cache_folder())).stdout.strip() == "to be built"

    def start(self) -> str:
        """Build it if need be, start it if it does not run; returns its URL.

        Raises:
            OperationError: it cannot be built here, or did not start.
        """
        done = self._run("start", "--folder", str(self.folder), "--cache", str(cache_folder()))
        if done.returncode != 0:
            said = (done.stderr.strip() or done.stdout.strip()).splitlines()
            raise OperationError(said[-1].rstrip(".") if said else "the emulated Kubernetes did not start")
        return self.url

    def end(self) -> None:
        """End it; its data goes with the stack's folder."""
        if self.folder.exists():
            self._run("stop", "--folder", str(self.folder))

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-P", "-m", PROGRAM, *arguments],
            cwd=ROOT,
            env=without_own_account(os.environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def _told(self) -> Mapping[str, str]:
        try:
            told = json.loads((self.folder / "cluster.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return told if isinstance(told, dict) else {}
