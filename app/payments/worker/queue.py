"""The job queue (procrastinate): one task that runs whatever job of ours it carries.

Every job is the same procrastinate task, so that a job this release does not know goes back to the queue with an alarm,
and never to `failed`. Queues are named by contract version; a worker listens only to those it knows.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from typing import Any

import procrastinate
import structlog
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Job as QueuedJob
from psycopg import AsyncConnection
from psycopg.rows import DictRow

from payments import metrics
from payments.core import Core
from payments.database import SEARCH_PATH, Row
from payments.worker.work import Job, queue_of

TASK_NAME = "payments.job"
CONCURRENCY = 10
CONNECTIONS = 4
POLL_SECONDS = 1.0
# A worker that has not said anything for this long is dead; its jobs are taken back.
STALLED_SECONDS = 30.0
LONGEST_RETRY_SECONDS = 300.0
UNKNOWN_RETRY_SECONDS = 30.0
ALARMING_TRIES = 10
_log = structlog.get_logger(__name__)


class UnknownJobError(Exception):
    """This release has no handler for the job; another one may."""


class _Retry(procrastinate.BaseRetryStrategy):
    """Every job that raises is tried again, later and later; nothing is ever given up by time."""

    def get_retry_decision(self, *, exception: BaseException, job: QueuedJob) -> procrastinate.RetryDecision | None:
        wish: float | None = getattr(exception, "retry_after_seconds", None)
        if isinstance(exception, UnknownJobError):
            seconds = UNKNOWN_RETRY_SECONDS
        elif wish is not None:
            # Whoever refused knows best when it is worth asking again; a rail's wish for hours is cut short.
            seconds = min(max(wish, 1.0), LONGEST_RETRY_SECONDS)
        else:
            seconds = min(2.0 ** min(job.attempts, 16), LONGEST_RETRY_SECONDS)
            if job.attempts >= ALARMING_TRIES:
                metrics.JOBS.labels(str(job.task_kwargs.get("name")), "failing").inc()
        jittered = max(1, round(seconds * random.uniform(0.8, 1.2)))  # noqa: S311
        return procrastinate.RetryDecision(retry_in={"seconds": jittered})


class JobQueue:
    """The queue as the relay fills it and the worker empties it.

    Args:
        url: of payments_app; a secret.
        handlers: by name and contract version.
    """

    def __init__(self, url: str, core: Core, handlers: Mapping[tuple[str, int], Job]) -> None:
        self._core = core
        self._handlers = handlers
        self.app = procrastinate.App(
            connector=procrastinate.PsycopgConnector(
                conninfo=url,
                kwargs={"options": f"-c search_path={SEARCH_PATH}", "connect_timeout": 5, "application_name": "jobs"},
                min_size=1,
                max_size=CONNECTIONS,
                timeout=10,
                reconnect_timeout=5,
            )
        )
        self.app.task(name=TASK_NAME, retry=_Retry())(self._run)

    async def open(self) -> None:
        """Open its connections.

        Raises:
            ConnectorException: PostgreSQL does not answer; the supervisor tries again.
        """
        await self.app.open_async()

    async def close(self) -> None:
        """Close them."""
        await self.app.close_async()

    async def _run(self, *, name: str, contract_version: int, payload: dict[str, Any], release: str) -> None:
        handler = self._handlers.get((name, contract_version))
        if handler is None:
            metrics.UNKNOWN_JOBS.labels(name).inc()
            _log.error("a job that this release does not know went back to the queue", job=name, of_release=release)
            raise UnknownJobError(name)
        started = time.perf_counter()
        try:
            await handler.handle(self._core, payload)
        except Exception as error:
            metrics.JOBS.labels(name, "retried").inc()
            _log.warning("a job will be tried again", job=name, payload=payload, error=repr(error))
            raise
        metrics.JOBS.labels(name, "done").inc()
        _log.debug("job done", job=name, milliseconds=round((time.perf_counter() - started) * 1000))

    async def defer(self, connection: AsyncConnection[DictRow], rows: list[Row]) -> None:
        """Defer the jobs of outbox rows inside the relay's transaction. Jobs of one subject never run side by side."""
        jobs = [
            QueuedJob(
                queue=queue_of(row["contract_version"]),
                lock=f"{row['subject_kind']}:{row['subject_id']}" if row["subject_id"] else None,
                queueing_lock=None,
                task_name=TASK_NAME,
                task_kwargs={
                    "name": row["name"],
                    "contract_version": row["contract_version"],
                    "payload": row["payload"],
                    "release": row["release"],
                },
            )
            for row in rows
        ]
        if jobs:
            await self.app.job_manager.batch_defer_jobs_async(jobs=jobs, connection=connection)

    async def work(self, queues: list[str]) -> None:
        """Run jobs until cancelled; jobs under way are waited for, then given back."""
        await self.app.run_worker_async(
            queues=queues,
            concurrency=CONCURRENCY,
            install_signal_handlers=False,
            listen_notify=True,
            fetch_job_polling_interval=POLL_SECONDS,
            shutdown_graceful_timeout=10.0,
            delete_jobs="successful",
            stalled_worker_timeout=STALLED_SECONDS,
        )
        raise ConnectorException("The job worker stopped by itself.")

    async def take_back_stalled(self) -> int:
        """Give the jobs of dead workers back to the queue; returns how many."""
        manager = self.app.job_manager
        stalled = list(await manager.get_stalled_jobs(seconds_since_heartbeat=STALLED_SECONDS))
        for job in stalled:
            await manager.retry_job(job)
        return len(stalled)
