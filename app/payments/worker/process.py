"""The worker process: its loops, and the HTTP server of its /health, /ready and /metrics."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI

from payments import cloudwatch
from payments.core import Core
from payments.rails.protocol import ArrivalSource
from payments.version import VERSION
from payments.web import health
from payments.web.error_answers import install
from payments.web.gate import AsgiApplication, Gate
from payments.worker import registry
from payments.worker.following import follow
from payments.worker.loops import Loops
from payments.worker.queue import JobQueue
from payments.worker.relay import measure_lag, relay
from payments.worker.sweeper import sweep

LAG_SECONDS = 2.0
STALLED_CHECK_SECONDS = 10.0
HEALTH_SECONDS = 15.0


class Worker:
    """Everything the worker does, from `start` to `stop`."""

    def __init__(self, core: Core, database_url: str) -> None:
        self._core = core
        self._queue = JobQueue(database_url, core, registry.jobs())
        self._queue_is_open = False
        self.loops = Loops()

    async def start(self) -> None:
        """Open connections and begin every loop."""
        core, loops = self._core, self.loops
        await core.start()
        loops.start("relay", self._with_queue(functools.partial(relay, core, self._queue)))
        loops.start("jobs", self._with_queue(functools.partial(self._queue.work, registry.queues())))
        loops.start("sweeper", functools.partial(sweep, core, registry.look_ups()))
        for name, rail in core.rails.items():
            if isinstance(rail, ArrivalSource):
                loops.start(f"arrivals {name}", functools.partial(follow, core, rail))
        loops.every("outbox lag", LAG_SECONDS, functools.partial(measure_lag, core))
        loops.every("stalled jobs", STALLED_CHECK_SECONDS, self._with_queue(self._take_back_stalled))
        loops.every("rails' health", HEALTH_SECONDS, self._measure_health)
        if core.settings.cloudwatch_namespace:
            loops.start("CloudWatch", functools.partial(cloudwatch.publish_for, core, is_worker=True))
        for duty in registry.duties():
            loops.every(duty.name, duty.every_seconds, functools.partial(duty.run, core))

    def _with_queue(self, loop: Any) -> Any:
        async def run() -> None:
            await self._queue.open()
            await loop()

        return run

    async def _take_back_stalled(self) -> None:
        await self._queue.take_back_stalled()

    async def _measure_health(self) -> None:
        await health.readiness(self._core)

    async def stop(self) -> None:
        """Let jobs under way end, then close. What is cut off is found by its lease."""
        await self.loops.stop()
        await self._queue.close()
        await self._core.close()


def create_application(worker: Worker, core: Core) -> AsgiApplication:
    """The worker's small HTTP face."""

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await worker.start()
        try:
            yield
        finally:
            await worker.stop()

    application = FastAPI(title="Railyard worker", version=VERSION, lifespan=lifespan, docs_url=None, redoc_url=None)
    application.state.core = core
    application.state.more_checks = worker.loops.checks
    application.include_router(health.router)

    install(application)
    return Gate(application, is_quiet=True)
