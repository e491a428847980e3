"""Rules of idempotency keys: what a key may look like, and how a duplicate waits for the first."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from payments import metrics
from payments.errors import Conflict, InvalidInput
from payments.idempotency import repository
from payments.idempotency.schemas import Answer, Claim, ClaimOutcome, IdempotencyKey, fingerprint

if TYPE_CHECKING:
    from payments.api_keys.schemas import Caller
    from payments.clock import Clock
    from payments.core import Core
    from payments.database import Transaction

WAIT_SECONDS = 1.0
OTHER_REQUEST = (
    "This Idempotency-Key was used with another request: use a new one for a new request, or send the first body again."
)
STILL_RUNNING = "A request with this Idempotency-Key is still running: ask again."
MAXIMUM_KEY_LENGTH = 255


def key_of_request(
    *, caller: Caller, route: str, header: str | None, raw_body: bytes, clock: Clock, required: bool = False
) -> IdempotencyKey:
    """The key of a request, from its Idempotency-Key header.

    Args:
        route: method and template, "POST /v1/payments".
        required: refuse a request without one.

    Raises:
        InvalidInput: missing though required, or not 1 to 255 visible ASCII characters.
    """
    if header is None and required:
        raise InvalidInput(
            "The header Idempotency-Key is missing: send a new random value for every payment, and the same one again "
            "when you retry it."
        )
    if header is not None and not (
        1 <= len(header) <= MAXIMUM_KEY_LENGTH and header.isascii() and header.isprintable()
    ):
        raise InvalidInput("The header Idempotency-Key must be 1 to 255 visible ASCII characters.")
    return IdempotencyKey(
        caller_id=caller.id,
        environment=caller.environment,
        route=route,
        key=header,
        fingerprint=fingerprint(route, caller.id, caller.environment, raw_body),
        token=clock.new_token(),
    )


async def in_one_transaction(
    core: Core, key: IdempotencyKey, effect: Callable[[Transaction], Awaitable[Answer]]
) -> Answer:
    """A request without a rail call: key, effect and stored answer in one transaction.

    A duplicate that comes meanwhile waits for the commit of the first, which takes milliseconds, and gets its answer.

    Raises:
        Conflict: the key came with another body before.
    """
    async with core.database.statements() as transaction:
        if key.key is None:
            return await effect(transaction)
        claim = await repository.claim(transaction, key, key.token, core.settings.lease_seconds)
        metrics.DUPLICATES.labels(claim.outcome.value).inc()
        if claim.outcome is ClaimOutcome.MISMATCH:
            raise Conflict(OTHER_REQUEST)
        if claim.answer is not None:
            return claim.answer
        if claim.outcome is ClaimOutcome.IN_FLIGHT:
            raise Conflict(STILL_RUNNING, headers={"Retry-After": "1"})
        answer = await effect(transaction)
        await repository.complete_within(transaction.connection, key, answer)
        return answer


async def settle_claim(attempt: Callable[[], Awaitable[Claim]]) -> Claim:
    """Claim with `attempt`, which is called again while another request holds the key, for up to a second.

    No connection is held while waiting. Returns a claim that is `claimed`, `resumed` or `replay`.

    Raises:
        Conflict: the key came with another body before, or its first request is still running (Retry-After is set).
    """
    deadline = time.monotonic() + WAIT_SECONDS
    pause = 0.02
    while True:
        claim = await attempt()
        if claim.outcome is ClaimOutcome.MISMATCH:
            metrics.DUPLICATES.labels("mismatch").inc()
            raise Conflict(OTHER_REQUEST)
        if claim.outcome is not ClaimOutcome.IN_FLIGHT:
            metrics.DUPLICATES.labels(claim.outcome.value).inc()
            return claim
        if time.monotonic() + pause > deadline:
            metrics.DUPLICATES.labels("in_flight").inc()
            wait = max(1, min(math.ceil(claim.retry_after_seconds), 60))
            raise Conflict(STILL_RUNNING, headers={"Retry-After": str(wait)})
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, 0.15)
