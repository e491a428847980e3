"""What is sealed goes to the archive once, in segments that lead from one to the next and are locked there."""

from __future__ import annotations

import asyncio
import dataclasses
import gzip
import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import psycopg
import pytest
from moto.server import ThreadedMotoServer

from payments import metrics
from payments.__main__ import main
from payments.audit import archive, repository
from payments.audit.tasks import archive_sealed
from payments.core import Core
from payments.object_stores import FolderStore, ObjectStore, S3Store, StoreError
from tests.app.conftest import TestDatabase

INSERT = (
    "INSERT INTO payments.audit_log (actor, cause, action, object_kind, object_id, detail) "
    "VALUES ('a', 'c', 'x', 'thing', '1', '{\"n\": \"\u20ac\"}')"
)


async def _seal(core: Core, rows: int) -> None:
    for _ in range(rows):
        await core.database.run(INSERT, name="test")
    assert await repository.seal(core.database, *await repository.candidate(core.database)) == rows


class _FailingOnce(FolderStore):
    """Takes an object and says that it did not: the answer is lost."""

    fails = True

    async def add(self, name: str, data: bytes) -> None:
        await super().add(name, data)
        if self.fails:
            self.fails = False
            raise StoreError("The answer is lost.")


async def test_every_root_is_archived_once_and_can_be_recomputed_without_the_database(
    core: Core, tmp_path: Path
) -> None:
    store = FolderStore(tmp_path)
    await _seal(core, 3)
    await _seal(core, 2)
    assert await repository.unarchived_seconds(core.database) > 0
    assert await archive.export(core.database, store, entries=4) == 2  # a root is never cut: 3 rows, then 2
    assert await archive.export(core.database, store, entries=4) == 0
    assert await repository.unarchived_seconds(core.database) == 0
    await _seal(core, 1)
    assert await archive.export(core.database, store, entries=4) == 1
    for database in (None, core.database):
        verdict = await archive.verify(store, database)
        assert (verdict.segments, verdict.roots, verdict.entries, verdict.breaks) == (3, 3, 6, [])


async def test_a_lost_answer_leaves_one_segment_with_the_same_content(core: Core, tmp_path: Path) -> None:
    store = _FailingOnce(tmp_path)
    await _seal(core, 1)
    with pytest.raises(StoreError):
        await archive.export(core.database, store)
    (first,) = await store.names("audit/")
    await _seal(core, 1)  # more is sealed before it is tried again
    assert await archive.export(core.database, store) == 2
    assert len(await store.names("audit/")) == 2
    assert first in await store.names("audit/")
    assert (await archive.verify(store, core.database)).breaks == []


