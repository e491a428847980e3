"""How fast the payment service is on this machine, service and load generator sharing its cores.

    python benchmarks/payments.py [--only a,b,c,guides,decode] [--seconds 10] [--connections 16] [--lnbits /tmp/lnbits]

Every part has a PostgreSQL with fsync on and a Redis of its own:
  a       create-invoice over HTTP with key, idempotency, attempt and outbox, on a rail in memory that answers at once;
  b       the same through Envoy and the LND counterpart, against LNbits (PostgreSQL, fake wallet) in turns in this run;
  c       settlements posted to the ledger, in the worker's batches;
  guides  100 requests a second for 60 s from 120 addresses with limited keys (pk-load-rate-100-60);
  decode  POST /v1/payment-requests/decode of a BOLT11 invoice at one connection.
Prints one JSON object: rates, latencies in ms, CPU-ms and SQL statements per request, memory, and whether the issue's
figures are met. Other work on the machine slows rates down; ratios and CPU-ms it does not.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import secrets
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "app")]

import httpx  # noqa: E402

from benchmarks import lnbits  # noqa: E402
from benchmarks.http_load import Load, cpu_seconds, load, post, resident_mib  # noqa: E402
from benchmarks.local_router import router  # noqa: E402
from tests.app import servers  # noqa: E402
from tests.app.conftest import SECRETS  # noqa: E402
from tests.app.serving import web_process  # noqa: E402
from tests.app.stack import Stack  # noqa: E402

ROUTE = "/api/lightning/create-invoice"
BODY = b'{"amount":1000,"memo":"tea"}'
ROUNDS = 3
ADDRESSES = 120
KEYS = 12


def new_key(url: str, *, unlimited: bool = True) -> str:
    """An API key of a local stack."""
    body = {"name": "bench", "userId": "bench", "environment": "test", "permissions": ["read", "write"]}
    headers = {"x-api-key": SECRETS["bootstrap_admin_key"]}
    made = httpx.post(f"{url}/api-keys", json={**body, "unlimited": unlimited}, headers=headers, timeout=30)
    made.raise_for_status()
    return str(made.json()["key"])


def create_invoice(key: str) -> Callable[[int], bytes]:
    """Requests with a fresh Idempotency-Key each."""
    return lambda _: post(ROUTE, BODY, x_api_key=key, Idempotency_Key=secrets.token_hex(12))


def _statements(url: str) -> float:
    lines = httpx.get(f"{url}/metrics", timeout=30).text.splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith("db_query_seconds_count"))


@contextmanager
def databases() -> Iterator[tuple[servers.PostgresServer, servers.RedisServer]]:
    """The two servers of a part."""
    with servers.postgres(fsync=True) as postgres, servers.redis() as redis:
        yield postgres, redis


def _environment(database: servers.TestDatabase, redis: servers.RedisServer) -> dict[str, str]:
    return {
        "APP_ENV": "local",
        "DATABASE_URL": database.app_url,
        "REDIS_URL": redis.url,
        "LOG_LEVEL": "warning",
        **{name.upper(): value for name, value in SECRETS.items()},
    }


async def _settle(url: str, number: int) -> tuple[int, float]:
    """Credit `number` arrivals of open invoices in the worker's batches; how many and the seconds it took."""
    import time
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
    return len(arrivals), seconds


