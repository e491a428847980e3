"""What a key and its claim are."""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson


class ClaimOutcome(enum.StrEnum):
    """What became of claiming a key."""

    CLAIMED = "claimed"
    RESUMED = "resumed"
    IN_FLIGHT = "in_flight"
    MISMATCH = "mismatch"
    REPLAY = "replay"


@dataclass(frozen=True, slots=True)
class Answer:
    """A 2xx answer as it is sent, and stored: status, headers of its own, and the body's bytes."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, status: int, content: Any) -> Answer:
        """An answer with `content` as JSON."""
        return cls(status, orjson.dumps(content))


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A key as a request sent it. `key` None: none was sent, nothing is claimed.

    Attributes:
        caller_id: the API key's id or the token's subject.
        route: template of the route, "POST /v1/payments".
        fingerprint: SHA-256 over method, route, caller and raw body.
        token: random; names this request as the holder of the lease.
    """

    caller_id: str
    environment: str
    route: str
    key: str | None
    fingerprint: bytes
    token: UUID


@dataclass(frozen=True, slots=True)
class Claim:
    """The database's answer to a claim."""

    outcome: ClaimOutcome
    subject_id: UUID
    retry_after_seconds: float
    answer: Answer | None


def fingerprint(route: str, caller_id: str, environment: str, raw_body: bytes) -> bytes:
    """SHA-256 of what must be the same when a key is sent again. Length-prefixed parts: none can imitate another."""
    digest = hashlib.sha256()
    for part in (route.encode(), caller_id.encode(), environment.encode(), raw_body):
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.digest()
