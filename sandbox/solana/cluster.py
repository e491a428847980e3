"""The cluster: the bank with a memory on the disk, a faucet, and the checks that stand before an execution."""

import asyncio
import logging
import sqlite3
from typing import Any

from solders.compute_budget import set_compute_unit_limit
from solders.keypair import Keypair
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer
from solders.transaction import VersionedTransaction

from sandbox.durable import Writer
from sandbox.json_log import log
from sandbox.solana import store, transactions
from sandbox.solana.bank import Bank, Outcome
from sandbox.solana.clock import MAX_PROCESSING_AGE, SlotClock

_LOGGER = logging.getLogger("sandbox.solana")
STATUS_CACHE_SLOTS = 2 * MAX_PROCESSING_AGE
"""Slots for which a status is found without searching the history (agave's MAX_RECENT_BLOCKHASHES)."""


class Cluster:
    """One validator that makes every block itself."""

    def __init__(
        self, bank: Bank, clock: SlotClock, reader: sqlite3.Connection, writer: Writer, faucet: Keypair
    ) -> None:
        self.bank = bank
        self.clock = clock
        self.reader = reader
        """Sees committed transactions only."""
        self._writer = writer
        self._faucet = faucet
        self._airdrops = 0
        self.broken: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """Done, with the reason, when a transaction could not be written: the program has to end."""
        self._seen = {
            row["message_hash"]: row["slot"]
            for row in reader.execute(
                "SELECT message_hash, slot FROM transactions WHERE slot >= ?", (clock.slot() - STATUS_CACHE_SLOTS,)
            )
        }

    def refusal(self, transaction: VersionedTransaction, slot: int | None = None) -> str | None:
        """Why a transaction cannot be processed, before any program runs; None when it can.

        Args:
            transaction: what is asked about.
            slot: the view to judge from. A finalized one does not know the newest blockhashes, as on a real cluster.
        """
        if transactions.message_hash(transaction) in self._seen:
            return "AlreadyProcessed"
        if not self.clock.is_valid(transactions.blockhash(transaction), self.clock.slot() if slot is None else slot):
            return "BlockhashNotFound"
        return None

    def simulate(self, transaction: VersionedTransaction, slot: int, *, replace_blockhash: bool = False) -> Outcome:
        """Run a transaction without keeping anything; its blockhash is judged from the view of a slot."""
        refusal = None if replace_blockhash else self.refusal(transaction, slot)
        return Outcome(refusal, [], 0) if refusal else self.bank.simulate(transaction)

    async def submit(self, transaction: VersionedTransaction) -> Outcome | None:
        """Put a transaction in the next block; returns once it is on the disk.

        Returns:
            None when a validator would drop it unheard: badly signed, too old, repeated, or its fee cannot be paid.
        """
        if not transactions.signatures_hold(transaction) or self.refusal(transaction):
            return None
        outcome = self.bank.execute(transaction)
        if not outcome.landed:
            return None
        slot = outcome.slot
        landed = self._landed(transaction, outcome, slot)
        self._remember(landed.message_hash, slot)
        finalized = self.clock.slot("finalized")

        def save(connection: sqlite3.Connection) -> None:
            store.save_accounts(connection, slot, outcome.changed, finalized)
            store.save_transaction(connection, landed)

        try:
            await self._writer.run(save)
        except sqlite3.Error as failure:
            # The bank is ahead of the disk now: nothing that it says may be trusted any more.
            if not self.broken.done():
                self.broken.set_result(str(failure))
            raise
        signature = str(transactions.first_signature(transaction))
        log(_LOGGER, "transaction", signature=signature, slot=slot, err=outcome.err)
        return outcome

    async def airdrop(self, to: Pubkey, lamports: int) -> VersionedTransaction | None:
        """Send lamports from the faucet; None when the faucet has not that many."""
        self._airdrops += 1
        # The counter goes into the unit limit, so that two equal airdrops in one block are two transactions.
        instructions = [
            set_compute_unit_limit(1000 + self._airdrops % 100_000),
            transfer(TransferParams(from_pubkey=self._faucet.pubkey(), to_pubkey=to, lamports=lamports)),
        ]
        blockhash = self.clock.blockhash(self.clock.slot())
        message = MessageV0.try_compile(self._faucet.pubkey(), instructions, [], blockhash)
        transaction = VersionedTransaction(message, [self._faucet])
        outcome = await self.submit(transaction)
        return transaction if outcome is not None and outcome.err is None else None

    def _landed(self, transaction: VersionedTransaction, outcome: Outcome, slot: int) -> store.Landed:
        loaded: dict[str, Any] = outcome.meta["loadedAddresses"]
        keys = [*transaction.message.account_keys, *map(Pubkey.from_string, loaded["writable"] + loaded["readonly"])]
        return store.Landed(
            signature=bytes(transactions.first_signature(transaction)),
            message_hash=transactions.message_hash(transaction),
            slot=slot,
            err=outcome.err,
            memo=transactions.memo_of(transaction.message),
            wire=bytes(transaction),
            meta=outcome.meta,
            addresses=tuple(bytes(key) for key in keys),
        )

    def _remember(self, message_hash: bytes, slot: int) -> None:
        self._seen[message_hash] = slot
        if len(self._seen) > 20_000:
            oldest = slot - STATUS_CACHE_SLOTS
            self._seen = {known: at for known, at in self._seen.items() if at >= oldest}
