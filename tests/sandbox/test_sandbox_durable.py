"""The one writer: grouped, whole, and on the disk before anybody is told."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from sandbox.durable import FolderInUseError, Writer, connect, hold_folder, write_file


@pytest.fixture
async def writer(tmp_path: Path) -> AsyncIterator[Writer]:
    connection = connect(tmp_path / "numbers.sqlite")
    connection.execute("CREATE TABLE numbers (number INTEGER PRIMARY KEY)")
    writer = Writer(connection, asyncio.get_running_loop())
    yield writer
    writer.close()


@pytest.fixture
def reader(tmp_path: Path, writer: Writer) -> sqlite3.Connection:
    return connect(tmp_path / "numbers.sqlite")


def insert(number: int, *, then_fail: bool = False) -> Callable[[sqlite3.Connection], int]:
    def change(connection: sqlite3.Connection) -> int:
        connection.execute("INSERT INTO numbers VALUES (?)", (number,))
        if then_fail:
            raise ValueError(f"no {number}")
        return number

    return change


def stored(reader: sqlite3.Connection) -> list[int]:
    return [row[0] for row in reader.execute("SELECT number FROM numbers ORDER BY number")]


class TestTheWriter:
    async def test_has_committed_when_it_answers(self, writer: Writer, reader: sqlite3.Connection) -> None:
        assert await writer.run(insert(5)) == 5
        assert stored(reader) == [5]

    async def test_undoes_a_failing_change_alone(self, writer: Writer, reader: sqlite3.Connection) -> None:
        changes = [writer.run(insert(number, then_fail=number % 3 == 0)) for number in range(1, 31)]
        outcomes = await asyncio.gather(*changes, return_exceptions=True)
        assert [isinstance(outcome, ValueError) for outcome in outcomes] == [number % 3 == 0 for number in range(1, 31)]
        assert stored(reader) == [number for number in range(1, 31) if number % 3]

    async def test_puts_waiting_changes_in_one_transaction(self, tmp_path: Path) -> None:
        connection = connect(tmp_path / "grouped.sqlite")
        connection.execute("CREATE TABLE numbers (number INTEGER PRIMARY KEY)")
        commits: list[str] = []
        connection.set_trace_callback(lambda statement: commits.append(statement) if statement == "COMMIT" else None)
        writer = Writer(connection, asyncio.get_running_loop())
        go_on = threading.Event()
        first = asyncio.create_task(writer.run(lambda _: go_on.wait(10)))
        others = [asyncio.create_task(writer.run(insert(number))) for number in range(50)]
        await asyncio.sleep(0)  # all are queued behind the first now
        go_on.set()
        await asyncio.gather(first, *others)
        writer.close()
        assert len(commits) <= 2

    async def test_finishes_a_change_whose_caller_went_away(self, writer: Writer, reader: sqlite3.Connection) -> None:
        task = asyncio.create_task(writer.run(insert(8)))
        await asyncio.sleep(0)
        task.cancel()
        await writer.run(insert(9))
        assert stored(reader) == [8, 9]

    async def test_takes_nothing_after_its_end(self, writer: Writer) -> None:
        writer.close()
        with pytest.raises(RuntimeError):
            await writer.run(insert(1))


class TestFiles:
    def test_are_replaced_whole(self, tmp_path: Path) -> None:
        write_file(tmp_path / "deep" / "file", b"one", mode=0o600)
        write_file(tmp_path / "deep" / "file", b"two", mode=0o600)
        assert [file.name for file in (tmp_path / "deep").iterdir()] == ["file"]
        assert (tmp_path / "deep" / "file").read_bytes() == b"two"

    def test_a_folder_has_one_holder(self, tmp_path: Path) -> None:
        first = hold_folder(tmp_path / "data")
        with pytest.raises(FolderInUseError, match="in use by another process"):
            hold_folder(tmp_path / "data")
        first.close()
        hold_folder(tmp_path / "data").close()
