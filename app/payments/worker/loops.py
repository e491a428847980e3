"""Loops that must not end: each is begun again when it fails, and the worker is ready while all of them run."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 5.0
_log = structlog.get_logger(__name__)


class Loops:
    """The running loops by name."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []
        self._trouble: dict[str, str] = {}
        self._names: list[str] = []

    def start(self, name: str, loop: Callable[[], Awaitable[None]]) -> None:
        """Run `loop` until `stop`, beginning it again whenever it ends."""
        self._names.append(name)
        self._tasks.append(asyncio.create_task(self._keep(name, loop), name=name))

    def every(self, name: str, seconds: float, run: Callable[[], Awaitable[None]]) -> None:
        """Do `run` every so many seconds, the first time at once."""

        async def loop() -> None:
            while True:
                await run()
                self._trouble.pop(name, None)
                await asyncio.sleep(seconds)

        self.start(name, loop)

    async def _keep(self, name: str, loop: Callable[[], Awaitable[None]]) -> None:
        pause = FIRST_PAUSE_SECONDS
        while True:
            started = time.monotonic()
            clearing = asyncio.get_running_loop().call_later(2.0, self._trouble.pop, name, None)
            try:
                await loop()
                trouble = "ended by itself"
            except Exception as error:
                trouble = type(error).__name__
                _log.warning("a loop failed and begins again", loop=name, exc_info=error)
            finally:
                clearing.cancel()
            self._trouble[name] = trouble
            if time.monotonic() - started > 30:
                pause = FIRST_PAUSE_SECONDS
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    def checks(self) -> dict[str, str]:
        """Every loop with "ok" or what is wrong, for /ready."""
        return {f"loop {name}": self._trouble.get(name, "ok") for name in self._names}

    async def stop(self) -> None:
        """Cancel every loop and wait for it."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
