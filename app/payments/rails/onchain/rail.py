"""The on-chain rail: what the core asks of it, answered by an Esplora, PostgreSQL and a descriptor wallet."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final

from payments.database import Database
from payments.rails.onchain import repository
from payments.rails.onchain.confirmations import Confirmations
from payments.rails.onchain.errors import ASSET, MSAT_PER_SAT, RAIL, OnchainRefusedError
from payments.rails.onchain.esplora import Esplora
from payments.rails.onchain.paying import PayoutDesk, PayoutRules, Signer
from payments.rails.onchain.receiving import AddressDesk, invoice_identity
from payments.rails.onchain.requests import decode_request, network_of
from payments.rails.onchain.scanning import ChainFollower
from payments.rails.onchain.wallet import WatchWallet
from payments.rails.protocol import (
    Arrival,
    DecodedRequest,
    Health,
    InvoiceOrder,
    Outcome,
    PaymentOrder,
    PreparedPayment,
    Progress,
    RailHealth,
    RailInvoice,
    RailUnavailableError,
    Reversal,
)
from payments.upstreams.guarding import DEFAULT_PATIENCE, Patience

HEALTH_TIMEOUT_SECONDS: Final = 1.4  # for each of two calls: 3 s in all
GENESIS: Final = {
    "mainnet": "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f",
    "testnet": "000000000933ea01ad0ee984209779baaec3ced90fa3f408719526f8d77f4943",
    "signet": "00000008819873e925422c1ff0f99f7cc9bbb232af63a077a480a3633bee1ef6",
    "regtest": "0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OnchainConfig:
    """The provider and the wallet.

    Attributes:
        url: of Esplora's API.
        network: mainnet, testnet, signet or regtest.
        descriptor: public, with both branches.
        confirmations: how many a sum needs.
        rules: ceilings of payouts.
        poll_seconds: how often the tip is asked for.
        bump_after_seconds: a payout that waits longer is replaced by one that pays more.
        patience: of the provider's circuit breaker.
    """

    url: str
    network: str
    descriptor: str = field(repr=False)
    confirmations: Confirmations
    rules: PayoutRules
    poll_seconds: float
    bump_after_seconds: float
    patience: Patience = DEFAULT_PATIENCE


class OnchainRail:
    """Bitcoin on the chain. Implements ReceivingRail, PayingRail and ArrivalSource.

    Args:
        config: provider and wallet.
        signer: the worker's; None in the web role, which then cannot pay.
    """

    def __init__(self, config: OnchainConfig, *, signer: Signer | None = None) -> None:
        self.config = config
        self._watch = WatchWallet(config.descriptor, network_of(config.network))
        self._esplora = Esplora(config.url, config.patience, genesis=GENESIS[config.network])
        self._signer = signer
        self._database: Database | None = None
        self._addresses: AddressDesk | None = None
        self._follower: ChainFollower | None = None
        self._payouts: PayoutDesk | None = None

    def attach(self, database: Database) -> None:
        """Where addresses, coins and versions are kept."""
        config = self.config
        self._database = database
        self._addresses = AddressDesk(self._watch, database)
        self._follower = ChainFollower(
            self._esplora,
            database,
            confirmations=config.confirmations,
            poll_seconds=config.poll_seconds,
            is_mainnet=config.network == "mainnet",
        )
        if self._signer is not None:
            self._payouts = PayoutDesk(
                self._esplora,
                database,
                watch=self._watch,
                addresses=self._addresses,
                signer=self._signer,
                confirmations=config.confirmations,
                rules=config.rules,
            )

    @property
    def name(self) -> str:
        """ "onchain"."""
        return RAIL

    @property
    def assets(self) -> frozenset[str]:
        """BTC, in millisatoshi; whole satoshis only."""
        return frozenset({ASSET})

    @property
    def can_pay(self) -> bool:
        """Whether this process has the signing key."""
        return self._signer is not None

    async def start(self) -> None:
        """Open the connection pool; nobody is contacted."""
        await self._esplora.start()

    async def close(self) -> None:
        """Close it."""
        await self._esplora.close()

    async def health(self) -> RailHealth:
        """`down`: Esplora is silent, or serves another network."""
        try:
            height = await self._esplora.tip_height(timeout_seconds=HEALTH_TIMEOUT_SECONDS)
            genesis = await self._esplora.block_hash_at(0, timeout_seconds=HEALTH_TIMEOUT_SECONDS)
        except RailUnavailableError as error:
            return RailHealth(Health.DOWN, error.sentence)
        if genesis != GENESIS[self.config.network]:
            reason = f"Esplora serves another network than {self.config.network}: mend ESPLORA_URL."
            return RailHealth(Health.DOWN, reason, {"block_height": height})
        return RailHealth(Health.OK, facts={"block_height": height})

    # ---- receiving

    def _desk(self) -> AddressDesk:
        assert self._addresses is not None, "attach() first"
        return self._addresses

    def invoice_rail_id(self, seed: bytes) -> str:
        """The identity of an invoice; its address is allotted when it is made."""
        return invoice_identity(seed)

    async def create_invoice(self, order: InvoiceOrder) -> RailInvoice:
        """As `AddressDesk.create`."""
        return await self._desk().create(order)

    async def look_up_invoice(self, order: InvoiceOrder) -> RailInvoice | None:
        """As `AddressDesk.find`."""
        return await self._desk().find(order)

    def arrivals(self, cursor: str | None) -> AsyncIterator[Arrival | Progress | Reversal]:
        """As `ChainFollower.arrivals`."""
        assert self._follower is not None, "attach() first"
        return self._follower.arrivals(cursor)

    def arrivals_between(self, cursor: str | None, until: str) -> AsyncIterator[Arrival | Progress]:
        """As `ChainFollower.arrivals_between`."""
        assert self._follower is not None, "attach() first"
        return self._follower.arrivals_between(cursor, until)

    async def held(self) -> dict[str, int]:
        """What blocks gave us and no payout took. The provider is not asked: it would learn which coins are ours."""
        assert self._database is not None, "attach() first"
        return {ASSET: await repository.held_sats(self._database) * MSAT_PER_SAT}

    # ---- paying

    def _payout_desk(self) -> PayoutDesk:
        if self._payouts is None:
            raise OnchainRefusedError("This process cannot pay: only the worker has ONCHAIN_SIGNING_DESCRIPTOR.")
        return self._payouts

    def decode(self, payment_request: str) -> DecodedRequest:
        """Reads an address or a BIP 21 URI without the network. Raises InvalidRequestError."""
        max_fee = self.config.rules.max_fee_sats * MSAT_PER_SAT
        return decode_request(payment_request, self.config.network, max_fee_msat=max_fee)

    async def prepare(self, order: PaymentOrder) -> PreparedPayment:
        """As `PayoutDesk.prepare`."""
        return await self._payout_desk().prepare(order)

    async def submit(self, prepared: PreparedPayment) -> Outcome:
        """As `PayoutDesk.submit`."""
        return await self._payout_desk().submit(prepared)

    async def look_up(self, prepared: PreparedPayment) -> Outcome:
        """As `PayoutDesk.look_up`."""
        return await self._payout_desk().look_up(prepared)

    @property
    def payouts(self) -> PayoutDesk:
        """For the worker's duty of bumping. Raises RailRefusedError in the web role."""
        return self._payout_desk()
