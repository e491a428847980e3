"""The suite tells a broken stack from a sound one, and says what it cannot look at."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from components.local.binaries import find_redis
from findings.finding import Finding
from verify.__main__ import run
from verify.stack import DeployedStack, OutputsError

ROOT = Path(__file__).parents[2]


class CarelessService(BaseHTTPRequestHandler):
    """Answers everything with 200 and a ledger that does not balance: what the suite is there to catch."""

    def do_GET(self) -> None:
        self._answer({"status": "ok", "service": "402pay-facilitator", "balanced": False, "assets": [], "kinds": []})

    def do_POST(self) -> None:
        self._answer({"paymentRequest": "lnbc1"})

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _answer(self, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture
def careless_service() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), CarelessService)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture
def open_redis(tmp_path: Path) -> Iterator[int]:
    """A Redis on every address of this machine, without a password."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command: list[str | Path] = [
        find_redis().path,
        "--port",
        str(port),
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--dir",
        tmp_path,
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "Ready to accept connections" in line:
                break
        yield port
        process.terminate()


def outputs(service: str, redis_port: int, log: Path) -> str:
    def process(name: str, address: str) -> dict[str, str]:
        return {"name": name, "address": address, "log": str(log)}

    return json.dumps(
        {
            "url": f"http://{service}",
            "release": "abc",
            "network": "regtest",
            "bootstrapAdminKey": "sk_bootstrap_x",
            "services": [
                process("redis", f"127.0.0.1:{redis_port}"),
                process("postgres", "127.0.0.1:1"),
                process("router", service),
            ],
        }
    )


@pytest.fixture
def found(careless_service: str, open_redis: int, tmp_path: Path) -> dict[str, Finding]:
    secrets = tmp_path / "secrets" / "web-blue"
    secrets.mkdir(parents=True)
    (secrets / "JWT_SECRET").write_text("x")
    (secrets / "JWT_SECRET").chmod(0o644)
    stack = DeployedStack.from_outputs(outputs(careless_service, open_redis, tmp_path / "logs" / "x.log"))
    report, _ = run(stack)
    return {finding.rule: finding for finding in report.findings}


def test_a_careless_stack_fails_every_check_but_those_it_satisfies(found: dict[str, Finding]) -> None:
    assert {
        "strangers-are-refused",
        "strangers-make-no-keys",
        "security-headers-are-set",
        "ledger-balances",
        "metrics-are-served",
        "x402-is-offered",
        "rails-answer",
        "every-process-listens",
        "redis-needs-a-password",
        "postgres-needs-the-right-password",
        "secret-files-are-private",
    } <= found.keys()
    assert {"health-answers", "ready-answers", "listeners-are-on-loopback"}.isdisjoint(found)


def test_a_finding_says_what_is_wrong_and_how_to_mend_it(found: dict[str, Finding]) -> None:
    assert found["every-process-listens"].message == "Nothing listens for postgres."
    assert "Redis answers a stranger with b'+PONG" in found["redis-needs-a-password"].message
    assert found["redis-needs-a-password"].fix == "Set requirepass."
    assert found["redis-needs-a-password"].requirements == ("x4-sec-redis-auth",)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"services": []}', "not json"])
def test_outputs_of_no_stack_are_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(OutputsError, match=r"outputs"):
        DeployedStack.from_outputs(text)


def test_the_command_exits_2_without_a_stack() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "verify"], cwd=ROOT, input="{}", capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
