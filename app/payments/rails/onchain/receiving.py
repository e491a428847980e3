"""Addresses for invoices: one each, from the watch-only descriptor, the same again after any doubt."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import timedelta
from typing import Final

from payments.database import Database
from payments.rails.onchain import repository
from payments.rails.onchain.errors import ASSET, MSAT_PER_SAT, OnchainRefusedError
from payments.rails.onchain.repository import Address
from payments.rails.onchain.wallet import Branch, WatchWallet
from payments.rails.protocol import InvoiceOrder, RailInvoice

# Blocks come when they come: an on-chain invoice can be paid for at least a day.
SHORTEST_LIFE: Final = timedelta(days=1)
DUST_SATS: Final = 546


def invoice_identity(seed: bytes) -> str:
    """The identity of the invoice made from `seed`, in hex."""
    return hashlib.sha256(b"onchain invoice" + seed).hexdigest()


def uri(address: str, amount_msat: int | None) -> str:
    """The BIP 21 URI that a payer scans."""
    if amount_msat is None:
        return f"bitcoin:{address}"
    whole, sats = divmod(amount_msat // MSAT_PER_SAT, 100_000_000)
    return f"bitcoin:{address}?amount={whole}.{sats:08d}"


class AddressDesk:
    """Gives out addresses.

    Args:
        wallet: derives them.
        database: remembers whose they are.
    """

    def __init__(self, wallet: WatchWallet, database: Database) -> None:
        self._wallet = wallet
        self._database = database

    async def create(self, order: InvoiceOrder) -> RailInvoice:
        """The invoice's address, always the same one. Raises RailRefusedError."""
        if order.asset != ASSET:
            raise OnchainRefusedError(f"The on-chain rail takes BTC, not {order.asset}.")
        if order.amount is not None and (order.amount % MSAT_PER_SAT or order.amount < DUST_SATS * MSAT_PER_SAT):
            raise OnchainRefusedError(f"An on-chain amount is whole satoshis, in msat, and at least {DUST_SATS} sat.")
        return self._invoice(order, await self.derived(Branch.RECEIVE, invoice_identity(order.seed)))

    async def find(self, order: InvoiceOrder) -> RailInvoice | None:
        """The invoice, None when it has no address yet: then nobody was ever told one."""
        known = await repository.find(self._database, Branch.RECEIVE, invoice_identity(order.seed))
        return self._invoice(order, known) if known is not None and known.address else None

    async def derived(self, branch: Branch, rail_id: str) -> Address:
        """The address that belongs to an identity, written down before anybody sees it."""
        allotted = await repository.allot(self._database, branch, rail_id)
        if allotted.script is not None:
            return allotted
        text, script = await asyncio.to_thread(self._wallet.address, branch, allotted.number)
        await repository.fill(self._database, allotted, text, script)
        return Address(branch, allotted.number, rail_id, text, script, allotted.created_at)

    def _invoice(self, order: InvoiceOrder, address: Address) -> RailInvoice:
        assert address.address is not None
        return RailInvoice(
            rail_id=address.rail_id,
            payment_request=uri(address.address, order.amount),
            expires_at=max(order.expires_at, order.created_at + SHORTEST_LIFE),
            facts={"address": address.address, "index": address.number},
        )
