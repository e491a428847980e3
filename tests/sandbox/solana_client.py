"""What tests send to the cluster: USDC transfers as x402 payers make them, and plain JSON-RPC calls."""

from __future__ import annotations

import asyncio
import base64
import itertools
import struct
from typing import Any

import aiohttp
from solana.rpc.async_api import AsyncClient
from solana.rpc.commitment import Confirmed, Processed
from solders.compute_budget import set_compute_unit_limit, set_compute_unit_price
from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.token.associated import get_associated_token_address
from solders.transaction import VersionedTransaction

from tests.sandbox.processes import SolanaProgram

TOKEN_PROGRAM = Pubkey.from_string("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA")
MEMO_PROGRAM = Pubkey.from_string("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr")
_numbers = itertools.count()


def encoded(transaction: VersionedTransaction) -> str:
    """The wire form in base64."""
    return base64.b64encode(bytes(transaction)).decode()


class Payer:
    """The customer, whose fees somebody else pays, at one cluster."""

    def __init__(self, program: SolanaProgram) -> None:
        self.program = program
        self.wallets = program.wallets
        self.client = AsyncClient(program.url, commitment=Confirmed)
        mint = self.wallets.mint.pubkey()
        self.source = get_associated_token_address(self.wallets.customer.pubkey(), mint)
        self.target = get_associated_token_address(self.wallets.merchant.pubkey(), mint)

    async def __aenter__(self) -> Payer:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.close()

    async def blockhash(self) -> Hash:
        return (await self.client.get_latest_blockhash(Processed)).value.blockhash

    def transfer(self, amount: int, authority: Keypair | None = None) -> Instruction:
        """TransferChecked from the customer to the merchant."""
        signer = (authority or self.wallets.customer).pubkey()
        accounts = [
            AccountMeta(self.source, is_signer=False, is_writable=True),
            AccountMeta(self.wallets.mint.pubkey(), is_signer=False, is_writable=False),
            AccountMeta(self.target, is_signer=False, is_writable=True),
            AccountMeta(signer, is_signer=True, is_writable=False),
        ]
        return Instruction(TOKEN_PROGRAM, bytes([12]) + struct.pack("<QB", amount, 6), accounts)

    async def signed(self, *instructions: Instruction, blockhash: Hash | None = None) -> VersionedTransaction:
        """Signed by customer and fee payer, with a memo that makes it one of its kind."""
        memo = Instruction(MEMO_PROGRAM, f"no {next(_numbers)}".encode(), [])
        budget = [set_compute_unit_limit(60_000), set_compute_unit_price(1)]
        message = MessageV0.try_compile(
            self.wallets.fee_payer.pubkey(), [*budget, *instructions, memo], [], blockhash or await self.blockhash()
        )
        return VersionedTransaction(message, [self.wallets.fee_payer, self.wallets.customer])

    async def send(self, transaction: VersionedTransaction, **options: Any) -> dict[str, Any]:
        """sendTransaction by hand; the whole JSON-RPC answer."""
        config = {"encoding": "base64", "preflightCommitment": "processed", **options}
        answer: dict[str, Any] = await self.call("sendTransaction", encoded(transaction), config)
        return answer

    async def call(self, method: str, *params: Any) -> Any:
        return await self.post({"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)})

    async def result(self, method: str, *params: Any) -> Any:
        answer = await self.call(method, *params)
        assert "error" not in answer, answer
        return answer["result"]

    async def post(self, body: Any) -> Any:
        async with aiohttp.ClientSession() as session, session.post(self.program.url, json=body) as answer:
            return await answer.json()

    async def pay(self, amount: int) -> Signature:
        """Transfer and wait until it is confirmed."""
        transaction = await self.signed(self.transfer(amount))
        answer = await self.send(transaction)
        assert "result" in answer, answer
        await self.until(transaction.signatures[0], "confirmed")
        return transaction.signatures[0]

    async def until(self, signature: Signature, commitment: str) -> Any:
        """Poll, as every Solana client does, until the status is at least the commitment."""
        order = ("processed", "confirmed", "finalized")
        async with asyncio.timeout(30):
            while True:
                [status] = (await self.result("getSignatureStatuses", [str(signature)]))["value"]
                if status and order.index(status["confirmationStatus"]) >= order.index(commitment):
                    return status
                await asyncio.sleep(0.05)

    async def until_all(self, signatures: list[str]) -> None:
        """Poll until all are confirmed."""
        for signature in signatures:
            await self.until(Signature.from_string(signature), "confirmed")

    async def received(self, commitment: str = "processed") -> int:
        """Base units on the merchant's token account."""
        balance = await self.result("getTokenAccountBalance", str(self.target), {"commitment": commitment})
        return int(balance["value"]["amount"])
