"""Settling on a real virtual machine and a real PostgreSQL: one success a signed message, and only from the chain."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import psycopg
import pytest
from pydantic import SecretStr

from payments.api_keys.schemas import Caller
from payments.clock import Clock
from payments.core import Core
from payments.database import Database
from payments.errors import NotFound, ServiceUnavailable
from payments.rails.solana.rail import SolanaRail
from payments.signer.fee_payer import FeePayer, FeePayerError
from payments.x402 import repository
from payments.x402.schemas import FacilitatorRequest, State
from payments.x402.service import Facilitator, Settled
from payments.x402.settling import Settler
from payments.x402.tasks import SettlementLoop

CALLER = Caller(str(UUID(int=5)), "merchant", "test", frozenset({"read", "write"}))
OTHER_CALLER = Caller(str(UUID(int=6)), "somebody", "test", frozenset({"read", "write"}))


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


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("payments.x402.settling.SEND_EVERY_SECONDS", 0.1)
    monkeypatch.setattr("payments.rails.solana.arrivals.POLL_SECONDS", 0.2)


@pytest.fixture
async def hosts(database: Any, chain: Any) -> AsyncIterator[Hosts]:
    made = Hosts(database.app_url, chain)
    yield made
    await made.close()


@pytest.fixture
def look(database: Any) -> Callable[[str], list[tuple[Any, ...]]]:
    """Rows of a query, as the superuser."""

    def rows(statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(database.superuser_url) as connection:
            return connection.execute(statement.encode()).fetchall()

    return rows


Look = Callable[[str], list[tuple[Any, ...]]]


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


class TestSettling:
    async def test_a_payment_is_settled_and_in_the_ledger(self, chain: Any, hosts: Hosts, look: Look) -> None:
        host = await hosts.new()
        settled = await host.facilitator.settle(CALLER, a_request(chain, chain.payment().build()), None)
        answer = settled.answer
        assert answer.success, answer
        assert (answer.amount, answer.payer) == ("1000", str(chain.customer.pubkey()))
        assert chain.tokens_of(chain.merchant) == 1000
        assert balances(look) == {
            "assets:solana": 1000,
            "liabilities:user:test:merchant": -1000,
            "expenses:network-fee:solana": 10_001,
            "assets:solana:fee-payer": -10_001,
        }
        (transaction,) = look("SELECT payer, recipient, amount, status, signature FROM x402.transactions")
        assert transaction[3:] == ("settled", answer.transaction)
        assert look("SELECT count(*) FROM x402.nonces") == [(1,)]
        assert [name for (name,) in look("SELECT name FROM payments.outbox")] == ["x402.settled"]
        actions = [action for (action,) in look("SELECT action FROM payments.audit_log ORDER BY id")]
        assert actions == ["accepted", "accepted>submitted", "submitted>settled"]

    async def test_a_payment_to_another_wallet_is_settled_without_touching_our_books(
        self, chain: Any, hosts: Hosts, look: Look
    ) -> None:
        host = await hosts.new()
        encoded = chain.payment(pay_to=chain.accomplice.pubkey()).build()
        request = a_request(chain, encoded, payTo=str(chain.accomplice.pubkey()))
        assert (await host.facilitator.settle(CALLER, request, None)).answer.success
        assert "assets:solana" not in balances(look)

    async def test_the_rails_cursor_does_not_credit_a_settlement_again(
        self, chain: Any, hosts: Hosts, look: Look
    ) -> None:
        host = await hosts.new()
        await host.facilitator.settle(CALLER, a_request(chain, chain.payment().build()), None)
        async with asyncio.timeout(10):
            async for arrival in host.rail.arrivals(None):
                credited = await host.database.value(
                    "SELECT payments.credit_arrival('solana', %s, %s, %s, %s, %s, '{\"a\": 1}', %s)",
                    (
                        arrival.event_id,
                        arrival.rail_id,
                        arrival.asset,
                        arrival.amount,
                        arrival.arrived_at,
                        arrival.cursor,
                    ),
                    name="credit",
                )
                break
        assert credited == "known"
        assert balances(look)["assets:solana"] == 1000

    async def test_a_settlement_that_the_cursor_saw_first_comes_out_of_suspense(
        self, chain: Any, hosts: Hosts, look: Look
    ) -> None:
        host = await hosts.new(worker=False, wait_seconds=0.1)
        await host.facilitator.settle(CALLER, a_request(chain, chain.payment().build()), None)
        (settlement,) = await repository.take(host.database, token=UUID(int=9), lease_seconds=30, limit=1)
        signature, complete = FeePayer(SecretStr(str(chain.fee_payer))).sign(settlement.transaction, settlement.order)
        now = Clock().now()
        await repository.submit(
            host.database, settlement.id, UUID(int=9), signature=signature, daily_fee_limit=10**9, now=now
        )
        await host.rail.rpc.send(complete, skip_preflight=False)
        async with asyncio.timeout(10):
            async for arrival in host.rail.arrivals(None):
                await host.database.value(
                    "SELECT payments.credit_arrival('solana', %s, '', 'USDC', %s, %s, '{\"a\": 1}', %s)",
                    (arrival.event_id, arrival.amount, arrival.arrived_at, arrival.cursor),
                    name="credit",
                )
                break
        assert balances(look)["liabilities:suspense:solana"] == -1000
        await repository.postpone(host.database, settlement.id, UUID(int=9), seconds=0, message="")
        host.start_worker()
        await until(lambda: balances(look)["liabilities:suspense:solana"] == 0)
        assert balances(look)["liabilities:user:test:merchant"] == -1000
        assert balances(look)["assets:solana"] == 1000


class TestOnceASignedMessage:
    async def test_four_hosts_settling_the_same_message_make_one_settlement_and_the_same_answer(
        self, chain: Any, hosts: Hosts, look: Look
    ) -> None:
        four = [await hosts.new() for _ in range(4)]
        request = a_request(chain, chain.payment().build())
        all_settled = await asyncio.gather(
            *(host.facilitator.settle(CALLER, request, None) for host in four for _ in range(4))
        )
        assert {settled.answer.transaction for settled in all_settled} == {all_settled[0].answer.transaction}
        assert all(settled.answer == all_settled[0].answer for settled in all_settled)
        assert all_settled[0].answer.success
        assert [settled.replayed for settled in all_settled].count(False) == 1
        assert chain.tokens_of(chain.merchant) == 1000
        assert balances(look)["assets:solana"] == 1000
        assert look("SELECT count(*) FROM x402.settlements") == [(1,)]

    async def test_noise_in_the_fee_payers_signature_makes_no_second_payment(self, chain: Any, hosts: Hosts) -> None:
        import base64

        from solders.signature import Signature
        from solders.transaction import VersionedTransaction

        host = await hosts.new()
        encoded = chain.payment().build()
        transaction = VersionedTransaction.from_bytes(base64.b64decode(encoded))
        noisy = VersionedTransaction.populate(transaction.message, [Signature.new_unique(), transaction.signatures[1]])
        first = await host.facilitator.settle(CALLER, a_request(chain, encoded), None)
        again = base64.b64encode(bytes(noisy)).decode()
        second = await host.facilitator.settle(CALLER, a_request(chain, again), None)
        assert second.answer == first.answer
        assert second.replayed
        assert chain.tokens_of(chain.merchant) == 1000

    @pytest.mark.parametrize("how", ["another caller", "another resource", "less money", "another retry key"])
    async def test_the_same_message_for_another_payment_is_a_duplicate(
        self, chain: Any, hosts: Hosts, how: str
    ) -> None:
        host = await hosts.new()
        encoded = chain.payment().build()
        assert (await host.facilitator.settle(CALLER, a_request(chain, encoded), "key-1")).answer.success
        caller = OTHER_CALLER if how == "another caller" else CALLER
        request = a_request(chain, encoded, 999 if how == "less money" else 1000)
        if how == "another resource":
            request.paymentRequirements.resource = "https://shop.example/another"
        key = "key-2" if how == "another retry key" else "key-1"
        answer = (await host.facilitator.settle(caller, request, key)).answer
        assert (answer.success, answer.errorReason) == (False, "duplicate_settlement")
        assert (await host.facilitator.settle(CALLER, a_request(chain, encoded), "key-1")).answer.success

    async def test_a_settled_message_does_not_verify_again(self, chain: Any, hosts: Hosts) -> None:
        host = await hosts.new()
        request = a_request(chain, chain.payment().build())
        assert (await host.facilitator.verify(CALLER, request)).isValid
        await host.facilitator.settle(CALLER, request, None)
        again = await host.facilitator.verify(CALLER, request)
        assert (again.isValid, again.invalidReason) == (False, "duplicate_settlement")

    async def test_a_payer_whose_success_was_never_told_may_come_back(self, chain: Any, hosts: Hosts) -> None:
        host = await hosts.new(wait_seconds=0.0)
        request = a_request(chain, chain.payment().build())
        assert (await host.facilitator.settle(CALLER, request, None)).answer.errorReason == "settlement_pending"
        await until(lambda: chain.tokens_of(chain.merchant) == 1000)

        async def told() -> bool:
            assert (await host.facilitator.verify(CALLER, request)).isValid
            return (await host.facilitator.settle(CALLER, request, None)).answer.success

        await until(told)


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


class TestRefusals:
    async def test_terms_that_are_not_settled_here(self, chain: Any, hosts: Hosts) -> None:
        host = await hosts.new(worker=False)
        cases: list[tuple[dict[str, Any], str]] = [
            ({"scheme": "upto"}, "unsupported_scheme"),
            ({"network": "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"}, "invalid_network"),
            ({"network": "solana-devnet"}, "invalid_network"),
            ({"amount": "0"}, "invalid_payment_requirements"),
            ({"amount": str(2**64)}, "invalid_payment_requirements"),
            ({"amount": None}, "invalid_payment_requirements"),
            ({"asset": "So11111111111111111111111111111111111111112"}, "invalid_payment_requirements"),
            ({"payTo": "tea"}, "invalid_payment_requirements"),
            ({"payTo": str(chain.fee_payer.pubkey())}, "invalid_payment_requirements"),
            ({"extra": {}}, "invalid_exact_svm_payload_missing_fee_payer"),
            ({"extra": None}, "invalid_exact_svm_payload_missing_fee_payer"),
            ({"extra": {"feePayer": "tea"}}, "fee_payer_not_managed_by_facilitator"),
        ]
        for changes, reason in cases:
            request = a_request(chain, chain.payment().build(), **changes)
            verdict = await host.facilitator.verify(CALLER, request)
            assert (verdict.isValid, verdict.invalidReason) == (False, reason), changes
            answer = (await host.facilitator.settle(CALLER, request, None)).answer
            assert (answer.success, answer.errorReason, answer.transaction) == (False, reason, ""), changes

    async def test_other_terms_than_the_payer_accepted(self, chain: Any, hosts: Hosts) -> None:
        host = await hosts.new(worker=False)
        request = a_request(chain, chain.payment().build())
        request.paymentRequirements.payTo = str(chain.accomplice.pubkey())
        assert (await host.facilitator.verify(CALLER, request)).invalidReason == "invalid_payment_requirements"

    async def test_an_old_blockhash(self, chain: Any, hosts: Hosts) -> None:
        host = await hosts.new(worker=False)
        encoded = chain.payment().build()
        made = chain.cluster.clock.slot()
        await until(lambda: chain.cluster.clock.slot() > made + 152)
        verdict = await host.facilitator.verify(CALLER, a_request(chain, encoded))
        assert verdict.invalidReason == "invalid_exact_svm_payload_transaction_blockhash_not_recent"

    async def test_a_payer_without_the_money(self, chain: Any, hosts: Hosts) -> None:
        host = await hosts.new(worker=False)
        request = a_request(chain, chain.payment(amount=10**8).build())
        verdict = await host.facilitator.verify(CALLER, request)
        assert verdict.invalidReason == "transaction_simulation_failed"
        assert verdict.payer == str(chain.customer.pubkey())

    async def test_a_users_daily_fees_are_bounded(
        self, chain: Any, hosts: Hosts, look: Look, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("payments.x402.settling.DAILY_FEE_LIMIT_LAMPORTS", 15_000)
        host = await hosts.new()
        answers: list[Settled] = []
        for caller in (CALLER, CALLER, OTHER_CALLER):
            answers.append(await host.facilitator.settle(caller, a_request(chain, chain.payment().build()), None))
        reasons = [settled.answer.errorReason for settled in answers]
        assert reasons == [None, "facilitator_fee_limit_reached", None]

    async def test_another_users_settlement_is_not_shown(self, chain: Any, hosts: Hosts, look: Look) -> None:
        host = await hosts.new()
        await host.facilitator.settle(CALLER, a_request(chain, chain.payment().build()), None)
        ((settlement_id,),) = look("SELECT id FROM x402.settlements")
        assert (await host.facilitator.show(CALLER, settlement_id)).received == "1000"
        with pytest.raises(NotFound):
            await host.facilitator.show(OTHER_CALLER, settlement_id)

    async def test_a_wrong_key_is_said_without_showing_it(self) -> None:
        with pytest.raises(FeePayerError) as caught:
            FeePayer(SecretStr("3" * 60))
        assert "3333" not in str(caught.value)


class TestRulesInTheDatabase:
    @asynccontextmanager
    async def submitted(self, chain: Any, hosts: Hosts) -> AsyncIterator[Host]:
        host = await hosts.new(worker=False, wait_seconds=0.0)
        await host.facilitator.settle(CALLER, a_request(chain, chain.payment().build()), None)
        await repository.take(host.database, token=UUID(int=1), lease_seconds=30, limit=1)
        yield host

    async def test_the_app_cannot_skip_a_state_or_change_what_was_agreed(
        self, chain: Any, hosts: Hosts, database: Any
    ) -> None:
        async with self.submitted(chain, hosts):
            with psycopg.connect(database.app_url, autocommit=True) as connection:
                for statement in (
                    "UPDATE x402.settlements SET state = 'settled', proof = '{\"a\": 1}'",
                    "UPDATE x402.settlements SET wanted = 1",
                    "UPDATE x402.settlements SET message_hash = sha256('x')",
                    "DELETE FROM x402.settlements",
                    "UPDATE x402.settlements SET state = 'failed', proof = '{}'",
                ):
                    with pytest.raises(psycopg.Error):
                        connection.execute(statement.encode())

    async def test_less_than_wanted_is_never_written_as_settled(self, chain: Any, hosts: Hosts, look: Look) -> None:
        async with self.submitted(chain, hosts) as host:
            ((settlement_id,),) = look("SELECT id FROM x402.settlements")
            now = Clock().now()
            await repository.submit(
                host.database, settlement_id, UUID(int=1), signature="s", daily_fee_limit=10**9, now=now
            )
            with pytest.raises(psycopg.errors.CheckViolation):
                await repository.settle(
                    host.database,
                    settlement_id,
                    UUID(int=1),
                    event_id="s:1",
                    received=999,
                    fee_lamports=1,
                    proof={"a": 1},
                    arrived_at=now,
                    now=now,
                )


def _after(first: Any, then: Any) -> Any:
    """Does `first`, then `then`."""

    async def call(*arguments: Any, **named: Any) -> Any:
        await first(*arguments, **named)
        return await then()

    return call