def part_a_and_c(arguments: argparse.Namespace) -> dict[str, Any]:
    """Create-invoice on a rail in memory, then the settlement of what was made."""
    with databases() as (postgres, redis):
        database = servers.migrated(postgres, "bench")
        with web_process(_environment(database, redis)) as (url, process):
            request = create_invoice(new_key(url))
            asyncio.run(load(url, request, connections=4, seconds=1))
            paced = asyncio.run(load(url, request, connections=4, seconds=arguments.seconds, rate=50))
            cpu, statements = cpu_seconds(process.pid), _statements(url)
            fast = asyncio.run(load(url, request, connections=arguments.connections, seconds=arguments.seconds))
            cpu, statements = cpu_seconds(process.pid) - cpu, _statements(url) - statements
            number, seconds = asyncio.run(_settle(database.app_url, 5000))
            return {
                "a_create_invoice_at_50_per_second": paced.summary(),
                "a_create_invoice_in_process_rail": {
                    **fast.summary(),
                    "connections": arguments.connections,
                    "web_cpu_ms_per_request": round(cpu / max(len(fast.latencies), 1) * 1000, 3),
                    "sql_statements_per_request": round(statements / max(len(fast.latencies), 1), 2),
                    "web_resident_mib": resident_mib(process.pid),
                    "wanted": "at least 1,000/s, p99 below 50 ms",
                    "met": fast.per_second >= 1000 and fast.at(0.99) < 50 and not fast.errors,
                },
                "c_settlements": {
                    "number": number,
                    "per_second": round(number / seconds),
                    "wanted": "at least 1,000/s",
                    "met": number / seconds >= 1000,
                },
            }


def part_b(arguments: argparse.Namespace) -> dict[str, Any]:
    """Create-invoice through Envoy on the LND counterpart, in turns with LNbits."""
    with databases() as (postgres, redis), tempfile.TemporaryDirectory(prefix="ry-bench-", dir="/tmp") as name:
        folder = Path(name)
        stack = Stack(
            servers.migrated(postgres, "bench"), redis, folder, {"LOG_LEVEL": "warning", "LEASE_SECONDS": "60"}
        )
        try:
            stack.start_nodes()
            stack.start("web")
            stack.start("worker")
            with router(f"127.0.0.1:{stack.ports['web']}", folder) as (url, envoy):
                request = create_invoice(new_key(url))
                pids = {"web": stack.processes["web"].pid, "envoy": envoy.pid, "lnd": stack.processes["lnd"].pid}
                found = _in_turns(arguments, url, request, pids, postgres, folder)
            found["worker_resident_mib"] = resident_mib(stack.processes["worker"].pid)
            found["worker_wanted"] = "below 200 MiB"
            return {"b_create_invoice_through_envoy_and_lnd": found}
        finally:
            stack.stop()


def _in_turns(
    arguments: argparse.Namespace,
    url: str,
    request: Callable[[int], bytes],
    pids: dict[str, int],
    postgres: servers.PostgresServer,
    folder: Path,
) -> dict[str, Any]:
    """Rounds of ours and of LNbits one after the other, so that whatever else the machine does meets both."""
    ours, theirs = Load(), Load()
    cpu = dict.fromkeys(pids, 0.0)

    def own_round(seconds: float, into: Load) -> None:
        before = {role: cpu_seconds(pid) for role, pid in pids.items()}
        into.add(asyncio.run(load(url, request, connections=arguments.connections, seconds=seconds)))
        for role, pid in pids.items():
            cpu[role] += cpu_seconds(pid) - before[role] if into is ours else 0.0

    own_round(2, Load())
    version = lnbits.installed_version(arguments.lnbits) if arguments.lnbits else None
    if version is None:
        own_round(arguments.seconds, ours)
    else:
        with lnbits.running(arguments.lnbits, postgres, folder) as baseline:
            body = b'{"out":false,"amount":1000,"memo":"tea"}'
            theirs_request = post("/api/v1/payments", body, X_Api_Key=baseline.key)
            asyncio.run(load(baseline.url, lambda _: theirs_request, connections=2, seconds=2))
            for _ in range(ROUNDS):
                own_round(arguments.seconds / ROUNDS, ours)
                theirs.add(
                    asyncio.run(
                        load(
                            baseline.url,
                            lambda _: theirs_request,
                            connections=arguments.connections,
                            seconds=arguments.seconds / ROUNDS,
                        )
                    )
                )
    found: dict[str, Any] = {
        **ours.summary(),
        "connections": arguments.connections,
        "cpu_ms_per_request": {role: round(used / max(len(ours.latencies), 1) * 1000, 2) for role, used in cpu.items()},
        "wanted": "at least 3 times LNbits in the same run, p99 below 100 ms",
    }
    if version is None:
        return {**found, "lnbits": lnbits.HOW_TO_INSTALL, "met": None}
    ratio = ours.per_second / theirs.per_second
    met = ratio >= 3 and ours.at(0.99) < 100 and not ours.errors and not theirs.errors
    return {**found, "lnbits": {"version": version, **theirs.summary()}, "times_lnbits": round(ratio, 2), "met": met}


