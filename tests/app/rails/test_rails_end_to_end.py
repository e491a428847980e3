"""The service's own processes on both rails: web, worker, the counterparts, and x402's unmodified client as payer."""

import asyncio
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from solders.keypair import Keypair
from x402 import x402Client
from x402.http import FacilitatorConfig, HTTPFacilitatorClient
from x402.http.facilitator_client_base import CreateHeadersAuthProvider
from x402.mechanisms.svm.exact.client import ExactSvmScheme
from x402.mechanisms.svm.exact.v1.client import ExactSvmSchemeV1
from x402.mechanisms.svm.signers import KeypairSigner
from x402.schemas import PaymentRequired, PaymentRequirements
from x402.schemas.v1 import PaymentRequiredV1, PaymentRequirementsV1

from payments.rails.lnd.client import LndClient
from payments.rails.lnd.credentials import MacaroonFile, PinnedCertificate
from tests.sandbox.processes import LndProgram, SolanaProgram

pytestmark = pytest.mark.filterwarnings("ignore:Client is deprecated")  # x402's own use of solana-py

ROOT = Path(__file__).parents[3]
DEVNET = "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1"
BOOTSTRAP = "sk_bootstrap_" + "ab" * 32


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Stack:
    """Both roles of the service beside the counterparts."""

    folder: Path
    database_url: str
    superuser_url: str
    redis_url: str
    lnd: LndProgram
    solana: SolanaProgram
    port: int = field(default_factory=free_port)
    worker_port: int = field(default_factory=free_port)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    key: str = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def environment(self, role: str) -> dict[str, str]:
        wallets = self.solana.wallets
        macaroons = self.lnd.data / "merchant" / "data" / "chain" / "bitcoin" / "regtest"
        shared = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT / "app"),
            "APP_ENV": "local",
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.redis_url,
            "INVOICE_SECRET": "33" * 32,
            "NETWORK": "regtest",
            "LND_URL": f"https://127.0.0.1:{self.lnd.ports['merchant']}",
            "LND_TLS_CERT_PATH": str(self.lnd.certificate("merchant")),
            "LND_MACAROON_PATH": str(macaroons / "invoice.macaroon"),
            "SOLANA_RPC_URL": self.solana.url,
            "SOLANA_USDC_MINT": str(wallets.mint.pubkey()),
            "SOLANA_PAY_TO": str(wallets.merchant.pubkey()),
            "DATABASE_POOL_SIZE": "8",
        }
        if role == "serve":
            mine = {
                "PORT": str(self.port),
                "JWT_SECRET": "11" * 32,
                "API_KEY_PEPPER": "22" * 32,
                "BOOTSTRAP_ADMIN_KEY": BOOTSTRAP,
                "SOLANA_FEE_PAYER_ADDRESS": str(wallets.fee_payer.pubkey()),
            }
        else:
            mine = {
                "WORKER_PORT": str(self.worker_port),
                "LND_PAY_MACAROON_PATH": str(macaroons / "pay.macaroon"),
                "SOLANA_FEE_PAYER": str(wallets.fee_payer),
            }
        return {**shared, **mine}

    def start(self, role: str) -> None:
        with (self.folder / f"{role}.log").open("ab") as log:
            self.processes[role] = subprocess.Popen(
                [sys.executable, "-m", "payments", role], env=self.environment(role), stdout=log, stderr=log
            )
        port = self.port if role == "serve" else self.worker_port
        until(lambda: self._is_ready(role, port), 30, lambda: (self.folder / f"{role}.log").read_text()[-3000:])

    def _is_ready(self, role: str, port: int) -> bool:
        assert self.processes[role].poll() is None, (self.folder / f"{role}.log").read_text()[-3000:]
        try:
            return httpx.get(f"http://127.0.0.1:{port}/ready", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    def kill(self, role: str) -> None:
        self.processes[role].send_signal(signal.SIGKILL)
        self.processes[role].wait(10)

    def close(self) -> None:
        for process in self.processes.values():
            if process.poll() is None:
                process.terminate()
        for process in self.processes.values():
            process.wait(20)

    def make_key(self) -> None:
        body = {
            "name": "shop",
            "userId": "shop",
            "environment": "test",
            "permissions": ["read", "write"],
            "unlimited": True,
        }
        answer = httpx.post(f"{self.url}/api-keys", json=body, headers={"x-api-key": BOOTSTRAP})
        assert answer.status_code == 201, answer.text
        self.key = answer.json()["key"]

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        return httpx.request(method, self.url + path, json=body, headers={"x-api-key": self.key, **headers}, timeout=40)

    def balance(self, account: str, asset: str) -> int:
        listed = self.call("GET", "/v1/ledger").json()
        assert listed["balanced"] is True
        return sum(
            int(entry["balance"])
            for entry in listed["accounts"]
            if (entry["account"], entry["asset"]) == (account, asset)
        )

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.superuser_url) as connection:
            return connection.execute(statement.encode()).fetchall()


