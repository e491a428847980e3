"""A scripted LND node for what a healthy one never does, and the sandbox's Solana cluster in this process."""

import asyncio
import base64
import datetime as dt
import ipaddress
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.message import MessageV0, to_bytes_versioned
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.transaction import VersionedTransaction

from payments.rails.solana.rail import SolanaConfig
from payments.rails.solana.tokens import (
    COMPUTE_BUDGET_PROGRAM,
    MEMO_PROGRAM,
    TOKEN_PROGRAM,
    associated_token_account,
)
from sandbox.solana.__main__ import open_cluster
from sandbox.solana.genesis import read as read_genesis
from sandbox.solana.server import call as sandbox_call

Answer = Callable[[web.Request, dict[str, Any]], Awaitable[web.StreamResponse]]


def write_certificate(folder: Path) -> None:
    """`tls.cert` and `tls.key` as LND lays them: self-signed, EC."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "scripted")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "tls.cert").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "tls.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


@dataclass
class Call:
    """One request that the node saw."""

    method: str
    path: str
    query: dict[str, str]
    body: dict[str, Any]
    macaroon: str


@dataclass
class ScriptedNode:
    """Answers by the table `answers` (method and path prefix, the longest wins); keeps every call."""

    folder: Path
    port: int = 0
    answers: dict[tuple[str, str], Answer] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    _runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def certificate(self) -> Path:
        return self.folder / "tls.cert"

    async def start(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "tls.cert", self.folder / "tls.key")
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=context)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def on(self, method: str, prefix: str, answer: Answer) -> None:
        self.answers[method, prefix] = answer

    def seen(self, method: str, prefix: str) -> list[Call]:
        return [call for call in self.calls if call.method == method and call.path.startswith(prefix)]

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        body = orjson.loads(raw) if raw else {}
        macaroon = request.headers.get("Grpc-Metadata-macaroon", "")
        self.calls.append(Call(request.method, request.path, dict(request.query), body, macaroon))
        fitting = [key for key in self.answers if key[0] == request.method and request.path.startswith(key[1])]
        if not fitting:
            return error(404, 5, "Not Found")
        return await self.answers[max(fitting, key=lambda key: len(key[1]))](request, body)


def error(status: int, code: int, message: str) -> web.Response:
    return web.json_response({"code": code, "message": message, "details": []}, status=status)


def says(value: dict[str, Any]) -> Answer:
    """Always this JSON object."""

    async def answer(_request: web.Request, _body: dict[str, Any]) -> web.StreamResponse:
        return web.json_response(value)

    return answer


def fails(status: int, code: int, message: str) -> Answer:
    """Always this error, in LND's form."""

    async def answer(_request: web.Request, _body: dict[str, Any]) -> web.StreamResponse:
        return error(status, code, message)

    return answer


