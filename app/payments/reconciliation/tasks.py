"""The worker's part: read every rail a second time and compare, arrival by arrival and payment by payment.

Arrivals are read from the rail again, from reconciliation's own cursor up to where crediting is now. One that the books
do not have is credited at once, by the same rules, and stays on record. Payments that ended are looked up again: one
that we hold for failed and the rail for paid (or the other way round) is drift until a person has explained it.
"""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta

import structlog

from payments import metrics
from payments.core import Core
from payments.database import Row
from payments.invoices import repository as invoices
from payments.rails.protocol import (
    Arrival,
    ArrivalSource,
    Outcome,
    OutcomeState,
    PayingRail,
    PaymentOrder,
    PreparedPayment,
    RailError,
    Reversal,
)
from payments.reconciliation import repository
from payments.reconciliation.balances import compare_balances
from payments.worker.work import Duty

BATCH = 200
# A stream that tells nothing for so long has told everything up to now.
QUIET_SECONDS = 2.0
# Whoever has just finished a payment, or credited an arrival, is not disturbed.
SETTLED_AFTER = timedelta(seconds=30)
EVERY_SECONDS = 300.0
_log = structlog.get_logger(__name__)


async def _read_again(source: ArrivalSource, cursor: str | None, until: str) -> tuple[list[Arrival], str]:
    """The rail's arrivals after `cursor`, up to `until`, at most about a batch; and the position after them."""
    found: list[Arrival] = []
    position = cursor or ""
    # Without this a stream that goes on for ever has told everything when it is quiet.
    between = getattr(source, "arrivals_between", None)
    stream = between(cursor, until) if between else source.arrivals(cursor)
    try:
        while position != until and (len(found) < BATCH or position == (cursor or "")):
            async with asyncio.timeout(None if between else QUIET_SECONDS):
                told = await anext(stream)
            if isinstance(told, Reversal):
                continue  # whoever follows the rail sees to it
            position = told.cursor
            if isinstance(told, Arrival):
                found.append(told)
    except (TimeoutError, StopAsyncIteration):
        pass
    finally:
        close = getattr(stream, "aclose", None)
        if close is not None:
            with contextlib.suppress(Exception):
                await close()
    return found, position


async def compare_arrivals(core: Core, source: ArrivalSource) -> int:
    """Compare one batch; returns how many arrivals were read.

    Raises:
        RailError: the rail does not answer.
    """
    done, credited_up_to = (
        await repository.position(core.database, source.name, "arrivals"),
        await invoices.cursor(core.database, source.name),
    )
    if credited_up_to is None or credited_up_to == done:
        return 0
    found, position = await _read_again(source, done or None, credited_up_to)
    books = await repository.credited(core.database, source.name, [arrival.event_id for arrival in found])
    missing = [arrival for arrival in found if arrival.event_id not in books]
    for arrival in missing:
        await _note_arrival(core, source.name, "arrival_missing", arrival, arrival.amount)
    if missing:
        await invoices.credit_without_cursor(core.database, source.name, missing)
        events = [arrival.event_id for arrival in missing]
        await repository.resolve_credited(core.database, source.name, events, now=core.clock.now())
    for arrival in found:
        known = books.get(arrival.event_id)
        if known is not None and known != (arrival.asset, arrival.amount):
            await _note_arrival(core, source.name, "arrival_differs", arrival, arrival.amount - known[1])
    if position != (done or ""):
        await repository.move_on(core.database, source.name, "arrivals", position, len(found))
    return len(found)


async def _note_arrival(core: Core, rail: str, kind: str, arrival: Arrival, difference: int) -> None:
    detail = {"railId": arrival.rail_id, "amount": arrival.amount, "arrivedAt": arrival.arrived_at.isoformat()}
    await _note(core, rail, kind, arrival.event_id, arrival.asset, difference, detail)


async def _note(
    core: Core, rail: str, kind: str, subject: str, asset: str, difference: int, detail: dict[str, object]
) -> None:
    is_new = await repository.note(
        core.database, rail=rail, kind=kind, subject=subject, asset=asset, difference=difference, detail=detail
    )
    if is_new:
        metrics.DISCREPANCIES.labels(rail, kind).inc()
        _log.error("rail and books differ", rail=rail, kind=kind, subject=subject, asset=asset, difference=difference)


def _difference(row: Row, outcome: Outcome) -> tuple[str, int] | None:
    """What is wrong with a payment that ended, and by how much the rail holds more than the books; None: they agree."""
    spent = row["amount"] + (row["fee"] or 0)
    if row["state"] == "succeeded":
        if outcome.state is OutcomeState.DEAD:
            return "payment_not_on_rail", spent
        if outcome.state is OutcomeState.SUCCEEDED and outcome.fee != (row["fee"] or 0):
            return "fee_differs", (row["fee"] or 0) - outcome.fee
        return None
    if outcome.state is OutcomeState.SUCCEEDED:
        return "payment_on_rail", -(row["amount"] + outcome.fee)
    return None


async def compare_payments(core: Core, rail: PayingRail) -> int:
    """Look one batch of ended payments up again; returns how many.

    Raises:
        RailError: the rail does not answer.
    """
    position = await repository.position(core.database, rail.name, "payments")
    until = core.clock.now() - SETTLED_AFTER
    rows = await repository.finished_payments(core.database, rail.name, position, until, BATCH)
    for number, row in enumerate(rows, 1):
        order = PaymentOrder(row["id"], row["payment_request"], row["asset"], row["amount"], row["max_fee"])
        outcome = await rail.look_up(PreparedPayment(order, row["rail_id"], row["payload"]))
        wrong = _difference(row, outcome)
        # The rail knows one payment a request: its success may be that of a later try.
        if wrong is not None and not (
            wrong[0] == "payment_on_rail" and await repository.tried_later(core.database, rail.name, row["rail_id"])
        ):
            detail = {"books": row["state"], "rail": outcome.state.value, "reason": outcome.reason}
            await _note(core, rail.name, wrong[0], str(row["id"]), row["asset"], wrong[1], detail)
        if number == len(rows) or number % 20 == 0:
            done = f"{row['finished_at'].isoformat()} {row['id']}"
            await repository.move_on(core.database, rail.name, "payments", done, number if number == len(rows) else 0)
    return len(rows)


async def reconcile(core: Core) -> None:
    """Compare what is new on every rail, then publish the drift."""
    for name, rail in core.rails.items():
        try:
            if isinstance(rail, ArrivalSource):
                while await compare_arrivals(core, rail) == BATCH:
                    pass
            if isinstance(rail, PayingRail) and getattr(rail, "can_pay", True):
                while await compare_payments(core, rail) == BATCH:
                    pass
        except RailError as error:
            _log.warning("a rail could not be reconciled", rail=name, error=error.sentence)
            continue
        metrics.RECONCILED_AT.labels(name).set(core.clock.now().timestamp())
    await measure(core)


async def measure(core: Core) -> None:
    """Publish the drift of every rail; 0 where nothing is unexplained."""
    found = {(row["rail"], row["asset"]): row for row in await repository.drifts(core.database)}
    for name, rail in core.rails.items():
        for asset in rail.assets:
            row = found.get((name, asset))
            metrics.DRIFT.labels(name, asset).set(row["drift"] if row else 0)
            metrics.DISCREPANCIES_OPEN.labels(name, asset).set(row["number"] if row else 0)


DUTIES = (
    Duty("reconcile rails", EVERY_SECONDS, reconcile),
    Duty("compare balances", EVERY_SECONDS, compare_balances),
    Duty("measure drift", 15.0, measure),
)
