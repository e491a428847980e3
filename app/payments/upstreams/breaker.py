"""Circuit breaker: an upstream that failed several times in a row is not asked for a while, then once, as a trial."""

from __future__ import annotations

import enum
import random
import time
from collections.abc import Callable

import structlog

from payments import metrics

_log = structlog.get_logger(__name__)


class BreakerState(enum.StrEnum):
    """Closed: calls pass. Open: none does. Half open: one does, and decides."""

    CLOSED = "closed"
    HALF_OPEN = "half_open"
    OPEN = "open"


_GAUGE = {BreakerState.CLOSED: 0.0, BreakerState.HALF_OPEN: 0.5, BreakerState.OPEN: 1.0}


class BreakerOpenError(Exception):
    """The upstream was not asked. `retry_after_seconds` says when it is worth asking."""

    def __init__(self, upstream: str, retry_after_seconds: float) -> None:
        super().__init__(f"{upstream} failed several times in a row and is left alone for a while.")
        self.upstream = upstream
        self.retry_after_seconds = retry_after_seconds


class Breaker:
    """The breaker of one upstream. A call asks `admit` and then reports `succeeded` or `failed`.

    Only what says that the upstream itself is in trouble counts as a failure: no connection, no answer, an answer of
    5xx. An answer that refuses a request is an answer.

    Args:
        upstream: labels the metric.
        failures: in a row that open it.
        rest_seconds: how long it stays open, with up to a quarter more so that processes do not ask in step.
        now: monotonic seconds.
        spread: a number in [0, 1).
        is_published: whether the metric shows it: not those of strangers, whose number nobody bounds.
    """

    def __init__(
        self,
        upstream: str,
        *,
        failures: int = 5,
        rest_seconds: float = 10.0,
        now: Callable[[], float] = time.monotonic,
        spread: Callable[[], float] = random.random,
        is_published: bool = True,
    ) -> None:
        self.upstream = upstream
        self._limit = failures
        self._rest_seconds = rest_seconds
        self._now = now
        self._spread = spread
        self._failures = 0
        self._open_until = 0.0
        self._trial_until = 0.0
        self.state = BreakerState.CLOSED
        self._gauge = metrics.BREAKERS.labels(upstream) if is_published else None
        if self._gauge is not None:
            self._gauge.set(0.0)

    def admit(self) -> None:
        """Let a call pass.

        Raises:
            BreakerOpenError: it is open, or the one trial call is under way.
        """
        if self.state is BreakerState.CLOSED:
            return
        now = self._now()
        waits_until = self._open_until if self.state is BreakerState.OPEN else self._trial_until
        if now < waits_until:
            raise BreakerOpenError(self.upstream, waits_until - now)
        # A trial that never reported (cancelled) does not block the next one for ever.
        self._trial_until = now + self._rest_seconds
        self._enter(BreakerState.HALF_OPEN)

    def succeeded(self) -> None:
        """The upstream answered."""
        self._failures = 0
        self._enter(BreakerState.CLOSED)

    def failed(self) -> None:
        """The upstream is in trouble."""
        self._failures += 1
        if self.state is BreakerState.HALF_OPEN or self._failures >= self._limit:
            self._open_until = self._now() + self._rest_seconds * (1 + self._spread() / 4)
            self._enter(BreakerState.OPEN)

    def _enter(self, state: BreakerState) -> None:
        if state is not self.state:
            self.state = state
            if self._gauge is not None:
                self._gauge.set(_GAUGE[state])
            level = _log.warning if state is BreakerState.OPEN else _log.info
            level("circuit breaker", upstream=self.upstream, state=state.value, failures=self._failures)
