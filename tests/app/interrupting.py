"""Cancelling a coroutine at its n-th suspension, so that a test can try every await one after the other."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Coroutine, Generator
from typing import Any, TypeVar

T = TypeVar("T")


class Interrupted(Exception):  # noqa: N818
    """The coroutine was cancelled where it was asked to be."""


@types.coroutine
def interrupt_at(suspension: int, coroutine: Coroutine[Any, Any, T]) -> Generator[Any, Any, T]:
    """Run `coroutine` and cancel it at its `suspension`-th suspension (from 1); 0 lets it run.

    Raises:
        Interrupted: it was cancelled there and ended by it.
    """
    count = 0
    thrown: BaseException | None = None
    while True:
        try:
            waiting = coroutine.throw(thrown) if thrown is not None else coroutine.send(None)
        except StopIteration as finished:
            result: T = finished.value
            return result
        except asyncio.CancelledError:
            if suspension and count >= suspension:
                raise Interrupted from None
            raise
        count += 1
        thrown = asyncio.CancelledError() if count == suspension else None
        if thrown is None:
            try:
                yield waiting
            except BaseException as error:
                thrown = error
        elif isinstance(waiting, asyncio.Future):
            # What the task waited for is not waited for any more.
            waiting.cancel()
