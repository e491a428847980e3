"""`python -m payments maintain optimise | report`."""

from __future__ import annotations

import asyncio
import json
import sys

from payments.clock import Clock
from payments.database import Database
from payments.maintenance.optimisation import OptimisationError, optimise
from payments.maintenance.report import report
from payments.settings import Command, load


def optimise_now() -> int:
    """Optimise the database as its owner; 1 when PostgreSQL refuses."""
    settings = load(Command.MIGRATE)
    assert settings.database_owner_url is not None
    try:
        print(json.dumps(optimise(settings.database_owner_url.get_secret_value())))  # noqa: T201
    except OptimisationError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    return 0


def report_now(days: int) -> int:
    """Print the report of the last whole days as one line of JSON, which the log group keeps."""
    settings = load(Command.AUDIT)
    assert settings.database_url is not None
    database = Database(settings.database_url.get_secret_value(), size=1, timeout_seconds=10, name="report")

    async def tell() -> None:
        await database.open()
        try:
            print(json.dumps(await report(database, days, Clock().now())))  # noqa: T201
        finally:
            await database.close()

    asyncio.run(tell())
    return 0