async def test_two_exporters_at_once_put_nothing_twice(core: Core, tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    for _ in range(5):
        await _seal(core, 1)
    await asyncio.gather(*(archive.export(core.database, store, entries=1) for _ in range(3)))
    assert len(await store.names("audit/")) == 5
    assert (await archive.verify(store, core.database)).breaks == []


@pytest.mark.parametrize("change", ["row", "gone", "swapped", "root", "cut"])
async def test_what_is_changed_in_the_archive_is_found(core: Core, tmp_path: Path, change: str) -> None:
    store = FolderStore(tmp_path)
    for _ in range(3):
        await _seal(core, 2)
        await archive.export(core.database, store)
    first, second, third = [tmp_path / name for name in await store.names("audit/")]
    content = gzip.decompress(second.read_bytes())
    if change == "row":
        second.write_bytes(gzip.compress(content.replace(b",a,c,x,", b",b,c,x,")))
    elif change == "gone":
        second.unlink()
    elif change == "swapped":
        kept = first.read_bytes()
        first.write_bytes(second.read_bytes())
        second.write_bytes(kept)
    elif change == "root":
        third.unlink()  # the newest: only the database knows that it was there
    else:
        second.write_bytes(second.read_bytes()[:-9])
    assert (await archive.verify(store, core.database)).breaks


async def test_a_segment_that_is_rewritten_with_its_name_does_not_lead_to_its_roots(core: Core, tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    await _seal(core, 2)
    await archive.export(core.database, store)
    (name,) = await store.names("audit/")
    content = gzip.decompress((tmp_path / name).read_bytes()).replace(b",a,c,x,", b",b,c,x,")
    (tmp_path / name).unlink()
    forged = f"audit/{1:012d}-{hashlib.sha256(content).hexdigest()}.jsonl.gz"
    (tmp_path / forged).write_bytes(gzip.compress(content))
    assert (await archive.verify(store)).breaks == [f"{forged}: the rows do not lead to root 1."]


async def test_a_database_that_was_rewritten_whole_is_told_by_the_archive(
    core: Core, database: TestDatabase, tmp_path: Path
) -> None:
    """Whoever owns the database can change a row and every root after it: `audit verify` finds nothing, this does."""
    store = FolderStore(tmp_path)
    await _seal(core, 2)
    await archive.export(core.database, store)
    with psycopg.connect(database.owner_url) as connection:
        connection.execute("ALTER TABLE payments.audit_log DISABLE TRIGGER USER")
        connection.execute("ALTER TABLE payments.audit_roots DISABLE TRIGGER USER")
        connection.execute("UPDATE payments.audit_log SET actor = 'b' WHERE id = 1")
        connection.execute(
            "UPDATE payments.audit_roots r SET root = (SELECT root FROM payments.audit_root('\\x', 0, r.through_id))"
        )
    assert await repository.breaks(core.database) == []
    assert (await archive.verify(store, core.database)).breaks == ["root 1 of the archive is not the database's."]


@pytest.fixture
def locked_bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A bucket `archive` with object lock and no rule of its own, at this endpoint."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
    client.create_bucket(Bucket="archive", ObjectLockEnabledForBucket=True)
    yield endpoint
    server.stop()


async def test_segments_in_a_bucket_are_locked_for_the_time_that_is_asked_for(core: Core, locked_bucket: str) -> None:
    plain: ObjectStore = S3Store("archive", "plain", region="us-east-1", endpoint=locked_bucket)
    locked = S3Store("archive", "kept", region="us-east-1", endpoint=locked_bucket, lock_days=2557)
    await _seal(core, 1)
    await archive.export(core.database, locked)
    (name,) = await locked.names("audit/")
    until = await locked.locked_until(name)
    assert until is not None
    assert timedelta(days=2556) < until - datetime.now(UTC) < timedelta(days=2558)
    assert (await archive.verify(locked, core.database)).breaks == []
    await plain.add(name, await locked.get(name))
    assert (await archive.verify(plain)).breaks == [f"{name} is not locked: it can be deleted."]


async def test_the_commands_archive_and_verify(
    core: Core,
    database: TestDatabase,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    await _seal(core, 2)
    assert await asyncio.to_thread(main, ["audit", "archive"]) == 2
    assert "AUDIT_ARCHIVE_STORE is missing" in capsys.readouterr().err
    monkeypatch.setenv("AUDIT_ARCHIVE_STORE", str(tmp_path))
    assert await asyncio.to_thread(main, ["audit", "archive"]) == 2
    assert "DATABASE_URL is missing" in capsys.readouterr().err
    monkeypatch.setenv("DATABASE_URL", database.app_url)
    assert await asyncio.to_thread(main, ["audit", "archive"]) == 0
    assert json.loads(capsys.readouterr().out) == {"ok": True, "segments": 1, "unarchived_seconds": 0.0}
    monkeypatch.delenv("DATABASE_URL")
    assert await asyncio.to_thread(main, ["audit", "verify-archive"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == {"ok": True, "segments": 1, "roots": 1, "entries": 2, "breaks": []}
    (segment,) = (tmp_path / "audit").iterdir()
    segment.write_bytes(b"")
    assert await asyncio.to_thread(main, ["audit", "verify-archive"]) == 1


async def test_the_worker_archives_and_publishes_what_waits(core: Core, tmp_path: Path) -> None:
    await _seal(core, 1)
    await archive_sealed(_with_archive(core, tmp_path / "kept"))
    assert metrics.AUDIT_UNARCHIVED._value.get() == 0
    (tmp_path / "file").write_text("no folder")
    await _seal(core, 1)
    failures = metrics.AUDIT_ARCHIVE_FAILURES._value.get()
    await archive_sealed(_with_archive(core, tmp_path / "file"))
    assert metrics.AUDIT_UNARCHIVED._value.get() > 0
    assert metrics.AUDIT_ARCHIVE_FAILURES._value.get() == failures + 1


def _with_archive(core: Core, folder: Path) -> Core:
    return dataclasses.replace(core, settings=core.settings.model_copy(update={"audit_archive_store": str(folder)}))
