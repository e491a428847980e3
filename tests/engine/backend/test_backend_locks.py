"""One update of a stack at a time, and a dead one's lock told apart from a living one's."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pulumi_embedded.backend.layout import Layout, StackName
from pulumi_embedded.backend.locks import StackLock, holders, refusal
from pulumi_embedded.errors import LockedError

STACK = StackName("proj", "dev")


def write_lock(layout: Layout, pid: int, *, host: str | None = None, **extra: str) -> Path:
    path = layout.lock_folder(STACK) / f"{pid}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "pid": pid,
        "username": "ann",
        "hostname": host or socket.gethostname(),
        "timestamp": "2026-01-02T03:04:05Z",
    }
    path.write_text(json.dumps({**content, **extra}))
    return path


@pytest.fixture
def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    process.wait()
    return process.pid


class TestHolding:
    def test_a_lock_stands_where_the_cli_looks_and_goes_away(self, layout: Layout) -> None:
        with StackLock(layout, STACK):
            found = list((layout.root / "locks/organization/proj/dev").glob("*.json"))
            content = json.loads(found[0].read_text())
            assert content["pid"] == os.getpid()
            assert {"username", "hostname", "timestamp"} <= set(content)
        assert not (layout.root / "locks").exists()

    def test_a_second_update_is_refused_with_who_since_when(self, layout: Layout) -> None:
        with StackLock(layout, STACK), pytest.raises(LockedError) as caught, StackLock(layout, STACK):
            pass
        text = str(caught.value)
        assert text.startswith("the stack is currently locked by 1 lock(s)")
        assert f"(pid {os.getpid()}) at 20" in text
        assert "no longer running" not in text

    def test_the_lock_goes_when_the_update_fails(self, layout: Layout) -> None:
        with pytest.raises(ZeroDivisionError), StackLock(layout, STACK):
            raise ZeroDivisionError
        assert holders(layout, STACK) == []

    def test_other_stacks_are_not_locked(self, layout: Layout) -> None:
        with StackLock(layout, STACK), StackLock(layout, StackName("proj", "prod")):
            pass

    def test_of_many_at_once_at_most_one_wins(self, layout: Layout) -> None:
        barrier, release, won = threading.Barrier(8), threading.Event(), []
        refused = threading.Semaphore(0)

        def attempt() -> None:
            barrier.wait()
            try:
                with StackLock(layout, STACK):
                    won.append(1)
                    refused.release()
                    release.wait(10)
            except LockedError:
                refused.release()

        threads = [threading.Thread(target=attempt) for _ in range(8)]
        for thread in threads:
            thread.start()
        for _ in threads:
            assert refused.acquire(timeout=10)
        release.set()
        for thread in threads:
            thread.join(10)
        assert len(won) <= 1


class TestStaleness:
    def test_a_dead_process_of_this_machine_is_told_apart(self, layout: Layout, dead_pid: int) -> None:
        write_lock(layout, dead_pid)
        found = holders(layout, STACK)
        assert [holder.dead for holder in found] == [True]
        assert "no longer running" in str(refusal(layout, found))
        assert "ann@" in str(refusal(layout, found))

    def test_a_process_of_another_machine_is_never_called_dead(self, layout: Layout, dead_pid: int) -> None:
        write_lock(layout, dead_pid, host="elsewhere")
        assert [holder.dead for holder in holders(layout, STACK)] == [False]

    def test_a_number_that_another_process_has_now_is_not_mistaken(self, layout: Layout) -> None:
        write_lock(layout, os.getpid(), processStart="1")
        assert [holder.dead for holder in holders(layout, STACK)] == [True]

    def test_a_lock_from_before_the_last_boot_is_dead(self, layout: Layout) -> None:
        write_lock(layout, os.getpid(), bootId="another boot")
        assert [holder.dead for holder in holders(layout, STACK)] == [True]

    def test_a_lock_of_the_cli_with_a_living_process_is_alive(self, layout: Layout) -> None:
        write_lock(layout, os.getpid())
        assert [holder.dead for holder in holders(layout, STACK)] == [False]

    def test_a_damaged_lock_still_locks(self, layout: Layout) -> None:
        write_lock(layout, 1).write_text("{")
        assert [holder.dead for holder in holders(layout, STACK)] == [False]

    def test_a_dead_lock_is_not_broken_by_an_update(self, layout: Layout, dead_pid: int) -> None:
        write_lock(layout, dead_pid)
        with pytest.raises(LockedError), StackLock(layout, STACK):
            pass
        assert len(holders(layout, STACK)) == 1
