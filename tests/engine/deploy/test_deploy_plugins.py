"""Plugin processes that do not say on which port they serve, or say too much."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from pulumi_embedded.deploy import processes
from pulumi_embedded.deploy.processes import Children
from pulumi_embedded.errors import EngineError

_WAIT = "import os, sys, threading; {}; sys.stdout.flush(); threading.Event().wait()"


async def _start(program: str, listener: list[str]) -> int:
    children, heard = Children(), asyncio.Event()

    def listen(line: str, is_error: bool) -> None:
        if not is_error:
            listener.append(line.strip())
        if line.strip() == "last":
            heard.set()

    try:
        child, port = await children.start_plugin(
            [sys.executable, "-c", _WAIT.format(program)],
            cwd=Path.cwd(),
            environment=dict(os.environ),
            name="the plugin",
            listener=listen,
        )
        assert child.running
        await asyncio.wait_for(heard.wait(), 30)
        return port
    finally:
        await children.close()


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("print('hello')", "wrote 'hello' to its standard output where its port was expected"),
        ("print(0)", "wrote '0'"),
        ("print('9' * 100)", "wrote '9999"),
        ("os.close(1); sys.stdout = sys.stderr", "closed its standard output without a word of the port"),
        ("sys.stdout.write('x' * 100_000)", "a line without an end"),
        ("sys.exit('no licence')", "ended with exit code 1 before it served anything: no licence"),
        ("print('last', file=sys.stderr, flush=True); os._exit(7)", "exit code 7"),
    ],
)
def test_a_plugin_that_names_no_port_is_told_in_a_sentence(
    program: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "_LINE_LIMIT", 10_000)
    monkeypatch.setattr(processes, "_EXIT_SECONDS", 2.0)
    with pytest.raises(EngineError, match="the plugin") as caught:
        asyncio.run(_start(program, []))
    assert said in str(caught.value)


def test_a_line_longer_than_the_reader_holds_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_LINE_LIMIT", 10_000)
    lines: list[str] = []
    long = "print(4711); print('x' * 1_000_000); print('last')"
    assert asyncio.run(_start(long, lines)) == 4711
    assert lines[-1] == "last"
