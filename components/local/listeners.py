"""Who listens where on this machine."""

from __future__ import annotations

import socket
from dataclasses import dataclass

import psutil

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Listener:
    """A process that holds a port: pid 0 and an empty name when it belongs to an account we cannot look into."""

    pid: int
    name: str

    def __str__(self) -> str:
        return f"{self.name} (pid {self.pid})" if self.pid else "a program of another account"


def is_free(port: int) -> bool:
    """Whether a server could listen on `port` of the loopback address now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            # Without listening, so that two who look at the same time do not see each other.
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def listener_on(port: int) -> Listener | None:
    """Who listens on `port`, None when it is free."""
    if is_free(port):
        return None
    try:
        for connection in psutil.net_connections(kind="tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,) and connection.pid:
                return Listener(connection.pid, psutil.Process(connection.pid).name())
    except psutil.Error:
        pass
    return Listener(0, "")
