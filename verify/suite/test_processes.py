"""The processes below the service: where they listen, and what they refuse."""

from __future__ import annotations

import socket
import stat
from pathlib import Path

import psutil
import psycopg
import pytest

from findings.finding import Severity
from verify.report import check
from verify.stack import DeployedStack

TIMEOUT_SECONDS = 5


@check(severity=Severity.CRITICAL, fix="Run ./railyard up, which starts it again.")
def test_every_process_listens(stack: DeployedStack) -> None:
    deaf = []
    for process in stack.processes.values():
        try:
            socket.create_connection((process.host, process.port), timeout=TIMEOUT_SECONDS).close()
        except OSError:
            deaf.append(process.name)
    assert not deaf, f"Nothing listens for {', '.join(deaf)}."


@check(
    severity=Severity.CRITICAL,
    fix="Bind it to 127.0.0.1.",
    requirements=("x4-sec-firewall",),
    reference="PCI DSS 4.0 1.4.4",
)
def test_listeners_are_on_loopback(stack: DeployedStack) -> None:
    ports = {process.port: process.name for process in stack.processes.values()}
    listening = [c.laddr for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN and c.laddr]
    exposed = {ports[port] for ip, port in listening if port in ports and ip not in ("127.0.0.1", "::1")}
    assert not exposed, f"Reachable from outside this machine: {', '.join(sorted(exposed))}."


@check(
    severity=Severity.CRITICAL,
    fix="Set requirepass.",
    requirements=("x4-sec-redis-auth",),
    reference="PCI DSS 4.0 8.3.1",
)
def test_redis_needs_a_password(stack: DeployedStack) -> None:
    redis = stack.processes["redis"]
    with socket.create_connection((redis.host, redis.port), timeout=TIMEOUT_SECONDS) as connection:
        connection.sendall(b"PING\r\n")
        answer = connection.recv(200)
    assert answer.startswith(b"-NOAUTH"), f"Redis answers a stranger with {answer!r}."


@check(
    severity=Severity.CRITICAL, fix="Use scram-sha-256 for every line of pg_hba.conf.", reference="PCI DSS 4.0 8.3.1"
)
@pytest.mark.parametrize("role", ["postgres", "payments_owner", "payments_app"])
def test_postgres_needs_the_right_password(stack: DeployedStack, role: str) -> None:
    postgres = stack.processes["postgres"]
    refused = ""
    try:
        psycopg.connect(
            host=postgres.host,
            port=postgres.port,
            user=role,
            password="not the password",  # noqa: S106  # what must be refused
            dbname="payments",
            connect_timeout=TIMEOUT_SECONDS,
        ).close()
    except psycopg.OperationalError as refusal:
        refused = str(refusal)
    assert refused, f"PostgreSQL lets {role} in with a wrong password."
    assert "password authentication failed" in refused, f"PostgreSQL refuses {role} oddly: {refused}"


@check(severity=Severity.CRITICAL, fix="chmod 600 it.", reference="PCI DSS 4.0 8.6.2")
def test_secret_files_are_private(stack: DeployedStack) -> None:
    files = [path for path in stack.secrets_folder.rglob("*") if path.is_file()]
    assert files, f"There are no secret files in {stack.secrets_folder}."
    readable = [str(path) for path in files if _mode(path) & 0o077]
    assert not readable, f"Others may read {', '.join(readable)}."


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@check(severity=Severity.CRITICAL, fix="Revoke it and run the migrations again.", reference="PCI DSS 4.0 10.3.2")
def test_the_service_cannot_rewrite_the_ledger(stack: DeployedStack) -> None:
    url = (stack.secrets_folder / "web-blue" / "DATABASE_URL").read_text().strip()
    with psycopg.connect(url, connect_timeout=TIMEOUT_SECONDS) as connection:
        connection.read_only = True
        rows = connection.execute(
            """
            SELECT format('%I.%I', n.nspname, c.relname), p.privilege
              FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
             CROSS JOIN (VALUES ('UPDATE'), ('DELETE'), ('TRUNCATE')) AS p (privilege)
             WHERE n.nspname = 'payments' AND c.relkind IN ('r', 'p')
               AND (c.relname LIKE 'ledger%' OR c.relname IN ('journals', 'entries') OR c.relname LIKE 'audit%')
               AND has_table_privilege(c.oid, p.privilege)
            """
        ).fetchall()
    assert not rows, f"The service's role may {', '.join(f'{right} {table}' for table, right in rows)}."
