"""Trying again what is safe to try again: a few times, later and later, with jitter, and not before the wish of the
other side. Only for calls that change nothing, or that the other side knows by an identity; the caller promises
that."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")
# pk-retry-bounded; facts.md section 3 proposes three.
MAXIMUM_RETRIES = 3
FIRST_PAUSE_SECONDS = 0.1
# A wish beyond this is not waited for inside a request: the caller is told to come again.
LONGEST_PAUSE_SECONDS = 5.0


def pause_before(retry: int, wish_seconds: float | None, spread: float) -> float:
    """Seconds to wait before retry number `retry` (from 1): doubling from 0.1 s, between half and all of it by `spread`
    in [0, 1), and never less than the other side's wish (pk-retry-after)."""
    grown = min(FIRST_PAUSE_SECONDS * 2.0 ** (retry - 1), LONGEST_PAUSE_SECONDS)
    return max(grown * (0.5 + spread / 2), wish_seconds or 0.0)


async def again(
    call: Callable[[], Awaitable[T]],
    *,
    retry_on: Callable[[Exception], bool],
    retries: int = MAXIMUM_RETRIES,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    spread: Callable[[], float] = random.random,
) -> T:
    """The result of `call`, made at most `retries` + 1 times.

    Args:
        call: idempotent.
        retry_on: whether an error is worth another try. An error's `retry_after_seconds` is honoured; one that asks for
            more than `LONGEST_PAUSE_SECONDS` is raised at once.

    Raises:
        The last error of `call`.
    """
    for retry in range(1, retries + 1):
        try:
            return await call()
        except Exception as error:
            wish: float | None = getattr(error, "retry_after_seconds", None)
            if not retry_on(error) or (wish or 0.0) > LONGEST_PAUSE_SECONDS:
                raise
            await sleep(pause_before(retry, wish, spread()))
    return await call()
