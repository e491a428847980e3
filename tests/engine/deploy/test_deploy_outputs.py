"""What a program's process waits for: every output once, those made meanwhile too, and the first failure ends it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable
from typing import Any

import pytest

from pulumi_embedded.deploy.run_program import outputs_of


class Settings:
    """As the SDK keeps its outputs: each adds itself, and leaves when it is there."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.outputs: set[asyncio.Future[Any]] = set()

    def track(self, work: Awaitable[Any]) -> asyncio.Future[Any]:
        output = asyncio.ensure_future(work)
        self.outputs.add(output)
        return output


async def test_outputs_that_outputs_make_are_waited_for() -> None:
    settings, seen = Settings(), []

    async def make(depth: int) -> None:
        await asyncio.sleep(0)
        if depth:
            settings.track(make(depth - 1))
        seen.append(depth)

    settings.track(make(5))
    await outputs_of(settings)
    assert seen == [5, 4, 3, 2, 1, 0]


async def test_each_output_is_watched_once_however_many_there_are() -> None:
    settings, watched, loop = Settings(), 0, asyncio.get_running_loop()

    class Output(asyncio.Future[int]):
        def add_done_callback(self, *arguments: Any, **options: Any) -> None:
            nonlocal watched
            watched += 1
            super().add_done_callback(*arguments, **options)

    outputs = [Output(loop=loop) for _ in range(100)]
    settings.outputs.update(outputs)

    async def give_one_after_the_other() -> None:
        for number, output in enumerate(outputs):
            output.set_result(number)
            for _ in range(5):
                await asyncio.sleep(0)

    await asyncio.gather(outputs_of(settings), give_one_after_the_other())
    # Once to be told of it, at most once more to take its result.
    assert watched <= 200


async def test_the_first_failure_ends_the_wait_and_what_is_slower_is_not_waited_for() -> None:
    settings, never = Settings(), asyncio.Event()

    async def fail() -> None:
        raise ValueError("first")

    slow = settings.track(never.wait())
    settings.track(fail())
    with pytest.raises(ValueError, match="first"):
        await outputs_of(settings)
    assert not slow.done()
    slow.cancel()
