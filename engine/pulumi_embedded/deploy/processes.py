"""Child processes of an update: programs, plugins and policy packs. None of them outlives it.

A child never inherits the engine's own streams, and the engine never waits for a child's pipes to close: a daemon that
a provider started may keep them open for ever.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from pulumi_embedded.deploy.launch import spawn
from pulumi_embedded.errors import EngineError

BOOTSTRAP = Path(__file__).with_name("bootstrap.py")

_LINE_LIMIT = 64 * 1024 * 1024
_DRAIN_SECONDS = 0.25
_INTERRUPT_SECONDS = 1.0
_KILL_SECONDS = 0.5
_EXIT_SECONDS = 10.0
START_SECONDS = 60.0
"""How long a plugin may take to print its port."""

LineListener = Callable[[str, bool], None]
"""Called with each line a process prints, and whether it was to its standard error."""


def bootstrapped(interpreter: str, kind: str, target: str, arguments: Sequence[str]) -> list[str]:
    """Return the command that runs `target` ("module", "script" or "exec") so that it dies with the engine."""
    return [interpreter, "-u", str(BOOTSTRAP), str(os.getpid()), kind, target, *arguments]


class Child:
    """One running process, leader of its own process group."""

    def __init__(self, process: subprocess.Popen[bytes], name: str) -> None:
        self.name = name
        self.pid = process.pid
        self._process = process
        self._exited: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._pumps: list[asyncio.Task[None]] = []
        self._transports: list[asyncio.BaseTransport] = []
        self._last_errors: list[str] = []
        threading.Thread(
            target=self._wait, args=(asyncio.get_running_loop(),), name=f"wait-{name}", daemon=True
        ).start()

    @classmethod
    async def start(
        cls, command: Sequence[str], *, cwd: Path, environment: Mapping[str, str], name: str
    ) -> tuple[Child, asyncio.StreamReader, asyncio.StreamReader]:
        """Start a process; the caller reads its streams, or hands them to `pump`.

        Raises:
            EngineError: the program cannot be started.
        """
        return await cls.adopt(spawn(command, cwd=cwd, environment=environment, name=name), name)

    @classmethod
    async def adopt(
        cls, process: subprocess.Popen[bytes], name: str
    ) -> tuple[Child, asyncio.StreamReader, asyncio.StreamReader]:
        """Take over a process that `spawn` started; the caller reads its streams, or hands them to `pump`."""
        child = cls(process, name)
        assert process.stdout is not None
        assert process.stderr is not None
        return child, await child._reader(process.stdout), await child._reader(process.stderr)

    def pump(self, stream: asyncio.StreamReader, listener: LineListener, *, is_error: bool) -> None:
        """Hand every line of a stream to `listener` from now on."""
        self._pumps.append(asyncio.create_task(self._pump(stream, listener, is_error=is_error)))

    async def wait(self) -> int:
        """Wait until the process ends and its last lines are read; return its exit code (negative: a signal)."""
        code = await asyncio.shield(self._exited)
        if self._pumps:
            await asyncio.wait(self._pumps, timeout=_DRAIN_SECONDS)
        return code

    @property
    def running(self) -> bool:
        """True until the process has ended."""
        return not self._exited.done()

    @property
    def exited(self) -> asyncio.Future[int]:
        """Done once the process has ended."""
        return self._exited

    def last_errors(self) -> str:
        """Return the last lines that the process wrote to its standard error."""
        return "".join(self._last_errors).strip()

    async def last_words(self) -> str:
        """Return the last line of standard error of a process that is about to end, "" when it goes on."""
        await asyncio.wait([self._exited], timeout=_KILL_SECONDS)
        if self.running:
            return ""
        await self.wait()
        return next(iter(self.last_errors().splitlines()[-1:]), "")

    def signal_group(self, number: int) -> None:
        """Send a signal to the process and those it started in its group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    async def stop(self) -> None:
        """End the process: ask it first, then kill it and its group; then close the streams."""
        if self.running:
            self.signal_group(signal.SIGINT)
            await asyncio.wait([self._exited], timeout=_INTERRUPT_SECONDS)
        if self.running:
            self.signal_group(signal.SIGKILL)
            await asyncio.wait([self._exited], timeout=_KILL_SECONDS)
        if self._pumps:
            await asyncio.wait(self._pumps, timeout=_DRAIN_SECONDS)
        for pump in self._pumps:
            pump.cancel()
        for transport in self._transports:
            transport.close()

    def kill(self) -> None:
        """End the process at once."""
        if self.running:
            self.signal_group(signal.SIGKILL)

    def _wait(self, loop: asyncio.AbstractEventLoop) -> None:
        code = self._process.wait()
        with contextlib.suppress(RuntimeError):  # the loop is gone: nobody waits any more
            loop.call_soon_threadsafe(self._note_exit, code)

    def _note_exit(self, code: int) -> None:
        if not self._exited.done():
            self._exited.set_result(code)

    async def _reader(self, pipe: IO[bytes]) -> asyncio.StreamReader:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=_LINE_LIMIT)
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
        self._transports.append(transport)
        return reader

    async def _pump(self, stream: asyncio.StreamReader, listener: LineListener, *, is_error: bool) -> None:
        while True:
            try:
                line = await stream.readline()
            except ValueError:  # longer than the reader holds: that much is dropped, so that the writer is not held up
                continue
            if not line:
                return
            text = line.decode(errors="replace")
            if is_error:
                self._last_errors = [*self._last_errors[-19:], text]
            if text.strip():
                listener(text, is_error)


