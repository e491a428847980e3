"""How fast the payment service is on this machine, service and load generator sharing its cores.

    python benchmarks/payments.py [--seconds 10] [--connections 16] [--rate 50]

Measures, on a PostgreSQL with fsync on and a Redis of its own:
  a  create-invoice over HTTP with key, idempotency, attempt and outbox, on a rail in memory that answers at once;
     first at the given rate (the guides' 50/s), then as fast as it goes;
  c  settlements posted to the ledger per second.
Prints one JSON object: rates, latencies in ms, CPU-ms of the web process and SQL statements per request.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import secrets
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "app")]

KEY = "sk_bootstrap_" + "44" * 32
ROUTE = "/api/lightning/create-invoice"


def serve(port: int) -> None:
    """The web role with a rail in memory, in this process."""
    import asyncio as loop

    from payments import logs
    from payments.process import _run
    from payments.settings import Command, load
    from payments.web.application import create_application
    from tests.app.conftest import core_for
    from tests.app.memory_rail import MemoryRail

    settings = load(Command.SERVE)
    logs.configure(settings, role="web")
    loop.run(_run(create_application(core_for(settings, MemoryRail())), "127.0.0.1", port))


@dataclass
class Load:
    """What one run of load found."""

    latencies: list[float] = field(default_factory=list)
    errors: int = 0
    seconds: float = 0.0

    def summary(self) -> dict[str, Any]:
        """Rate and latencies in ms."""
        ordered = sorted(self.latencies)

        def at(part: float) -> float:
            return round(ordered[min(int(len(ordered) * part), len(ordered) - 1)] * 1000, 2) if ordered else 0.0

        return {
            "requests": len(ordered),
            "per_second": round(len(ordered) / self.seconds, 1),
            "errors": self.errors,
            "p50_ms": at(0.50),
            "p99_ms": at(0.99),
            "max_ms": at(1.0),
        }


async def _one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes) -> int:
    body = b'{"amount":1000,"memo":"tea"}'
    writer.write(
        head + b"Idempotency-Key: %s\r\nContent-Length: %d\r\n\r\n" % (secrets.token_hex(12).encode(), len(body)) + body
    )
    answer = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: (\d+)", answer)
    assert length is not None
    await reader.readexactly(int(length.group(1)))
    return int(answer[9:12])


async def load(port: int, key: str, *, connections: int, seconds: float, rate: float | None) -> Load:
    """Requests over keep-alive connections; `rate` a second over all of them, or as fast as answers come."""
    found = Load()
    head = (
        f"POST {ROUTE} HTTP/1.1\r\nHost: 127.0.0.1\r\nx-api-key: {key}\r\nContent-Type: application/json\r\n"
    ).encode()
    started = time.perf_counter()

    async def client(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        turn = 0
        while time.perf_counter() - started < seconds:
            if rate is not None:
                due = started + (turn * connections + number) / rate
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                turn += 1
            begun = time.perf_counter()
            status = await _one(reader, writer, head)
            found.latencies.append(time.perf_counter() - begun)
            found.errors += status != 200
        writer.close()

    await asyncio.gather(*(client(number) for number in range(connections)))
    found.seconds = time.perf_counter() - started
    return found


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _statements(port: int) -> float:
    import httpx

    text = httpx.get(f"http://127.0.0.1:{port}/metrics").text
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith("db_query_seconds_count"))


async def settle(url: str, number: int) -> float:
    """Settlements a second: `number` arrivals of open invoices credited in batches, as the worker does it."""
    from datetime import UTC, datetime

    from payments.database import Database
    from payments.invoices import repository
    from payments.rails.protocol import Arrival

    database = Database(url, size=4, timeout_seconds=10, name="bench")
    await database.open()
    rows = await database.all(
        "SELECT rail_id, amount FROM payments.invoices WHERE state = 'open' LIMIT %s", (number,), name="bench"
    )
    arrivals = [
        Arrival(row["rail_id"], row["rail_id"], "BTC", row["amount"], datetime.now(UTC), str(n), {"n": n})
        for n, row in enumerate(rows)
    ]
    started = time.perf_counter()
    for first in range(0, len(arrivals), 100):
        await repository.credit(database, "lnd", arrivals[first : first + 100])
    seconds = time.perf_counter() - started
    await database.close()
    return len(arrivals) / seconds


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Start everything, measure, stop everything."""
    import httpx

    from tests.app import servers

    with servers.postgres(fsync=True) as postgres, servers.redis() as redis:
        database = servers.migrated(postgres, "bench")
        port = servers.free_port()
        environment = {
            **os.environ,
            "APP_ENV": "local",
            "DATABASE_URL": database.app_url,
            "REDIS_URL": redis.url,
            "JWT_SECRET": "1" * 64,
            "API_KEY_PEPPER": "2" * 64,
            "INVOICE_SECRET": "3" * 64,
            "BOOTSTRAP_ADMIN_KEY": KEY,
            "LOG_LEVEL": "warning",
        }
        process = subprocess.Popen([sys.executable, __file__, "--serve", str(port)], env=environment)
        try:
            base = f"http://127.0.0.1:{port}"
            servers.wait_for_port(process, port, "the service")
            body = {"name": "bench", "userId": "bench", "environment": "test", "permissions": ["read", "write"]}
            made = httpx.post(f"{base}/api-keys", json={**body, "unlimited": True}, headers={"x-api-key": KEY})
            key = made.json()["key"]
            asyncio.run(load(port, key, connections=4, seconds=1, rate=None))
            paced = asyncio.run(load(port, key, connections=4, seconds=arguments.seconds, rate=arguments.rate))
            cpu, statements = _cpu_seconds(process.pid), _statements(port)
            fast = asyncio.run(load(port, key, connections=arguments.connections, seconds=arguments.seconds, rate=None))
            cpu, statements = _cpu_seconds(process.pid) - cpu, _statements(port) - statements
            resident = int(Path(f"/proc/{process.pid}/status").read_text().split("VmRSS:")[1].split()[0]) / 1024
            number = max(len(fast.latencies), 1)
            return {
                f"create_invoice_at_{arguments.rate:.0f}_per_second": paced.summary(),
                "create_invoice_as_fast_as_it_goes": {
                    **fast.summary(),
                    "connections": arguments.connections,
                    "cpu_ms_per_request": round(cpu / number * 1000, 3),
                    "sql_statements_per_request": round(statements / number, 2),
                },
                "settlements_per_second": round(asyncio.run(settle(database.app_url, 3000))),
                "web_resident_mib": round(resident),
                "cores": os.cpu_count(),
                "load_before": os.getloadavg()[0],
            }
        finally:
            process.terminate()
            process.wait(20)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--rate", type=float, default=50)
    parser.add_argument("--serve", type=int, metavar="PORT", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.serve)
    else:
        print(json.dumps(measure(arguments), indent=2))


if __name__ == "__main__":
    main()
