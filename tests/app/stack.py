"""The service as processes on real servers, with the Lightning counterpart as its rail; for crash tests."""

from __future__ import annotations

import os
import signal
import ssl
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.app.conftest import SECRETS, RedisServer, TestDatabase, free_port

ROOT = Path(__file__).resolve().parents[2]
NODE_KEY = "5a" * 32


def _start(
    arguments: list[str], environment: dict[str, str], log: Path, code: Path = ROOT / "app"
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{code}", **environment},
        stdin=subprocess.DEVNULL,
        stdout=log.open("ab"),
        stderr=subprocess.STDOUT,
    )


def wait_for_http(url: str, process: subprocess.Popen[bytes], log: Path, seconds: float = 120) -> dict[str, Any]:
    """The JSON of `url` once it answers 200."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert process.poll() is None, f"it ended with {process.returncode}: {log.read_text()[-2000:]}"
        try:
            answer = httpx.get(url, timeout=5)
            if answer.status_code == 200:
                found: dict[str, Any] = answer.json()
                return found
        except httpx.HTTPError:
            pass
        time.sleep(0.05)
    raise AssertionError(f"{url} was not ready in time: {log.read_text()[-2000:]}")


@dataclass
class Stack:
    """Web, worker and two Lightning nodes. `settings` are added to the processes' environment."""

    database: TestDatabase
    redis: RedisServer
    folder: Path
    settings: dict[str, str] = field(default_factory=dict)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)

    def start_nodes(self) -> None:
        """The two Lightning nodes."""
        secrets = self.folder / "lnd-secrets"
        secrets.mkdir(exist_ok=True)
        (secrets / "LND_ROOT_KEY").write_text(NODE_KEY)
        for name in ("merchant", "customer"):
            self.ports.setdefault(name, free_port())
        arguments = ["sandbox.lnd", "--data", str(self.folder / "lnd"), "--network", "regtest"]
        arguments += ["--merchant-port", str(self.ports["merchant"]), "--customer-port", str(self.ports["customer"])]
        self.processes["lnd"] = _start(arguments, {"SECRETS_DIR": str(secrets)}, self.log("lnd"))
        deadline = time.monotonic() + 30
        while not (self._macaroon("customer", "admin").exists() and self._macaroon("merchant", "pay").exists()):
            assert self.processes["lnd"].poll() is None, self.log("lnd").read_text()[-2000:]
            assert time.monotonic() < deadline, "the nodes did not start"
            time.sleep(0.02)

    def log(self, name: str) -> Path:
        """A process' log."""
        return self.folder / f"{name}.log"

    def _macaroon(self, node: str, name: str) -> Path:
        return self.folder / "lnd" / node / "data" / "chain" / "bitcoin" / "regtest" / f"{name}.macaroon"

    def _environment(self) -> dict[str, str]:
        return {
            "APP_ENV": "local",
            "NETWORK": "regtest",
            "DATABASE_URL": self.database.app_url,
            "REDIS_URL": self.redis.url,
            **{name.upper(): value for name, value in SECRETS.items()},
            "LND_URL": f"https://127.0.0.1:{self.ports.get('merchant', 1)}",
            "LND_TLS_CERT_PATH": str(self.folder / "lnd" / "merchant" / "tls.cert"),
            "LND_MACAROON_PATH": str(self._macaroon("merchant", "invoice")),
            "LEASE_SECONDS": "2",
            **self.settings,
        }

    def start(self, role: str, *, name: str = "", code: Path = ROOT / "app") -> None:
        """Start `web` or `worker` and wait until it is ready; `name` and `code` when another release is meant."""
        name = name or role
        port = self.ports.setdefault(name, free_port())
        environment = {**self._environment(), "RELEASE": name, "SLOT": name}
        if role == "web":
            environment["PORT"] = str(port)
        else:
            environment["WORKER_PORT"] = str(port)
            environment["LND_PAY_MACAROON_PATH"] = str(self._macaroon("merchant", "pay"))
        command = "serve" if role == "web" else "work"
        process = _start(["payments", command], environment, self.log(name), code)
        self.processes[name] = process
        wait_for_http(f"http://127.0.0.1:{port}/ready", process, self.log(name))

    def kill(self, name: str) -> None:
        """kill -9, and wait until it is gone."""
        self.processes[name].send_signal(signal.SIGKILL)
        self.processes[name].wait()

    def stop(self) -> None:
        """End everything that still runs."""
        for process in self.processes.values():
            if process.poll() is None:
                process.terminate()
        for process in self.processes.values():
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def client(self, key: str, name: str = "web") -> httpx.Client:
        """A client of the web role, or of another of its processes."""
        return httpx.Client(base_url=f"http://127.0.0.1:{self.ports[name]}", headers={"x-api-key": key}, timeout=30)

    def new_key(self) -> str:
        """An unlimited key of alice's."""
        body = {"name": "t", "userId": "alice", "environment": "test", "permissions": ["read", "write"]}
        with self.client(SECRETS["bootstrap_admin_key"]) as client:
            answer = client.post("/api-keys", json={**body, "unlimited": True})
            assert answer.status_code == 201, answer.text
            return str(answer.json()["key"])

    def node(self, name: str = "customer") -> httpx.Client:
        """A REST client of a node with its admin macaroon."""
        context = ssl.create_default_context(cafile=str(self.folder / "lnd" / name / "tls.cert"))
        macaroon = self._macaroon(name, "admin").read_bytes().hex()
        return httpx.Client(
            base_url=f"https://127.0.0.1:{self.ports[name]}",
            verify=context,
            headers={"Grpc-Metadata-macaroon": macaroon},
            timeout=30,
        )
