"""What `python -m payments audit ...` does: each returns the exit status and what is printed, as one JSON object."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any

from payments.audit import archive as archives
from payments.audit import repository
from payments.database import Database
from payments.errors import ServiceUnavailable
from payments.object_stores import ObjectStore, StoreConfigError, StoreError
from payments.settings import Settings, SettingsError

Told = tuple[int, dict[str, Any]]
_ENTRIES_OF_DATABASE_URL = "DATABASE_URL is missing: set it, or put a file DATABASE_URL into $SECRETS_DIR."


@asynccontextmanager
async def _database(settings: Settings) -> AsyncIterator[Database]:
    if settings.database_url is None:
        raise SettingsError([_ENTRIES_OF_DATABASE_URL])
    database = Database(settings.database_url.get_secret_value(), size=1, timeout_seconds=10, name="audit")
    await database.open()
    try:
        yield database
    finally:
        await database.close()


def _store(settings: Settings) -> ObjectStore:
    try:
        store = archives.archive_of(settings)
    except StoreConfigError as error:
        raise SettingsError([str(error)]) from error
    assert store is not None, "the settings of the archive's commands name one"
    return store


def verify(settings: Settings) -> Told:
    """Recompute every root from the rows of the database."""

    async def run() -> Told:
        async with _database(settings) as database:
            breaks = await repository.breaks(database)
            figures = await repository.figures(database)
        return 1 if breaks else 0, {"ok": not breaks, "breaks": breaks, **figures}

    return asyncio.run(run())


def archive(settings: Settings) -> Told:
    """Archive what is sealed and not there yet."""

    async def run() -> Told:
        store = _store(settings)
        async with _database(settings) as database:
            try:
                segments = await archives.export(database, store)
            except (StoreError, ServiceUnavailable) as error:
                return 1, {"ok": False, "error": str(error)}
            waiting = await repository.unarchived_seconds(database)
        return 0, {"ok": True, "segments": segments, "unarchived_seconds": round(waiting, 3)}

    return asyncio.run(run())


def verify_archive(settings: Settings) -> Told:
    """Recompute the archive, and compare it with the database where there is one."""

    async def run() -> Told:
        store = _store(settings)
        try:
            if settings.database_url is None:
                found = await archives.verify(store)
            else:
                async with _database(settings) as database:
                    found = await archives.verify(store, database)
        except (StoreError, ServiceUnavailable) as error:
            return 1, {"ok": False, "error": str(error)}
        return 1 if found.breaks else 0, {"ok": not found.breaks, **asdict(found)}

    return asyncio.run(run())
