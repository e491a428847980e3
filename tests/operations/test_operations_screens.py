"""What commands put on the screen: phases, tables, findings; plain where there is no terminal."""

from __future__ import annotations

import io
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from findings.finding import Severity
from operations import report
from operations.converging import summary
from operations.errors import OperationError
from operations.log_files import last_lines
from operations.outputs import Outputs, Service
from operations.payment.receipt import Receipt
from operations.probes import probe_all
from operations.progress import Phases
from operations.verification import read_verdict
from operations.watching import Watcher
from tests.operations.conftest import free_port

OUTPUTS: dict[str, Any] = {
    "release": "0123456789ab",
    "url": "http://127.0.0.1:1",
    "services": [{"name": "redis", "address": "127.0.0.1:20001", "health": {"kind": "tcp"}, "log": "/l/redis.log"}],
    "network": "regtest",
    "bootstrapAdminKey": "sk_bootstrap_planted",
    "counterparts": {
        "lightning": {"url": "https://127.0.0.1:2", "tlsCertPath": "/t", "macaroonPath": "/m"},
        "bitcoin": {"url": "http://127.0.0.1:4"},
        "river": {"url": "http://127.0.0.1:5"},
        "solana": {"rpcUrl": "http://127.0.0.1:3", "customerKeypair": "planted", "mint": "M", "feePayer": "F"},
    },
    "versions": {"postgres": "16.4", "redis": "7.2", "envoy": "1.40.0"},
}


def screen(width: int = 80) -> tuple[Console, io.StringIO]:
    written = io.StringIO()
    return Console(file=written, width=width, highlight=False, markup=False), written


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_phase_leaves_one_line_with_its_time_and_outcome() -> None:
    console, written = screen()
    clock = Clock()
    phases = Phases(console, clock)
    with phases.phase("update") as phase:
        phase.doing("creating redis")
        clock.now = 12.34
        phase.outcome = "41 created"
    assert written.getvalue() == "✓ update         12.3 s  41 created\n"
    assert phases.seconds == {"update": 12.34}


def test_a_phase_that_fails_is_marked_and_still_timed() -> None:
    console, written = screen()
    with pytest.raises(OperationError), Phases(console, Clock()).phase("plan"):
        raise OperationError("no.")
    assert written.getvalue() == "✗ plan            0.0 s\n"


def test_paths_with_brackets_are_not_markup() -> None:
    console, written = screen()
    Phases(console, Clock()).note("state in /tmp/[bold]x[/bold]")
    assert "[bold]x[/bold]" in written.getvalue()


@pytest.mark.parametrize(
    ("changes", "done", "said"),
    [
        ({}, False, "no changes"),
        ({"create": 41}, False, "41 to create"),
        ({"create": 2, "update": 1}, True, "2 created, 1 updated"),
        ({"replace": 1, "create-replacement": 1, "delete-replaced": 1}, False, "1 to replace"),
    ],
)
def test_changes_are_counted_in_words(changes: dict[str, int], done: bool, said: str) -> None:
    assert summary(changes, done=done) == said


def step(op: str, kind: str = "pulumi-python:dynamic/railyard:Process", name: str = "redis") -> SimpleNamespace:
    urn = f"urn:pulumi:local::railyard::railyard:local:Redis${kind}::{name}"
    return SimpleNamespace(op=op, type=kind, urn=urn)


def event(**kind: Any) -> Any:
    names = ("resource_pre_event", "res_outputs_event", "diagnostic_event", "policy_event", "summary_event")
    return SimpleNamespace(**{name: kind.get(name) for name in names})


def test_a_watcher_tells_what_is_being_done_and_what_was() -> None:
    doing: list[str] = []
    done: list[str] = []
    watcher = Watcher(doing.append, done.append, planned=2)
    for operation in ("create", "same"):
        watcher(event(resource_pre_event=SimpleNamespace(metadata=step(operation))))
        watcher(event(res_outputs_event=SimpleNamespace(metadata=step(operation))))
    assert doing == ["0/2 creating redis"]
    assert done == ["+ redis"]
    assert watcher.steps == [("create", "Process", "redis")]


def test_components_are_counted_and_not_told() -> None:
    done: list[str] = []
    watcher = Watcher(done=done.append)
    for kind in ("railyard:local:Redis", "pulumi:pulumi:Stack", "pulumi:providers:pulumi-python"):
        watcher(event(res_outputs_event=SimpleNamespace(metadata=step("create", kind))))
    assert done == []


def test_a_policys_word_becomes_a_finding_once() -> None:
    watcher = Watcher()
    violation = SimpleNamespace(
        message="<{%reset%}>Processes listen on loopback. Risk: x.\nredis listens on 0.0.0.0. Use 127.0.0.1.",
        policy_name="loopback-only",
        enforcement_level="mandatory",
        resource_urn=step("create").urn,
    )
    watcher(event(policy_event=violation))
    watcher(event(policy_event=violation))
    [finding] = watcher.findings
    assert (finding.rule, finding.place, finding.blocks) == ("loopback-only", "redis", True)
    assert finding.message == "redis listens on 0.0.0.0. Use 127.0.0.1."
    assert finding.severity is Severity.HIGH