def until(condition: Callable[[], Any], seconds: float = 15, explain: Callable[[], str] = lambda: "") -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"it never came {explain()}")


@pytest.fixture(scope="module")
def stack(
    tmp_path_factory: pytest.TempPathFactory, postgres: Any, migrated_template: str, redis_server: Any
) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("rails end to end")
    name = f"rails_{secrets.token_hex(4)}"
    postgres.execute(f"CREATE DATABASE {name} OWNER payments_owner TEMPLATE {migrated_template}")
    (folder / "lnd").mkdir()
    (folder / "solana").mkdir()
    lnd, solana = LndProgram(folder / "lnd"), SolanaProgram(folder / "solana")
    made = Stack(
        folder, postgres.url("payments_app", name), postgres.url("postgres", name), redis_server.url, lnd, solana
    )
    try:
        lnd.start()
        solana.start()
        made.start("serve")
        made.start("work")
        made.make_key()
        yield made
    finally:
        made.close()
        for program in (lnd, solana):
            if program.alive():
                program.kill()


@pytest.fixture
async def customer(stack: Stack) -> Any:
    folder = stack.lnd.data / "customer" / "data" / "chain" / "bitcoin" / "regtest"
    client = LndClient(
        f"https://127.0.0.1:{stack.lnd.ports['customer']}",
        certificate=PinnedCertificate(stack.lnd.certificate("customer")),
        macaroon=MacaroonFile(folder / "admin.macaroon", setting="LND_MACAROON_PATH"),
    )
    await client.start()
    yield client
    await client.close()


async def pay_invoice(customer: LndClient, payment_request: str) -> None:
    body = {"payment_request": payment_request, "timeout_seconds": 10, "fee_limit_msat": "0"}
    async for update in customer.stream("POST", "/v2/router/send", None, body, idle_seconds=10):
        if update["status"] == "SUCCEEDED":
            return
    raise AssertionError("not paid")


def payer(stack: Stack) -> x402Client:
    """x402's client as anyone would set it up for a token that is not in its list."""
    signer = KeypairSigner(Keypair.from_base58_string(str(stack.solana.wallets.customer)))
    client = x402Client()
    client.register(DEVNET, ExactSvmScheme(signer, rpc_url=stack.solana.url))
    client.register_v1("solana-devnet", ExactSvmSchemeV1(signer, rpc_url=stack.solana.url))
    client.set_spend_controls(False)
    return client


def facilitator(stack: Stack) -> HTTPFacilitatorClient:
    headers = {"x-api-key": stack.key}
    provider = CreateHeadersAuthProvider(lambda: {"verify": headers, "settle": headers, "supported": {}})
    return HTTPFacilitatorClient(FacilitatorConfig(url=stack.url, auth_provider=provider))


def terms_v2(stack: Stack, amount: int, **extra: str) -> PaymentRequirements:
    (kind,) = [kind for kind in facilitator(stack).get_supported().kinds if kind.x402_version == 2]
    return PaymentRequirements(
        scheme=kind.scheme,
        network=kind.network,
        asset=str(stack.solana.wallets.mint.pubkey()),
        amount=str(amount),
        pay_to=str(stack.solana.wallets.merchant.pubkey()),
        max_timeout_seconds=60,
        extra={**(kind.extra or {}), **extra},
    )


def terms_v1(stack: Stack, amount: int) -> PaymentRequirementsV1:
    (kind,) = [kind for kind in facilitator(stack).get_supported().kinds if kind.x402_version == 1]
    return PaymentRequirementsV1(
        scheme=kind.scheme,
        network=kind.network,
        max_amount_required=str(amount),
        resource="https://shop.example/tea",
        description="tea",
        mime_type="text/plain",
        asset=str(stack.solana.wallets.mint.pubkey()),
        pay_to=str(stack.solana.wallets.merchant.pubkey()),
        max_timeout_seconds=60,
        extra=kind.extra,
    )


async def payload_v2(stack: Stack, terms: PaymentRequirements) -> Any:
    client = payer(stack)
    return await asyncio.to_thread(lambda: asyncio.run(client.create_payment_payload(PaymentRequired(accepts=[terms]))))


