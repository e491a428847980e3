"""The main job, from nothing to a paid service and back, as a newcomer meets it. Later tests build on earlier ones."""

from __future__ import annotations

import contextlib
from pathlib import Path

import bolt11
import httpx
import psutil
import pytest

from tests.railyard.newcomer import Checkout


@pytest.fixture(scope="session")
def deployed(checkout: Checkout) -> str:
    """What the first `./railyard up` printed."""
    return checkout.run("up")


def test_up_ends_with_each_rail_paid_and_a_balanced_ledger(deployed: str) -> None:
    printed = deployed.lower()
    for paid in (
        "lightning: 1,000 sat paid",
        "x402: 0.010000 usdc paid",
        "onchain: 0.0001 btc (regtest, 1 confirmation) paid",
        "river: 1,000 sat (told by a signed webhook) paid",
    ):
        assert paid in printed
    assert "balanced" in printed
    assert "http://127.0.0.1:" in printed


def test_up_leaves_the_working_tree_clean(checkout: Checkout, deployed: str) -> None:
    assert checkout.git("status", "--porcelain") == ""


def test_up_writes_nothing_into_home(checkout: Checkout, deployed: str) -> None:
    home = Path(checkout.environment["HOME"])
    assert [str(p.relative_to(home)) for p in home.rglob("*") if p.is_file()] == []


def test_a_second_up_plans_no_change(checkout: Checkout, deployed: str) -> None:
    assert "no changes" in checkout.run("up").lower()


def test_status_tells_what_runs_where(checkout: Checkout, deployed: str) -> None:
    status = checkout.json("status", "--json")
    assert status["stack"] == "local"
    assert status["platform"] == "local"
    assert status["ledger"]["balanced"] is True
    assert {s["state"] for s in status["services"]} == {"running"}
    assert all(s["address"].startswith("127.0.0.1:") for s in status["services"])


def test_a_key_creates_an_invoice_that_the_bolt11_library_decodes(checkout: Checkout, deployed: str) -> None:
    key = checkout.json("keys", "create", "--environment", "test", "--permissions", "read,write")["key"]
    url = checkout.json("status", "--json")["url"]
    answer = httpx.post(
        f"{url}/api/lightning/create-invoice", headers={"x-api-key": key}, json={"amount": 1000, "memo": "tea"}
    )
    assert answer.status_code == 200, answer.text
    invoice = bolt11.decode(answer.json()["paymentRequest"])
    assert invoice.amount_msat == 1_000_000
    assert invoice.description == "tea"
    assert invoice.payment_hash == answer.json()["paymentHash"]


def test_killed_processes_show_and_the_next_up_heals_them(checkout: Checkout, deployed: str) -> None:
    before = {s["name"] for s in checkout.json("status", "--json")["services"]}
    for process in checkout.processes():
        # No clean stop: what a power loss leaves behind, pid files and all.
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    assert "down" in {s["state"] for s in checkout.json("status", "--json")["services"]}
    checkout.run("up")
    status = checkout.json("status", "--json")
    assert {s["name"] for s in status["services"]} == before
    assert {s["state"] for s in status["services"]} == {"running"}
    assert status["ledger"]["balanced"] is True


def test_no_generated_secret_stands_in_plain_text_in_the_state(checkout: Checkout, deployed: str) -> None:
    values = checkout.json("pulumi", "config", "--stack", "local", "--show-secrets", "--json")
    secrets = [entry["value"] for entry in values.values() if entry["secret"]]
    assert len(secrets) >= 10
    files = [p for p in (checkout.state / ".pulumi").rglob("*") if p.is_file()]
    assert files
    for path in [*files, checkout.root / "Pulumi.local.yaml"]:
        content = path.read_bytes()
        for secret in secrets:
            assert secret.encode() not in content, f"{path} holds a secret in plain text"


def test_down_leaves_no_process_and_nothing_but_history(checkout: Checkout, deployed: str) -> None:
    checkout.run("down", "--yes")
    assert [p.cmdline() for p in checkout.processes()] == []
    assert not (checkout.state / "local").exists()
    assert not (checkout.root / "Pulumi.local.yaml").exists()
    assert list((checkout.state / ".pulumi" / "history").rglob("*.history.json"))
    assert checkout.git("status", "--porcelain") == ""


def test_a_kill_of_the_engine_during_up_is_mended_by_the_next_up(checkout: Checkout, deployed: str) -> None:
    """Needs the stack down; leaves it up. `--full` has the long series of these."""
    process = checkout.start("up")
    checkout.engine_once("supervisord").kill()
    process.communicate(timeout=60)
    assert process.returncode != 0
    checkout.run("up")
    assert "no changes" in checkout.run("up").lower()
    commands = [tuple(p.cmdline()) for p in checkout.processes()]
    assert len(commands) == len(set(commands)), "a process runs twice"
