"""What is committed happens once: the relay, the job queue, unknown jobs, dead workers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import psycopg
import pytest

from payments.core import Core
from payments.outbox import repository
from payments.settings import Settings
from payments.worker.loops import Loops
from payments.worker.queue import JobQueue
from payments.worker.relay import relay, relay_once
from payments.worker.work import Job, queue_of
from tests.app.conftest import until


async def _enqueue(core: Core, number: int, name: str = "test.job", version: int = 1, subject: str = "") -> None:
    async with core.database.transaction() as connection:
        await repository.enqueue_job(
            connection,
            name=name,
            contract_version=version,
            subject_kind="thing",
            subject_id=subject,
            payload={"number": number},
            release="r1",
        )


class Recorder:
    """Counts how often each job ran."""

    def __init__(self) -> None:
        self.seen: list[int] = []
        self.fail_first = 0
        self.running = 0
        self.most_at_once = 0

    async def handle(self, _core: Core, payload: Mapping[str, Any]) -> None:
        self.running += 1
        self.most_at_once = max(self.most_at_once, self.running)
        await asyncio.sleep(0.01)
        self.running -= 1
        if self.fail_first > 0:
            self.fail_first -= 1
            raise RuntimeError("not yet")
        self.seen.append(payload["number"])


@asynccontextmanager
async def _queue(settings: Settings, core: Core, recorder: Recorder, version: int = 1) -> AsyncIterator[JobQueue]:
    assert settings.database_url is not None
    jobs = {("test.job", version): Job("test.job", recorder.handle, version)}
    queue = JobQueue(settings.database_url.get_secret_value(), core, jobs)
    await queue.open()
    yield queue
    await queue.close()


@asynccontextmanager
async def _running(*loops: Any) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(loop) for loop in loops]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _queued(core: Core) -> list[dict[str, Any]]:
    return await core.database.all("SELECT * FROM procrastinate.procrastinate_jobs ORDER BY id", name="test")


class TestRelay:
    async def test_two_relays_at_once_defer_each_row_once(self, core: Core, settings: Settings) -> None:
        for number in range(300):
            await _enqueue(core, number)
        recorder = Recorder()
        async with _queue(settings, core, recorder) as queue, _running(relay(core, queue), relay(core, queue)):

            async def empty() -> bool:
                return not await core.database.value("SELECT count(*) FROM payments.outbox", name="test")

            await until(empty)
        numbers = [row["args"]["payload"]["number"] for row in await _queued(core)]
        assert sorted(numbers) == list(range(300))

    async def test_a_relay_that_dies_before_its_commit_took_nothing(self, core: Core, settings: Settings) -> None:
        await _enqueue(core, 1)
        async with _queue(settings, core, Recorder()) as queue:
            with suppress(RuntimeError):
                async with core.database.transaction() as connection:
                    rows = await repository.take(connection, 10)
                    await queue.defer(connection, rows)
                    raise RuntimeError("killed")
            assert await _queued(core) == []
            assert await relay_once(core, queue) == 1
            assert await relay_once(core, queue) == 0
        assert len(await _queued(core)) == 1

    async def test_what_is_rolled_back_is_never_relayed(self, core: Core, settings: Settings) -> None:
        async with core.database.transaction() as connection:
            await repository.publish_event(
                connection, name="e", subject_kind="t", subject_id="1", user_id="a", environment="test", payload={}
            )
            raise psycopg.Rollback
        async with _queue(settings, core, Recorder()) as queue:
            assert await relay_once(core, queue) == 0

    async def test_events_are_recorded_in_order_and_make_no_job(self, core: Core, settings: Settings) -> None:
        async with core.database.transaction() as connection:
            for number in range(5):
                await repository.publish_event(
                    connection,
                    name=f"e{number}",
                    subject_kind="t",
                    subject_id="1",
                    user_id="a",
                    environment="test",
                    payload={},
                )
        async with _queue(settings, core, Recorder()) as queue:
            assert await relay_once(core, queue) == 5
        events = await core.database.all("SELECT name FROM payments.events ORDER BY position", name="test")
        assert [event["name"] for event in events] == [f"e{number}" for number in range(5)]
        assert await _queued(core) == []

    async def test_a_row_is_not_changed(self, core: Core) -> None:
        await _enqueue(core, 1)
        with pytest.raises(psycopg.Error, match="append-only"):
            await core.database.run("UPDATE payments.outbox SET kind = 'event'", name="test")


class TestJobs:
    async def test_each_job_runs_once_and_goes(self, core: Core, settings: Settings) -> None:
        recorder = Recorder()
        for number in range(40):
            await _enqueue(core, number)
        async with _queue(settings, core, recorder) as queue, _running(relay(core, queue), queue.work(["v1"])):

            async def all_done() -> bool:
                return len(recorder.seen) >= 40 and not await _queued(core)

            await until(all_done)
        assert sorted(recorder.seen) == list(range(40))
        assert recorder.most_at_once > 1

    async def test_jobs_of_one_subject_run_one_after_the_other(self, core: Core, settings: Settings) -> None:
        recorder = Recorder()
        for number in range(6):
            await _enqueue(core, number, subject="same")
        async with _queue(settings, core, recorder) as queue, _running(relay(core, queue), queue.work(["v1"])):

            async def all_done() -> bool:
                return len(recorder.seen) == 6

            await until(all_done)
        assert recorder.seen == list(range(6))
        assert recorder.most_at_once == 1

    async def test_a_job_that_raises_comes_again(self, core: Core, settings: Settings) -> None:
        recorder = Recorder()
        recorder.fail_first = 1
        await _enqueue(core, 1)
        async with _queue(settings, core, recorder) as queue, _running(relay(core, queue), queue.work(["v1"])):

            async def done() -> bool:
                return recorder.seen == [1]

            await until(done)

    async def test_a_job_this_release_does_not_know_goes_back_and_is_not_failed(
        self, core: Core, settings: Settings
    ) -> None:
        await _enqueue(core, 1, name="job.of.tomorrow")
        async with _queue(settings, core, Recorder()) as queue, _running(relay(core, queue), queue.work(["v1"])):

            async def given_back() -> bool:
                rows = await _queued(core)
                return bool(rows) and rows[0]["attempts"] == 1

            await until(given_back)
        (row,) = await _queued(core)
        assert row["status"] == "todo"

    async def test_a_worker_listens_only_to_the_versions_it_knows(self, core: Core, settings: Settings) -> None:
        recorder = Recorder()
        await _enqueue(core, 2, version=2)
        await _enqueue(core, 1, version=1)
        async with _queue(settings, core, recorder) as queue, _running(relay(core, queue), queue.work([queue_of(1)])):

            async def done() -> bool:
                return recorder.seen == [1]

            await until(done)
        (left,) = await _queued(core)
        assert (left["queue_name"], left["status"], left["attempts"]) == ("v2", "todo", 0)

    async def test_the_jobs_of_a_dead_worker_are_taken_back(self, core: Core, settings: Settings) -> None:
        await _enqueue(core, 1)
        recorder = Recorder()
        async with _queue(settings, core, recorder) as queue:
            await relay_once(core, queue)
            # What a kill -9 leaves: a job in `doing`, of a worker whose heartbeat stopped.
            await core.database.run(
                "WITH w AS (INSERT INTO procrastinate.procrastinate_workers (last_heartbeat) "
                "VALUES (now() - interval '1 hour') RETURNING id) "
                "UPDATE procrastinate.procrastinate_jobs SET status = 'doing', worker_id = w.id FROM w",
                name="test",
            )
            assert await queue.take_back_stalled() == 1
            async with _running(queue.work(["v1"])):

                async def done() -> bool:
                    return recorder.seen == [1]

                await until(done)


class TestLoops:
    async def test_a_loop_that_fails_begins_again_and_readiness_says_so(self, monkeypatch: pytest.MonkeyPatch) -> None:
        runs = 0

        async def loop() -> None:
            nonlocal runs
            runs += 1
            if runs < 3:
                raise RuntimeError("trouble")
            await asyncio.Event().wait()

        loops = Loops()
        loops.start("one", loop)

        async def third() -> bool:
            return runs == 3

        await until(third)
        assert loops.checks() == {"loop one": "RuntimeError"}

        async def healed() -> bool:
            return loops.checks() == {"loop one": "ok"}

        await until(healed)
        await loops.stop()
