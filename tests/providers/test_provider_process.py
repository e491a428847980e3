"""What a process of providers loads, and what it says to whoever started it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_one_process_serves_the_packages_it_is_asked_for_and_loads_no_sdk() -> None:
    loaded = """
import sys
from providers.__main__ import main
sys.argv = ["providers", "random", "docker"]
code = main()
print(code, "pulumi.runtime.proto.provider_pb2" in sys.modules, "pulumi.automation" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", loaded],
        cwd=ROOT, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL, timeout=120,
    )  # fmt: skip
    addresses, end = done.stdout.splitlines()
    ports = dict(address.split(":") for address in addresses.split(","))
    assert set(ports) == {"random", "docker"}
    assert len(set(ports.values())) == 2
    assert end == "0 True False"
