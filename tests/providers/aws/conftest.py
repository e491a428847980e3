"""One emulated account a session, a clean one a test."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from providers.aws.provider import AwsProvider
from tests.providers.aws.world import World

ROOT = Path(__file__).parents[3]
REGION = "eu-central-1"


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an emulated account."""
    folder = tmp_path_factory.mktemp("emulator")
    announced = folder / "announced.json"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "providers.emulator", "--announce", str(announced)],
            cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        try:
            deadline = time.monotonic() + 120
            while not announced.exists():
                assert process.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < deadline, "the emulator did not start"
                time.sleep(0.05)
            yield f"http://127.0.0.1:{json.loads(announced.read_text())['port']}"
        finally:
            process.terminate()
            process.wait(timeout=30)


@pytest.fixture
def account(emulator: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an emulated account with nothing in it; this process's AWS variables come back afterwards."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.setenv(name, os.environ[name])
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    request = urllib.request.Request(f"{emulator}/moto-api/reset", method="POST")
    urllib.request.urlopen(request, timeout=30).close()
    return emulator


@pytest.fixture
def world(account: str) -> Iterator[World]:
    """Resources of a provider with default tags; all of them are ended, and every property was told or is listed."""
    provider = AwsProvider(account)
    provider.configure({"region": REGION, "defaultTags": {"tags": {"team": "payments"}}})
    made = World(provider)
    yield made
    made.end_all()
    assert {kind: names for kind, names in made.unobserved.items() if names} == {}
