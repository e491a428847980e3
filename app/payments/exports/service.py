"""Rules of exports and statements. Pages are read one by one: no connection is held while a client reads slowly."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

import orjson

from payments.api_keys.schemas import Caller, Scope
from payments.clock import iso
from payments.database import Row
from payments.errors import Forbidden, InvalidInput, NotFound
from payments.exports import repository
from payments.exports.schemas import Line, Statement
from payments.invoices import service as invoices
from payments.invoices.schemas import InvoiceView
from payments.payouts import service as payouts
from payments.payouts.schemas import PaymentView
from payments.refunds import service as refunds
from payments.refunds.schemas import RefundView

if TYPE_CHECKING:
    from payments.core import Core

Kind = Literal["invoices", "payments", "refunds", "entries"]
Format = Literal["csv", "jsonl"]
PAGE = 500
# Longer than any transaction lives: what was posted on a day is visible by then.
FINAL_AFTER = timedelta(minutes=2)
_ENTRY = ("id", "account", "asset", "amount", "journal", "kind", "source", "memo", "postedAt")
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "invoices": tuple(InvoiceView.model_fields),
    "payments": tuple(PaymentView.model_fields),
    "refunds": tuple(RefundView.model_fields),
    "entries": _ENTRY,
}


def own_accounts(caller: Caller) -> list[str]:
    """Codes of the caller's accounts."""
    return [f"liabilities:{kind}:{caller.environment}:{caller.user_id}" for kind in ("user", "reserved")]


def _first_id_of(moment: datetime) -> UUID:
    """The least UUID version 7 of a moment: ids are ordered by time."""
    return UUID(int=max(int(moment.timestamp() * 1000), 0) << 80)


def _entry(row: Row) -> dict[str, Any]:
    return {**{name: row[name] for name in _ENTRY if name != "postedAt"}, "postedAt": iso(row["posted_at"])}


async def _newest_first(
    core: Core, caller: Caller, kind: Kind, start: datetime, end: datetime
) -> AsyncIterator[dict[str, Any]]:
    pages: dict[str, tuple[Callable[..., Any], Any, dict[str, Any]]] = {
        "invoices": (invoices.page, InvoiceView, {"states": (), "external_id": None}),
        "payments": (payouts.page, PaymentView, {"states": (), "external_id": None}),
        "refunds": (refunds.page, RefundView, {"states": (), "external_id": None}),
    }
    page, view, filters = pages[kind]
    before: UUID | None = _first_id_of(end)
    while True:
        found = await page(core, caller, before=before, limit=PAGE, **filters)
        for record in found:
            if record.created_at < start:
                return
            yield view.of(record).model_dump(mode="json")
        if len(found) < PAGE:
            return
        before = found[-1].id


async def _in_order(core: Core, caller: Caller, start: datetime, end: datetime) -> AsyncIterator[dict[str, Any]]:
    after = 0
    while True:
        rows = await repository.entries(
            core.database, codes=own_accounts(caller), asset=None, start=start, end=end, after=after, limit=PAGE
        )
        for row in rows:
            yield _entry(row)
        if len(rows) < PAGE:
            return
        after = rows[-1]["id"]


def _cell(value: Any) -> Any:
    """A value as a cell: nested ones as JSON, and no text that a spreadsheet would take for a formula."""
    if isinstance(value, dict | list):
        value = orjson.dumps(value).decode()
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return f"'{value}"
    return value


def _csv_lines(rows: Iterable[Iterable[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


async def written(
    records: AsyncIterator[dict[str, Any]], columns: tuple[str, ...], form: Format
) -> AsyncIterator[bytes]:
    """Records as the lines of a file."""
    if form == "csv":
        yield _csv_lines([columns])
    async for record in records:
        if form == "csv":
            yield _csv_lines([[_cell(record[name]) for name in columns]])
        else:
            yield orjson.dumps(record) + b"\n"


def export(
    core: Core, caller: Caller, kind: Kind, form: Format, start: datetime | None, end: datetime | None
) -> AsyncIterator[bytes]:
    """The caller's own records of a time, as a file.

    Raises:
        InvalidInput: the time ends before it begins.
    """
    begins = _utc(start) if start else datetime.fromtimestamp(0, UTC)
    ends = _utc(end) if end else core.clock.now() + timedelta(seconds=1)
    if ends <= begins:
        raise InvalidInput("`from` must be before `to`.")
    records = (
        _in_order(core, caller, begins, ends) if kind == "entries" else _newest_first(core, caller, kind, begins, ends)
    )
    return written(records, COLUMNS[kind], form)


def _utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


async def statement(
    core: Core, caller: Caller, day: date, *, account: str | None, asset: str, after: int, limit: int
) -> Statement:
    """An account's day.

    Raises:
        Forbidden: it is not the caller's.
        NotFound: nothing was ever posted to it.
        InvalidInput: the day has not begun.
    """
    code = account or own_accounts(caller)[0]
    if code not in own_accounts(caller) and Scope.ADMIN not in caller.scopes:
        raise Forbidden("Statements are of the caller's own accounts; an administrator may read any.")
    start = datetime.combine(day, time(), UTC)
    if start > core.clock.now():
        raise InvalidInput("This day has not begun.")
    end = start + timedelta(days=1)
    if not await repository.account_exists(core.database, code, asset):
        raise NotFound(f"Nothing was ever posted to {code} in {asset}.")
    rows = await repository.entries(
        core.database, codes=[code], asset=asset, start=start, end=end, after=after, limit=limit + 1
    )
    shown = rows[:limit]
    return Statement(
        account=code,
        asset=asset,
        day=day,
        opening=await repository.balance_at(core.database, code, asset, start),
        closing=await repository.balance_at(core.database, code, asset, end),
        isFinal=core.clock.now() > end + FINAL_AFTER,
        lines=[Line.model_validate(_entry(row)) for row in shown],
        nextCursor=shown[-1]["id"] if len(rows) > limit else None,
    )
