"""The counterparts as processes on free ports: start, wait until they answer, kill, start again."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from solders.keypair import Keypair

ROOT = Path(__file__).parents[2]
DEADLINE_SECONDS = 20.0


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def wait_until(condition: Callable[[], Any], what: str, seconds: float = DEADLINE_SECONDS) -> Any:
    """Ask again and again until the answer is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s: {what}")


@dataclass
class Program:
    """One counterpart's command, and its process while it runs."""

    module: str
    arguments: list[str]
    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def command(self, *more: str) -> list[str]:
        return [sys.executable, "-m", self.module, *self.arguments, *more]

    def start(self) -> None:
        before = self.ready_lines()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command(), cwd=ROOT, stdout=log, stderr=log, env={**os.environ, **self.environment}
            )
        wait_until(lambda: self.ready_lines() > before or not self.alive(), f"{self.module} is ready")
        assert self.alive(), self.log.read_text()

    def ready_lines(self) -> int:
        return self.log.read_text().count('"event": "ready"') if self.log.exists() else 0

    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def stop(self) -> int:
        """SIGTERM; returns the exit status."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(10)

    def run(self, *more: str) -> subprocess.CompletedProcess[str]:
        """Run it to its end, for refusals."""
        return subprocess.run(
            self.command(*more),
            cwd=ROOT,
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
            check=False,
        )


class LndProgram(Program):
    """Both LND nodes."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.ports = dict(zip(("merchant", "customer"), free_ports(2), strict=True))
        secrets_folder = folder / "secrets"
        secrets_folder.mkdir(parents=True, exist_ok=True)
        self.root_key = secrets.token_hex(32)
        (secrets_folder / "LND_ROOT_KEY").write_text(self.root_key)
        self.data = folder / "data of lnd"
        ports = ["--merchant-port", str(self.ports["merchant"]), "--customer-port", str(self.ports["customer"])]
        arguments = ["--data", str(self.data), *ports, *options]
        super().__init__("sandbox.lnd", arguments, folder, {"SECRETS_DIR": str(secrets_folder)})

    def macaroon(self, node: str, name: str) -> str:
        file = self.data / node / "data" / "chain" / "bitcoin" / "regtest" / f"{name}.macaroon"
        return file.read_bytes().hex()

    def certificate(self, node: str) -> Path:
        return self.data / node / "tls.cert"


@dataclass(frozen=True)
class Wallets:
    """The keys that a genesis knows."""

    authority: Keypair
    mint: Keypair
    customer: Keypair
    merchant: Keypair
    fee_payer: Keypair

    @staticmethod
    def random() -> Wallets:
        return Wallets(*(Keypair() for _ in range(5)))

    def genesis(self) -> dict[str, Any]:
        return {
            "mint": {
                "address": str(self.mint.pubkey()),
                "decimals": 6,
                "authority": str(self.authority.pubkey()),
            },
            "lamports": {str(self.customer.pubkey()): 10**9, str(self.fee_payer.pubkey()): 10**10},
            "tokens": {str(self.customer.pubkey()): 5_000_000_000, str(self.merchant.pubkey()): 0},
        }


class SolanaProgram(Program):
    """The Solana cluster."""

    def __init__(self, folder: Path) -> None:
        self.port = free_ports(1)[0]
        self.wallets = Wallets.random()
        self.genesis = folder / "genesis.json"
        self.genesis.write_text(json.dumps(self.wallets.genesis()))
        self.data = folder / "data of solana"
        arguments = ["--data", str(self.data), "--port", str(self.port), "--genesis", str(self.genesis)]
        super().__init__("sandbox.solana", arguments, folder)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


class EsploraProgram(Program):
    """A regtest chain behind Esplora's API."""

    def __init__(self, folder: Path, *options: str, environment: dict[str, str] | None = None) -> None:
        self.port = free_ports(1)[0]
        self.data = folder / "data of esplora"
        arguments = ["--data", str(self.data), "--port", str(self.port), *options]
        super().__init__("sandbox.esplora", arguments, folder, environment or {})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, path: str, body: dict[str, Any] | str | None = None) -> Any:
        """GET, or POST with a body; JSON where it is JSON. HTTPError on a refusal."""
        data = None if body is None else (body if isinstance(body, str) else json.dumps(body)).encode()
        request = urllib.request.Request(self.url + path, data=data)
        with urllib.request.urlopen(request, timeout=DEADLINE_SECONDS) as answer:
            text = answer.read().decode()
        try:
            return json.loads(text)
        except json.JSONDecodeError:
            return text

    def mine(self, blocks: int = 1) -> list[str]:
        hashes: list[str] = self.ask("/sandbox/mine", {"blocks": blocks})
        return hashes

    def pay(self, address: str, sats: int, **more: Any) -> str:
        return str(self.ask("/sandbox/pay", {"address": address, "sats": sats, **more})["txid"])

    def reorganise(self, depth: int, **more: Any) -> list[str]:
        hashes: list[str] = self.ask("/sandbox/reorganise", {"depth": depth, **more})
        return hashes


class RiverProgram(Program):
    """The custodian's account; `webhook_url` is where it tells of settlements."""

    def __init__(self, folder: Path, webhook_url: str = "") -> None:
        self.port = free_ports(1)[0]
        self.api_key, self.webhook_secret = secrets.token_hex(16), secrets.token_hex(32)
        secrets_folder = folder / "secrets"
        secrets_folder.mkdir(parents=True, exist_ok=True)
        (secrets_folder / "RIVER_API_KEY").write_text(self.api_key)
        (secrets_folder / "RIVER_WEBHOOK_SECRET").write_text(self.webhook_secret)
        arguments = ["--data", str(folder / "data of river"), "--port", str(self.port)]
        arguments += ["--webhook-url", webhook_url] if webhook_url else []
        super().__init__("sandbox.river", arguments, folder, {"SECRETS_DIR": str(secrets_folder)})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        request = urllib.request.Request(self.url + path, data=json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=DEADLINE_SECONDS) as answer:
            found: dict[str, Any] = json.loads(answer.read())
            return found


@contextmanager
def running(program: Program) -> Iterator[None]:
    """The program runs inside the block, and not after it."""
    program.start()
    try:
        yield
    finally:
        if program.alive():
            program.kill()