def part_guides(arguments: argparse.Namespace) -> dict[str, Any]:
    """The guides' load: spread over as many addresses and keys as their limits ask for."""
    with databases() as (postgres, redis):
        database = servers.migrated(postgres, "bench")
        environment = {**_environment(database, redis), "TRUSTED_PROXIES": "127.0.0.0/8"}
        with web_process(environment) as (url, _):
            keys = [new_key(url, unlimited=False) for _ in range(KEYS)]

            def request(number: int) -> bytes:
                return post(
                    ROUTE,
                    BODY,
                    x_api_key=keys[number % KEYS],
                    X_Forwarded_For=f"203.0.113.{number % ADDRESSES + 1}",
                    Idempotency_Key=secrets.token_hex(12),
                )

            found = asyncio.run(load(url, request, connections=16, seconds=arguments.guide_seconds, rate=100))
            return {
                "guides_100_per_second": {
                    **found.summary(),
                    "seconds": arguments.guide_seconds,
                    "addresses": ADDRESSES,
                    "keys": KEYS,
                    "wanted": "60 s without an error, p99 below 50 ms",
                    "met": not found.errors and found.at(0.99) < 50,
                }
            }


def part_decode(arguments: argparse.Namespace) -> dict[str, Any]:
    """Decoding a real BOLT11 invoice of the counterpart, at one connection."""
    with databases() as (postgres, redis), tempfile.TemporaryDirectory(prefix="ry-bench-", dir="/tmp") as name:
        stack = Stack(servers.migrated(postgres, "bench"), redis, Path(name), {"LOG_LEVEL": "warning"})
        try:
            stack.start_nodes()
            stack.start("web")
            url = f"http://127.0.0.1:{stack.ports['web']}"
            key = new_key(url)
            made = httpx.post(
                f"{url}{ROUTE}", content=BODY, headers={"x-api-key": key, "content-type": "application/json"}
            )
            body = json.dumps({"paymentRequest": made.json()["paymentRequest"]}).encode()
            encoded = post("/v1/payment-requests/decode", body, x_api_key=key)
            asyncio.run(load(url, lambda _: encoded, connections=1, seconds=1))
            found = asyncio.run(load(url, lambda _: encoded, connections=1, seconds=arguments.seconds))
            return {
                "decode": {
                    **found.summary(),
                    "wanted": "p99 below 5 ms at one connection",
                    "met": not found.errors and found.at(0.99) < 5,
                }
            }
        finally:
            stack.stop()


PARTS = {"a": part_a_and_c, "b": part_b, "c": part_a_and_c, "guides": part_guides, "decode": part_decode}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--only", default="a,b,guides,decode", help="parts, comma separated (all; a measures c as well)"
    )
    parser.add_argument("--seconds", type=float, default=12, help="length of each load (12)")
    parser.add_argument("--guide-seconds", type=float, default=60, help="length of the guides' load (60)")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--lnbits", type=Path, default=Path("/tmp/lnbits"), help="virtual environment with LNbits")
    arguments = parser.parse_args()
    chosen = arguments.only.split(",")
    if unknown := sorted(set(chosen) - set(PARTS)):
        parser.error(f"there is no part {unknown[0]!r}: use {', '.join(PARTS)}")
    result: dict[str, Any] = {"cores": os.cpu_count(), "load_average_before": [round(x, 1) for x in os.getloadavg()]}
    for part in dict.fromkeys(PARTS[name] for name in chosen):
        result |= part(arguments)
    result["load_average_after"] = [round(x, 1) for x in os.getloadavg()]
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
