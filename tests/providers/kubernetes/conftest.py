"""The emulated cluster, started once for the slow lane; programs are built into the cache that ./railyard has, too."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from operations.checkout import State
from providers.kubernetes.cluster import Cluster
from providers.kubernetes.emulated.__main__ import start, stop
from providers.kubernetes.emulated.building import build, go_problem, missing


@pytest.fixture(scope="session")
def kubernetes_cache() -> Path:
    """Where built programs are."""
    given = os.environ.get("RAILYARD_CACHE")
    return Path(given) if given else State.of_this_checkout().folder / "cache"


@pytest.fixture(scope="session")
def kubeconfig(kubernetes_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The kubeconfig of a running emulated cluster."""
    problem = go_problem() if missing(kubernetes_cache) else ""
    if problem:
        pytest.skip(problem)
    build(kubernetes_cache)
    folder = tmp_path_factory.mktemp("kubernetes")
    told = start(folder, kubernetes_cache)
    yield Path(told["kubeconfig"])
    assert stop(folder)


@pytest.fixture
def cluster(kubeconfig: Path) -> Cluster:
    """A connection of the test's own."""
    return Cluster(kubeconfig.read_text(encoding="utf-8"))