class TestX402:
    async def test_the_unmodified_client_pays_in_version_2(self, stack: Stack) -> None:
        terms = terms_v2(stack, 250_000)
        payload = await payload_v2(stack, terms)
        before = stack.balance("assets:solana", "USDC")
        async with facilitator(stack) as seller:
            assert (await seller.verify(payload, terms)).is_valid
            settled = await seller.settle(payload, terms)
        assert settled.success, settled
        assert settled.network == DEVNET
        assert settled.payer == str(stack.solana.wallets.customer.pubkey())
        assert stack.balance("assets:solana", "USDC") - before == 250_000

    async def test_the_unmodified_client_pays_in_version_1(self, stack: Stack) -> None:
        terms = terms_v1(stack, 130_000)
        client = payer(stack)
        payload = await asyncio.to_thread(
            lambda: asyncio.run(client.create_payment_payload(PaymentRequiredV1(accepts=[terms])))
        )
        before = stack.balance("assets:solana", "USDC")
        async with facilitator(stack) as seller:
            assert (await seller.verify(payload, terms)).is_valid
            settled = await seller.settle(payload, terms)
        assert settled.success, settled
        assert settled.network == "solana-devnet"
        assert stack.balance("assets:solana", "USDC") - before == 130_000

    async def test_a_sellers_memo_is_kept(self, stack: Stack) -> None:
        terms = terms_v2(stack, 1_000, memo="pi_3abc123def456")
        payload = await payload_v2(stack, terms)
        async with facilitator(stack) as seller:
            assert (await seller.settle(payload, terms)).success

    async def test_a_worker_killed_in_the_middle_is_followed_by_the_next(self, stack: Stack) -> None:
        terms = terms_v2(stack, 70_000)
        payload = await payload_v2(stack, terms)
        before = stack.balance("assets:solana", "USDC")
        async with facilitator(stack) as seller:
            settling = asyncio.create_task(seller.settle(payload, terms))
            await asyncio.to_thread(
                until, lambda: stack.rows("SELECT 1 FROM x402.settlements WHERE wanted = 70000 AND looks > 0"), 10
            )
            stack.kill("work")
            await asyncio.to_thread(stack.start, "work")
            first = await settling
            for _ in range(3):  # the dead worker's lease runs out first
                if first.success:
                    break
                assert first.error_reason == "settlement_pending"
                first = await seller.settle(payload, terms)
        assert first.success
        assert stack.balance("assets:solana", "USDC") - before == 70_000

    def test_without_a_key_nothing_is_settled(self, stack: Stack) -> None:
        assert httpx.post(f"{stack.url}/settle", json={}).status_code == 401
        assert httpx.get(f"{stack.url}/supported").status_code == 200

    def test_a_body_that_is_no_x402_is_refused(self, stack: Stack) -> None:
        answer = stack.call("POST", "/settle", {"x402Version": 3})
        assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_INPUT")


class TestLightning:
    async def test_a_paid_invoice_is_in_the_ledger(self, stack: Stack, customer: LndClient) -> None:
        before = stack.balance("assets:lnd", "BTC")
        made = stack.call("POST", "/api/lightning/create-invoice", {"amount": 1000, "memo": "tea"}).json()
        await pay_invoice(customer, made["paymentRequest"])
        path = f"/v1/invoices/{made['paymentHash']}"
        await asyncio.to_thread(until, lambda: stack.call("GET", path).json()["status"] == "settled")
        assert stack.balance("assets:lnd", "BTC") - before == 1_000_000

    async def test_an_invoice_paid_while_the_worker_was_dead_is_credited_when_it_lives(
        self, stack: Stack, customer: LndClient
    ) -> None:
        made = stack.call("POST", "/api/lightning/create-invoice", {"amount": 2000}).json()
        stack.kill("work")
        await pay_invoice(customer, made["paymentRequest"])
        await asyncio.to_thread(stack.start, "work")
        path = f"/v1/invoices/{made['paymentHash']}"
        await asyncio.to_thread(until, lambda: stack.call("GET", path).json()["status"] == "settled")

    async def test_a_payout_is_paid_once(self, stack: Stack, customer: LndClient) -> None:
        made = stack.call("POST", "/api/lightning/create-invoice", {"amount": 5000}).json()
        await pay_invoice(customer, made["paymentRequest"])
        path = f"/v1/invoices/{made['paymentHash']}"
        await asyncio.to_thread(until, lambda: stack.call("GET", path).json()["status"] == "settled")
        bill = await customer.post("/v1/invoices", {"value_msat": "3000000", "memo": "bread"})
        body = {"rail": "lnd", "paymentRequest": bill["payment_request"], "maxFeeMsat": 10_000}
        before = stack.balance("assets:lnd", "BTC")
        first = stack.call("POST", "/v1/payments", body, **{"Idempotency-Key": "payout-1"})
        assert first.status_code in (200, 201, 202), first.text
        again = stack.call("POST", "/v1/payments", body, **{"Idempotency-Key": "payout-1"})
        assert again.content == first.content
        payment = f"/v1/payments/{first.json()['id']}"
        await asyncio.to_thread(until, lambda: stack.call("GET", payment).json()["status"] == "succeeded")
        assert before - stack.balance("assets:lnd", "BTC") == 3_000_000

    def test_both_rails_are_ready(self, stack: Stack) -> None:
        for port in (stack.port, stack.worker_port):
            checks = httpx.get(f"http://127.0.0.1:{port}/ready").json()
            assert checks["ready"] is True, checks


def test_no_secret_is_in_the_processes_logs(stack: Stack) -> None:
    wallets = stack.solana.wallets
    text = "".join((stack.folder / f"{role}.log").read_text() for role in ("serve", "work"))
    for secret in (str(wallets.fee_payer), "33" * 32, BOOTSTRAP, stack.key, stack.lnd.macaroon("merchant", "pay")):
        assert secret not in text
