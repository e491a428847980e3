"""The end of a provider process whose engine was killed.

The Pulumi CLI starts `python -m pulumi.dynamic <engine address>` through a shell script; after a kill -9 of the CLI
both would stay for ever. So a provider process keeps a connection to the engine and ends when nobody listens there any
more, after it has finished what it is doing: work cut short would have to be undone by the next update.
"""

from __future__ import annotations

import os
import re
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

POLL_SECONDS = 0.2
_running = 0
_changing = threading.Lock()
_watching = False


@contextmanager
def working() -> Iterator[None]:
    """What happens inside is finished before the process ends itself."""
    global _running
    with _changing:
        _running += 1
    try:
        yield
    finally:
        with _changing:
            _running -= 1


def watch_engine() -> None:
    """Watch the engine this process was started by, once; nothing to do in a process that no engine started."""
    global _watching
    found = re.fullmatch(r"(127\.0\.0\.1|localhost|\[::1\]):(\d+)", sys.argv[-1]) if sys.argv else None
    with _changing:
        if found is None or _watching:
            return
        _watching = True
    address = (found.group(1).strip("[]"), int(found.group(2)))
    threading.Thread(target=_end_with, args=(address,), name="engine-watch", daemon=True).start()


def _end_with(address: tuple[str, int]) -> None:
    while _connected_once(address):
        time.sleep(POLL_SECONDS)
    while _running:
        time.sleep(POLL_SECONDS)
    os._exit(0)


def _connected_once(address: tuple[str, int]) -> bool:
    """Hold a connection until the other side closes it; False when nobody listens."""
    try:
        with socket.create_connection(address, timeout=5) as connection:
            connection.settimeout(None)
            while connection.recv(4096):
                pass
    except ConnectionRefusedError:
        return False
    except OSError:
        return True
    return True
