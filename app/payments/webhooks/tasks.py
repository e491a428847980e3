"""The worker's part of webhooks: sending what is due, until it is delivered or 72 hours have passed."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta
from typing import TYPE_CHECKING

import aiohttp
import orjson
import structlog

from payments import metrics
from payments.clock import iso
from payments.upstreams.guarding import LeftAloneError, Patience, Strangers
from payments.version import VERSION
from payments.webhooks import repository
from payments.webhooks.reachable import ForbiddenAddressError, PublicResolver, check_url
from payments.webhooks.schemas import Due
from payments.webhooks.service import allows_private, service_secret
from payments.webhooks.signing import secret_of, signature
from payments.worker.work import Duty

if TYPE_CHECKING:
    from payments.core import Core

TIMEOUT_SECONDS = 15.0
LEASE_SECONDS = 60.0
BATCH = 50
LOOK_EVERY_SECONDS = 0.25
# After one of BATCH has ended: others end meanwhile, and are followed by as many in one statement.
GATHER_SECONDS = 0.02
GIVE_UP_AFTER = timedelta(hours=72)
# Seconds until the next attempt, by attempts made; the last one repeats until 72 hours have passed.
SCHEDULE = (5, 60, 300, 1800, 3600, 7200, 14_400, 21_600, 28_800)
_log = structlog.get_logger(__name__)


def next_attempt_after(attempts: int) -> float:
    """Seconds to wait after `attempts` attempts, with a tenth of jitter."""
    return SCHEDULE[min(attempts, len(SCHEDULE)) - 1] * random.uniform(0.9, 1.1)  # noqa: S311


def body_of(due: Due) -> bytes:
    """What is sent; the same bytes at every attempt."""
    return orjson.dumps(
        {"id": f"evt_{due.event_id}", "type": due.name, "timestamp": iso(due.happened_at), "data": dict(due.payload)}
    )


class Sender:
    """Sends deliveries over one session."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._allow_private = allows_private(core.settings)
        patience = Patience(core.settings.breaker_failures, core.settings.breaker_rest_seconds)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                resolver=PublicResolver(allow_private=self._allow_private), limit=BATCH, limit_per_host=10
            ),
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS),
            headers={"User-Agent": f"Railyard-Webhooks/{VERSION}", "Content-Type": "application/json"},
            auto_decompress=False,
            middlewares=Strangers("webhooks", patience).guard(),
        )

    async def close(self) -> None:
        """Close the session."""
        await self._session.close()

    def _headers(self, due: Due, body: bytes) -> dict[str, str]:
        now = self._core.clock.now()
        versions = [due.secret_version]
        if due.previous_secret_until is not None and due.previous_secret_until > now:
            versions.append(due.secret_version - 1)
        master = service_secret(self._core.settings)
        secrets = [secret_of(master, due.endpoint_id, version) for version in versions]
        timestamp = int(now.timestamp())
        message_id = f"evt_{due.event_id}"
        return {
            "webhook-id": message_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature(secrets, message_id, timestamp, body),
        }

    async def _post(self, due: Due) -> tuple[int | None, str]:
        """Status and error of one attempt; 2xx is success. Redirects are not followed: nobody checked where to."""
        body = body_of(due)
        try:
            check_url(due.url, allow_private=self._allow_private)
            async with self._session.post(
                due.url, data=body, headers=self._headers(due, body), allow_redirects=False
            ) as answer:
                return answer.status, "" if 200 <= answer.status < 300 else f"it answered {answer.status}"
        except ForbiddenAddressError:
            return None, "it does not lead to a public address"
        except LeftAloneError as error:
            return None, str(error)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            cause = getattr(error, "os_error", None)
            if isinstance(cause, ForbiddenAddressError) or isinstance(error.__cause__, ForbiddenAddressError):
                return None, "it does not lead to a public address"
            return None, f"no answer: {type(error).__name__}"
        except Exception as error:
            return None, f"it cannot be sent to: {type(error).__name__}"

    async def deliver(self, due: Due, token: object) -> str:
        """One attempt and what comes of it: delivered, pending or dead."""
        status, error = await self._post(due)
        is_over = self._core.clock.now() - due.first_attempt_at > GIVE_UP_AFTER
        state = "delivered" if not error else "dead" if is_over or status == 410 else "pending"
        await repository.finish(
            self._core.database,
            due.id,
            token=token,  # type: ignore[arg-type]
            state=state,
            status=status,
            error=error,
            next_seconds=next_attempt_after(due.attempts) if state == "pending" else None,
        )
        if status == 410:
            await repository.disable(self._core.database, due.endpoint_id, "it answered 410 Gone")
        metrics.WEBHOOKS.labels(state).inc()
        if state == "dead":
            _log.error("a webhook was given up", delivery_id=str(due.id), endpoint_id=str(due.endpoint_id), error=error)
        return state


async def begin(core: Core, sender: Sender, limit: int) -> list[asyncio.Task[str]]:
    """Begin to send what is due now, `limit` deliveries at most."""
    token = core.clock.new_token()
    due = await repository.take(core.database, token=token, lease_seconds=LEASE_SECONDS, limit=limit)
    return [asyncio.create_task(sender.deliver(one, token)) for one in due]


async def deliver(core: Core) -> None:
    """Send until cancelled, BATCH at once. For a receiver that takes its time nobody waits but its own events."""
    sender = Sender(core)
    under_way: set[asyncio.Task[str]] = set()
    try:
        while True:
            free = BATCH - len(under_way)
            begun = await begin(core, sender, free)
            under_way.update(begun)
            if len(begun) == free:
                await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
                await asyncio.sleep(GATHER_SECONDS)
            else:
                await asyncio.sleep(LOOK_EVERY_SECONDS)
            for task in [one for one in under_way if one.done()]:
                under_way.discard(task)
                task.result()
    finally:
        for task in under_way:
            task.cancel()  # sent again when its lease has run out
        await asyncio.gather(*under_way, return_exceptions=True)
        await sender.close()


async def measure(core: Core) -> None:
    """Publish how many deliveries wait and for how long."""
    number, lag = await repository.figures(core.database)
    metrics.WEBHOOKS_DUE.set(number)
    metrics.WEBHOOK_LAG.set(lag)


DUTIES = (
    # Runs until it is cancelled; every_seconds is the pause after it was broken off by an error.
    Duty("deliver webhooks", 1.0, deliver),
    Duty("measure webhooks", 5.0, measure),
)
