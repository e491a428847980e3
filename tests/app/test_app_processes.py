"""The processes: kill -9 anywhere loses nothing and pays nothing twice; SIGTERM is clean; no secret leaks."""

from __future__ import annotations

import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, get_args

import httpx
import psycopg
import pytest

from tests.app.conftest import SECRETS, RedisServer, TestDatabase, free_port
from tests.app.stack import Stack


@pytest.fixture
def stack(database: TestDatabase, redis_server: RedisServer) -> Iterator[Stack]:
    folder = Path(tempfile.mkdtemp(prefix="ry-app-stack-", dir="/tmp"))
    made = Stack(database, redis_server, folder)
    yield made
    made.stop()
    shutil.rmtree(folder, ignore_errors=True)


def _until(condition: Callable[[], Any], seconds: float = 40) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.05)
    return value


def _rows(database: TestDatabase, query: str) -> list[Any]:
    with psycopg.connect(database.superuser_url) as connection:
        return connection.execute(query.encode()).fetchall()


def _pay(stack: Stack, request: str) -> None:
    with stack.node() as node:
        answer = node.post(
            "/v2/router/send", json={"payment_request": request, "fee_limit_msat": "1000000", "timeout_seconds": 20}
        )
        assert '"SUCCEEDED"' in answer.text, answer.text


def _invoices_of_node(stack: Stack, name: str) -> list[dict[str, Any]]:
    with stack.node(name) as node:
        found: list[dict[str, Any]] = node.get("/v1/invoices?num_max_invoices=1000").json()["invoices"]
    return found


def test_kill_9_of_web_and_worker_loses_and_repeats_nothing(stack: Stack, database: TestDatabase) -> None:
    stack.start_nodes()
    stack.start("web")
    stack.start("worker")
    key = stack.new_key()

    def make(number: int) -> str | None:
        """One invoice, asked for until it is there, across crashes of the web role."""
        deadline = time.monotonic() + 180
        while time.monotonic() < deadline:
            try:
                with stack.client(key) as client:
                    answer = client.post(
                        "/api/lightning/create-invoice",
                        json={"amount": 1000, "memo": f"n{number}"},
                        headers={"Idempotency-Key": f"i-{number}"},
                    )
                if answer.status_code == 200:
                    return str(answer.json()["paymentRequest"])
                assert answer.status_code in (409, 503), answer.text
            except httpx.HTTPError:
                pass
            time.sleep(0.1)
        return None

    with ThreadPoolExecutor(8) as pool:
        making = [pool.submit(make, number) for number in range(40)]
        time.sleep(0.3)  # in the middle of it
        stack.kill("web")
        stack.start("web")
        requests = [made.result() for made in making]
    assert None not in requests
    assert len(set(requests)) == 40
    assert len(_invoices_of_node(stack, "merchant")) == 40, "one invoice on the node a key, whatever was killed"

    with ThreadPoolExecutor(4) as pool:
        paying = [pool.submit(_pay, stack, request) for request in requests if request]
        time.sleep(0.2)
        stack.kill("worker")
        for one in paying:
            one.result()
        stack.start("worker")
    settled = "SELECT count(*) FROM payments.invoices WHERE state = 'settled'"
    _until(lambda: _rows(database, settled) == [(40,)])
    assert _rows(database, "SELECT count(*), sum(amount) FROM payments.arrivals") == [(40, 40_000_000)]

    with stack.node() as node:
        payees = [node.post("/v1/invoices", json={"value": "100"}).json()["payment_request"] for _ in range(30)]
    with stack.client(key) as client:
        for number, request in enumerate(payees):
            headers = {"Idempotency-Key": f"p-{number}"}
            answer = client.post("/v1/payments", json={"paymentRequest": request}, headers=headers)
            assert answer.status_code == 202, answer.text
            if number in (10, 20):
                stack.kill("worker")
                stack.start("worker")
    left = "SELECT state, reason FROM payments.payments WHERE state <> 'succeeded'"
    _until(lambda: not _rows(database, left), seconds=90)
    with stack.client(key) as client:
        ledger = client.get("/v1/ledger").json()
    assert ledger["balanced"] is True
    balances = {account["account"]: account["balance"] for account in ledger["accounts"]}
    fees = int(_rows(database, "SELECT sum(fee) FROM payments.payments")[0][0])
    assert balances["assets:lnd"] == 40_000_000 - 3_000_000 - fees
    assert balances["liabilities:user:test:alice"] == -balances["assets:lnd"]
    received = [one for one in _invoices_of_node(stack, "customer") if one["state"] == "SETTLED"]
    assert sum(int(one["amt_paid_msat"]) for one in received) == 3_000_000


def test_sigterm_ends_both_roles_with_0_and_says_so(stack: Stack) -> None:
    stack.start("web")
    stack.start("worker")
    for role in ("web", "worker"):
        process = stack.processes[role]
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0
        assert '"message":"stopped"' in stack.log(role).read_text()


def test_several_web_processes_die_with_their_parent(stack: Stack) -> None:
    stack.settings["WORKERS"] = "2"
    stack.start("web")
    port = stack.ports["web"]
    key = stack.new_key()
    with stack.client(key) as client:
        for _ in range(20):
            client.get("/v1/ledger")
        counted = "".join(
            line for line in client.get("/metrics").text.splitlines() if "_count{" in line and "/v1/ledger" in line
        )
        assert counted.endswith(" 20.0"), "the processes' metrics are added up"
    stack.kill("web")

    def silent() -> bool:
        try:
            httpx.get(f"http://127.0.0.1:{port}/health", timeout=1)
        except httpx.HTTPError:
            return True
        return False

    _until(silent)


