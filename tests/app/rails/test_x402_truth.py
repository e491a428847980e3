"""Success only from the chain: drained payers, lying clusters, and what proves a payment dead."""

import asyncio
from typing import Any
from uuid import UUID

from payments.x402.schemas import State
from tests.app.rails.settling_hosts import CALLER, Hosts, Look, a_request, balances, until


class TestTruth:
    async def test_a_payment_that_fails_on_the_chain_is_no_success(self, chain: Any, hosts: Hosts, look: Look) -> None:
        """The first attack of the reference facilitator: the payer's money leaves between the checks and landing."""
        host = await hosts.new()

        async def drain_before_landing(method: str, params: list[Any]) -> dict[str, Any] | None:
            if method == "sendTransaction" and chain.tokens_of(chain.customer):
                await chain.drain()
                params[1]["skipPreflight"] = True  # it had passed when the payer's other transaction landed
            return None

        chain.interference = drain_before_landing
        answer = (await host.facilitator.settle(CALLER, a_request(chain, chain.payment().build()), None)).answer
        assert not answer.success
        assert answer.errorReason == "transaction_failed"
        assert answer.transaction
        assert chain.tokens_of(chain.merchant) == 0
        assert "assets:solana" not in balances(look)
        assert balances(look)["expenses:network-fee:solana"] > 0  # failing has cost the fee payer its fee

    async def test_it_is_pending_until_the_failure_is_finalized(self, chain: Any, hosts: Hosts, look: Look) -> None:
        host = await hosts.new(wait_seconds=0.3)

        async def drain_before_landing(method: str, params: list[Any]) -> dict[str, Any] | None:
            if method == "sendTransaction" and chain.tokens_of(chain.customer):
                await chain.drain()
                params[1]["skipPreflight"] = True
            return None

        chain.interference = drain_before_landing
        answer = (await host.facilitator.settle(CALLER, a_request(chain, chain.payment().build()), None)).answer
        assert answer.errorReason == "settlement_pending"
        assert answer.extra is not None
        settlement_id = UUID(answer.extra["settlementId"])

        async def failed() -> bool:
            return (await host.facilitator.show(CALLER, settlement_id)).state is State.FAILED

        await until(failed)
        assert look("SELECT proof ->> 'commitment' FROM x402.settlements") == [("finalized",)]

    async def test_a_payer_who_is_drained_before_signing_costs_nothing(
        self, chain: Any, hosts: Hosts, look: Look
    ) -> None:
        host = await hosts.new(worker=False, wait_seconds=5)
        request = a_request(chain, chain.payment().build())
        waiting = asyncio.create_task(host.facilitator.settle(CALLER, request, None))
        await until(lambda: look("SELECT count(*) FROM x402.settlements") == [(1,)])
        await chain.drain()
        host.start_worker()
        answer = (await waiting).answer
        assert answer.errorReason == "transaction_simulation_failed"
        assert answer.transaction == ""
        assert look("SELECT proof FROM x402.settlements") == [({"never_signed": True},)]
        assert "sendTransaction" not in chain.calls
        assert balances(look) == {}

    async def test_a_cluster_that_says_confirmed_without_the_money_is_not_believed(
        self, chain: Any, hosts: Hosts
    ) -> None:
        host = await hosts.new(wait_seconds=1.0)

        async def lie(method: str, _params: list[Any]) -> dict[str, Any] | None:
            if method == "getSignatureStatuses":
                value = {"slot": 5, "confirmations": 1, "err": None, "confirmationStatus": "confirmed"}
                return {"result": {"context": {"slot": 5}, "value": [value]}}
            if method == "getTransaction":
                keys = [str(chain.fee_payer.pubkey())]
                meta: dict[str, Any] = {"err": None, "fee": 5000, "preTokenBalances": [], "postTokenBalances": []}
                return {"result": {"slot": 5, "meta": meta, "transaction": {"message": {"accountKeys": keys}}}}
            return None

        chain.interference = lie
        answer = (await host.facilitator.settle(CALLER, a_request(chain, chain.payment().build()), None)).answer
        assert answer.errorReason == "settlement_pending"

    async def test_a_payment_that_never_lands_is_dead_only_when_it_cannot_land_any_more(
        self, chain: Any, hosts: Hosts, look: Look
    ) -> None:
        host = await hosts.new(wait_seconds=1.0)

        async def swallow(method: str, _params: list[Any]) -> dict[str, Any] | None:
            return {"result": "1" * 64} if method == "sendTransaction" else None

        chain.interference = swallow
        answer = (await host.facilitator.settle(CALLER, a_request(chain, chain.payment().build()), None)).answer
        assert answer.errorReason == "settlement_pending"
        assert answer.transaction
        await until(lambda: look("SELECT state FROM x402.settlements") == [("failed",)])
        ((reason, proof),) = look("SELECT reason, proof FROM x402.settlements")
        assert reason == "transaction_expired"
        assert min(proof["finalized_heights"]) > proof["last_valid_height"]

    async def test_a_signature_in_the_history_is_no_death(self, chain: Any, hosts: Hosts, look: Look) -> None:
        host = await hosts.new(wait_seconds=0.2)
        hidden = True

        async def hide_recent(method: str, params: list[Any]) -> dict[str, Any] | None:
            if hidden and method == "getSignatureStatuses" and not params[1].get("searchTransactionHistory"):
                return {"result": {"context": {"slot": 5}, "value": [None]}}
            return None

        chain.interference = hide_recent
        await host.facilitator.settle(CALLER, a_request(chain, chain.payment().build()), None)
        ((last_valid,),) = look("SELECT last_valid_height FROM x402.settlements")
        await until(lambda: chain.cluster.clock.slot("finalized") > last_valid + 20)
        assert look("SELECT state FROM x402.settlements") == [("submitted",)]
        hidden = False
        await until(lambda: look("SELECT state FROM x402.settlements") == [("settled",)])

    async def test_on_mainnet_one_provider_alone_proves_no_death(self, chain: Any, hosts: Hosts, look: Look) -> None:
        host = await hosts.new(wait_seconds=0.1)
        object.__setattr__(host.rail, "config", _as_mainnet(host.rail.config))

        async def swallow(method: str, _params: list[Any]) -> dict[str, Any] | None:
            return {"result": "1" * 64} if method == "sendTransaction" else None

        chain.interference = swallow
        request = a_request(chain, chain.payment().build(), network="solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp")
        await host.facilitator.settle(CALLER, request, None)
        await until(lambda: "second" in str(look("SELECT message FROM x402.settlements")))
        assert look("SELECT state FROM x402.settlements") == [("submitted",)]


def _as_mainnet(config: Any) -> Any:
    from dataclasses import replace

    return replace(config, network="mainnet-beta")
