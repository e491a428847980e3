"""A stack with a probe provider for each conformance case."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.conformance.conf_harness import Stack
from tests.engine.conformance.conf_probe import Probe, serving

_numbers = itertools.count()


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for PULUMI_HOME."""
    return tmp_path_factory.mktemp("pulumi-home")


@pytest.fixture
def probe() -> Probe:
    """The provider of package `probe`."""
    return Probe()


@contextlib.contextmanager
def new_stack(folder: Path, home: Path, engine_name: str, probe: Probe) -> Iterator[Stack]:
    """An empty stack in `folder` whose `probe` resources are the probe's."""
    project, backend = folder / "project", folder / "backend"
    project.mkdir()
    backend.mkdir()
    with serving(probe) as port:
        stack = Stack(
            project,
            engine_name,
            {
                "PULUMI_HOME": str(home),
                "PULUMI_BACKEND_URL": f"file://{backend}",
                "PULUMI_CONFIG_PASSPHRASE": "conformance",
                "PULUMI_DEBUG_PROVIDERS": f"probe:{port}",
                "PULUMI_DEBUG_COMMANDS": "true",
                "PULUMI_SKIP_UPDATE_CHECK": "true",
                "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            },
        )
        stack.create()
        yield stack


@pytest.fixture
def stack(tmp_path: Path, home: Path, engine_name: str, probe: Probe) -> Iterator[Stack]:
    """An empty stack whose `probe` resources are the probe's."""
    with new_stack(tmp_path, home, engine_name, probe) as stack:
        yield stack
