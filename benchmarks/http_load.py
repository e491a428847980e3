"""A load generator that costs little: raw HTTP/1.1 over keep-alive connections, one request at a time on each."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_LENGTH = re.compile(rb"(?i)content-length: (\d+)")


@dataclass
class Load:
    """What one run of load found. Latencies are in seconds."""

    latencies: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def per_second(self) -> float:
        """Answers a second."""
        return len(self.latencies) / self.seconds

    @property
    def errors(self) -> int:
        """Answers that are not 2xx."""
        return sum(number for status, number in self.statuses.items() if not 200 <= status < 300)

    def at(self, part: float) -> float:
        """A quantile of the latencies in ms."""
        ordered = sorted(self.latencies)
        return round(ordered[min(int(len(ordered) * part), len(ordered) - 1)] * 1000, 2) if ordered else 0.0

    def summary(self) -> dict[str, Any]:
        """Rate, errors and latencies."""
        return {
            "requests": len(self.latencies),
            "per_second": round(self.per_second, 1),
            "errors": self.errors,
            **({"statuses": self.statuses} if self.errors else {}),
            "p50_ms": self.at(0.50),
            "p99_ms": self.at(0.99),
            "max_ms": self.at(1.0),
        }

    def add(self, other: Load) -> None:
        """Count another round in."""
        self.latencies += other.latencies
        self.seconds += other.seconds
        for status, number in other.statuses.items():
            self.statuses[status] = self.statuses.get(status, 0) + number


async def _exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> int:
    writer.write(request)
    answer = await reader.readuntil(b"\r\n\r\n")
    length = _LENGTH.search(answer)
    if length is not None:
        await reader.readexactly(int(length.group(1)))
    elif b"chunked" in answer.lower():
        while (await reader.readuntil(b"\r\n")) != b"0\r\n":
            await reader.readuntil(b"\r\n")
        await reader.readuntil(b"\r\n")
    return int(answer[9:12])


async def load(
    url: str, request: Callable[[int], bytes], *, connections: int, seconds: float, rate: float | None = None
) -> Load:
    """Requests for `seconds`; `request` makes the bytes of request number n.

    Args:
        rate: a second over all connections, each request when it is due; None: as fast as answers come. A latency then
            counts from when the request was due, so that a slow answer is not hidden by those that waited for it.
    """
    found = Load()
    parts = urlsplit(url)
    started = time.perf_counter()

    async def client(number: int) -> None:
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        turn = number
        while time.perf_counter() - started < seconds:
            begun = time.perf_counter()
            if rate is not None:
                due = started + turn / rate
                if due - started >= seconds:
                    break
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                begun = due
            status = await _exchange(reader, writer, request(turn))
            found.latencies.append(time.perf_counter() - begun)
            found.statuses[status] = found.statuses.get(status, 0) + 1
            turn += connections
        writer.close()

    await asyncio.gather(*(client(number) for number in range(connections)))
    found.seconds = time.perf_counter() - started
    return found


def post(path: str, body: bytes, **headers: str) -> bytes:
    """A POST of JSON; an underscore in a header's name stands for a hyphen."""
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n{lines}"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def cpu_seconds(pid: int) -> float:
    """CPU time of a process so far, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mib(pid: int) -> int:
    """Memory of a process in MiB."""
    return int(Path(f"/proc/{pid}/status").read_text().split("VmRSS:")[1].split()[0]) // 1024
