"""The sandbox's Solana cluster in this process, with slots of 20 ms, and payments as x402 clients build them."""

import base64
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web
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
from sandbox.solana.server import call as sandbox_call


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
