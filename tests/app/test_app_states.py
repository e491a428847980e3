"""A state that a newer release wrote is shown as `newer` by one that has no name for it, and never acted on."""

from __future__ import annotations

import enum

import httpx
import psycopg
import pytest

from payments.core import Core
from payments.invoices.schemas import InvoiceState
from payments.payouts.schemas import PaymentState
from payments.payouts.sending import send
from payments.refunds.schemas import RefundState
from payments.states import read_state
from payments.suspense.schemas import SuspenseState
from payments.webhooks.schemas import DeliveryState
from payments.worker.following import credit
from payments.x402.schemas import State
from tests.app.conftest import TestDatabase, balances, fund
from tests.app.memory_rail import MemoryRail

MACHINES: dict[str, type[enum.StrEnum]] = {
    "invoice": InvoiceState,
    "payment": PaymentState,
    "refund": RefundState,
    "suspense": SuspenseState,
    "delivery": DeliveryState,
    "settlement": State,
}


@pytest.mark.parametrize("machine", MACHINES)
async def test_every_state_of_the_table_has_its_name_and_any_other_is_newer(core: Core, machine: str) -> None:
    rows = await core.database.all(
        "SELECT from_state AS state FROM payments.transitions WHERE machine = %s UNION "
        "SELECT to_state FROM payments.transitions WHERE machine = %s",
        (machine, machine),
        name="test",
    )
    kind = MACHINES[machine]
    assert {read_state(kind, row["state"]).value for row in rows} == {row["state"] for row in rows}
    assert {state.value for state in kind} == {row["state"] for row in rows} | {"newer"}
    assert read_state(kind, "of_tomorrow").value == "newer"


async def test_it_is_shown_everywhere_and_nothing_is_done_with_it(
    client: httpx.AsyncClient, core: Core, rail: MemoryRail, database: TestDatabase
) -> None:
    await fund(core, 10_000)
    invoice = (await client.post("/v1/invoices", json={"amount": 1000})).json()
    await credit(core, "lnd", [await rail.arrive(invoice["paymentHash"], 700)])
    body = {"paymentRequest": MemoryRail.request(1, 100), "maxFeeMsat": 0}
    payment = (await client.post("/v1/payments", json=body, headers={"Idempotency-Key": "p"})).json()
    before = await balances(core)
    with psycopg.connect(database.superuser_url) as connection:  # as a newer release's migration, and the release
        connection.execute(
            "INSERT INTO payments.transitions VALUES ('invoice', 'underpaid', 'of_tomorrow'), "
            "('payment', 'created', 'of_tomorrow'), ('suspense', 'open', 'of_tomorrow')"
        )
        for table in (b"invoices", b"payments", b"suspense"):
            connection.execute(b"UPDATE payments." + table + b" SET state = 'of_tomorrow'")
    for path in (f"/v1/invoices/{invoice['id']}", f"/v1/payments/{payment['id']}"):
        assert (await client.get(path)).json()["status"] == "newer", path
    (suspended,) = (await client.get("/v1/suspense")).json()["data"]
    assert suspended["status"] == "newer"
    for path in (
        f"/v1/payments/{payment['id']}/cancel",
        f"/v1/payments/{payment['id']}/retry",
        f"/v1/invoices/{invoice['id']}/cancel",
        f"/v1/suspense/{suspended['id']}/accept",
    ):
        answer = await client.post(path, json={} if "suspense" in path else None, headers={"Idempotency-Key": path})
        assert (answer.status_code, "newer" in answer.text) == (409, True), (path, answer.text)
    await send(core, payment["id"])
    assert await balances(core) == before