def test_the_processes_stay_small(stack: Stack) -> None:
    stack.start_nodes()
    stack.start("web")
    stack.start("worker")
    key = stack.new_key()
    with stack.client(key) as client:
        for _ in range(100):
            client.post("/api/lightning/create-invoice", json={"amount": 1})
    for role in ("web", "worker"):
        status = Path(f"/proc/{stack.processes[role].pid}/status").read_text()
        resident_mib = int(status.split("VmRSS:")[1].split()[0]) / 1024
        assert resident_mib < 200, role


# Variables that the web role refuses, because they sign or spend.
_WORKER_ALONE = {"LND_PAY_MACAROON", "ONCHAIN_SIGNING_DESCRIPTOR", "SOLANA_FEE_PAYER", "TON_MASTER_KEY"}
# Those that the stack sets itself, with words in them that are looked for as well.
_OF_THE_STACK = {"DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL", "SOLANA_RPC_URL", "BOOTSTRAP_ADMIN_KEY"}


def _planted() -> dict[str, str]:
    """A value for every secret among the settings, in the form that the setting wants."""
    from pydantic import SecretStr
    from solders.keypair import Keypair

    from payments.settings import Settings

    names = [name.upper() for name, field in Settings.model_fields.items() if SecretStr in get_args(field.annotation)]
    planted = {name: f"planted-{name.lower()}-" + "a1b2c3d4" * 5 for name in names if name not in _OF_THE_STACK}
    planted |= {
        name: "0badc0de" * 8 + f"{number:02d}" for number, name in enumerate(sorted(planted)) if "MACAROON" in name
    }
    # Nobody takes the errors; what is sent is looked through in test_app_error_tracking.
    dsn = f"http://planted-{'a1b2c3d4' * 5}@127.0.0.1:{free_port()}/1"
    return planted | {"SOLANA_FEE_PAYER": str(Keypair()), "SENTRY_DSN": dsn}


def test_planted_secrets_are_nowhere(stack: Stack, database: TestDatabase) -> None:
    planted = _planted()
    assert len(planted) > 20, "every secret setting, those of later rails included"
    for_both = {name: value for name, value in planted.items() if name not in _WORKER_ALONE}
    stack.settings |= for_both | {"LOG_LEVEL": "debug", "LND_MACAROON_PATH": "", "SOLANA_RPC_URL": ""}
    # A rail and a Redis that do not answer, with secrets in their URLs: errors of every kind are logged.
    stack.settings["REDIS_URL"] = f"redis://:planted-redis-word@127.0.0.1:{free_port()}/0"
    stack.settings["SOLANA_RPC_URL"] = f"http://127.0.0.1:{free_port()}/?api-key=planted-solana-key"
    certificate = stack.folder / "lnd" / "merchant" / "tls.cert"
    certificate.parent.mkdir(parents=True)
    certificate.write_text("no certificate")
    stack.start("web")
    stack.settings |= {name: planted[name] for name in _WORKER_ALONE}
    stack.start("worker")
    seen = []
    token = "planted.token.signature"
    bootstrap = {"x-api-key": SECRETS["bootstrap_admin_key"]}
    with stack.client("sk_test_plantedkeyplantedkey") as client:
        for method, path, body in (
            ("POST", "/api/lightning/create-invoice", {"amount": 1}),
            ("GET", "/v1/ledger", None),
            ("GET", "/ready", None),
            ("GET", "/metrics", None),
            ("GET", "/v1/invoices/%00", None),
            ("POST", "/verify", {}),
            ("POST", "/settle", {}),
        ):
            seen.append(client.request(method, path, json=body).text)
        seen.append(client.put("/v1/switches/invoices", json={"on": False, "reason": "r"}, headers=bootstrap).text)
        seen.append(client.get("/api-keys", headers=bootstrap).text)
        # A mistake of ours, with its trace: the table is gone.
        with psycopg.connect(database.superuser_url) as connection:
            connection.execute("ALTER TABLE payments.switches RENAME TO gone")
        seen.append(client.get("/v1/switches", headers=bootstrap).text)
    with stack.client("") as client:
        del client.headers["x-api-key"]
        seen.append(client.get("/v1/ledger", headers={"authorization": f"Bearer {token}"}).text)
    seen.append(httpx.get(f"http://127.0.0.1:{stack.ports['worker']}/metrics").text)
    seen.append(httpx.get(f"http://127.0.0.1:{stack.ports['worker']}/ready").text)
    for table in ("audit_log", "outbox", "events", "attempts", "switches_gone"):
        name = "gone" if table == "switches_gone" else table
        seen += [str(row) for row in _rows(database, f"SELECT * FROM payments.{name}")]
    stack.stop()
    logs = stack.log("web").read_text() + stack.log("worker").read_text()
    assert "Traceback" in logs, "a trace is among what is looked through"
    assert "this release does not read" in logs
    everything = "\n".join([*seen, logs])
    words = [
        *planted.values(),
        token,
        "planted-redis-word",
        "planted-solana-key",
        "sk_test_plantedkeyplantedkey",
        "payments_app-word",
        "44" * 32,
    ]
    assert [word for word in words if word in everything] == []
