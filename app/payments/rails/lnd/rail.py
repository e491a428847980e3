"""The Lightning rail: what the core asks of it, answered by one LND node."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from payments.object_stores import ObjectStore
from payments.rails.lnd import backups
from payments.rails.lnd.channel_state import StateGuard
from payments.rails.lnd.client import LndClient
from payments.rails.lnd.credentials import GivenMacaroon, MacaroonFile, MacaroonSource, PinnedCertificate
from payments.rails.lnd.errors import RAIL, LndAccessError
from payments.rails.lnd.holding import HoldDesk
from payments.rails.lnd.liquidity import Liquidity, read_held_msat, read_liquidity, read_wallet_msat
from payments.rails.lnd.messages import NodeInfo
from payments.rails.lnd.paying import SUBMIT_WAIT_SECONDS, PaymentDesk, decode_request
from payments.rails.lnd.receiving import ASSET, InvoiceDesk, payment_hash
from payments.rails.protocol import (
    Arrival,
    DecodedRequest,
    Health,
    InvoiceOrder,
    Outcome,
    PaymentOrder,
    PreparedPayment,
    RailError,
    RailHealth,
    RailInvoice,
    RailRefusedError,
)
from payments.upstreams.breaker import Breaker

HEALTH_TIMEOUT_SECONDS: Final = 1.4  # for each of two calls: 3 s in all


@dataclass(frozen=True, slots=True, kw_only=True)
class LndConfig:
    """Where the node is and what may be done on it.

    Attributes:
        url: https address of the REST interface.
        tls_certificate: the certificate to trust, and no other: its file, or PEM text.
        invoice_macaroon: makes and reads invoices.
        pay_macaroon: sends payments; None in the web role, which then cannot.
        network: mainnet, testnet, signet, regtest or simnet.
        max_payment_msat: ceiling of one payment.
        max_fee_msat: ceiling of one payment's routing fee.
        submit_wait_seconds: how long a payout is waited for before it is called in flight.
        breaker_failures: calls in a row without an answer that make us leave the node alone.
        breaker_rest_seconds: for how long.
    """

    url: str
    tls_certificate: Path | str
    invoice_macaroon: MacaroonSource
    network: str
    max_payment_msat: int
    max_fee_msat: int
    pay_macaroon: MacaroonSource | None = None
    submit_wait_seconds: float = SUBMIT_WAIT_SECONDS
    breaker_failures: int = 5
    breaker_rest_seconds: float = 10.0


def macaroon_source(text: str | None, path: Path | None, *, setting: str) -> MacaroonSource | None:
    """The macaroon of a hex setting or of its file (`<setting>_PATH`); None when neither is given."""
    if text:
        return GivenMacaroon(text, setting=setting)
    return MacaroonFile(path, setting=f"{setting}_PATH") if path else None


def _utc_now() -> datetime:
    return datetime.now(UTC)


class LndRail:
    """Lightning by LND REST. Implements ReceivingRail, PayingRail and ArrivalSource; `holds` are its hold invoices.

    Args:
        config: the node.
        clock: the time now, in UTC.
        store: of the channel backups; with it nothing is sent over a node that has lost or old channels.
    """

    def __init__(
        self, config: LndConfig, *, clock: Callable[[], datetime] = _utc_now, store: ObjectStore | None = None
    ) -> None:
        certificate = PinnedCertificate(config.tls_certificate)
        self._config = config
        self._clock = clock
        breaker = Breaker(RAIL, failures=config.breaker_failures, rest_seconds=config.breaker_rest_seconds)
        self._client = LndClient(config.url, certificate=certificate, macaroon=config.invoice_macaroon, breaker=breaker)
        self._invoices = InvoiceDesk(self._client, network=config.network, clock=clock)
        self.holds = HoldDesk(self._client, clock=clock)
        self._pay_client: LndClient | None = None
        self._payments: PaymentDesk | None = None
        self._guard: StateGuard | None = None
        self._backing_up = asyncio.Lock()
        self.balance_scope = ""
        if config.pay_macaroon is not None:
            self._pay_client = LndClient(
                config.url, certificate=certificate, macaroon=config.pay_macaroon, breaker=breaker
            )
            self._payments = PaymentDesk(
                self._pay_client,
                network=config.network,
                max_payment_msat=config.max_payment_msat,
                max_fee_msat=config.max_fee_msat,
                clock=clock,
                submit_wait_seconds=config.submit_wait_seconds,
            )
            self._guard = StateGuard(self._pay_client, store) if store is not None else None

    @property
    def name(self) -> str:
        """ "lnd"."""
        return RAIL

    @property
    def can_pay(self) -> bool:
        """Whether this process has the pay macaroon."""
        return self._pay_client is not None

    @property
    def assets(self) -> frozenset[str]:
        """BTC, in millisatoshi."""
        return frozenset({ASSET})

    async def start(self) -> None:
        """Open the connection pools; the node is not contacted."""
        await self._client.start()
        if self._pay_client is not None:
            await self._pay_client.start()

    async def close(self) -> None:
        """Close them."""
        await self._client.close()
        if self._pay_client is not None:
            await self._pay_client.close()

    async def health(self) -> RailHealth:
        """`ok` when synced to chain and graph with an active channel; `down` on the wrong network.

        LND's invoice macaroon may not read GetInfo. With it alone, as in the web role, an answer to a permitted call is
        all that is looked for; the worker, whose pay macaroon may, sees the rest.
        """
        limited = await self._reachable()
        if limited.health is Health.DOWN:
            return limited
        client = self._pay_client or self._client
        try:
            answer = await client.get("/v1/getinfo", timeout_seconds=HEALTH_TIMEOUT_SECONDS)
            judged = self._judge(NodeInfo.from_json(answer))
            problem = self._guard.problem if self._guard is not None else ""
            return RailHealth(Health.DOWN, problem, judged.facts) if problem else judged
        except LndAccessError as denied:
            return RailHealth(Health.DOWN, denied.sentence) if self._pay_client is not None else limited
        except RailError as error:
            return RailHealth(Health.DOWN, error.sentence)

    async def _reachable(self) -> RailHealth:
        try:
            query = {"num_max_invoices": "1", "reversed": "true"}
            await self._client.get("/v1/invoices", query, timeout_seconds=HEALTH_TIMEOUT_SECONDS)
        except RailError as error:
            return RailHealth(Health.DOWN, error.sentence)
        return RailHealth(Health.OK, facts={"limited_to": "invoices"})

    def _judge(self, info: NodeInfo) -> RailHealth:
        facts: dict[str, str | int | float | bool] = {
            "node": info.identity_pubkey,
            "version": info.version,
            "block_height": info.block_height,
            "active_channels": info.active_channels,
            "synced_to_chain": info.synced_to_chain,
            "synced_to_graph": info.synced_to_graph,
        }
        if info.networks and self._config.network not in info.networks:
            found = ", ".join(sorted(info.networks))
            return RailHealth(Health.DOWN, f"LND is on {found}, and this service on {self._config.network}.", facts)
        missing = []
        if not info.synced_to_chain:
            missing.append("not synced to the chain")
        if not info.synced_to_graph:
            missing.append("not synced to the graph")
        if info.active_channels < 1:
            missing.append("without an active channel")
        if missing:
            return RailHealth(Health.DEGRADED, f"LND is {', '.join(missing)}.", facts)
        return RailHealth(Health.OK, facts=facts)

    # ---- receiving

    def invoice_rail_id(self, seed: bytes) -> str:
        """The payment hash of the preimage `seed`, in hex."""
        return payment_hash(seed)

    async def create_invoice(self, order: InvoiceOrder) -> RailInvoice:
        """As `InvoiceDesk.create`."""
        return await self._invoices.create(order)

    async def look_up_invoice(self, order: InvoiceOrder) -> RailInvoice | None:
        """As `InvoiceDesk.find`."""
        return await self._invoices.find(order)

    def arrivals(self, cursor: str | None) -> AsyncIterator[Arrival]:
        """Settled invoices by settle_index, as `InvoiceDesk.arrivals`."""
        return self._invoices.arrivals(cursor)

    # ---- keeping

    async def keep_backup(self, store: ObjectStore) -> bool:
        """As `backups.keep`. Takes the pay macaroon. Raises RailError, StoreError."""
        client = self._worker_client()
        async with self._backing_up:
            return await backups.keep(client, store, now=self._clock())

    def channel_changes(self) -> AsyncIterator[None]:
        """As `backups.changes`. Takes the pay macaroon."""
        return backups.changes(self._worker_client())

    async def check_channels(self) -> None:
        """As `StateGuard.check`, when there is a store. Raises RailUnavailableError."""
        if self._guard is not None:
            await self._guard.check()

    async def try_backup(self, store: ObjectStore) -> backups.Drill:
        """As `backups.drill`. Takes the pay macaroon. Raises RailError, StoreError."""
        return await backups.drill(self._worker_client(), store)

    def _worker_client(self) -> LndClient:
        if self._pay_client is None:
            raise RailRefusedError("Only the worker may read the node's channels.", rail=RAIL)
        return self._pay_client

    # ---- paying

    async def liquidity(self) -> Liquidity:
        """What can be sent and received now. Takes the pay macaroon. Raises RailError."""
        return await read_liquidity(self._worker_client())

    async def held(self) -> dict[str, int]:
        """What is ours in channels and in the node's wallet. Takes the pay macaroon. Raises RailError.

        Together, because opening and closing channels moves money between them. With a macaroon of before, which may
        not read the wallet, it is the channels alone.
        """
        client = self._worker_client()
        wallet_msat = await read_wallet_msat(client)
        self.balance_scope = "" if wallet_msat is None else "channels and wallet"
        return {ASSET: await read_held_msat(client) + (wallet_msat or 0)}

    def decode(self, payment_request: str) -> DecodedRequest:
        """Reads an invoice without the network, in about 0.1 ms. Raises InvalidRequestError."""
        return decode_request(payment_request, network=self._config.network)

    async def prepare(self, order: PaymentOrder) -> PreparedPayment:
        """As `PaymentDesk.prepare`; not over a node with old channels."""
        desk = self._desk()
        await self._admit()
        return await desk.prepare(order)

    async def submit(self, prepared: PreparedPayment) -> Outcome:
        """As `PaymentDesk.submit`; not over a node with old channels."""
        desk = self._desk()
        await self._admit()
        return await desk.submit(prepared)

    async def _admit(self) -> None:
        if self._guard is not None:
            await self._guard.admit()

    async def look_up(self, prepared: PreparedPayment) -> Outcome:
        """As `PaymentDesk.look_up`."""
        return await self._desk().look_up(prepared)

    async def congestion(self, order: PaymentOrder) -> str:
        """Why the node cannot carry it now, asked before anything is sent; "" when it can. Raises RailError."""
        found = await self.liquidity()
        if found.sendable_msat < order.amount:
            return f"the channels can send {found.sendable_msat} msat, and {order.amount} are due"
        estimate = await self.estimate_fee_msat(order.payment_request, order.amount)
        cap = min(order.max_fee, self._config.max_fee_msat)
        return f"a route costs about {estimate} msat, and the cap is {cap}" if estimate > cap else ""

    async def estimate_fee_msat(self, payment_request: str, amount_msat: int) -> int:
        """As `PaymentDesk.estimate_fee_msat`."""
        return await self._desk().estimate_fee_msat(payment_request, amount_msat)

    def _desk(self) -> PaymentDesk:
        if self._payments is None:
            raise RailRefusedError(
                "This process cannot pay: only the worker has the pay macaroon (LND_PAY_MACAROON or _PATH).",
                rail=RAIL,
            )
        return self._payments
