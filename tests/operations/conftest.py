"""The rails' counterparts as processes, for the customer's clients to pay through."""

from __future__ import annotations

import json
import os
import secrets
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.token.associated import get_associated_token_address

from operations.outputs import LightningCounterpart, SolanaCounterpart

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def wait_until(condition: Callable[[], bool], what: str, *, seconds: float = 20) -> None:
    """Return as soon as the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.02)


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


@dataclass(frozen=True)
class LightningNetwork:
    """Two nodes with a channel between them."""

    data: Path
    merchant_port: int
    customer_port: int

    def node(self, name: str, macaroon: str = "admin") -> LightningCounterpart:
        port = self.merchant_port if name == "merchant" else self.customer_port
        folder = self.data / name
        return LightningCounterpart(
            url=f"https://127.0.0.1:{port}",
            tls_cert_path=str(folder / "tls.cert"),
            macaroon_path=str(folder / "data" / "chain" / "bitcoin" / "regtest" / f"{macaroon}.macaroon"),
        )

    def merchant(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Ask the merchant's node itself."""
        node = self.node("merchant")
        trust = ssl.create_default_context(cafile=node.tls_cert_path)
        headers = {"Grpc-Metadata-macaroon": Path(node.macaroon_path).read_bytes().hex()}
        with httpx.Client(verify=trust, trust_env=False) as http:
            answer = http.request(method, f"{node.url}{path}", json=body, headers=headers)
        answer.raise_for_status()
        asked: dict[str, Any] = answer.json()
        return asked


@pytest.fixture(scope="session")
def lightning(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LightningNetwork]:
    folder = tmp_path_factory.mktemp("lightning")
    (folder / "secrets").mkdir(mode=0o700)
    (folder / "secrets" / "LND_ROOT_KEY").write_text(secrets.token_hex(32))
    network = LightningNetwork(folder / "data", free_port(), free_port())
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                sys.executable, "-m", "sandbox.lnd", "--data", str(network.data),
                "--merchant-port", str(network.merchant_port), "--customer-port", str(network.customer_port),
            ],
            cwd=ROOT, env={**os.environ, "SECRETS_DIR": str(folder / "secrets")},
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
        try:
            wait_until(lambda: listens(network.merchant_port) and listens(network.customer_port), "two nodes")
            yield network
        finally:
            process.terminate()
            process.wait(timeout=10)


@dataclass(frozen=True)
class SolanaNetwork:
    """A cluster with a mint, a customer who has USDC, and a fee payer who has SOL."""

    counterpart: SolanaCounterpart
    fee_payer: Keypair
    merchant: Pubkey

    def balance_of_merchant(self) -> int:
        """In millionths of a USDC."""
        account = get_associated_token_address(self.merchant, Pubkey.from_string(self.counterpart.mint))
        request = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "getTokenAccountBalance",
            "params": [str(account), {"commitment": "confirmed"}],
        }
        with httpx.Client(trust_env=False) as http:
            answer = http.post(self.counterpart.rpc_url, json=request).json()
        return int(answer["result"]["value"]["amount"])


@pytest.fixture(scope="session")
def solana(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SolanaNetwork]:
    folder = tmp_path_factory.mktemp("solana")
    port, mint, customer, fee_payer, merchant = free_port(), Keypair(), Keypair(), Keypair(), Keypair().pubkey()
    genesis = {
        "mint": {"address": str(mint.pubkey()), "decimals": 6, "authority": str(Keypair().pubkey())},
        "lamports": {str(fee_payer.pubkey()): 1_000_000_000},
        "tokens": {str(customer.pubkey()): 1_000_000, str(merchant): 0},
    }
    (folder / "genesis.json").write_text(json.dumps(genesis))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                sys.executable, "-m", "sandbox.solana", "--data", str(folder / "data"),
                "--port", str(port), "--genesis", str(folder / "genesis.json"),
            ],
            cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
        try:
            wait_until(lambda: listens(port), "the cluster")
            yield SolanaNetwork(
                SolanaCounterpart(
                    rpc_url=f"http://127.0.0.1:{port}", customer_keypair=str(customer),
                    mint=str(mint.pubkey()), fee_payer=str(fee_payer.pubkey()),
                ),
                fee_payer, merchant,
            )  # fmt: skip
        finally:
            process.terminate()
            process.wait(timeout=10)
