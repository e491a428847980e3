"""A kill at any moment of `up` or `down` is mended by the next `up`: the long series behind `--full`."""

from __future__ import annotations

import contextlib
import os
import random
import time

import psutil
import pytest

from tests.railyard.newcomer import Checkout

SEED = int(os.environ.get("RAILYARD_KILL_SEED", "20261121"))
ROUNDS = int(os.environ.get("RAILYARD_KILL_ROUNDS", "12"))
# A first update takes about this long on two cores; a kill falls somewhere in it.
UPDATE_SECONDS = 25.0

pytestmark = pytest.mark.full


@pytest.mark.parametrize("number", range(ROUNDS))
def test_whatever_is_killed_the_next_up_converges(checkout: Checkout, number: int) -> None:
    draw = random.Random(SEED + number)
    before, victim, after = (
        draw.choice(["up", "down"]),
        draw.choice(["engine", "power"]),
        draw.uniform(0, UPDATE_SECONDS),
    )
    print(f"seed {SEED + number}: {victim} killed {after:.2f} s into {before}")
    if before == "up":
        checkout.run("down", "--yes")
    else:
        checkout.run("up")
    process = checkout.start(before, *(["--yes"] if before == "down" else []))
    wait_at_most(process.pid, after)
    for target in checkout.processes() if victim == "power" else engines(checkout):
        with contextlib.suppress(psutil.NoSuchProcess):
            target.kill()
    process.communicate(timeout=120)

    checkout.run("up")

    assert "no changes" in checkout.run("up").lower()
    status = checkout.json("status", "--json")
    assert {s["state"] for s in status["services"]} == {"running"}
    assert status["ledger"]["balanced"] is True
    commands = [tuple(p.cmdline()) for p in checkout.processes() if not has_parent_here(p, checkout)]
    assert len(commands) == len(set(commands)), "a process runs twice"


def wait_at_most(pid: int, seconds: float) -> None:
    """Until the command has ended or the time has passed; the moment of the kill is the test's input."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and psutil.pid_exists(pid):
        with contextlib.suppress(psutil.Error):
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return
        time.sleep(0.02)


def has_parent_here(process: psutil.Process, checkout: Checkout) -> bool:
    """Whether it is a worker of a process of the stack, of which there may be several alike."""
    parent = process.parent()
    return parent is not None and parent.name() == process.name() and str(checkout.state) in " ".join(parent.cmdline())


def engines(checkout: Checkout) -> list[psutil.Process]:
    """The embedded engine's processes, not what they started."""
    return [p for p in checkout.processes() if "pulumi_embedded" in p.cmdline()]