class Children:
    """All processes of one update."""

    def __init__(self) -> None:
        self._children: list[Child] = []

    async def start(
        self, command: Sequence[str], *, cwd: Path, environment: Mapping[str, str], name: str
    ) -> tuple[Child, asyncio.StreamReader, asyncio.StreamReader]:
        """Start a process that `close` will end."""
        started = await Child.start(command, cwd=cwd, environment=environment, name=name)
        self._children.append(started[0])
        return started

    async def adopt(
        self, process: subprocess.Popen[bytes], name: str
    ) -> tuple[Child, asyncio.StreamReader, asyncio.StreamReader]:
        """Take over a process that runs already; `close` will end it."""
        started = await Child.adopt(process, name)
        self._children.append(started[0])
        return started

    async def start_plugin(
        self,
        command: Sequence[str],
        *,
        cwd: Path,
        environment: Mapping[str, str],
        name: str,
        listener: LineListener,
    ) -> tuple[Child, int]:
        """Start a process that prints the port it serves on as its first line; return it with the port.

        Raises:
            EngineError: the process does not start, ends, or prints something else.
        """
        child, out, err = await self.start(command, cwd=cwd, environment=environment, name=name)
        child.pump(err, listener, is_error=True)
        try:
            line = await asyncio.wait_for(out.readline(), START_SECONDS)
        except TimeoutError:
            await child.stop()
            raise EngineError(f"{name} did not say on which port it serves within {START_SECONDS:g} s") from None
        except ValueError:  # more than the reader holds, and no end of the line
            await child.stop()
            raise EngineError(f"{name} wrote no port to its standard output, but a line without an end") from None
        if not line.endswith(b"\n"):
            await asyncio.wait([child.exited], timeout=_EXIT_SECONDS)
            if child.running:
                await child.stop()
                raise EngineError(f"{name} closed its standard output without a word of the port it serves on")
            code = await child.wait()
            detail = child.last_errors().splitlines()
            reason = f": {detail[-1]}" if detail else ""
            raise EngineError(f"{name} ended with exit code {code} before it served anything{reason}")
        text = line.decode(errors="replace").strip()
        if not text.isdigit() or not 0 < int(text) < 65536:
            await child.stop()
            raise EngineError(f"{name} wrote '{text[:80]}' to its standard output where its port was expected")
        child.pump(out, listener, is_error=False)
        return child, int(text)

    async def close(self) -> None:
        """End every process, all at once."""
        await asyncio.gather(*(child.stop() for child in self._children))

    def kill(self) -> None:
        """Kill every process."""
        for child in self._children:
            child.kill()
