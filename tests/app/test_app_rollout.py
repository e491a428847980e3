"""A rollout: the release before and this one work on one database and one queue; no job is lost, failed or done twice.

The release before is real: its code is taken out of the repository, as it was before the newest schema revision.
"""

from __future__ import annotations

import io
import shutil
import signal
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from payments.migrations.window import NEWEST_SCHEMA
from tests.app.conftest import RedisServer, TestDatabase
from tests.app.stack import ROOT, Stack

NUMBER = 9


def _git(*arguments: str) -> bytes:
    return subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, check=True).stdout


@pytest.fixture
def code_before(tmp_path: Path) -> Path:
    """The folder app/ of the last commit that did not know the newest revision."""
    files = f"app/payments/migrations/versions/{NEWEST_SCHEMA}_*.py"
    try:
        added = _git("log", "--diff-filter=A", "--format=%H", "-1", "--", files).decode().strip()
        archive = _git("archive", f"{added}^" if added else "HEAD", "app")
    except (subprocess.CalledProcessError, FileNotFoundError):
        pytest.skip("the release before is taken from the repository's history, which is not here")
    with tarfile.open(fileobj=io.BytesIO(archive)) as packed:
        packed.extractall(tmp_path / "before", filter="data")
    return tmp_path / "before" / "app"


@pytest.fixture
def stack(database: TestDatabase, redis_server: RedisServer) -> Iterator[Stack]:
    folder = Path(tempfile.mkdtemp(prefix="ry-app-rollout-", dir="/tmp"))
    made = Stack(database, redis_server, folder)
    yield made
    made.stop()
    shutil.rmtree(folder, ignore_errors=True)


def _rows(database: TestDatabase, query: str) -> list[Any]:
    with psycopg.connect(database.superuser_url) as connection:
        return connection.execute(query.encode()).fetchall()


def _until(condition: Callable[[], Any], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.1)


def _fund(database: TestDatabase) -> None:
    with psycopg.connect(database.app_url) as connection:
        connection.execute(
            "SELECT payments.post_journal('test', 'funds', '', ARRAY['assets:lnd', 'liabilities:user:test:alice'], "
            "ARRAY['BTC', 'BTC'], ARRAY[100000000::numeric, -100000000])"
        )


def _invoice(stack: Stack, key: str, web: str, number: int) -> bytes:
    body, headers = {"amount": 1000, "memo": f"n{number}"}, {"Idempotency-Key": f"i-{number}"}
    with stack.client(key, web) as client:
        answer = client.post("/api/lightning/create-invoice", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.content


def _pay(stack: Stack, key: str, web: str, number: int) -> None:
    with stack.node() as node:
        request = node.post("/v1/invoices", json={"value": "100"}).json()["payment_request"]
    with stack.client(key, web) as client:
        headers = {"Idempotency-Key": f"p-{number}"}
        answer = client.post("/v1/payments", json={"paymentRequest": request}, headers=headers)
    assert answer.status_code == 202, answer.text


def _newer_state(database: TestDatabase) -> None:
    """What a newer release's migration and its first minutes leave: states that this release has no name for."""
    with psycopg.connect(database.superuser_url) as connection:
        connection.execute(
            "INSERT INTO payments.transitions VALUES ('invoice', 'open', 'of_tomorrow'), "
            "('payment', 'succeeded', 'of_tomorrow')"
        )
        connection.execute("UPDATE payments.invoices SET state = 'of_tomorrow'")
        connection.execute("UPDATE payments.payments SET state = 'of_tomorrow'")


def test_the_release_before_and_this_one_share_database_and_queues(
    stack: Stack, database: TestDatabase, code_before: Path
) -> None:
    _fund(database)
    stack.start_nodes()
    stack.start("web", name="before-web", code=code_before)
    stack.start("worker", name="before-worker", code=code_before)
    stack.start("web")
    key = stack.new_key()
    answers = {}
    for number in range(NUMBER):
        if number == NUMBER // 3:
            stack.start("worker")
        if number == 2 * NUMBER // 3:
            # The release before is drained: what it leaves is done by this one.
            stack.processes["before-worker"].send_signal(signal.SIGTERM)
        web = ("before-web", "web")[number % 2]
        answers[number] = _invoice(stack, key, web, number)
        _pay(stack, key, web, number)
    assert stack.processes["before-worker"].wait(60) == 0
    # A stored answer is replayed byte-equal by the other release.
    for number, stored in answers.items():
        assert _invoice(stack, key, ("web", "before-web")[number % 2], number) == stored
    _until(lambda: _rows(database, "SELECT count(*) FROM payments.payments WHERE state = 'succeeded'") == [(NUMBER,)])
    _until(lambda: _rows(database, "SELECT count(*) FROM payments.outbox") == [(0,)])
    assert _rows(database, "SELECT state FROM payments.payments WHERE state <> 'succeeded'") == []
    assert _rows(database, "SELECT id FROM procrastinate.procrastinate_jobs WHERE status = 'failed'") == []
    releases = {row[0] for row in _rows(database, "SELECT DISTINCT release FROM payments.attempts WHERE kind = 'pay'")}
    assert releases == {"before-worker", "worker"}, "both releases' workers have worked"
    with stack.node() as node:
        received = node.get("/v1/invoices?num_max_invoices=1000").json()["invoices"]
    assert [one["amt_paid_msat"] for one in received if one["state"] == "SETTLED"] == ["100000"] * NUMBER
    assert _rows(database, "SELECT asset FROM payments.entries GROUP BY asset HAVING sum(amount) <> 0") == []
    # The next release comes, with states of its own: whoever goes out shows them as `newer` and goes on.
    knows = (code_before / "payments" / "states.py").exists()
    _newer_state(database)
    for web in ("web", "before-web") if knows else ("web",):
        with stack.client(key, web) as client:
            for path in ("/v1/invoices", "/v1/payments"):
                answer = client.get(path)
                assert answer.status_code == 200, (web, path, answer.text)
                assert {one["status"] for one in answer.json()["data"]} == {"newer"}
    assert stack.processes["worker"].poll() is None
    _invoice(stack, key, "web", NUMBER)
