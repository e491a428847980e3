"""Cancelled at every single await, one after the other: no request has two effects and none is lost."""

from __future__ import annotations

import pytest

from payments.api_keys.schemas import Caller
from payments.core import Core
from payments.errors import Conflict, ServiceUnavailable
from payments.idempotency.service import key_of_request
from payments.invoices import service as invoices
from payments.invoices.schemas import InvoiceView, NewInvoice
from payments.payouts import service as payouts
from payments.payouts.schemas import NewPayment
from payments.worker import registry
from payments.worker.following import credit
from payments.worker.sweeper import sweep_once
from tests.app.conftest import balances, fund, new_key
from tests.app.interrupting import Interrupted, interrupt_at
from tests.app.memory_rail import MemoryRail

MOST = 200


@pytest.fixture
async def caller(core: Core) -> Caller:
    made = await new_key(core)
    assert core.key_ring is not None
    return await core.key_ring.authenticate(made["key"])


async def expire_leases(core: Core) -> None:
    """As if the lease's time had passed."""
    await core.database.run(
        "UPDATE payments.attempts SET lease_until = now(), next_look_at = now() "
        "WHERE state NOT IN ('dead', 'succeeded')",
        name="test",
    )
    await core.database.run("UPDATE payments.idempotency_keys SET lease_until = now() WHERE NOT done", name="test")


async def _until_answered(core: Core, caller: Caller, number: int) -> bytes:
    """Send the request again, with its key, until it has its answer."""
    for _ in range(5):
        try:
            return await _invoice(core, caller, number)
        except (Conflict, ServiceUnavailable):
            await expire_leases(core)
    raise AssertionError("no answer")


async def _invoice(core: Core, caller: Caller, number: int) -> bytes:
    key = key_of_request(caller=caller, route="POST /t", header=f"k{number}", raw_body=b"", clock=core.clock)
    answer = await invoices.create(
        core,
        caller,
        NewInvoice(amount=1000),
        key,
        status=201,
        render=lambda i: InvoiceView.of(i).model_dump(mode="json"),
    )
    return answer.body


async def test_making_an_invoice(core: Core, caller: Caller, rail: MemoryRail) -> None:
    for number in range(1, MOST):
        try:
            await interrupt_at(number, _invoice(core, caller, number))
        except Interrupted:
            await expire_leases(core)
            if number % 2:
                await sweep_once(core, registry.look_ups())
            answer = await _until_answered(core, caller, number)
            assert await _until_answered(core, caller, number) == answer
        else:
            break
    assert 4 < number < MOST - 1, "there are awaits to cancel at, and an end to them"
    assert max(rail.created.values()) == 1
    open_ = await core.database.value("SELECT count(*) FROM payments.invoices WHERE state = 'open'", name="test")
    events = "SELECT count(*) FROM payments.outbox WHERE name = 'invoice.created'"
    assert open_ == number == await core.database.value(events, name="test")


async def _accept(core: Core, caller: Caller, number: int) -> bytes:
    key = key_of_request(caller=caller, route="POST /t", header=f"k{number}", raw_body=b"", clock=core.clock)
    new = NewPayment(paymentRequest=MemoryRail.request(number, 1000), maxFeeMsat=10)
    return (await payouts.create(core, caller, new, key)).body


async def test_accepting_a_payment(core: Core, caller: Caller) -> None:
    await fund(core, 10**6)
    for number in range(1, MOST):
        try:
            await interrupt_at(number, _accept(core, caller, number))
        except Interrupted:
            await expire_leases(core)
            await _accept(core, caller, number)
        else:
            break
    assert 1 < number < MOST - 1
    assert (await balances(core))["liabilities:reserved:test:alice"] == -1010 * number
    jobs = "SELECT count(*) FROM payments.outbox WHERE kind = 'job'"
    assert await core.database.value(jobs, name="test") == number


async def test_sending_a_payment(core: Core, caller: Caller, rail: MemoryRail) -> None:
    await fund(core, 10**6)
    send = registry.jobs()["payments.send", 1].handle
    payloads = []
    for number in range(1, MOST):
        await _accept(core, caller, number)
        job = "DELETE FROM payments.outbox WHERE kind = 'job' RETURNING payload"
        payloads.append(await core.database.value(job, name="test"))
        try:
            await interrupt_at(number, send(core, payloads[-1]))  # type: ignore[arg-type]
        except Interrupted:
            await send(core, payloads[-1])  # the job comes again after a crash
            await expire_leases(core)
            await sweep_once(core, registry.look_ups())
        else:
            break
    assert 4 < number < MOST - 1
    for payload in payloads:
        await send(core, payload)
    assert sorted(rail.sent.values()) == [1] * number
    states = "SELECT DISTINCT state FROM payments.payments"
    assert [row["state"] for row in await core.database.all(states, name="test")] == ["succeeded"]
    found = await balances(core)
    assert found["assets:lnd"] == 10**6 - number * 1007
    assert found["liabilities:reserved:test:alice"] == 0


async def test_crediting_arrivals(core: Core, caller: Caller, rail: MemoryRail) -> None:
    await _invoice(core, caller, 0)
    (invoice,) = await core.database.all("SELECT rail_id FROM payments.invoices", name="test")
    batch = [await rail.arrive(invoice["rail_id"], 1000), await rail.arrive("unknown", 5)]
    for number in range(1, MOST):
        try:
            await interrupt_at(number, credit(core, "lnd", batch))
        except Interrupted:
            continue
        break
    await credit(core, "lnd", batch)
    assert (await balances(core))["assets:lnd"] == 1005
    assert await core.database.value("SELECT count(*) FROM payments.arrivals", name="test") == 2
