"""Hosts of the x402 facilitator: a web and a worker half each, sharing nothing but PostgreSQL and the chain."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

from pydantic import SecretStr

from payments.api_keys.schemas import Caller
from payments.clock import Clock
from payments.core import Core
from payments.database import Database
from payments.rails.solana.rail import SolanaRail
from payments.signer.fee_payer import FeePayer
from payments.x402.schemas import FacilitatorRequest
from payments.x402.service import Facilitator
from payments.x402.settling import Settler
from payments.x402.tasks import SettlementLoop

CALLER = Caller(str(UUID(int=5)), "merchant", "test", frozenset({"read", "write"}))
OTHER_CALLER = Caller(str(UUID(int=6)), "somebody", "test", frozenset({"read", "write"}))

Look = Callable[[str], list[tuple[Any, ...]]]


def a_request(chain: Any, encoded: str, amount: int = 1000, **changes: Any) -> FacilitatorRequest:
    """A version 2 request as resource servers send it."""
    terms = {
        "scheme": "exact",
        "network": chain.config.caip2,
        "amount": str(amount) if amount is not None else None,
        "asset": str(chain.mint.pubkey()),
        "payTo": str(chain.merchant.pubkey()),
        "maxTimeoutSeconds": 60,
        "extra": {"feePayer": str(chain.fee_payer.pubkey())},
        **changes,
    }
    payload = {"x402Version": 2, "payload": {"transaction": encoded}, "accepted": terms}
    return FacilitatorRequest.model_validate(
        {"x402Version": 2, "paymentPayload": payload, "paymentRequirements": terms}
    )


@dataclass
class Host:
    """One web process and one worker process, as far as they share nothing but PostgreSQL and the chain."""

    database: Database
    rail: SolanaRail
    facilitator: Facilitator
    loop: SettlementLoop
    worker: asyncio.Task[None] | None = None

    def start_worker(self) -> None:
        self.worker = asyncio.create_task(self.loop.run())

    async def stop_worker(self) -> None:
        if self.worker is not None:
            self.worker.cancel()
            await asyncio.gather(self.worker, return_exceptions=True)
            self.worker = None


@dataclass
class Hosts:
    """Makes hosts and takes them down."""

    app_url: str
    chain: Any
    made: list[Host] = field(default_factory=list)

    async def new(self, *, worker: bool = True, wait_seconds: float = 10.0, **config: Any) -> Host:
        database = Database(self.app_url, size=4, timeout_seconds=5, name="test")
        await database.open()
        rail = SolanaRail(self.chain.config)
        await rail.start()
        clock = Clock()
        facilitator = Facilitator(database=database, rail=rail, clock=clock, release="test", wait_seconds=wait_seconds)
        signer = FeePayer(SecretStr(str(self.chain.fee_payer)))
        settler = Settler(database=database, rail=rail, signer=signer, clock=clock, pause=_short_pause)
        core = cast(Core, SimpleNamespace(database=database, clock=clock))
        host = Host(database, rail, facilitator, SettlementLoop(core, settler))
        if worker:
            host.start_worker()
        self.made.append(host)
        return host

    async def close(self) -> None:
        for host in self.made:
            await host.stop_worker()
            await host.rail.close()
            await host.database.close()


async def _short_pause(seconds: float) -> None:
    await asyncio.sleep(seconds / 20)  # slots are a twentieth of the real ones


def balances(look: Look) -> dict[str, int]:
    return {code: int(balance) for code, balance in look("SELECT code, balance FROM payments.balances")}


async def until(condition: Callable[[], Awaitable[bool]] | Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if await found if isinstance(found, Awaitable) else found:
            return
        assert time.monotonic() < deadline, "the condition never came"
        await asyncio.sleep(0.02)
