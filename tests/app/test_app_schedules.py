"""Generated schedules of requests, crashes and troubles: effects at most once, arrivals once, the books balanced.

Hypothesis prints how to replay a schedule that fails. The mutants show that the schedules would notice. At length:

    python -m pytest tests/app/test_app_schedules.py --full -k ten_thousand [--schedules 2500] [--schedule-seed 100]
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from hypothesis.errors import FlakyFailure

from payments.core import Core
from payments.payouts import sending
from payments.rails.protocol import Outcome, OutcomeState, PayingRail, PreparedPayment
from tests.app import servers
from tests.app.conftest import PostgresServer, RedisServer, TestDatabase, core_for, settings_for
from tests.app.memory_rail import MemoryRail
from tests.app.world import World
from tests.app.world_steps import SCHEDULES, Step

FAST = 90
FULL = 10_000
BATCH = 500
MUTANT = 50


class _Runner:
    """An event loop and a core that live over many schedules."""

    def __init__(self, database: TestDatabase, redis: RedisServer) -> None:
        self.loop = asyncio.new_event_loop()
        # A hold after failures waits for a person, whom no schedule has.
        self.core = core_for(settings_for(database, redis.url, suspicious_failures=10**6), MemoryRail())
        self.tried = 0
        self.loop.run_until_complete(self.core.start())

    def run(self, schedule: list[Step]) -> None:
        async def one() -> None:
            await (await World.new(self.core)).run(schedule)

        self.tried += 1
        self.loop.run_until_complete(asyncio.wait_for(one(), 60))

    def close(self) -> None:
        self.loop.run_until_complete(self.core.close())
        self.loop.close()


@pytest.fixture
def runner(database: TestDatabase, redis_server: RedisServer) -> Iterator[_Runner]:
    made = _Runner(database, redis_server)
    yield made
    made.close()


def _try(runner: _Runner, schedules: int, *, phases: tuple[Phase, ...] = tuple(Phase), seed: int | None = None) -> None:
    @settings(
        max_examples=schedules,
        deadline=None,
        print_blob=True,
        database=None,
        phases=phases,
        suppress_health_check=list(HealthCheck),
    )
    @given(schedule=SCHEDULES)
    def property_holds(schedule: list[Step]) -> None:
        runner.run(schedule)

    (property_holds if seed is None else seeded(seed)(property_holds))()


def test_nothing_happens_twice_and_nothing_is_lost(runner: _Runner) -> None:
    _try(runner, FAST)


@pytest.mark.full
def test_nothing_happens_twice_and_nothing_is_lost_in_ten_thousand_schedules(
    postgres: PostgresServer,
    migrated_template: str,
    redis_server: RedisServer,
    pytestconfig: pytest.Config,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """In batches, each with a seed and a fresh database: no table grows until it is slow."""
    wanted = pytestconfig.getoption("--schedules") or FULL
    tried, started = 0, time.monotonic()
    for seed in itertools.count(pytestconfig.getoption("--schedule-seed")):
        batch = min(BATCH, wanted - tried)
        with (
            servers.copied(postgres, migrated_template) as database,
            closing(_Runner(database, redis_server)) as runner,
        ):
            try:
                _try(runner, batch, seed=seed)
            except BaseException as error:
                error.add_note(f"Replay it with --full --schedule-seed {seed} --schedules {batch}")
                raise
            tried += runner.tried
        with capfd.disabled():
            seconds = time.monotonic() - started
            print(f"seed {seed}: {tried} of {wanted} schedules held, {tried / seconds:.1f}/s", flush=True)
        if tried >= wanted:
            return


SQL_MUTANTS = {
    "no unique idempotency key": "ALTER TABLE payments.idempotency_keys DROP CONSTRAINT idempotency_keys_pkey",
    "no unique journal": (
        "ALTER TABLE payments.journals DROP CONSTRAINT journals_kind_source_key;"
        "CREATE OR REPLACE FUNCTION payments.post_journal(p_kind text, p_source text, p_memo text, p_codes text[], "
        "p_assets text[], p_amounts numeric[]) RETURNS bigint LANGUAGE plpgsql AS $$ DECLARE v_journal bigint; BEGIN "
        "INSERT INTO payments.journals (kind, source, memo) VALUES (p_kind, p_source, p_memo) "
        "RETURNING id INTO v_journal; "
        "INSERT INTO payments.entries (journal_id, account_id, asset, amount) "
        "SELECT v_journal, payments.account_id(l.code, l.asset), l.asset, l.amount "
        "FROM unnest(p_codes, p_assets, p_amounts) AS l(code, asset, amount) WHERE l.amount <> 0; "
        "RETURN v_journal; END $$;"
        "ALTER TABLE payments.arrivals DROP CONSTRAINT arrivals_pkey CASCADE"
    ),
    "no lease": (
        "CREATE OR REPLACE FUNCTION payments.take_over_attempts(p_token uuid, p_lease_seconds double precision, "
        "p_limit integer, p_rails text[]) RETURNS SETOF payments.attempts LANGUAGE sql AS $$ "
        "UPDATE payments.attempts a SET lease_token = p_token WHERE state IN ('started', 'in_flight', 'unknown') "
        "AND rail = ANY (p_rails) RETURNING a.* $$"
    ),
}


@pytest.mark.parametrize("mutant", SQL_MUTANTS)
def test_a_mutant_is_caught(runner: _Runner, database: TestDatabase, mutant: str) -> None:
    with psycopg.connect(database.owner_url) as connection:
        connection.execute(SQL_MUTANTS[mutant].encode())
    with pytest.raises((AssertionError, psycopg.Error, FlakyFailure, ExceptionGroup)):
        _try(runner, MUTANT, phases=(Phase.generate,))
    print(f"{mutant}: caught, after {runner.tried} schedules and their repetitions")


def test_a_mutant_that_takes_unknown_for_failed_is_caught(runner: _Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    submit = sending.submit

    async def hasty(core: Core, rail: PayingRail, prepared: PreparedPayment) -> Outcome:
        outcome = await submit(core, rail, prepared)
        if outcome.state is OutcomeState.UNKNOWN:
            return Outcome(OutcomeState.DEAD, proof={"timeout": True}, reason="timed out")
        return outcome

    monkeypatch.setattr(sending, "submit", hasty)
    with pytest.raises((AssertionError, FlakyFailure, ExceptionGroup)):
        _try(runner, MUTANT, phases=(Phase.generate,))
    print(f"unknown taken for failed: caught, after {runner.tried} schedules and their repetitions")
