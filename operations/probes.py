"""Whether the services of a stack answer, asked of each directly."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, HTTPException, HTTPSConnection

from operations.outputs import Service

TIMEOUT_SECONDS = 2.0


def probe(service: Service) -> bool:
    """Whether it answers within 2 s: a connection, and below 500 where it speaks HTTP."""
    host, port = service.address.rsplit(":", 1)
    try:
        if service.health.kind == "tcp":
            with socket.create_connection((host, int(port)), timeout=TIMEOUT_SECONDS):
                return True
        connection = _connection(service, host, int(port))
        try:
            connection.request("GET", service.health.path)
            return connection.getresponse().status < 500
        finally:
            connection.close()
    except (OSError, HTTPException):
        return False


def _connection(service: Service, host: str, port: int) -> HTTPConnection:
    if service.health.kind == "http":
        return HTTPConnection(host, port, timeout=TIMEOUT_SECONDS)
    # Only whether something answers is asked here, nothing is told: the certificate does not matter.
    return HTTPSConnection(host, port, timeout=TIMEOUT_SECONDS, context=ssl._create_unverified_context())  # noqa: S323


def probe_all(services: Sequence[Service]) -> list[tuple[Service, bool]]:
    """Probe all at once, in the order given."""
    if not services:
        return []
    with ThreadPoolExecutor(max_workers=len(services)) as pool:
        return list(zip(services, pool.map(probe, services), strict=True))
