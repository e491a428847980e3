"""Put on PYTHONPATH by a test: every Python process below notes each file it opens in a watched folder, and each peer.

`RAILYARD_TEST_AUDIT` is the file that gets a line an event, `RAILYARD_TEST_WATCHED` the folder.
"""

import os
import sys
from typing import Any

AUDIT, WATCHED = os.environ.get("RAILYARD_TEST_AUDIT", ""), os.environ.get("RAILYARD_TEST_WATCHED", "\0")


def note(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and isinstance(arguments[0], str) and arguments[0].startswith(WATCHED):
        line = f"open {arguments[0]}\n"
    elif event in ("socket.connect", "socket.sendto") and isinstance(arguments[1], tuple):
        line = f"connect {arguments[1][0]}\n"
    elif event == "socket.getaddrinfo" and arguments[0]:
        line = f"resolve {arguments[0]}\n"
    else:
        return
    descriptor = os.open(AUDIT, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(descriptor, line.encode())
    os.close(descriptor)


if AUDIT:
    sys.addaudithook(note)
