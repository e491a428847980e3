"""A provider process ends with its engine, but not in the middle of something."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

from tests.components.conftest import wait_until
from tests.components.places import CHECKOUT

# As the SDK does: a provider is unpickled, configured and then called; `work` stands for a call that takes long.
PROVIDER_PROCESS = """
import pathlib, sys, threading, time
from components.local.engine_watch import working
from components.local.text_file import TextFileProvider
TextFileProvider().configure(None)
release, done = map(pathlib.Path, sys.argv[1:3])
with working():
    print("working", flush=True)
    while not release.exists():
        time.sleep(0.02)
    done.touch()
threading.Event().wait()
"""


def test_it_ends_when_the_engine_is_gone_after_finishing_what_it_does(tmp_path: Path) -> None:
    release, done = tmp_path / "release", tmp_path / "done"
    engine = socket.create_server(("127.0.0.1", 0))
    address = f"127.0.0.1:{engine.getsockname()[1]}"
    command = [sys.executable, "-c", PROVIDER_PROCESS, str(release), str(done), address]
    with subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"working\n"
            connection, _ = engine.accept()
            # A closed connection alone is no dead engine: it comes back.
            connection.close()
            connection, _ = engine.accept()
            assert process.poll() is None
            engine.close()
            connection.close()
            assert process.poll() is None
            release.touch()
            wait_until(lambda: process.poll() == 0)
            assert done.exists()
        finally:
            process.kill()
