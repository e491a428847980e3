"""The limiter: one Lua call on Redis for all limits of a step, and a share of each limit in memory without Redis.

Without Redis (design section 4, rule 10) a request of the kind OPEN passes under this process' share of the limit; one
of the kind CLOSED (payouts, key creation, login) is refused.
"""

from __future__ import annotations

import enum
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from payments import metrics
from payments.errors import RateLimited, ServiceUnavailable
from payments.limits.redis_link import RedisDownError, RedisLink, RedisReplyError

_SCRIPT = (Path(__file__).parent / "sliding_window.lua").read_text()
TIMEOUT_SECONDS = 0.75
# After a failure Redis is not asked for this long: a dead Redis must not add its timeout to every request.
REST_SECONDS = 1.0
_log = structlog.get_logger(__name__)


class WithoutRedis(enum.Enum):
    """What a request may do while Redis is down."""

    OPEN = "open"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `ceiling` requests of `subject` in a window. `scope` labels the metric: ip, key, user."""

    scope: str
    subject: str
    ceiling: int


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left after this request, for the rate-limit headers."""

    ceiling: int
    remaining: int
    reset_seconds: int

    def headers(self) -> dict[str, str]:
        """X-RateLimit-* headers."""
        return {
            "X-RateLimit-Limit": str(self.ceiling),
            "X-RateLimit-Remaining": str(max(self.remaining, 0)),
            "X-RateLimit-Reset": str(self.reset_seconds),
        }


class _Shares:
    """This process' share of each limit, in memory, in fixed windows."""

    def __init__(self, window_ms: int, instances: int) -> None:
        self._window_ms = window_ms
        self._instances = instances
        self._window = -1
        self._counts: dict[tuple[str, str], int] = {}

    def take(self, now_ms: int, limits: Sequence[Limit]) -> tuple[int, int, int]:
        window = now_ms // self._window_ms
        if window != self._window:
            self._window, self._counts = window, {}
        wait = self._window_ms - now_ms % self._window_ms
        rest = 0
        for index, limit in enumerate(limits, 1):
            share = max(1, limit.ceiling // self._instances)
            used = self._counts.get((limit.scope, limit.subject), 0)
            if used + 1 > share:
                return index, 0, wait
            rest = share - used - 1 if index == 1 else min(rest, share - used - 1)
        for limit in limits:
            key = (limit.scope, limit.subject)
            self._counts[key] = self._counts.get(key, 0) + 1
        return 0, rest, wait


class Limiter:
    """Limits of one process.

    Args:
        url: of Redis; a secret.
        window_seconds: of every limit.
        instances: processes that share a limit while Redis is down.
        now: seconds since the epoch.
    """

    def __init__(self, url: str, *, window_seconds: int, instances: int, now: Callable[[], float] = time.time) -> None:
        self._redis = RedisLink(url, timeout_seconds=TIMEOUT_SECONDS)
        self._digest: bytes = b""
        self._window_ms = window_seconds * 1000
        self._now = now
        self._shares = _Shares(self._window_ms, instances)
        self._rests_until = 0.0
        self.down_since: float | None = None

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.close()

    def _failed(self, error: Exception) -> None:
        self._rests_until = time.monotonic() + REST_SECONDS
        metrics.REDIS_UP.set(0)
        if self.down_since is None:
            self.down_since = time.monotonic()
            _log.warning("Redis does not answer: limits hold per process, payouts are refused.", error=str(error))

    def _answered(self) -> None:
        metrics.REDIS_UP.set(1)
        if self.down_since is not None:
            _log.info("Redis answers again.", down_seconds=round(time.monotonic() - self.down_since, 1))
            self.down_since = None

    async def ping(self) -> bool:
        """Whether Redis answers now."""
        try:
            await self._redis.call("PING")
        except (RedisDownError, RedisReplyError) as error:
            self._failed(error)
            return False
        self._answered()
        return True

    async def _ask(self, keys: list[str], arguments: list[int]) -> list[int]:
        if not self._digest:
            self._digest = await self._redis.call("SCRIPT", "LOAD", _SCRIPT)
        try:
            answer = await self._redis.call("EVALSHA", self._digest, len(keys), *keys, *arguments)
        except RedisReplyError as error:
            if not str(error).startswith("NOSCRIPT"):
                raise
            self._digest = await self._redis.call("SCRIPT", "LOAD", _SCRIPT)
            answer = await self._redis.call("EVALSHA", self._digest, len(keys), *keys, *arguments)
        return [int(part) for part in answer]

    async def take(self, limits: Sequence[Limit], without_redis: WithoutRedis) -> Allowance:
        """Count one request against all of `limits`, or against none of them.

        Raises:
            RateLimited: one of them is reached; with Retry-After.
            ServiceUnavailable: Redis is down and the request is of the kind CLOSED.
        """
        now_ms = int(self._now() * 1000)
        reached, rest, wait_ms = await self._count(limits, now_ms, without_redis)
        ceiling = limits[reached - 1 if reached else 0].ceiling
        allowance = Allowance(ceiling, rest, -(-wait_ms // 1000))
        if reached:
            limit = limits[reached - 1]
            metrics.RATE_LIMIT_HITS.labels(limit.scope).inc()
            raise RateLimited(
                f"Too many requests of this {limit.scope}: at most {limit.ceiling} in {self._window_ms // 1000} s.",
                details={"scope": limit.scope, "limit": limit.ceiling, "windowSeconds": self._window_ms // 1000},
                headers={**allowance.headers(), "Retry-After": str(max(1, allowance.reset_seconds))},
            )
        return allowance

    async def _count(self, limits: Sequence[Limit], now_ms: int, without_redis: WithoutRedis) -> tuple[int, int, int]:
        if time.monotonic() >= self._rests_until:
            window = now_ms // self._window_ms
            keys = [f"rl:{limit.scope}:{limit.subject}:{w}" for limit in limits for w in (window, window - 1)]
            try:
                reached, rest, wait = await self._ask(
                    keys, [now_ms, self._window_ms, *(limit.ceiling for limit in limits)]
                )
            except (RedisDownError, RedisReplyError) as error:
                self._failed(error)
            else:
                self._answered()
                return reached, rest, wait
        if without_redis is WithoutRedis.CLOSED:
            raise ServiceUnavailable(
                "This is refused while the rate limiter is down: try again in a minute.", headers={"Retry-After": "60"}
            )
        return self._shares.take(now_ms, limits)
