"""What was credited and is gone from its rail is taken back by a journal of its own, and restored if it comes again."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from prometheus_client import REGISTRY

from payments.core import Core
from payments.inbound.reversals import measure, reverse
from payments.rails.protocol import Arrival, Progress, Reversal
from payments.reconciliation.tasks import compare_arrivals
from payments.worker.following import credit, follow_once
from tests.app.conftest import balances, fund
from tests.app.memory_rail import MemoryRail

USER, ASSETS = "liabilities:user:test:alice", "assets:lnd"
SUSPENSE, LOSS = "liabilities:suspense:lnd", "expenses:reversed:lnd"


async def _invoice(client: httpx.AsyncClient, amount: int = 1000) -> dict[str, Any]:
    made: dict[str, Any] = (await client.post("/v1/invoices", json={"amount": amount})).json()
    return made


async def _arrives(core: Core, rail: MemoryRail, invoice: dict[str, Any], amount: int) -> Arrival:
    arrival = await rail.arrive(invoice["paymentHash"], amount)
    await credit(core, "lnd", [arrival])
    return arrival


async def _view(client: httpx.AsyncClient, invoice: dict[str, Any]) -> tuple[str, int]:
    found = (await client.get(f"/v1/invoices/{invoice['id']}")).json()
    return found["status"], found["received"]


async def _events(core: Core) -> list[str]:
    rows = await core.database.all("SELECT name FROM payments.outbox WHERE kind = 'event' ORDER BY id", name="test")
    return [row["name"] for row in rows]


async def _nonzero(core: Core) -> dict[str, int]:
    return {code: amount for code, amount in (await balances(core)).items() if amount}


async def test_a_settled_invoice_is_reversed_once_and_restored_once(
    client: httpx.AsyncClient, core: Core, rail: MemoryRail
) -> None:
    invoice = await _invoice(client)
    arrival = await _arrives(core, rail, invoice, 1000)
    gone = Reversal(arrival.event_id, {"left_the_best_chain": "b1"})
    assert await reverse(core, "lnd", [gone, gone]) == 1
    assert await reverse(core, "lnd", [gone]) == 0, "twice is once"
    assert await _view(client, invoice) == ("reversed", 0)
    assert await _nonzero(core) == {}
    assert await credit(core, "lnd", [arrival, arrival]) == ["restored", "known"]
    assert await _view(client, invoice) == ("settled", 1000)
    assert await _nonzero(core) == {ASSETS: 1000, USER: -1000}
    assert (await _events(core))[-3:] == ["invoice.settled", "invoice.reversed", "invoice.restored"]
    audit = await core.database.all(
        "SELECT actor, action, detail->>'lost' AS lost FROM payments.audit_log WHERE object_kind = 'arrival' "
        "ORDER BY id",
        name="test",
    )
    assert [(row["actor"], row["action"], row["lost"]) for row in audit] == [
        ("rail:lnd", "reversed", "0"),
        ("rail:lnd", "restored", "0"),
    ]
    assert await reverse(core, "lnd", [gone]) == 1, "it may go again"
    assert await _view(client, invoice) == ("reversed", 0)
    kept = await core.database.value("SELECT count(*) FROM payments.arrivals", name="test")
    assert kept == 1, "nothing is deleted"


async def test_what_was_spent_is_a_loss_and_found_again(
    client: httpx.AsyncClient, core: Core, rail: MemoryRail
) -> None:
    invoice = await _invoice(client)
    arrival = await _arrives(core, rail, invoice, 1000)
    await fund(core, -400)  # spent
    await reverse(core, "lnd", [Reversal(arrival.event_id)])
    assert await _nonzero(core) == {ASSETS: -400, LOSS: 400}
    await measure(core)
    labels = {"rail": "lnd", "asset": "BTC"}
    assert REGISTRY.get_sample_value("arrivals_reversed", labels) == 1
    assert REGISTRY.get_sample_value("arrivals_reversed_loss", labels) == 400
    await credit(core, "lnd", [arrival])
    assert await _nonzero(core) == {ASSETS: 600, USER: -600}
    await measure(core)
    assert REGISTRY.get_sample_value("arrivals_reversed", labels) == 0


@pytest.mark.parametrize(("amount", "state"), [(700, "underpaid"), (1300, "overpaid")])
async def test_what_waits_in_suspense_is_taken_from_there(
    client: httpx.AsyncClient, core: Core, rail: MemoryRail, amount: int, state: str
) -> None:
    invoice = await _invoice(client)
    arrival = await _arrives(core, rail, invoice, amount)
    before = await _nonzero(core)
    await reverse(core, "lnd", [Reversal(arrival.event_id)])
    assert (await _nonzero(core), await _view(client, invoice)) == ({}, ("reversed", 0))
    (suspended,) = (await client.get("/v1/suspense", params={"status": "reversed"})).json()["data"]
    refused = await client.post(f"/v1/suspense/{suspended['id']}/accept", json={}, headers={"Idempotency-Key": "k"})
    assert refused.status_code == 409
    await credit(core, "lnd", [arrival])
    assert (await _nonzero(core), await _view(client, invoice)) == (before, (state, amount))
    assert len((await client.get("/v1/suspense", params={"status": "open"})).json()["data"]) == 1


async def test_an_amount_in_suspense_that_was_accepted_is_taken_from_its_owner(
    client: httpx.AsyncClient, core: Core, rail: MemoryRail
) -> None:
    invoice = await _invoice(client)
    arrival = await _arrives(core, rail, invoice, 700)
    (suspended,) = (await client.get("/v1/suspense")).json()["data"]
    await client.post(f"/v1/suspense/{suspended['id']}/accept", json={}, headers={"Idempotency-Key": "k"})
    assert await _nonzero(core) == {ASSETS: 700, USER: -700}
    await reverse(core, "lnd", [Reversal(arrival.event_id)])
    assert await _nonzero(core) == {}
    answer = await client.post("/v1/refunds", json={"invoiceId": invoice["id"]}, headers={"Idempotency-Key": "r"})
    assert answer.status_code == 409, "nothing that could be given back"


async def test_another_arrival_keeps_the_invoice_and_one_that_comes_back_is_the_second(
    client: httpx.AsyncClient, core: Core, rail: MemoryRail
) -> None:
    invoice = await _invoice(client)
    first = await _arrives(core, rail, invoice, 1000)
    await reverse(core, "lnd", [Reversal(first.event_id)])
    await _arrives(core, rail, invoice, 1000)
    assert await _view(client, invoice) == ("settled", 1000)
    await credit(core, "lnd", [first])
    assert await _view(client, invoice) == ("paid_twice", 2000)
    assert await _nonzero(core) == {ASSETS: 2000, USER: -1000, SUSPENSE: -1000}
    await reverse(core, "lnd", [Reversal(first.event_id)])
    assert await _view(client, invoice) == ("paid_twice", 1000), "the other one is still there"
    assert await _nonzero(core) == {ASSETS: 1000, USER: -1000}


async def test_what_nobody_was_credited_and_what_never_came(core: Core, rail: MemoryRail) -> None:
    unmatched = await rail.arrive("nobody", 500)
    await credit(core, "lnd", [unmatched])
    assert await reverse(core, "lnd", [Reversal(unmatched.event_id), Reversal("never")]) == 1
    assert await _nonzero(core) == {}
    assert (await _events(core))[-2:] == ["arrival.reversed", "suspense.reversed"]


async def test_the_follower_keeps_the_order_of_arrivals_and_reversals(
    client: httpx.AsyncClient, core: Core, rail: MemoryRail
) -> None:
    invoice = await _invoice(client)
    arrival = await rail.arrive(invoice["paymentHash"], 1000)

    class Stream(MemoryRail):
        async def arrivals(self, cursor: str | None) -> Any:
            gone = Reversal(arrival.event_id)
            for told in (arrival, gone, arrival, gone, Progress("7")):
                yield told

    await follow_once(core, Stream())
    assert await _view(client, invoice) == ("reversed", 0)
    numbers = await core.database.all("SELECT number, state FROM payments.reversals ORDER BY number", name="test")
    assert [(row["number"], row["state"]) for row in numbers] == [(1, "restored"), (2, "reversed")]
    assert await core.database.value("SELECT cursor FROM payments.rail_cursors", name="test") == "7"


async def test_reconciliation_restores_what_is_there_again(
    client: httpx.AsyncClient, core: Core, rail: MemoryRail
) -> None:
    invoice = await _invoice(client)
    arrival = await _arrives(core, rail, invoice, 1000)
    await reverse(core, "lnd", [Reversal(arrival.event_id)])
    assert await compare_arrivals(core, rail) == 1
    assert await _view(client, invoice) == ("settled", 1000)
