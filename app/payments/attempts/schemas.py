"""What an attempt is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from payments.database import Row


@dataclass(frozen=True, slots=True)
class Attempt:
    """An effect tried on a rail. `token` is the lease's holder: only it may write the outcome."""

    id: UUID
    kind: str
    rail: str
    rail_id: str
    subject_kind: str
    subject_id: UUID
    state: str
    token: UUID
    look_ups: int
    payload: Mapping[str, Any]
    created_at: datetime

    @classmethod
    def of(cls, row: Row) -> Attempt:
        """The attempt in a row of payments.attempts."""
        return cls(
            id=row["id"],
            kind=row["kind"],
            rail=row["rail"],
            rail_id=row["rail_id"],
            subject_kind=row["subject_kind"],
            subject_id=row["subject_id"],
            state=row["state"],
            token=row["lease_token"],
            look_ups=row["look_ups"],
            payload=row["payload"],
            created_at=row["created_at"],
        )
