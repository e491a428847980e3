"""What the facilitator refuses, and what PostgreSQL refuses it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import psycopg
import pytest
from pydantic import SecretStr

from payments.clock import Clock
from payments.errors import NotFound
from payments.signer.fee_payer import FeePayer, FeePayerError
from payments.x402 import repository
from payments.x402.service import Settled
from tests.app.rails.settling_hosts import CALLER, OTHER_CALLER, Host, Hosts, Look, a_request, until


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
            *(
                ({"extra": {"feePayer": str(chain.fee_payer.pubkey()), "memo": memo}}, "invalid_payment_requirements")
                for memo in (5, "a\0b", "\ud800", "x" * 257, "ü" * 129, ["tea"])
            ),
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