def test_outputs_are_read_and_handed_on_whole() -> None:
    outputs = Outputs.parse(OUTPUTS)
    assert Outputs.model_validate_json(outputs.as_json()) == outputs
    assert '"customerKeypair"' in outputs.as_json()
    assert "planted" not in repr(outputs)


def test_outputs_of_half_a_stack_say_what_lacks() -> None:
    half = {key: value for key, value in OUTPUTS.items() if key not in ("url", "services")}
    with pytest.raises(OperationError, match=r"partly deployed \(its outputs lack services, url\)"):
        Outputs.parse(half)


def test_services_fit_80_columns_and_name_their_versions() -> None:
    console, written = screen()
    rows = [Service.model_validate(service) for service in OUTPUTS["services"]]
    report.services(console, [(rows[0], True)], OUTPUTS["versions"], "0123456789ab")
    report.services(console, [(rows[0], False)], OUTPUTS["versions"], "0123456789ab")
    lines = [line.split() for line in written.getvalue().splitlines()]
    assert lines[1] == ["redis", "127.0.0.1:20001", "running", "7.2"]
    assert lines[3][2] == "down"
    assert max(len(line) for line in written.getvalue().splitlines()) <= 80


def test_the_ledger_is_written_in_whole_units_without_floats() -> None:
    console, written = screen()
    accounts = [
        {"account": "merchant:1", "asset": "BTC", "balance": "123456789012345678000"},
        {"account": "hot:usdc", "asset": "USDC", "balance": -10_000},
        {"account": "empty", "asset": "USDC", "balance": 0},
    ]
    report.ledger(console, {"balanced": True, "entries": 4, "accounts": accounts})
    printed = written.getvalue()
    assert "Ledger: balanced, 4 entries" in printed
    assert "123,456,789,012,345,678 sat" in " ".join(printed.split())
    assert "-0.010000 USDC" in " ".join(printed.split())
    assert "empty" not in printed


def test_a_ledger_that_does_not_balance_is_shouted() -> None:
    console, written = screen()
    report.ledger(console, {"balanced": False, "entries": 1, "accounts": []})
    assert "DOES NOT BALANCE" in written.getvalue()


@pytest.mark.parametrize(
    ("rail", "amount", "asset", "price"),
    [
        ("lightning", 1_000_000, "msat", "1,000 sat"),
        ("lightning", 1_500, "msat", "1,500 msat"),
        ("onchain", 10_000_000, "msat", "0.0001 BTC"),
        ("onchain", 123_456_789_012_000, "msat", "1,234.56789012 BTC"),
        ("onchain", 200_000_000_000, "msat", "2.0 BTC"),
        ("river", 1_000_000, "msat", "1,000 sat"),
        ("x402", 10_000, "USDC", "0.010000 USDC"),
        ("x402", 12_000_000, "USDC", "12.000000 USDC"),
    ],
)
def test_a_receipt_says_its_price_as_people_do(rail: str, amount: int, asset: str, price: str) -> None:
    paid = Receipt(rail, amount, asset, "ab" * 32, "", 0, "settled", 0.25)
    assert paid.price == price
    assert f"{rail}: {price} paid in 0.2 s" in report.receipt(paid)


@pytest.mark.parametrize(
    ("code", "stdout", "passed", "said", "found"),
    [
        (0, "14 checks. No findings.\n", True, "14 checks, no findings", ""),
        (
            1,
            "14 checks. ✗ redis: x. [redis, high]\n  fix: y.\n1 findings, 1 of them block.\n",
            False,
            "14 checks, 1 findings, 1 of them block",
            "✗ redis: x. [redis, high]\n  fix: y.",
        ),
    ],
)
def test_the_suites_verdict_is_read(code: int, stdout: str, passed: bool, said: str, found: str) -> None:
    verdict = read_verdict(code, stdout, "")
    assert (verdict.passed, verdict.summary, verdict.findings) == (passed, said, found)


def test_a_suite_that_could_not_run_is_no_pass() -> None:
    with pytest.raises(OperationError, match="could not run: boom"):
        read_verdict(2, "", "Traceback\nboom\n")
    with pytest.raises(OperationError, match="could not run"):
        read_verdict(0, "", "")


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(503 if self.path == "/sick" else 200)
        self.end_headers()

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def server() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as listening:
        thread = Thread(target=listening.serve_forever)
        thread.start()
        yield listening.server_port
        listening.shutdown()
        thread.join()


def service(port: int, kind: str, path: str = "/") -> Service:
    return Service.model_validate(
        {"name": kind, "address": f"127.0.0.1:{port}", "health": {"kind": kind, "path": path}, "log": ""}
    )


def test_probes_tell_the_answering_from_the_sick_and_the_dead(server: int) -> None:
    asked = [service(server, "tcp"), service(server, "http"), service(server, "http", "/sick")]
    asked += [service(free_port(), "tcp"), service(free_port(), "http"), service(server, "https")]
    assert [answers for _, answers in probe_all(asked)] == [True, True, False, False, False, False]


def test_no_services_is_no_fault() -> None:
    assert probe_all([]) == []


def test_the_last_lines_of_a_log_with_any_bytes(tmp_path: Any) -> None:
    log = tmp_path / "x.log"
    log.write_bytes(b"one\ntwo \xff\nthree\n")
    assert last_lines(log, 2) == ["two \ufffd", "three"]
    assert last_lines(log, 0) == []
