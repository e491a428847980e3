"""Redis for real: a password, the loopback address alone, and writes that survive a kill."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from components.local.binaries import find_redis
from components.local.process import ProcessProvider
from components.local.redis import server_settings
from components.local.secret_file import SecretFileProvider
from components.local.supervision import Supervision
from tests.components.conftest import Properties, wait_until

PASSWORD = "77aa" * 16


@pytest.fixture(scope="module")
def server(stack: Path, process_inputs: Callable[..., Properties], free_port: Callable[[str], int]) -> Properties:
    port, path = free_port("redis"), stack / "secrets" / "redis" / "redis.conf"
    settings = server_settings(port, PASSWORD, str(stack / "redis"))
    SecretFileProvider().make({"path": str(path), "content": settings, "mode": "0600"})
    ready = {"kind": "tcp", "address": f"127.0.0.1:{port}", "path": ""}
    return ProcessProvider().make(
        process_inputs("redis", port, command=[str(find_redis().path), str(path)], ready=ready)
    )[1]


def client(server: Properties, password: str | None = PASSWORD) -> redis.Redis:
    return redis.Redis(port=int(server["listens"][0].rsplit(":", 1)[1]), password=password, retry=Retry(NoBackoff(), 0))


def process_of(server: Properties) -> psutil.Process:
    return psutil.Process(Supervision(server["supervisor"], Path(server["passwordFile"])).pid("redis"))


def test_nobody_gets_in_without_the_password(server: Properties) -> None:
    with pytest.raises(redis.AuthenticationError):
        client(server, None).ping()
    assert client(server).ping() is True


def test_it_listens_on_loopback_alone(server: Properties) -> None:
    addresses = {
        connection.laddr[0] for connection in process_of(server).net_connections() if connection.status == "LISTEN"
    }
    assert addresses == {"127.0.0.1"}


def test_the_password_is_not_among_its_arguments(server: Properties) -> None:
    assert PASSWORD not in " ".join(process_of(server).cmdline())


def test_what_was_written_a_second_ago_survives_a_kill(server: Properties) -> None:
    client(server).set("kept", "yes")
    log = Path(server["dataFolders"][0])
    wait_until(lambda: any(b"kept" in path.read_bytes() for path in log.rglob("*.aof*")))
    os.kill(process_of(server).pid, signal.SIGKILL)
    provider = ProcessProvider()
    wait_until(lambda: not (provider.observe("redis", server) or {})["running"])
    provider.change("redis", server, server)
    wait_until(lambda: client(server).get("kept") == b"yes")
