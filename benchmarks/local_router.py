"""Envoy in front of one address, with the very settings of the local platform."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from components.local import binaries, envoy_settings
from tests.app import servers

START_SECONDS = 60


@contextmanager
def router(upstream: str, folder: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The router's URL and process once it reaches `upstream`."""
    files = folder / "envoy"
    listen, admin = (f"127.0.0.1:{servers.free_port()}" for _ in range(2))
    written = {
        "bootstrap.json": envoy_settings.bootstrap(listen, admin, files),
        "clusters.json": envoy_settings.clusters({"blue": [upstream]}, files),
        "routes.json": envoy_settings.routes(),
        "weights/weights.json": envoy_settings.weights(100, 0),
        "rollback/fraction.json": envoy_settings.rollback_fraction(0),
        "rollback/endpoints.json": envoy_settings.rollback_endpoints([]),
    }
    for name, text in written.items():
        (files / name).parent.mkdir(parents=True, exist_ok=True)
        (files / name).write_text(text)
    command = [str(binaries.find_envoy().path), "--config-path", str(files / "bootstrap.json")]
    command += ["--disable-hot-restart", "--concurrency", "1", "--file-flush-interval-msec", "1000"]
    with (files / "log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
    try:
        _wait(f"http://{listen}/ready", process, files / "log")
        yield f"http://{listen}", process
    finally:
        process.terminate()
        process.wait(20)


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(url, timeout=5).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.1)
    raise RuntimeError(f"Envoy does not reach the service: {log.read_text(errors='replace')[-1000:]}")
