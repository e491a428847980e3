"""The audit log is sealed without a gap, and a row that is changed, removed or slipped in afterwards is found."""

from __future__ import annotations

import asyncio
import json

import psycopg
import pytest

from payments.__main__ import main
from payments.audit import repository
from payments.audit.tasks import seal
from payments.core import Core
from tests.app.conftest import TestDatabase, until

INSERT = (
    "INSERT INTO payments.audit_log (actor, cause, action, object_kind, object_id, detail) "
    "VALUES ('a', 'c', 'x', 'thing', '1', '{\"n\": 1.50}')"
)


async def _seal_now(core: Core) -> int | None:
    return await repository.seal(core.database, *await repository.candidate(core.database))


async def _tamper(database: TestDatabase, statement: str) -> None:
    """As somebody with the owner's rights would."""
    with psycopg.connect(database.owner_url) as connection:
        connection.execute("ALTER TABLE payments.audit_log DISABLE TRIGGER ALL")
        connection.execute(statement.encode())
        connection.execute("ALTER TABLE payments.audit_log ENABLE TRIGGER ALL")


async def test_every_row_is_sealed_once(core: Core) -> None:
    for _ in range(3):
        await core.database.run(INSERT, name="test")
    assert await _seal_now(core) == 3
    assert await _seal_now(core) is None
    await core.database.run(INSERT, name="test")
    assert await _seal_now(core) == 1
    assert await repository.breaks(core.database) == []
    figures = await repository.figures(core.database)
    assert (figures["roots"], figures["sealed"], figures["unsealed"]) == (2, 4, 0)


async def test_a_transaction_that_is_still_open_holds_the_seal_back(core: Core, database: TestDatabase) -> None:
    with psycopg.connect(database.app_url) as slow:
        slow.execute(INSERT)
        await core.database.run(INSERT, name="test")
        candidate = await repository.candidate(core.database)
        assert await repository.seal(core.database, *candidate) is None
        slow.commit()
    assert await repository.seal(core.database, *candidate) == 2
    assert await repository.breaks(core.database) == []


async def test_many_writers_and_two_sealers_leave_no_break(core: Core) -> None:
    sealers = [asyncio.create_task(seal(core)) for _ in range(2)]

    async def write() -> None:
        for _ in range(30):
            await core.database.run(INSERT, name="test")
            await _seal_now(core)

    await asyncio.gather(*(write() for _ in range(6)))

    async def all_sealed() -> bool:
        return bool((await repository.figures(core.database))["unsealed"] == 0)

    await until(all_sealed)
    for sealer in sealers:
        sealer.cancel()
    await asyncio.gather(*sealers, return_exceptions=True)
    figures = await repository.figures(core.database)
    assert figures["sealed"] == 180
    assert await repository.breaks(core.database) == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE payments.audit_log SET actor = 'b' WHERE id = 2",
        "DELETE FROM payments.audit_log WHERE id = 2",
        # A row slipped in where another was taken away: their number stays the same.
        "DELETE FROM payments.audit_log WHERE id = 3; INSERT INTO payments.audit_log (id, actor, cause, action, "
        "object_kind, object_id) OVERRIDING SYSTEM VALUE VALUES (3, 'a', 'c', 'x', 't', '1')",
        "UPDATE payments.audit_log SET at = at + interval '1 microsecond' WHERE id = 1",
    ],
)
async def test_tampering_is_found(
    core: Core,
    database: TestDatabase,
    statement: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for _ in range(3):
        await core.database.run(INSERT, name="test")
    await _seal_now(core)
    monkeypatch.setenv("DATABASE_URL", database.app_url)
    assert await asyncio.to_thread(main, ["audit", "verify"]) == 0
    assert json.loads(capsys.readouterr().out)["ok"] is True
    await _tamper(database, statement)
    assert await asyncio.to_thread(main, ["audit", "verify"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["ok"] is False
    assert told["breaks"][0]["number"] == 1
