"""A regtest chain of ours: consensus and relay rules for the scripts it can spend, kept in SQLite."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterable
from pathlib import Path

from sandbox.durable import Writer, connect
from sandbox.esplora import mining
from sandbox.esplora.chain import Reorganisation, in_spending_order
from sandbox.esplora.encoding import Block, OutPoint, Output, Transaction
from sandbox.esplora.errors import InvalidTransactionError, RefusedError, SandboxError
from sandbox.esplora.faucet import Faucet
from sandbox.esplora.ledger import Ledger
from sandbox.esplora.spending import check_inputs

FIRST_BLOCKS = 110
_DUST_SATS = 294
_MAX_REPLACED = 100
_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS blocks (hash TEXT PRIMARY KEY, height INTEGER NOT NULL, data BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS mempool (number INTEGER PRIMARY KEY, data BLOB NOT NULL, since REAL NOT NULL);
"""


class OwnChain:
    """The chain of a folder.

    Args:
        folder: its state.
        clock: Unix seconds.
        random_hex: makes the faucet's seed, once.
    """

    network = "regtest"

    def __init__(self, folder: Path, *, clock: Callable[[], float], random_hex: Callable[[], str]) -> None:
        self.ledger = Ledger()
        self._clock = clock
        self._lock = asyncio.Lock()
        self._salt = 0
        try:
            connection = connect(folder / "chain.sqlite")
            connection.executescript(_SCHEMA)
            connection.execute("INSERT OR IGNORE INTO meta VALUES ('seed', ?)", (random_hex(),))
            meta = dict(connection.execute("SELECT key, value FROM meta").fetchall())
            self.faucet = Faucet(bytes.fromhex(meta["seed"]))
            self._restore(connection, meta.get("tip"))
        except sqlite3.DatabaseError as error:
            raise SandboxError(
                f"{folder / 'chain.sqlite'} cannot be used ({error}); remove it to begin anew"
            ) from error
        self._writer = Writer(connection, asyncio.get_running_loop())

    async def start(self) -> None:
        """Mine the first blocks of a new chain, so that the faucet has something."""
        if self.ledger.tip.height < FIRST_BLOCKS:
            await self.mine(FIRST_BLOCKS - self.ledger.tip.height)

    def close(self) -> None:
        """Finish what is being written."""
        self._writer.close()

    def _restore(self, connection: sqlite3.Connection, tip: str | None) -> None:
        rows = connection.execute("SELECT hash, height, data FROM blocks").fetchall()
        blocks = {row["hash"]: Block.decode(row["data"], row["height"]) for row in rows}
        branch: list[Block] = []
        while tip in blocks:
            branch.append(blocks[tip])
            tip = branch[-1].previous
        for block in reversed(branch) if branch else [mining.genesis()]:
            self.ledger.connect(block)
        self.ledger.blocks.update(blocks)
        self._salt = len(blocks)
        for row in connection.execute("SELECT data, since FROM mempool ORDER BY number").fetchall():
            self._accept(Transaction.decode(row["data"]), since=row["since"])

    async def refresh(self) -> None:
        """Nothing: the ledger is the chain."""

    async def accept(self, transaction: Transaction) -> str:
        """As `Chain.accept`; replaces transactions in conflict by BIP 125."""
        async with self._lock:
            self._accept(transaction, since=self._clock())
            await self._save([])
        return transaction.txid

    def _accept(self, transaction: Transaction, *, since: float) -> None:
        txid = transaction.txid
        if txid in self.ledger.mempool:
            raise InvalidTransactionError("txn-already-in-mempool")
        if self.ledger.place(txid) is not None:
            raise InvalidTransactionError("Transaction outputs already in utxo set")
        fee = self._checked_fee(transaction)
        for rival in self._replaced(transaction, fee):
            self.ledger.forget(rival)
        self.ledger.add(transaction, fee=fee, since=since)

    def _checked_fee(self, transaction: Transaction) -> int:
        if not transaction.inputs or not transaction.outputs or transaction.is_coinbase:
            raise InvalidTransactionError("bad-txns-vin-empty" if not transaction.inputs else "coinbase")
        points = [one.previous for one in transaction.inputs]
        if len(set(points)) < len(points):
            raise InvalidTransactionError("bad-txns-inputs-duplicate")
        spent = [self._spendable(point) for point in points]
        if any(output.value < 0 for output in transaction.outputs):
            raise InvalidTransactionError("bad-txns-vout-negative")
        fee = sum(output.value for output in spent) - sum(output.value for output in transaction.outputs)
        if fee < 0:
            raise InvalidTransactionError("bad-txns-in-belowout")
        if mining.locked(transaction, self.ledger.tip.height + 1):
            raise InvalidTransactionError("non-final")
        if any(0 < output.value < _DUST_SATS for output in transaction.outputs):
            raise InvalidTransactionError("dust")
        check_inputs(transaction, spent)
        if fee < mining.minimum_fee(transaction):
            raise InvalidTransactionError(f"min relay fee not met, {fee} < {mining.minimum_fee(transaction)}")
        return fee

    def _spendable(self, point: OutPoint) -> Output:
        output = self.ledger.output(point)
        if output is None or self.ledger.confirmed_spender(point) is not None:
            raise InvalidTransactionError("bad-txns-inputs-missingorspent")
        if not self.ledger.is_mature(point.txid):
            raise InvalidTransactionError("bad-txns-premature-spend-of-coinbase")
        return output

    def _replaced(self, transaction: Transaction, fee: int) -> list[str]:
        """What the transaction replaces, by the rules of BIP 125."""
        rivals = {self.ledger.waiting_spender(one.previous) for one in transaction.inputs} - {None}
        leaving: dict[str, None] = {}
        for rival in rivals:
            assert rival is not None
            old = self.ledger.mempool[rival]
            if all(one.sequence >= 0xFFFFFFFE for one in old.transaction.inputs):
                raise InvalidTransactionError("txn-mempool-conflict")
            if fee * old.transaction.virtual_size <= old.fee * transaction.virtual_size:
                raise InvalidTransactionError("insufficient fee, rejecting replacement: not a higher fee rate")
            leaving.update(dict.fromkeys(self.ledger.descendants(rival)))
        if any(one.previous.txid in leaving for one in transaction.inputs):
            raise InvalidTransactionError("bad-txns-spends-conflicting-tx")
        if len(leaving) > _MAX_REPLACED:
            raise InvalidTransactionError("too many potential replacements")
        paid = sum(self.ledger.mempool[txid].fee for txid in leaving)
        if leaving and fee < paid + mining.minimum_fee(transaction):
            raise InvalidTransactionError(f"insufficient fee, rejecting replacement: {fee} for {paid} already paid")
        return list(leaving)

    async def mine(self, count: int, script: bytes | None = None) -> list[Block]:
        """As `Chain.mine`."""
        async with self._lock:
            blocks = [self._mine((one.transaction for one in self.ledger.mempool.values()), script)]
            blocks += [self._mine((), script) for _ in range(count - 1)]
            await self._save(blocks)
        return blocks

    def _mine(self, transactions: Iterable[Transaction], script: bytes | None = None) -> Block:
        ordered = in_spending_order(self.ledger, list(transactions))
        fees = sum(self.ledger.fee(one) for one in ordered)
        self._salt += 1
        block = mining.next_block(
            self.ledger.chain[-11:],
            ordered,
            fees=fees,
            script=script or self.faucet.script,
            now=int(self._clock()),
            salt=mining.salt_of(self._salt),
        )
        self.ledger.connect(block)
        return block

    async def pay(self, script: bytes, sats: int, *, fee_rate: float, times: int = 1) -> str:
        """As `Chain.pay`."""
        return await self.accept(self.faucet.pay(self.ledger, script, sats, fee_rate=fee_rate, times=times))

    async def reorganise(self, order: Reorganisation) -> list[Block]:
        """As `Chain.reorganise`."""
        async with self._lock:
            if not 0 < order.depth < order.blocks or order.depth > self.ledger.tip.height:
                raise RefusedError("a reorganisation needs a depth of at least 1 and more new blocks than that")
            cheats = []
            for txid in order.double_spend:
                victim = self.ledger.transaction(txid)
                if victim is None:
                    raise RefusedError("Transaction not found", is_missing=True)
                cheats.append(self.faucet.cheat(self.ledger, victim))
            returned = [one for block in self._undo(order.depth) for one in block.transactions[1:]]
            waiting = returned + [one.transaction for one in self.ledger.mempool.values()]
            for txid in list(self.ledger.mempool):
                self.ledger.forget(txid)
            self._take_back(cheats + [one for one in waiting if one.txid not in order.double_spend])
            held = {later for txid in order.without for later in self.ledger.descendants(txid)}
            first = [one.transaction for txid, one in self.ledger.mempool.items() if txid not in held]
            blocks = [self._mine(first)] + [self._mine(()) for _ in range(order.blocks - 1)]
            await self._save(blocks)
        return blocks

    def _undo(self, depth: int) -> list[Block]:
        return list(reversed([self.ledger.disconnect() for _ in range(depth)]))

    def _take_back(self, transactions: list[Transaction]) -> None:
        """What a disconnected block confirmed waits again; what is no longer valid is gone."""
        for transaction in in_spending_order(self.ledger, transactions):
            try:
                self._accept(transaction, since=self._clock())
            except InvalidTransactionError:
                continue

    async def _save(self, blocks: list[Block]) -> None:
        tip = self.ledger.tip.hash
        waiting = [(one.transaction.encoded(), one.since) for one in self.ledger.mempool.values()]
        saved = [(block.hash, block.height, block.encoded()) for block in blocks]
        if blocks and blocks[0].height == 1:
            saved.append((self.ledger.chain[0].hash, 0, self.ledger.chain[0].encoded()))

        def change(connection: sqlite3.Connection) -> None:
            connection.executemany("INSERT OR REPLACE INTO blocks VALUES (?, ?, ?)", saved)
            connection.execute("INSERT OR REPLACE INTO meta VALUES ('tip', ?)", (tip,))
            connection.execute("DELETE FROM mempool")
            connection.executemany("INSERT INTO mempool (data, since) VALUES (?, ?)", waiting)

        await self._writer.run(change)
