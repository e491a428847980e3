"""kill -9 at any moment: the cluster goes on where its last answer left it."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp

from tests.sandbox.processes import SolanaProgram
from tests.sandbox.solana_client import Payer

BROKEN = (aiohttp.ClientError, ConnectionError, TimeoutError)


class TestAfterAKill:
    async def test_balances_statuses_and_history_are_the_same(self, own_solana: SolanaProgram) -> None:
        own_solana.start()
        async with Payer(own_solana) as payer:
            good = await payer.pay(123)
            failed = await payer.signed(payer.transfer(10**12))
            await payer.send(failed, skipPreflight=True)
            await payer.until(failed.signatures[0], "confirmed")

            async def look() -> tuple[Any, ...]:
                listed = [str(good), str(failed.signatures[0])]
                statuses = await payer.result("getSignatureStatuses", listed)
                config = {"commitment": "confirmed", "maxSupportedTransactionVersion": 0}
                transaction = await payer.result("getTransaction", str(good), config)
                history = await payer.result("getSignaturesForAddress", str(payer.target), {"commitment": "confirmed"})
                lamports = await payer.result("getMultipleAccounts", [str(payer.wallets.fee_payer.pubkey())])
                return (
                    await payer.received(),
                    await payer.received("confirmed"),
                    [(one["slot"], one["err"]) for one in statuses["value"]],
                    transaction,
                    [one["signature"] for one in history],
                    lamports["value"],
                    await payer.result("getGenesisHash"),
                )

            before = await look()
            own_solana.kill()
            own_solana.start()
            assert await look() == before
            assert before[0] == 123

    async def test_a_processed_transaction_stays_processed(self, own_solana: SolanaProgram) -> None:
        own_solana.start()
        async with Payer(own_solana) as payer:
            transaction = await payer.signed(payer.transfer(50))
            assert "result" in await payer.send(transaction)
            own_solana.kill()
            own_solana.start()
            again = await payer.send(transaction)
            assert again["error"]["data"]["err"] == "AlreadyProcessed"
            await payer.send(transaction, skipPreflight=True)
            assert await payer.received() == 50

    async def test_a_blockhash_from_before_can_still_be_used(self, own_solana: SolanaProgram) -> None:
        own_solana.start()
        async with Payer(own_solana) as payer:
            transaction = await payer.signed(payer.transfer(9))
            slot = await payer.result("getSlot", {"commitment": "processed"})
            own_solana.kill()
            own_solana.start()
            assert await payer.result("getSlot", {"commitment": "processed"}) >= slot
            assert "result" in await payer.send(transaction)
            status = await payer.until(transaction.signatures[0], "confirmed")
            assert status["err"] is None

    async def test_a_finalized_view_is_not_ahead_of_itself(self, own_solana: SolanaProgram) -> None:
        """The older versions of accounts survive, too."""
        own_solana.start()
        async with Payer(own_solana) as payer:
            await payer.pay(77)
            own_solana.kill()
            own_solana.start()
            assert (await payer.received("finalized"), await payer.received("confirmed")) == (0, 77)

    async def test_under_load_every_answered_transfer_is_there(self, own_solana: SolanaProgram) -> None:
        own_solana.start()
        answered: list[str] = []
        async with Payer(own_solana) as payer:

            async def send() -> None:
                while True:
                    transaction = await payer.signed(payer.transfer(1))
                    if "result" in await payer.send(transaction):
                        answered.append(str(transaction.signatures[0]))
                    if len(answered) >= 40 and own_solana.alive():
                        own_solana.kill()

            for outcome in await asyncio.gather(*(send() for _ in range(8)), return_exceptions=True):
                # The client of the blockhashes wraps what broke in errors of its own.
                assert isinstance(outcome, BROKEN) or type(outcome).__module__.startswith(("solana", "httpx")), outcome
            own_solana.start()
            await payer.until_all(answered)
            history = await payer.result("getSignaturesForAddress", str(payer.target), {"commitment": "confirmed"})
            assert set(answered) <= {one["signature"] for one in history}
            assert await payer.received() == len(history)
