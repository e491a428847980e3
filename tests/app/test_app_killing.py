"""Generated schedules on real processes: web and worker killed, PostgreSQL and Redis crashed, and nothing is lost.

A failing schedule names its seed; each is a function of its seed alone. At length, or from one seed on:

    python -m pytest tests/app/test_app_killing.py --full -k two_hundred [--schedules 50] [--schedule-seed 17]
"""

from __future__ import annotations

import json
import random
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from tests.app import servers
from tests.app.conftest import RedisServer, start_redis, stop
from tests.app.servers import PostgresServer
from tests.app.stack import Stack

FULL = 200
INVOICES, PAYOUTS = 4, 2
PATIENCE_SECONDS = 120.0


class _Receiver(ThreadingHTTPServer):
    """Takes webhooks; now and then it refuses one, so that it has to come again."""

    daemon_threads = True

    def __init__(self) -> None:
        self.bodies: dict[str, set[bytes]] = {}
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.bodies.setdefault(self.headers["webhook-id"], set()).add(body)
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                return

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()


@dataclass
class _Town:
    """Everything that runs, and what may be killed of it."""

    stack: Stack
    postgres: PostgresServer
    redis: RedisServer
    folder: Path
    key: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def crash(self, what: str) -> None:
        with self.lock:
            if what in ("web", "worker"):
                self.stack.kill(what)
                self.stack.start(what)
            elif what == "postgres":
                self.postgres = self.postgres.restarted()
            else:
                self.redis.process.send_signal(signal.SIGKILL)
                self.redis.process.wait()
                self.redis = start_redis(self.folder, self.redis.port, self.redis.password)

    def ask(self, path: str, body: Any, name: str) -> dict[str, Any]:
        """Send a request with its key until it has its answer."""

        def answered() -> dict[str, Any] | None:
            try:
                with self.stack.client(self.key) as client:
                    answer = client.post(path, json=body, headers={"Idempotency-Key": name})
            except httpx.HTTPError:
                return None
            if answer.status_code in (200, 201, 202):
                found: dict[str, Any] = answer.json()
                return found
            assert answer.status_code in (409, 429, 503), f"{name}: {answer.status_code} {answer.text}"
            return None

        got: dict[str, Any] = _until(answered, f"{path} {name}")
        return got

    def rows(self, query: str, *parameters: Any) -> list[Any]:
        with psycopg.connect(self.stack.database.superuser_url) as connection:
            return connection.execute(query.encode(), parameters).fetchall()


