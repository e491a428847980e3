"""The web role on a port of its own, as a process, with the rail in memory: for load and for fuzzing.

python -m tests.app.serving PORT
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.app.servers import free_port, stop, wait_for_port

ROOT = Path(__file__).resolve().parents[2]


def serve(port: int) -> None:
    """Serve until SIGTERM."""
    from payments import logs
    from payments.process import _run
    from payments.settings import Command, load
    from payments.web.application import create_application
    from tests.app.conftest import core_for
    from tests.app.memory_rail import MemoryRail

    settings = load(Command.SERVE)
    logs.configure(settings, role="web")
    asyncio.run(_run(create_application(core_for(settings, MemoryRail())), "127.0.0.1", port))


@contextmanager
def web_process(environment: dict[str, str], log: Path | None = None) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The process and its address, once it listens. `environment` is the service's settings."""
    port = free_port()
    with (log or Path(os.devnull)).open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.app.serving", str(port)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'app'}", **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_for_port(process, port, "the service")
        yield f"http://127.0.0.1:{port}", process
    finally:
        stop(process, signal.SIGTERM)


if __name__ == "__main__":
    serve(int(sys.argv[1]))
