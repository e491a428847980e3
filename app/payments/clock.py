"""Time and identities, injected so that tests own them."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID


def _system_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Clock:
    """Where times and random identities come from."""

    now: Callable[[], datetime] = _system_now
    random_bytes: Callable[[int], bytes] = secrets.token_bytes

    def new_id(self) -> UUID:
        """A UUID version 7 (RFC 9562): ordered by time, so that indexes grow at their end."""
        milliseconds = int(self.now().timestamp() * 1000) & ((1 << 48) - 1)
        noise = int.from_bytes(self.random_bytes(10), "big")
        value = milliseconds << 80 | 0x7 << 76 | (noise >> 68 & 0xFFF) << 64 | 0b10 << 62 | noise & ((1 << 62) - 1)
        return UUID(int=value)

    def new_token(self) -> UUID:
        """A random UUID that names the holder of a lease."""
        return UUID(bytes=self.random_bytes(16), version=4)


def iso(moment: datetime) -> str:
    """`moment` in UTC as the API writes it: 2026-01-31T12:00:00.000Z."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
