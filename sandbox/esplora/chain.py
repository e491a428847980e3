"""What the server asks of a chain, ours or btcd's: take a transaction, mine, reorganise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from sandbox.esplora.encoding import Block, Transaction
from sandbox.esplora.faucet import Faucet
from sandbox.esplora.ledger import Ledger


@dataclass(frozen=True)
class Reorganisation:
    """A reorganisation on demand.

    Attributes:
        depth: blocks to disconnect.
        blocks: blocks of the new branch, more than `depth`.
        without: transactions that the new branch does not confirm; they wait in the mempool again.
        double_spend: payments of the faucet's that the new branch replaces by a payment back to it.
    """

    depth: int
    blocks: int
    without: frozenset[str] = field(default_factory=frozenset)
    double_spend: frozenset[str] = field(default_factory=frozenset)


class Chain(Protocol):
    """A Bitcoin node behind the REST API."""

    network: str
    ledger: Ledger
    faucet: Faucet

    async def refresh(self) -> None:
        """Bring the ledger up to date."""

    async def accept(self, transaction: Transaction) -> str:
        """Put a transaction into the mempool; its id. Raises InvalidTransactionError."""

    async def mine(self, count: int, script: bytes | None = None) -> list[Block]:
        """Mine blocks with what waits, their subsidy to the faucet or to `script`. Raises RefusedError."""

    async def pay(self, script: bytes, sats: int, *, fee_rate: float, times: int = 1) -> str:
        """Pay from the faucet, in so many outputs of the sum each. Raises RefusedError."""

    async def reorganise(self, order: Reorganisation) -> list[Block]:
        """Replace the newest blocks by a longer branch. Raises RefusedError."""


def in_spending_order(ledger: Ledger, transactions: Sequence[Transaction]) -> list[Transaction]:
    """Parents before children."""
    waiting = {one.txid: one for one in transactions}
    ordered: dict[str, Transaction] = {}

    def visit(txid: str) -> None:
        transaction = waiting.get(txid)
        if transaction is None or txid in ordered:
            return
        for one in transaction.inputs:
            visit(one.previous.txid)
        ordered[txid] = transaction

    for txid in waiting:
        visit(txid)
    return list(ordered.values())