def streams(*results: dict[str, Any], then_hang: bool = False) -> Answer:
    """These results as LND's stream, then the end, or silence."""

    async def answer(request: web.Request, _body: dict[str, Any]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        for result in results:
            await response.write(orjson.dumps({"result": result}) + b"\n")
        if then_hang:
            await asyncio.sleep(3600)
        return response

    return answer


def hangs() -> Answer:
    """Takes the request and never answers."""

    async def answer(_request: web.Request, _body: dict[str, Any]) -> web.StreamResponse:
        await asyncio.sleep(3600)
        raise AssertionError("unreachable")

    return answer


def breaks() -> Answer:
    """Takes the request and cuts the connection."""

    async def answer(request: web.Request, _body: dict[str, Any]) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    return answer


@dataclass
class Scripts:
    """The answers above, for tests to pick from."""

    says: Callable[..., Answer] = says
    fails: Callable[..., Answer] = fails
    streams: Callable[..., Answer] = streams
    hangs: Callable[..., Answer] = hangs
    breaks: Callable[..., Answer] = breaks
    write_certificate: Callable[[Path], None] = write_certificate


@pytest.fixture
def script() -> Scripts:
    return Scripts()


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[ScriptedNode]:
    folder = tmp_path / "node"
    folder.mkdir()
    write_certificate(folder)
    scripted = ScriptedNode(folder)
    await scripted.start()
    yield scripted
    await scripted.stop()


# ---- Solana: payments as a client makes them, and a cluster whose slots are short


@dataclass(frozen=True, kw_only=True)
class PaymentBuilder:
    """A transaction as x402 clients build it; every part can be changed."""

    payer: Keypair
    fee_payer: Pubkey
    mint: Pubkey
    pay_to: Pubkey
    blockhash: Hash
    amount: int = 1000
    memo: bytes = b"0123456789abcdef"
    units: int = 20_000
    microlamports: int = 1
    program: Pubkey = TOKEN_PROGRAM

    def instructions(self) -> list[Instruction]:
        source = associated_token_account(str(self.payer.pubkey()), str(self.mint), self.program)
        destination = associated_token_account(str(self.pay_to), str(self.mint), self.program)
        transfer = Instruction(
            self.program,
            bytes([12]) + self.amount.to_bytes(8, "little") + bytes([6]),
            [
                AccountMeta(source, is_signer=False, is_writable=True),
                AccountMeta(self.mint, is_signer=False, is_writable=False),
                AccountMeta(destination, is_signer=False, is_writable=True),
                AccountMeta(self.payer.pubkey(), is_signer=True, is_writable=False),
            ],
        )
        return [
            Instruction(COMPUTE_BUDGET_PROGRAM, bytes([2]) + self.units.to_bytes(4, "little"), []),
            Instruction(COMPUTE_BUDGET_PROGRAM, bytes([3]) + self.microlamports.to_bytes(8, "little"), []),
            transfer,
            Instruction(MEMO_PROGRAM, self.memo, []),
        ]

    def message(self, instructions: list[Instruction] | None = None) -> MessageV0:
        chosen = self.instructions() if instructions is None else instructions
        return MessageV0.try_compile(self.fee_payer, chosen, [], self.blockhash)

    def build(self, instructions: list[Instruction] | None = None, *, signers: tuple[Keypair, ...] = ()) -> str:
        """Base64, signed by the payer (and `signers`), not by the fee payer."""
        message = self.message(instructions)
        by_key = {keypair.pubkey(): keypair for keypair in (self.payer, *signers)}
        needed = message.account_keys[: message.header.num_required_signatures]
        signatures = [
            by_key[key].sign_message(to_bytes_versioned(message)) if key in by_key else Signature.default()
            for key in needed
        ]
        return base64.b64encode(bytes(VersionedTransaction.populate(message, signatures))).decode()


Interference = Callable[[str, list[Any]], Awaitable[dict[str, Any] | None]]


@dataclass
class Chain:
    """The sandbox's cluster in this process, behind an RPC that a test may interfere with."""

    cluster: Any
    mint: Keypair
    customer: Keypair
    accomplice: Keypair
    merchant: Keypair
    fee_payer: Keypair
    url: str = ""
    calls: list[str] = field(default_factory=list)
    interference: Interference | None = None
    _memos: int = 0

    async def handle(self, request: web.Request) -> web.Response:
        body = orjson.loads(await request.read())
        self.calls.append(body["method"])
        if self.interference is not None:
            replaced = await self.interference(body["method"], body.get("params") or [])
            if replaced is not None:
                return web.json_response({"jsonrpc": "2.0", "id": body.get("id"), **replaced})
        return web.json_response(await sandbox_call(self.cluster, body))

    @property
    def config(self) -> SolanaConfig:
        return SolanaConfig(
            rpc_urls=(self.url,),
            network="devnet",
            mint=str(self.mint.pubkey()),
            pay_to=str(self.merchant.pubkey()),
            fee_payer=str(self.fee_payer.pubkey()),
        )

    def payment(self, **changes: Any) -> PaymentBuilder:
        """A good payment of the customer's, unlike any before."""
        self._memos += 1
        plain: dict[str, Any] = {
            "payer": self.customer,
            "fee_payer": self.fee_payer.pubkey(),
            "mint": self.mint.pubkey(),
            "pay_to": self.merchant.pubkey(),
            "blockhash": self.cluster.clock.blockhash(self.cluster.clock.slot() - 1),
            "memo": f"{self._memos:032d}".encode(),
        }
        return PaymentBuilder(**{**plain, **changes})

    def tokens_of(self, owner: Keypair) -> int:
        account = self.cluster.bank.account(associated_token_account(str(owner.pubkey()), str(self.mint.pubkey())))
        return int.from_bytes(account.data[64:72], "little")

    async def drain(self) -> None:
        """The customer moves all tokens to an accomplice, at once and paying for it alone."""
        builder = self.payment(
            fee_payer=self.customer.pubkey(), pay_to=self.accomplice.pubkey(), amount=self.tokens_of(self.customer)
        )
        message = builder.message()
        outcome = await self.cluster.submit(VersionedTransaction(message, [self.customer]))
        assert outcome is not None
        assert outcome.err is None


@pytest.fixture
async def chain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Chain]:
    """A cluster with slots of 20 ms: final after 0.7 s, a blockhash lives 3 s."""
    monkeypatch.setattr("sandbox.solana.clock.SLOT_SECONDS", 0.02)
    mint, authority, customer, accomplice, merchant, fee_payer = (Keypair() for _ in range(6))
    first = {
        "mint": {"address": str(mint.pubkey()), "decimals": 6, "authority": str(authority.pubkey())},
        "lamports": {str(key.pubkey()): 10**9 for key in (customer, fee_payer)},
        "tokens": {str(customer.pubkey()): 10**7, str(accomplice.pubkey()): 0, str(merchant.pubkey()): 0},
    }
    (tmp_path / "genesis.json").write_text(json.dumps(first))
    cluster, writer = open_cluster(tmp_path, read_genesis(tmp_path / "genesis.json"))
    await asyncio.sleep(0.1)  # blockhashes of the first slots
    chain = Chain(cluster, mint, customer, accomplice, merchant, fee_payer)
    app = web.Application()
    app.router.add_post("/", chain.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    chain.url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"  # type: ignore[union-attr]
    yield chain
    await runner.cleanup()
    await asyncio.to_thread(writer.close)


@pytest.fixture
def builder() -> PaymentBuilder:
    """A good payment that needs no cluster."""
    return PaymentBuilder(
        payer=Keypair(),
        fee_payer=Keypair().pubkey(),
        mint=Keypair().pubkey(),
        pay_to=Keypair().pubkey(),
        blockhash=Hash.hash(b"recent"),
    )
