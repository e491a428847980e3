"""Calls to other systems: the breaker opens and closes, tries are bounded, spread and patient, pools are small."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from payments.upstreams.breaker import Breaker, BreakerOpenError, BreakerState
from payments.upstreams.retrying import LONGEST_PAUSE_SECONDS, again, pause_before
from payments.upstreams.session import new_session


class _Time:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class TestBreaker:
    @pytest.fixture
    def time(self) -> _Time:
        return _Time()

    @pytest.fixture
    def breaker(self, time: _Time) -> Breaker:
        return Breaker("test", failures=3, rest_seconds=10, now=time, spread=lambda: 0.0)

    def _fail(self, breaker: Breaker, times: int) -> None:
        for _ in range(times):
            breaker.admit()
            breaker.failed()

    def test_it_opens_after_failures_in_a_row_alone(self, breaker: Breaker) -> None:
        self._fail(breaker, 2)
        breaker.succeeded()
        self._fail(breaker, 2)
        assert breaker.state is BreakerState.CLOSED
        self._fail(breaker, 1)
        with pytest.raises(BreakerOpenError) as caught:
            breaker.admit()
        assert caught.value.retry_after_seconds == 10

    def test_one_trial_decides(self, breaker: Breaker, time: _Time) -> None:
        self._fail(breaker, 3)
        time.now += 10
        breaker.admit()
        with pytest.raises(BreakerOpenError):
            breaker.admit()
        breaker.failed()
        with pytest.raises(BreakerOpenError):
            breaker.admit()
        time.now += 10
        breaker.admit()
        breaker.succeeded()
        for _ in range(5):
            breaker.admit()

    def test_a_trial_that_never_reports_blocks_nobody_for_ever(self, breaker: Breaker, time: _Time) -> None:
        self._fail(breaker, 3)
        time.now += 10
        breaker.admit()
        time.now += 10
        breaker.admit()


class _WishError(Exception):
    def __init__(self, seconds: float | None) -> None:
        super().__init__("again later")
        self.retry_after_seconds = seconds


class TestAgain:
    async def _try(self, errors: list[Exception], **more: Any) -> tuple[int, list[float]]:
        calls, pauses = itertools.count(1), list[float]()

        async def call() -> int:
            number = next(calls)
            if number <= len(errors):
                raise errors[number - 1]
            return number

        async def sleep(seconds: float) -> None:
            pauses.append(seconds)

        made = await again(call, retry_on=lambda error: isinstance(error, _WishError), sleep=sleep, **more)
        return made, pauses

    async def test_it_tries_three_times_more_later_and_later(self) -> None:
        made, pauses = await self._try([_WishError(None)] * 3, spread=lambda: 1.0)
        assert (made, pauses) == (4, [0.1, 0.2, 0.4])
        with pytest.raises(_WishError):
            await self._try([_WishError(None)] * 4)

    async def test_the_other_sides_wish_is_honoured_or_handed_on(self) -> None:
        assert await self._try([_WishError(1.5)]) == (2, [1.5])
        with pytest.raises(_WishError):
            await self._try([_WishError(LONGEST_PAUSE_SECONDS + 1)])

    async def test_what_is_not_worth_a_try_is_raised_at_once(self) -> None:
        with pytest.raises(ValueError, match="no"):
            await self._try([ValueError("no")])

    def test_pauses_are_spread(self) -> None:
        assert pause_before(3, None, 0.0) == pytest.approx(0.2)
        assert pause_before(3, None, 0.99) < 0.4
        assert pause_before(30, None, 1.0) == LONGEST_PAUSE_SECONDS


async def test_pools_are_as_the_guides_ask() -> None:
    session = new_session()
    connector: Any = session.connector
    assert (connector.limit_per_host, connector._keepalive_timeout) == (10, 30.0)
    assert (session.timeout.total, session.timeout.connect) == (30.0, 5.0)
    await session.close()
