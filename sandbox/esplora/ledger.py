"""The index behind the answers: the active chain, what spends what, every script's history, and the mempool."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sandbox.esplora.addresses import script_hash
from sandbox.esplora.encoding import NULL_TXID, Block, OutPoint, Output, Transaction

COINBASE_MATURITY = 100


@dataclass(frozen=True)
class Place:
    """Where a transaction is confirmed."""

    block: Block
    number: int


@dataclass(frozen=True)
class Waiting:
    """A transaction of the mempool: `fee` in satoshis, `since` in Unix seconds."""

    transaction: Transaction
    fee: int
    since: float


class Ledger:
    """State after a chain of blocks and a mempool. Nothing here checks a signature."""

    def __init__(self) -> None:
        self.chain: list[Block] = []
        self.blocks: dict[str, Block] = {}
        self.mempool: dict[str, Waiting] = {}
        self._active: dict[str, int] = {}
        self._confirmed: dict[str, tuple[Transaction, Place]] = {}
        self._spent: dict[OutPoint, str] = {}
        self._pending: dict[OutPoint, str] = {}
        self._history: dict[str, dict[str, None]] = {}

    @property
    def tip(self) -> Block:
        """The newest block."""
        return self.chain[-1]

    def is_active(self, block_hash: str) -> bool:
        """Whether a block is in the best chain."""
        return block_hash in self._active

    def at(self, block_hash: str) -> Block | None:
        """A block by its hash, also one that was disconnected."""
        return self.blocks.get(block_hash)

    def connect(self, block: Block) -> None:
        """Make a block the tip; what it confirms leaves the mempool, with everything in conflict."""
        self.chain.append(block)
        self.blocks[block.hash] = block
        self._active[block.hash] = block.height
        for number, transaction in enumerate(block.transactions):
            txid = transaction.txid
            self._confirmed[txid] = (transaction, Place(block, number))
            self._remember(txid, transaction)
            for one in transaction.inputs:
                rival = self._pending.get(one.previous)
                if rival is not None and rival != txid:
                    self.forget(rival)
                self._spent[one.previous] = txid
            if txid in self.mempool:
                self._drop(txid)

    def disconnect(self) -> Block:
        """Take the tip away; its transactions are then nowhere."""
        block = self.chain.pop()
        del self._active[block.hash]
        for transaction in reversed(block.transactions):
            txid = transaction.txid
            del self._confirmed[txid]
            self._unremember(txid, transaction)
            for one in transaction.inputs:
                self._spent.pop(one.previous, None)
        return block

    def add(self, transaction: Transaction, *, fee: int, since: float) -> None:
        """Put a transaction into the mempool."""
        txid = transaction.txid
        self.mempool[txid] = Waiting(transaction, fee, since)
        self._remember(txid, transaction)
        for one in transaction.inputs:
            self._pending[one.previous] = txid

    def forget(self, txid: str) -> None:
        """Take a transaction and everything that builds on it out of the mempool."""
        for later in self.descendants(txid):
            self._drop(later)
            if later not in self._confirmed:
                self._forget_history(later)

    def descendants(self, txid: str) -> list[str]:
        """A mempool transaction and those that spend its outputs, the last first."""
        found: dict[str, None] = {}
        stack = [txid]
        while stack:
            current = stack.pop()
            waiting = self.mempool.get(current)
            if waiting is None or current in found:
                continue
            found[current] = None
            outputs = range(len(waiting.transaction.outputs))
            stack += [self._pending[OutPoint(current, n)] for n in outputs if OutPoint(current, n) in self._pending]
        return list(reversed(found))

    def _drop(self, txid: str) -> None:
        waiting = self.mempool.pop(txid, None)
        if waiting is None:
            return
        for one in waiting.transaction.inputs:
            if self._pending.get(one.previous) == txid:
                del self._pending[one.previous]

    def _forget_history(self, txid: str) -> None:
        for history in self._history.values():
            history.pop(txid, None)

    def _scripts(self, transaction: Transaction) -> Iterator[bytes]:
        for output in transaction.outputs:
            yield output.script
        for one in transaction.inputs:
            spent = self.output(one.previous)
            if spent is not None:
                yield spent.script

    def _remember(self, txid: str, transaction: Transaction) -> None:
        for script in self._scripts(transaction):
            self._history.setdefault(script_hash(script), {})[txid] = None

    def _unremember(self, txid: str, transaction: Transaction) -> None:
        if txid not in self.mempool:
            for script in self._scripts(transaction):
                self._history.get(script_hash(script), {}).pop(txid, None)

    def transaction(self, txid: str) -> Transaction | None:
        """A transaction, confirmed or waiting."""
        if txid in self._confirmed:
            return self._confirmed[txid][0]
        waiting = self.mempool.get(txid)
        return waiting.transaction if waiting else None

    def place(self, txid: str) -> Place | None:
        """Where it is confirmed, if it is."""
        found = self._confirmed.get(txid)
        return found[1] if found else None

    def output(self, point: OutPoint) -> Output | None:
        """An output, spent or not."""
        transaction = None if point.txid == NULL_TXID else self.transaction(point.txid)
        if transaction is None or point.vout >= len(transaction.outputs):
            return None
        return transaction.outputs[point.vout]

    def confirmed_spender(self, point: OutPoint) -> str | None:
        """The confirmed transaction that spends an output."""
        return self._spent.get(point)

    def spender(self, point: OutPoint) -> str | None:
        """The transaction that spends an output, in a block or the mempool."""
        return self._spent.get(point) or self._pending.get(point)

    def waiting_spender(self, point: OutPoint) -> str | None:
        """The mempool's transaction that spends an output."""
        return self._pending.get(point)

    def is_mature(self, txid: str) -> bool:
        """Whether its outputs may be spent in the next block: a coinbase waits for 100 blocks."""
        place = self.place(txid)
        if place is None or not place.block.transactions[place.number].is_coinbase:
            return True
        return self.tip.height + 1 - place.block.height >= COINBASE_MATURITY

    def history(self, hashed: str) -> list[str]:
        """Transactions of a script, newest first: the mempool's, then the chain's from the top."""
        txids = list(self._history.get(hashed, {}))

        def order(txid: str) -> tuple[float, float]:
            place = self.place(txid)
            return (-float("inf"), -self.mempool[txid].since) if place is None else (-place.block.height, -place.number)

        return sorted((txid for txid in txids if self.transaction(txid)), key=order)

    def fee(self, transaction: Transaction) -> int:
        """Satoshis that its inputs have more than its outputs; 0 for a coinbase."""
        if transaction.is_coinbase:
            return 0
        spent = [self.output(one.previous) for one in transaction.inputs]
        return sum(one.value for one in spent if one) - sum(one.value for one in transaction.outputs)

    def unspent(self, script: bytes) -> Iterator[tuple[OutPoint, Output]]:
        """Confirmed and mature outputs of a script that nothing spends."""
        for txid in list(self._history.get(script_hash(script), {})):
            transaction = self.transaction(txid)
            if transaction is None or self.place(txid) is None or not self.is_mature(txid):
                continue
            for number, output in enumerate(transaction.outputs):
                point = OutPoint(txid, number)
                if output.script == script and self.spender(point) is None:
                    yield point, output
