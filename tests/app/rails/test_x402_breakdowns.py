"""Workers that die, leases that are lost, clusters that are silent: nothing is lost and nothing stalls."""

import asyncio
import time
from typing import Any
from uuid import UUID

import pytest

from payments.clock import Clock
from payments.errors import ServiceUnavailable
from payments.x402 import repository
from payments.x402.service import Settled
from tests.app.rails.settling_hosts import CALLER, Hosts, Look, a_request, balances, until


class TestBreakdowns:
    @pytest.mark.parametrize("where", ["before signing", "after signing", "after sending", "before writing"])
    async def test_a_worker_that_dies_anywhere_is_followed_by_another(
        self, chain: Any, hosts: Hosts, look: Look, where: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        doomed = await hosts.new(worker=False, wait_seconds=0.1)
        await doomed.facilitator.settle(CALLER, a_request(chain, chain.payment().build()), None)
        (settlement,) = await repository.take(doomed.database, token=UUID(int=9), lease_seconds=0.5, limit=1)
        dead = asyncio.Event()

        async def die(*_: Any, **__: Any) -> Any:
            dead.set()
            await asyncio.Event().wait()

        with monkeypatch.context() as patch:
            settler = doomed.loop._settler
            if where == "after sending":
                patch.setattr(settler._rpc, "status", die)
            else:
                name = "settle" if where == "before writing" else "submit"
                original = getattr(repository, name)
                patch.setattr(repository, name, _after(original, die) if where == "after signing" else die)
            victim = asyncio.create_task(settler.work_on(settlement, UUID(int=9)))
            await asyncio.wait_for(dead.wait(), 5)
        follower = await hosts.new(worker=True)
        await until(lambda: look("SELECT state FROM x402.settlements") == [("settled",)])
        victim.cancel()
        await asyncio.gather(victim, return_exceptions=True)
        assert follower.worker is not None
        assert chain.tokens_of(chain.merchant) == 1000
        assert balances(look)["assets:solana"] == 1000

    async def test_a_worker_that_lost_its_lease_writes_nothing(self, chain: Any, hosts: Hosts, look: Look) -> None:
        host = await hosts.new(worker=False, wait_seconds=0.1)
        await host.facilitator.settle(CALLER, a_request(chain, chain.payment().build()), None)
        slow, quick = UUID(int=1), UUID(int=2)
        await repository.take(host.database, token=slow, lease_seconds=0, limit=1)
        ((settlement_id,),) = look("SELECT id FROM x402.settlements")
        await repository.take(host.database, token=quick, lease_seconds=30, limit=1)
        now = Clock().now()
        assert not await repository.submit(
            host.database, settlement_id, slow, signature="s", daily_fee_limit=10**9, now=now
        )
        assert not await repository.fail(
            host.database, settlement_id, slow, reason="r", message="m", fee_lamports=0, proof={"a": 1}, now=now
        )
        assert not await repository.hold(host.database, settlement_id, slow, 30)

    async def test_a_silent_cluster_means_pending_and_then_the_truth(self, chain: Any, hosts: Hosts) -> None:
        host = await hosts.new(wait_seconds=0.5)
        silent = False

        async def maybe_break(_method: str, _params: list[Any]) -> dict[str, Any] | None:
            return {"error": {"code": -32005, "message": "Node is behind"}} if silent else None

        chain.interference = maybe_break
        request = a_request(chain, chain.payment().build())
        await host.stop_worker()
        first = await host.facilitator.settle(CALLER, request, None)
        silent = True
        host.start_worker()
        second = await host.facilitator.settle(CALLER, request, None)
        assert first.answer.errorReason == second.answer.errorReason == "settlement_pending"
        silent = False

        async def success() -> bool:
            return (await host.facilitator.settle(CALLER, request, None)).answer.success

        await until(success)

    async def test_nothing_is_begun_when_the_cluster_cannot_be_asked(
        self, chain: Any, hosts: Hosts, look: Look
    ) -> None:
        host = await hosts.new()

        async def behind(_method: str, _params: list[Any]) -> dict[str, Any] | None:
            return {"error": {"code": -32005, "message": "Node is behind by 100 slots"}}

        chain.interference = behind
        request = a_request(chain, chain.payment().build())
        with pytest.raises(ServiceUnavailable):
            await host.facilitator.verify(CALLER, request)
        with pytest.raises(ServiceUnavailable):
            await host.facilitator.settle(CALLER, request, None)
        assert look("SELECT count(*) FROM x402.settlements") == [(0,)]

    async def test_a_hanging_confirmation_never_stalls_the_loop(self, chain: Any, hosts: Hosts) -> None:
        host = await hosts.new(wait_seconds=1.0)

        async def hang(method: str, _params: list[Any]) -> dict[str, Any] | None:
            if method == "getSignatureStatuses":
                await asyncio.sleep(3600)
            return None

        chain.interference = hang
        stalls = []
        for _ in range(3):  # the machine may be busy with others: a loop that blocks does so every time
            settling = [
                asyncio.create_task(host.facilitator.settle(CALLER, a_request(chain, chain.payment().build()), None))
                for _ in range(8)
            ]
            await asyncio.sleep(0.3)
            stalls.append(await _longest_stall(settling))
            assert {task.result().answer.errorReason for task in settling} == {"settlement_pending"}
            if stalls[-1] < 0.05:
                break
        assert min(stalls) < 0.05


async def _longest_stall(tasks: list[asyncio.Task[Settled]]) -> float:
    longest = 0.0
    while not all(task.done() for task in tasks):
        before = time.perf_counter()
        await asyncio.sleep(0.005)
        longest = max(longest, time.perf_counter() - before - 0.005)
    return longest


def _after(first: Any, then: Any) -> Any:
    """Does `first`, then `then`."""

    async def call(*arguments: Any, **named: Any) -> Any:
        await first(*arguments, **named)
        return await then()

    return call