def _until(condition: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (value := condition()):
        assert time.monotonic() < deadline, f"in vain: {what}"
        time.sleep(0.05)
    return value


@pytest.fixture
def town() -> Iterator[_Town]:
    folder = Path(tempfile.mkdtemp(prefix="ry-app-kill-", dir="/tmp"))
    with servers.postgres(fsync=True) as postgres, servers.redis() as redis:
        database = servers.migrated(postgres, "town")
        stack = Stack(database, redis, folder)
        made = _Town(stack, postgres, redis, folder)
        try:
            stack.start_nodes()
            stack.start("web")
            stack.start("worker")
            made.key = stack.new_key()
            yield made
        finally:
            stack.stop()
            stop(made.postgres.process, signal.SIGINT)
            stop(made.redis.process, signal.SIGTERM)
            shutil.rmtree(folder, ignore_errors=True)


def _pay(town: _Town, request: str) -> None:
    with town.stack.node() as node:
        order = {"payment_request": request, "fee_limit_msat": "1000000", "timeout_seconds": 20}
        answer = node.post("/v2/router/send", json=order)
        assert '"SUCCEEDED"' in answer.text, answer.text


def _schedule(town: _Town, seed: int) -> None:
    """Invoices made and paid and payouts sent, while two things crash at moments that the seed decides."""
    rng = random.Random(seed)
    crashes = [(rng.uniform(0, 0.6), rng.choice(("web", "worker", "worker", "postgres", "redis"))) for _ in range(2)]

    def crash() -> None:
        for after, what in crashes:
            time.sleep(after)
            town.crash(what)

    def invoice(number: int) -> str:
        made = town.ask("/api/lightning/create-invoice", {"amount": 10, "memo": f"s{seed}"}, f"s{seed}-i{number}")
        _pay(town, made["paymentRequest"])
        return str(made["paymentHash"])

    def payout(request: str, number: int) -> str:
        body = {"paymentRequest": request, "maxFeeMsat": 2000}
        return str(town.ask("/v1/payments", body, f"s{seed}-p{number}")["id"])

    with town.stack.node() as node:
        payees = [node.post("/v1/invoices", json={"value": "1"}).json() for _ in range(PAYOUTS)]
    with ThreadPoolExecutor(8) as pool:
        crashing = pool.submit(crash)
        making = [pool.submit(invoice, number) for number in range(INVOICES)]
        sending = [pool.submit(payout, payee["payment_request"], number) for number, payee in enumerate(payees)]
        hashes, payments = [one.result() for one in making], [one.result() for one in sending]
        crashing.result()
    _check(town, seed, hashes, payments)


def _check(town: _Town, seed: int, hashes: list[str], payments: list[str]) -> None:
    settled = "SELECT count(*) FROM payments.invoices WHERE rail_id = ANY (%s) AND state = 'settled'"
    _until(lambda: town.rows(settled, hashes) == [(INVOICES,)], f"seed {seed}: invoices settled")
    paid = "SELECT count(*) FROM payments.payments WHERE id = ANY (%s::uuid[]) AND state = 'succeeded'"
    _until(lambda: town.rows(paid, payments) == [(PAYOUTS,)], f"seed {seed}: payouts sent")
    with town.stack.node("merchant") as node:
        on_node = node.get("/v1/invoices?num_max_invoices=100&reversed=true").json()["invoices"]
    assert sum(one["memo"] == f"s{seed}" for one in on_node) == INVOICES, f"seed {seed}: one invoice a key"
    credited = "SELECT count(*), sum(amount) FROM payments.arrivals WHERE rail_id = ANY (%s)"
    assert town.rows(credited, hashes) == [(INVOICES, INVOICES * 10_000)], f"seed {seed}: each arrival once"
    assert town.rows("SELECT sum(amount) FROM payments.entries") == [(0,)], f"seed {seed}: the books"


def _run(town: _Town, schedules: int, *, first: int = 1, say: Callable[[str], None] = print) -> None:
    receiver = _Receiver()
    url = f"http://127.0.0.1:{receiver.server_address[1]}/hook"
    town.ask("/v1/webhook-endpoints", {"url": url}, "endpoint")
    for number in range(3 * INVOICES):  # something to pay out of
        _pay(
            town,
            town.ask("/api/lightning/create-invoice", {"amount": 10, "memo": "first"}, f"f{number}")["paymentRequest"],
        )
    enough = "SELECT count(*) FROM payments.invoices WHERE state = 'settled'"
    _until(lambda: town.rows(enough) == [(3 * INVOICES,)], "money to begin with")
    started = time.monotonic()
    for seed in range(first, first + schedules):
        say(f"seed {seed}")
        _schedule(town, seed)
        say(f"seed {seed} held, {(time.monotonic() - started) / (seed + 1 - first):.1f} s each")
    _until(lambda: town.rows("SELECT count(*) FROM payments.outbox WHERE kind = 'event'") == [(0,)], "events relayed")
    due = "SELECT count(*) FROM payments.webhook_deliveries WHERE state <> 'delivered'"
    _until(lambda: town.rows(due) == [(0,)], "webhooks delivered")
    wanted = {f"evt_{row[0]}" for row in town.rows("SELECT event_id FROM payments.webhook_deliveries")}
    assert wanted == set(receiver.bodies), "every event came, under its own id"
    assert all(len(bodies) == 1 for bodies in receiver.bodies.values()), "the same event is the same bytes"
    assert all(json.loads(next(iter(found)))["id"] == name for name, found in receiver.bodies.items())
    receiver.shutdown()


def test_a_schedule_of_kills_loses_and_repeats_nothing(town: _Town) -> None:
    _run(town, 1)


@pytest.mark.full
def test_two_hundred_schedules_of_kills_lose_and_repeat_nothing(
    town: _Town, pytestconfig: pytest.Config, capfd: pytest.CaptureFixture[str]
) -> None:
    def say(text: str) -> None:
        with capfd.disabled():
            print(text, flush=True)

    first = pytestconfig.getoption("--schedule-seed")
    _run(town, pytestconfig.getoption("--schedules") or FULL, first=first, say=say)
