"""A lock of a living process is respected, one of a dead process is told apart."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from operations.checkout import State
from operations.errors import OperationError
from operations.locks import engine_locks, railyard_lock


def lock(state: State, name: str, **changed: object) -> None:
    content = {
        "pid": os.getpid(),
        "username": "ada",
        "hostname": socket.gethostname(),
        "timestamp": datetime.now(tz=UTC).isoformat(),
    } | changed
    folder = state.locks("local")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(content))


def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(tmp_path / "state with space")


def test_no_lock_is_no_lock(state: State) -> None:
    assert engine_locks(state, "local") == []


def test_a_running_process_holds_its_lock(state: State) -> None:
    lock(state, "one")
    assert [found.alive for found in engine_locks(state, "local")] == [True]


def test_a_dead_process_does_not(state: State) -> None:
    lock(state, "one", pid=dead_pid())
    assert [found.alive for found in engine_locks(state, "local")] == [False]


def test_a_later_process_with_the_same_number_does_not_hold_it(state: State) -> None:
    lock(state, "one", timestamp=(datetime.now(tz=UTC) - timedelta(days=3650)).isoformat())
    assert [found.alive for found in engine_locks(state, "local")] == [False]


def test_the_clis_nanoseconds_are_read(state: State) -> None:
    lock(state, "one", timestamp="2016-11-21T07:46:31.727839773Z")
    assert [found.alive for found in engine_locks(state, "local")] == [False]


def test_of_another_machine_nothing_is_assumed(state: State) -> None:
    lock(state, "one", hostname="elsewhere", pid=dead_pid())
    assert [found.alive for found in engine_locks(state, "local")] == [True]


def test_locks_come_oldest_first_and_name_their_holder(state: State) -> None:
    lock(state, "a", timestamp="2026-02-02T00:00:00+00:00", pid=22)
    lock(state, "b", timestamp="2026-01-01T00:00:00+00:00", pid=11)
    found = engine_locks(state, "local")
    assert [one.pid for one in found] == [11, 22]
    assert found[0].holder.startswith(f"ada@{socket.gethostname()} (process 11, since 202")


def test_what_is_no_lock_is_left_to_the_engine(state: State) -> None:
    lock(state, "one")
    (state.locks("local") / "torn.json").write_text('{"pid":')
    assert len(engine_locks(state, "local")) == 1


def test_a_second_command_is_told_who_is_at_work(state: State) -> None:
    state.make()
    told = rf"railyard up of .*process {os.getpid()}"
    with railyard_lock(state, "up"), pytest.raises(OperationError, match=told), railyard_lock(state, "down"):
        pass


def test_a_killed_command_holds_nothing(state: State) -> None:
    state.make()
    held = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys; from pathlib import Path; from operations.checkout import State; "
            "from operations.locks import railyard_lock\n"
            "with railyard_lock(State(Path(sys.argv[1])), 'up'): print('held', flush=True); sys.stdin.read()",
            str(state.folder),
        ],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert held.stdout is not None
    assert held.stdout.readline() == "held\n"
    with pytest.raises(OperationError, match=f"process {held.pid}"), railyard_lock(state, "up"):
        pass
    held.kill()
    held.communicate()
    with railyard_lock(state, "up"):
        pass
