"""Stacks whose packages are served by the offline providers, in the test's own process."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from providers.base.provider import Provider
from providers.base.server import start
from tests.engine.conformance.conf_harness import Stack

StackOf = Callable[..., Stack]


@pytest.fixture(scope="session")
def pulumi_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for PULUMI_HOME."""
    return tmp_path_factory.mktemp("pulumi-home")


@pytest.fixture
def stack_of(tmp_path: Path, pulumi_home: Path) -> Iterator[StackOf]:
    """Makes an empty stack of the embedded engine that the given providers serve."""
    with contextlib.ExitStack() as cleanup:

        def make(*providers: Provider) -> Stack:
            attached = []
            for provider in providers:
                server, port = start(provider)
                cleanup.callback(server.stop, None)
                attached.append(f"{provider.package}:{port}")
            folder, backend = tmp_path / "project", tmp_path / "backend"
            folder.mkdir()
            backend.mkdir()
            stack = Stack(
                folder,
                "embedded",
                {
                    "PULUMI_HOME": str(pulumi_home),
                    "PULUMI_BACKEND_URL": f"file://{backend}",
                    "PULUMI_CONFIG_PASSPHRASE": "providers",
                    "PULUMI_DEBUG_PROVIDERS": ",".join(attached),
                    "PULUMI_DEBUG_COMMANDS": "true",
                    "PULUMI_SKIP_UPDATE_CHECK": "true",
                    "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
                },
            )
            stack.create()
            return stack

        yield make
