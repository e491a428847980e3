"""Following the rails: every arrival is credited, in order, with the cursor in the crediting transaction; one that is
gone from its rail is reversed."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from typing import cast

import structlog

from payments import metrics
from payments.core import Core
from payments.inbound.reversals import reverse
from payments.invoices import repository
from payments.rails.protocol import Arrival, ArrivalSource, Progress, RailUnavailableError, Reversal

BATCH = 100
Told = Arrival | Progress | Reversal
_log = structlog.get_logger(__name__)


async def credit(core: Core, rail: str, batch: list[Arrival]) -> list[str]:
    """Credit a batch and count what became of it."""
    dispositions = await repository.credit(core.database, rail, batch)
    for disposition in dispositions:
        metrics.ARRIVALS.labels(rail, disposition).inc()
        if disposition not in ("known", "unmatched", "restored"):
            metrics.INVOICES.labels(disposition).inc()
    settled = {
        arrival.rail_id: arrival
        for arrival, disposition in zip(batch, dispositions, strict=True)
        if disposition in ("settled", "overpaid")
    }
    for arrival in settled.values():
        metrics.VOLUME.labels(rail, arrival.asset).inc(arrival.amount)
    for rail_id, created_at in await repository.created_at(core.database, rail, list(settled)):
        seconds = (settled[rail_id].arrived_at - created_at).total_seconds()
        metrics.SETTLEMENT_SECONDS.labels(rail).observe(max(seconds, 0.0))
    return dispositions


async def _read(source: ArrivalSource, cursor: str | None, into: asyncio.Queue[Told]) -> None:
    async for arrival in source.arrivals(cursor):
        await into.put(arrival)


async def _next_batch(reader: asyncio.Task[None], queue: asyncio.Queue[Told]) -> list[Told]:
    """What has come since; empty when the reader ended and everything it read was credited."""
    getter = asyncio.ensure_future(queue.get())
    await asyncio.wait({getter, reader}, return_when=asyncio.FIRST_COMPLETED)
    if not getter.done():
        getter.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await getter
        return []
    batch = [getter.result()]
    while len(batch) < BATCH and not queue.empty():
        batch.append(queue.get_nowait())
    return batch


async def follow_once(core: Core, source: ArrivalSource) -> None:
    """Follow a rail from the saved cursor until its stream ends.

    Raises:
        RailUnavailableError: the stream broke; what was read before is credited.
    """
    cursor = await repository.cursor(core.database, source.name)
    queue: asyncio.Queue[Told] = asyncio.Queue(maxsize=2 * BATCH)
    reader = asyncio.create_task(_read(source, cursor, queue))
    try:
        while batch := await _next_batch(reader, queue):
            for kind, group in itertools.groupby(batch, type):
                if kind is Arrival:
                    await credit(core, source.name, cast(list[Arrival], list(group)))
                elif kind is Reversal:
                    await reverse(core, source.name, cast(list[Reversal], list(group)))
            if isinstance(batch[-1], Progress):
                await repository.save_cursor(core.database, source.name, batch[-1].cursor)
        await reader
    finally:
        reader.cancel()
        with contextlib.suppress(asyncio.CancelledError, RailUnavailableError):
            await reader


async def follow(core: Core, source: ArrivalSource) -> None:
    """Follow a rail until cancelled; a broken stream is taken up again from the saved cursor."""
    pause = 0.5
    while True:
        started = asyncio.get_running_loop().time()
        try:
            await follow_once(core, source)
        except RailUnavailableError as error:
            metrics.RAIL_NETWORK_ERRORS.labels(source.name).inc()
            _log.warning("a rail's stream of arrivals broke", rail=source.name, error=error.sentence)
        if asyncio.get_running_loop().time() - started > 30:
            pause = 0.5
        await asyncio.sleep(pause)
        pause = min(pause * 2, 10.0)
