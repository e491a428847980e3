"""Real servers in folders of their own, ended by process id; nothing of another test's is touched."""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from components.local.binaries import unprivileged_account
from components.local.folder import FolderProvider
from components.local.leftovers import end_leftovers
from components.local.port import PortProvider
from components.local.secret_file import SecretFileProvider
from components.local.supervision import daemon_settings
from components.local.supervisor import SupervisorProvider

PASSWORD = "b3f1" * 16
Properties = dict[str, Any]


def wait_until(what: Callable[[], bool], within_seconds: float = 10.0) -> None:
    """Return as soon as `what` is true; fail after the deadline."""
    deadline = time.monotonic() + within_seconds
    while not what():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


@pytest.fixture
def event_loop_of_its_own() -> Iterator[None]:
    """The SDK asks for the thread's event loop, and tests of coroutines that ran before leave none behind."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    asyncio.set_event_loop(None)
    loop.close()


@pytest.fixture(scope="module")
def stack() -> Iterator[Path]:
    """The folder of a running stack, with a space in its path, that PostgreSQL's account can reach."""
    state = Path(tempfile.mkdtemp(prefix="railyard ", dir="/tmp"))
    state.chmod(0o755)
    folder = state / "local"
    FolderProvider().make({"path": str(folder)})
    yield folder
    end_leftovers(folder, data_folder=folder)
    shutil.rmtree(state)


@pytest.fixture(scope="module")
def free_port(stack: Path) -> Callable[[str], int]:
    """Reserves a port for a purpose."""

    def reserve(purpose: str) -> int:
        inputs = {"purpose": purpose, "stackFolder": str(stack), "configured": 0, "held": True}
        return int(PortProvider().make(inputs)[1]["port"])

    return reserve


@pytest.fixture(scope="module")
def supervisor(stack: Path, free_port: Callable[[str], int]) -> Properties:
    """A running supervisord, as its provider's outputs."""
    port = free_port("supervisor")
    folder = stack / "secrets" / "supervisor"
    for name, content in (("supervisord.conf", daemon_settings(stack, port, PASSWORD)), ("PASSWORD", PASSWORD)):
        SecretFileProvider().make({"path": str(folder / name), "content": content, "mode": "0600"})
    inputs = {
        "stackFolder": str(stack),
        "address": f"127.0.0.1:{port}",
        "settingsFile": str(folder / "supervisord.conf"),
        "passwordFile": str(folder / "PASSWORD"),
        "fingerprint": "1",
        "running": True,
    }
    return SupervisorProvider().make(inputs)[1]


@pytest.fixture(scope="module")
def process_inputs(stack: Path, supervisor: Properties) -> Callable[..., Properties]:
    """Inputs of a Process: a web server of the standard library unless told otherwise."""

    def build(name: str, port: int, **changed: Any) -> Properties:
        data = stack / name
        inputs = {
            "process": name,
            "stackFolder": str(stack),
            "supervisor": supervisor["address"],
            "passwordFile": supervisor["passwordFile"],
            "incarnation": supervisor["incarnation"],
            "command": [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)],
            "directory": str(data),
            "environment": {},
            "fingerprint": "1",
            "listens": [f"127.0.0.1:{port}"],
            "ready": {"kind": "http", "address": f"127.0.0.1:{port}", "path": "/"},
            "readyWithinSeconds": 20,
            "log": str(stack / "logs" / f"{name}.log"),
            "account": "",
            "dataFolders": [str(data)],
            "staleFiles": [],
            "stopSignal": "TERM",
            "stopWaitSeconds": 5,
            "running": True,
        }
        return {**inputs, **changed}

    return build


@pytest.fixture(scope="session")
def postgres_account() -> str:
    """Name of the account PostgreSQL runs as here; "" for our own."""
    account = unprivileged_account()
    return account.pw_name if account else ""
