"""Records each step in the journal, before its provider is called and after, and keeps the fold of it in memory.

Entries that must survive a crash are flushed in batches by one thread; a step waits for its own batch only. Entries
that only say where an unchanged resource stands wait for the next flush, in order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from pulumi_embedded.deploy.fold import Folder, Operation
from pulumi_embedded.deploy.request import JournalWriter
from pulumi_embedded.state.resource import ResourceState


class Recorder:
    """The journal of one update.

    `resources` are the states of the base as the engine holds them: entries name them by their index in it. A recorder
    without a writer folds nothing (previews).
    """

    def __init__(self, writer: JournalWriter | None, resources: list[ResourceState], pending: list[Operation]) -> None:
        self._writer = writer
        self._folder = Folder(list(resources), list(pending))
        self._known: dict[int, dict[str, int]] = {}
        self._alive: list[ResourceState] = []
        self._operations = 0
        self._buffer: list[dict[str, Any]] = []
        self._queued = 0
        self._written = 0
        self._flush: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, "journal") if writer else None
        self._remember_base(resources)

    @property
    def active(self) -> bool:
        """True when steps are recorded."""
        return self._writer is not None

    def number(self) -> int:
        """Return the number of a new operation."""
        self._operations += 1
        return self._operations

    def place(self, state: ResourceState, key: str) -> dict[str, int]:
        """Return `{<key>_old: index}` or `{<key>_new: operation}`, where `state` stands; {} when it is not recorded."""
        return {f"{key}_{age}": number for age, number in self._known.get(id(state), {}).items()}

    def stands_in_base(self, state: ResourceState) -> int | None:
        """Return the index of `state` in the base, None when it is not of it."""
        return self._known.get(id(state), {}).get("old")

    def becomes(self, state: ResourceState, operation: int) -> None:
        """Let `state` be found under this operation from now on."""
        self._known[id(state)] = {"new": operation}
        self._alive.append(state)

    async def write(self, entry: dict[str, Any], *, durable: bool) -> None:
        """Add an entry; when `durable`, return only after it is on disk with everything before it.

        Raises:
            OSError: the journal cannot be written.
        """
        if self._writer is None:
            return
        self._folder.add(entry)
        self._buffer.append(entry)
        self._queued += 1
        if durable:
            await self._written_up_to(self._queued)

    async def close(self) -> None:
        """Put everything on disk and let go of the thread."""
        try:
            if self._writer is not None:
                await self._written_up_to(self._queued)
        finally:
            if self._thread is not None:
                self._thread.shutdown()

    async def rebase(self, resources: list[ResourceState]) -> None:
        """Let the recorded state be the base from now on; `resources` are its states in the same order."""
        await self.write({"kind": "rebase"}, durable=False)
        self._known.clear()
        self._alive.clear()
        self._remember_base(resources)

    def result(self) -> tuple[list[ResourceState], list[Operation]]:
        """Return the resources and pending operations after everything recorded so far."""
        return self._folder.result()

    def _remember_base(self, resources: list[ResourceState]) -> None:
        for index, state in enumerate(resources):
            self._known[id(state)] = {"old": index}
        self._alive.extend(resources)

    async def _written_up_to(self, count: int) -> None:
        while self._written < count:
            if self._flush is None:
                self._flush = asyncio.create_task(self._write_out())
            await asyncio.shield(self._flush)

    async def _write_out(self) -> None:
        batch, self._buffer = self._buffer, []
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._append, batch)
            self._written += len(batch)
        finally:
            self._flush = None

    def _append(self, batch: Sequence[dict[str, Any]]) -> None:
        assert self._writer is not None
        append_many = getattr(self._writer, "append_many", None)
        if append_many is not None:
            append_many(batch)
            return
        for entry in batch:
            self._writer.append(entry)
