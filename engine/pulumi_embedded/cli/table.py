"""Tables and times as the CLI prints them."""

from __future__ import annotations

from datetime import UTC, datetime


def table(rows: list[list[str]], indent: str = "") -> str:
    """Return rows in columns, the first row their heads; a row of one cell is a line of its own."""
    widths = [max(len(row[column]) for row in rows if len(row) > 1) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        if len(row) == 1:
            lines.append((indent + row[0]).rstrip())
            continue
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        lines.append((indent + "  ".join(cells)).rstrip())
    return "\n".join(lines)


def go_time(text: str) -> str:
    """Return an RFC 3339 time as Go prints times."""
    head, separator, tail = text.removesuffix("Z").partition("T")
    return f"{head} {tail} +0000 UTC" if separator and text.endswith("Z") else text


def ago(text: str, now: datetime | None = None) -> str:
    """Return how long ago an RFC 3339 time was, as people say it."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    seconds = int(((now or datetime.now(UTC)) - moment).total_seconds())
    if seconds < 1:
        return "now"
    for limit, unit, name in (
        (60, 1, "second"),
        (3600, 60, "minute"),
        (86400, 3600, "hour"),
        (604800, 86400, "day"),
        (2592000, 604800, "week"),
        (31104000, 2592000, "month"),
    ):
        if seconds < limit:
            count = seconds // unit
            return f"{count} {name}{'s' if count != 1 else ''} ago"
    count = seconds // 31104000
    return f"{count} year{'s' if count != 1 else ''} ago"
