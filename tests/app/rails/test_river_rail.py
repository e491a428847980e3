"""The River rail on a custodian's account that is a program of its own: receive by webhook and list, pay, be lost."""

from __future__ import annotations

import asyncio
import contextlib
import os
import urllib.error
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from aiohttp import web
from prometheus_client import REGISTRY
from pydantic import SecretStr

from payments.core import Core
from payments.inbound.tasks import work_on
from payments.rails.protocol import (
    Arrival,
    Health,
    InvoiceOrder,
    OutcomeState,
    PaymentOrder,
    RailRefusedError,
    RailUnavailableError,
)
from payments.rails.river import build
from payments.rails.river.rail import PAGE, RiverRail, _arrival
from payments.reconciliation.balances import compare_balances
from payments.settings import Settings, SettingsError
from tests.app.conftest import balances, client_of, core_for, new_key, until
from tests.app.memory_rail import MemoryRail
from tests.sandbox.processes import RiverProgram, free_ports, running


@pytest.fixture(scope="module")
def river(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RiverProgram]:
    program = RiverProgram(tmp_path_factory.mktemp("river"))
    with running(program):
        yield program


def river_settings(settings: Settings, program: RiverProgram, **more: Any) -> Settings:
    update = {
        "river_url": program.url,
        "river_api_key": SecretStr(program.api_key),
        "river_webhook_secret": SecretStr(program.webhook_secret),
        **more,
    }
    return settings.model_copy(update=update)


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[RiverRail]:
    rail = build(settings, "worker")
    assert rail is not None
    await rail.start()
    try:
        yield rail
    finally:
        await rail.close()


@pytest.fixture
async def rail(river: RiverProgram) -> AsyncIterator[RiverRail]:
    async with opened(river_settings(Settings(APP_ENV="local"), river)) as made:
        yield made


def an_order(amount: int | None = 25_000) -> InvoiceOrder:
    now = datetime.now(UTC)
    return InvoiceOrder(uuid4(), os.urandom(32), "BTC", amount, "tea", now, now + timedelta(hours=1))


def to_pay(request: str, amount: int = 20_000, max_fee: int = 5_000) -> PaymentOrder:
    return PaymentOrder(uuid4(), request, "BTC", amount, max_fee)


def customers_bill(river: RiverProgram, amount: int = 20_000) -> str:
    return str(river.ask("/sandbox/customer_invoice", {"amount_msat": amount})["payment_request"])


async def test_an_invoice_is_made_once_and_its_settlement_listed_once(rail: RiverRail, river: RiverProgram) -> None:
    order = an_order()
    assert await rail.look_up_invoice(order) is None
    made = await rail.create_invoice(order)
    assert await rail.create_invoice(order) == made == await rail.look_up_invoice(order)
    river.ask("/sandbox/receive", {"external_id": made.rail_id})
    async with asyncio.timeout(20):
        async for told in rail.arrivals(None):
            assert isinstance(told, Arrival)
            if told.rail_id == made.rail_id:
                assert told.amount == 25_000
                break
    with pytest.raises(urllib.error.HTTPError):
        river.ask("/sandbox/receive", {"external_id": made.rail_id})


async def test_more_settlements_than_a_page_are_told_in_order_and_go_on_after_the_cursor(
    rail: RiverRail, river: RiverProgram
) -> None:
    orders = [an_order() for _ in range(PAGE + 5)]
    for order in orders:
        made = await rail.create_invoice(order)
        river.ask("/sandbox/receive", {"payment_request": made.payment_request})
    expected = [rail.invoice_rail_id(order.seed) for order in orders]

    async def told_after(cursor: str | None, last: str) -> list[Arrival]:
        found: list[Arrival] = []
        async with asyncio.timeout(30):
            async for told in rail.arrivals(cursor):
                assert isinstance(told, Arrival)
                found.append(told)
                if told.rail_id == last:
                    return found
        raise AssertionError("the list ended")

    told = await told_after(None, expected[-1])
    assert [one.rail_id for one in told][-len(expected) :] == expected
    assert len({one.event_id for one in told}) == len(told)
    middle = told[-3]
    assert [one.rail_id for one in await told_after(middle.cursor, expected[-1])] == expected[-2:]


async def test_events_are_hints_in_any_order_and_unknown_ones_say_nothing(rail: RiverRail, river: RiverProgram) -> None:
    first, second, open_one = [await rail.create_invoice(an_order()) for _ in range(3)]
    river.ask("/sandbox/receive", {"external_id": second.rail_id})
    river.ask("/sandbox/receive", {"external_id": first.rail_id})
    for made in (first, second, first):  # not as they were settled, and one twice
        event = {"data": {"id": made.facts["river_id"], "received_msat": 10**15}}
        (told,) = await rail.arrivals_of("deposit.settled", event)
        assert (told.rail_id, told.amount) == (made.rail_id, 25_000), "what the event claims does not count"
    for kind, payload in (
        ("deposit.settled", {"data": {"id": open_one.facts["river_id"]}}),
        ("deposit.settled", {"data": {"id": "inv_nonsense"}}),
        ("deposit.settled", {"data": "nonsense"}),
        ("deposit.settled", {}),
        ("withdrawal.settled", {"data": {"id": first.facts["river_id"]}}),
        ("account.closed", {"data": {"id": first.facts["river_id"]}}),
        ("", {"data": {"id": first.facts["river_id"]}}),
    ):
        assert await rail.arrivals_of(kind, payload) == [], (kind, payload)


