"""A full disk is told in words, with the cure; the samples are what the servers printed on a disk that was full."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import psycopg
import pytest

from components.local.errors import LocalPlatformError, says_full, with_cure
from components.local.postgres_session import Login, session

PRINTED = [
    # PostgreSQL 15 and 16: data, a page of it, the write-ahead log, a new connection.
    'ERROR:  could not extend file "base/5/16384": No space left on device\nHINT:  Check free disk space.',
    'could not extend file "base/5/1249": wrote only 4096 of 8192 bytes at block 26\nHINT:  Check free disk space.',
    'PANIC:  could not write to file "pg_wal/xlogtemp.8899": No space left on device',
    "FATAL:  could not write init file",
    # Redis, with its append-only file: the answer to a write, and its log.
    "MISCONF Errors writing to the AOF file: No space left on device",
    "# Error writing to the AOF file: No space left on device",
    "OSError: [Errno 28] No space left on device: '/x'",
]


@pytest.mark.parametrize("printed", PRINTED)
def test_what_a_server_prints_on_a_full_disk_is_known(printed: str) -> None:
    told = with_cure("PostgreSQL refused a statement: it.", printed)
    assert told == (
        "PostgreSQL refused a statement: it. The disk of its data is full: free some space and run the command again."
    )


def test_other_errors_stay_as_they_are() -> None:
    assert not says_full('relation "a" does not exist')
    assert with_cure("It stopped.", "password authentication failed", Path.cwd()) == "It stopped."
    assert with_cure("It stopped.", "", "/no/such/folder") == "It stopped."


def test_a_server_that_had_no_room_to_say_why_is_told_of_by_its_disk(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=4096))
    assert f"The disk that holds {tmp_path} is full" in with_cure("postgres will not start", "", tmp_path)


class _Full:
    """A connection whose statements fail as PostgreSQL's do."""

    def __enter__(self) -> _Full:
        return self

    def __exit__(self, *_error: object) -> None:
        pass

    def execute(self, _statement: str) -> None:
        raise psycopg.errors.DiskFull(PRINTED[1])


def test_a_refused_statement_says_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(**_login: Any) -> _Full:
        return _Full()

    monkeypatch.setattr(psycopg, "connect", connect)
    with pytest.raises(LocalPlatformError) as refused, session(Login(5432, "secret")) as connection:
        connection.execute("INSERT")
    assert str(refused.value) == (
        'PostgreSQL refused a statement: could not extend file "base/5/1249": wrote only 4096 of 8192 bytes at block '
        "26. The disk of its data is full: free some space and run the command again."
    )
