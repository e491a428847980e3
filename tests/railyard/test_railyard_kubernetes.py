"""`./railyard up staging --emulated` on Kubernetes: the account by moto, the cluster by the real programs and kwok."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from operations.checkout import State
from providers.kubernetes.cluster import Cluster
from providers.kubernetes.emulated.building import go_problem, missing
from providers.kubernetes.kinds import Kind

pytestmark = pytest.mark.full
ROOT = Path(__file__).parents[2]


@dataclass
class Emulated:
    """A copy of the checkout whose staging is on Kubernetes, with a state of its own."""

    root: Path
    state: Path
    environment: dict[str, str]

    def railyard(self, *arguments: str, fails: bool = False) -> str:
        """Run a command; returns what it printed."""
        ran = subprocess.run(
            [sys.executable, "-m", "operations", *arguments],
            cwd=self.root, env=self.environment, capture_output=True, text=True, timeout=1800, check=False,
        )  # fmt: skip
        assert (ran.returncode != 0) == fails, ran.stdout + ran.stderr
        return ran.stdout + ran.stderr

    def setting(self, old: str, new: str) -> None:
        """Change a line of staging's settings."""
        file = self.root / "Pulumi.staging.yaml"
        text = file.read_text(encoding="utf-8")
        assert old in text
        file.write_text(text.replace(old, new), encoding="utf-8")

    def processes(self) -> list[psutil.Process]:
        """Processes that were told something of this state."""
        found = []
        for process in psutil.process_iter():
            try:
                if any(str(self.state) in argument for argument in process.cmdline()):
                    found.append(process)
            except psutil.Error:
                continue
        return found


@pytest.fixture
def emulated(tmp_path: Path) -> Iterator[Emulated]:
    given = os.environ.get("RAILYARD_CACHE")
    cache = Path(given) if given else State.of_this_checkout().folder / "cache"
    problem = go_problem() if missing(cache) else ""
    if problem:
        pytest.skip(problem)
    root, state = tmp_path / "railyard", tmp_path / "state"
    names = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split("\0")  # fmt: skip
    for name in filter(None, names):
        if (ROOT / name).is_file():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, root / name)
    (root / ".venv").symlink_to(sys.prefix)
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PULUMI_", "RAILYARD_", "PYTHONPATH", "AWS_"))}
    it = Emulated(
        root,
        state,
        {**kept, "RAILYARD_STATE": str(state), "RAILYARD_CACHE": str(cache), "RAILYARD_ENGINE": "embedded"},
    )
    it.setting("railyard:platform: ecs", "railyard:platform: kubernetes")
    yield it
    for process in it.processes():
        process.kill()


def test_a_stack_on_kubernetes_is_made_kept_changed_and_ended(emulated: Emulated) -> None:
    made = emulated.railyard("up", "staging", "--emulated")
    assert "recorded, not emulated" in made
    status: dict[str, Any] = json.loads(emulated.railyard("status", "staging", "--json"))
    assert status["platform"] == "kubernetes"
    assert status["resources"] > 200
    server = status["endpoints"]["kubernetes"]
    assert server.startswith("https://127.0.0.1:")
    kubeconfig = emulated.state / "emulated" / "staging" / "cluster" / "kubeconfig"
    cluster = Cluster(kubeconfig.read_text(encoding="utf-8"), server)
    web = cluster.get(Kind("apps/v1", "Deployment"), "402pay-facilitator", "payments")
    assert web is not None
    assert web["status"]["availableReplicas"] == 2
    assert "no changes" in emulated.railyard("up", "staging", "--emulated")

    emulated.setting("railyard:workerTasks: 1", "railyard:workerTasks: 2")
    planned = emulated.railyard("preview", "staging", "--emulated")
    steps = [line for line in planned.splitlines() if line.startswith("  ") and "railyard-staging-" in line]
    changed = [line.split()[-1] for line in steps]
    assert changed == ["railyard-staging-app-worker-deployment"]

    ended = emulated.railyard("down", "staging", "--emulated", "--yes")
    assert "Nothing of it is left" in ended
    assert not (emulated.state / "emulated" / "staging").exists()
    assert emulated.processes() == []