@pytest.mark.parametrize("missing", ["id", "received_msat", "settled_at"])
async def test_other_fields_than_are_assumed_credit_nothing_by_guess(missing: str) -> None:
    entry: dict[str, Any] = {"id": "inv_1", "external_id": "x", "received_msat": 1, "settled_at": 1, "settle_number": 1}
    assert _arrival(entry, cursor="1").amount == 1
    del entry[missing]
    with pytest.raises(RailUnavailableError, match=f"fields that this adapter assumes .*{missing}"):
        _arrival(entry, cursor="1")


async def test_a_payment_settles_once_and_an_impossible_one_is_dead(rail: RiverRail, river: RiverProgram) -> None:
    prepared = await rail.prepare(to_pay(customers_bill(river)))
    lost = await rail.look_up(prepared)
    assert (lost.state, lost.proof["not_found"]) == (OutcomeState.UNKNOWN, True), "not known is not dead"
    paid = await rail.submit(prepared)
    assert (paid.state, paid.fee) == (OutcomeState.SUCCEEDED, 1000)
    assert await rail.submit(prepared) == paid == await rail.look_up(prepared)
    capped = await rail.prepare(to_pay(customers_bill(river), max_fee=10))
    dead = await rail.submit(capped)
    assert (dead.state, dead.proof["failure"]) == (OutcomeState.DEAD, "fee_above_limit")


async def test_a_provider_that_is_down_is_unavailable_and_what_it_answered_survives_its_kill(
    river: RiverProgram, rail: RiverRail
) -> None:
    prepared = await rail.prepare(to_pay(customers_bill(river)))
    paid = await rail.submit(prepared)
    river.kill()
    with pytest.raises(RailUnavailableError):
        await rail.look_up(prepared)
    with pytest.raises(RailUnavailableError):
        await rail.submit(prepared)
    assert (await rail.health()).health is Health.DOWN
    river.start()
    assert await rail.look_up(prepared) == paid


async def test_a_wrong_key_is_said_and_the_web_role_cannot_pay(river: RiverProgram) -> None:
    wrong = river_settings(Settings(APP_ENV="local"), river, river_api_key=SecretStr("wrong"))
    async with opened(wrong) as rail:
        assert "RIVER_API_KEY" in (await rail.health()).reason
    web_rail = build(river_settings(Settings(APP_ENV="local"), river), "web")
    assert web_rail is not None
    with pytest.raises(RailRefusedError, match="only the worker"):
        await web_rail.prepare(to_pay(customers_bill(river)))


def test_paths_are_settings_and_bad_ones_are_named(river: RiverProgram) -> None:
    for text, sentence in (
        ("[]", "JSON object"),
        ('{"nonsense": "/x"}', "nonsense"),
        ('{"payment": "/x"}', "must hold {id}"),
    ):
        with pytest.raises(SettingsError, match=sentence):
            build(river_settings(Settings(APP_ENV="local"), river, river_paths=text), "worker")
    plain = river_settings(Settings(APP_ENV="local"), river, river_url="http://api.river.example")
    with pytest.raises(SettingsError, match="https"):
        build(plain, "worker")


async def test_an_account_that_tells_no_balance_is_left_alone_or_said(river: RiverProgram) -> None:
    base = Settings(APP_ENV="local")
    async with opened(river_settings(base, river, river_paths='{"balance": ""}')) as silent:
        assert await silent.held() == {}
    async with opened(river_settings(base, river, river_paths='{"balance": "/health"}')) as other:
        with pytest.raises(RailUnavailableError, match="not the field that this adapter assumes"):
            await other.held()


async def forwarding(core: Core, port: int) -> web.AppRunner:
    """The service's inbound route on a port, for the provider to call."""

    async def take(request: web.Request) -> web.Response:
        async with client_of(core) as client:
            answer = await client.post(
                "/v1/inbound/river", content=await request.read(), headers=dict(request.headers.items())
            )
        return web.Response(status=answer.status_code, body=answer.content)

    app = web.Application()
    app.router.add_post("/hook", take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    return runner


async def test_a_signed_webhook_leads_to_one_credit(settings: Settings, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    program = RiverProgram(tmp_path, f"http://127.0.0.1:{port}/hook")
    with running(program):
        own = river_settings(settings, program)
        rail = build(own, "worker")
        assert rail is not None
        core = core_for(own, MemoryRail())
        core.rails["river"] = rail  # type: ignore[index]
        await core.start()
        runner = await forwarding(core, port)
        try:
            await compare_balances(core)
            key = (await new_key(core))["key"]
            async with client_of(core, **{"x-api-key": key}) as client:
                body = {"rail": "river", "amount": 30_000}
                made = (await client.post("/v1/invoices", json=body, headers={"Idempotency-Key": "r"})).json()
                program.ask("/sandbox/receive", {"external_id": made["paymentHash"]})

                async def event() -> Any:
                    return await core.database.value("SELECT event_id FROM payments.inbound_events", name="event")

                event_id = await until(event, 30)
                for _ in range(2):
                    await work_on(core, {"source": "river", "event_id": event_id})
                assert (await client.get(f"/v1/invoices/{made['id']}")).json()["status"] == "settled"
            assert (await balances(core))["assets:river"] == 30_000
            await compare_balances(core)
            labels = {"rail": "river", "asset": "BTC"}
            assert REGISTRY.get_sample_value("payment_balance_drift", labels) == 0
            # Somebody pays from the account, and it is no payment of ours.
            bill = program.ask("/sandbox/customer_invoice", {"amount_msat": 5_000})["payment_request"]
            async with opened(own) as other:
                await other.submit(await other.prepare(PaymentOrder(uuid4(), bill, "BTC", 5_000, 1_000)))
            await compare_balances(core)
            assert REGISTRY.get_sample_value("payment_balance_drift", labels) == -6_000
        finally:
            with contextlib.suppress(Exception):
                await runner.cleanup()
            await core.close()
