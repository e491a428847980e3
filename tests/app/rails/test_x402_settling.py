"""Settling on a real virtual machine and a real PostgreSQL: one success a signed message."""

import asyncio
from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretStr

from payments.clock import Clock
from payments.signer.fee_payer import FeePayer
from payments.x402 import repository
from tests.app.rails.settling_hosts import CALLER, OTHER_CALLER, Hosts, Look, a_request, balances, until


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
