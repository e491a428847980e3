"""Whether the services of a stack answer, asked of each directly."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path

from operations.outputs import Service

TIMEOUT_SECONDS = 2.0
# A line of supervisord's log; the time is this machine's, in milliseconds.
_CRASH = re.compile(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}) \w+ exited: (\S+) \(.*not expected\)", re.MULTILINE)


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


def crashes(service: Service) -> int:
    """How often it ended by itself since `up` started it last, as supervisord saw it; it starts it again each time."""
    log = Path(service.log)
    settings = log.parent.parent / "supervisor" / "processes" / f"{service.name}.conf"
    try:
        started = datetime.fromtimestamp(settings.stat().st_mtime, UTC)
        told = (log.parent / "supervisord.log").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    return sum(
        name == service.name and datetime.fromisoformat(moment.replace(",", ".")).astimezone(UTC) >= started
        for moment, name in _CRASH.findall(told)
    )


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
