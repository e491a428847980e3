"""Rules of webhook endpoints."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import orjson

from payments.api_keys.schemas import Caller
from payments.database import Queries, Row, Transaction
from payments.errors import Conflict, NotFound
from payments.idempotency.schemas import Answer, IdempotencyKey
from payments.idempotency.service import in_one_transaction
from payments.settings import AppEnv, Settings
from payments.webhooks import repository
from payments.webhooks.reachable import check_url
from payments.webhooks.schemas import DeliveryView, EndpointView, NewEndpoint
from payments.webhooks.signing import secret_of, shown

if TYPE_CHECKING:
    from payments.core import Core

MAXIMUM_ENDPOINTS = 20
# Time to bring a new secret to every receiver.
ROTATION = timedelta(hours=24)


def service_secret(settings: Settings) -> bytes:
    """What the endpoints' secrets are derived from."""
    assert settings.invoice_secret is not None
    return settings.invoice_secret.get_secret_value().encode()


def allows_private(settings: Settings) -> bool:
    """Whether webhooks may go to private addresses: on a developer's machine they must."""
    return settings.app_env is AppEnv.LOCAL


def _stored(row: Row, status: int) -> Answer:
    """The answer as it is stored under an Idempotency-Key: with the secret's version instead of the secret."""
    view = EndpointView.of(row).model_dump(mode="json")
    return Answer.of(status, {**view, "secretVersion": row["secret_version"]})


def _with_secret(core: Core, stored: Answer) -> Answer:
    """The stored answer as it is sent."""
    content = orjson.loads(stored.body)
    secret = secret_of(service_secret(core.settings), UUID(content["id"]), content.pop("secretVersion"))
    return Answer.of(stored.status, {**content, "secret": shown(secret)})


async def register(core: Core, caller: Caller, new: NewEndpoint, key: IdempotencyKey) -> Answer:
    """Register an endpoint and show its secret.

    Raises:
        InvalidInput: the URL is not one that may be sent to.
        Conflict: the user has the most endpoints already; the key's rules.
    """
    check_url(new.url, allow_private=allows_private(core.settings))

    async def effect(transaction: Transaction) -> Answer:
        if len(await _of(transaction, caller)) >= MAXIMUM_ENDPOINTS:
            raise Conflict(f"There are {MAXIMUM_ENDPOINTS} webhook endpoints already: delete one first.")
        row = await repository.insert(
            transaction,
            endpoint_id=core.clock.new_id(),
            user_id=caller.user_id,
            environment=caller.environment,
            url=new.url,
            description=new.description,
            event_types=new.eventTypes,
            now=core.clock.now(),
        )
        return _stored(row, 201)

    return _with_secret(core, await in_one_transaction(core, key, effect))


async def _of(database: Queries, caller: Caller) -> Sequence[Row]:
    return await repository.endpoints(database, user_id=caller.user_id, environment=caller.environment)


async def listed(core: Core, caller: Caller) -> list[EndpointView]:
    """The caller's endpoints."""
    return [EndpointView.of(row) for row in await _of(core.database, caller)]


def _found(row: Row | None) -> Row:
    if row is None:
        raise NotFound("There is no such webhook endpoint.")
    return row


async def delete(core: Core, caller: Caller, endpoint_id: UUID) -> None:
    """Forget an endpoint and its deliveries.

    Raises:
        NotFound: the caller has none with this id.
    """
    if not await repository.delete(core.database, endpoint_id, user_id=caller.user_id, environment=caller.environment):
        raise NotFound("There is no such webhook endpoint.")


async def rotate(core: Core, caller: Caller, endpoint_id: UUID, key: IdempotencyKey) -> Answer:
    """Give an endpoint a new secret; for 24 hours deliveries carry a signature of each."""
    now = core.clock.now()

    async def effect(transaction: Transaction) -> Answer:
        row = await repository.rotate(
            transaction,
            endpoint_id,
            user_id=caller.user_id,
            environment=caller.environment,
            previous_until=now + ROTATION,
            now=now,
        )
        return _stored(_found(row), 200)

    return _with_secret(core, await in_one_transaction(core, key, effect))


async def enable(core: Core, caller: Caller, endpoint_id: UUID, key: IdempotencyKey, *, enabled: bool) -> Answer:
    """Turn an endpoint on or off. What was pending is sent when it is on again."""

    async def effect(transaction: Transaction) -> Answer:
        row = await repository.set_enabled(
            transaction,
            endpoint_id,
            user_id=caller.user_id,
            environment=caller.environment,
            enabled=enabled,
            now=core.clock.now(),
        )
        return Answer.of(200, EndpointView.of(_found(row)).model_dump(mode="json"))

    return await in_one_transaction(core, key, effect)


async def send_test(core: Core, caller: Caller, endpoint_id: UUID, key: IdempotencyKey) -> Answer:
    """Publish an event of type webhook.test, which goes the way of every other."""
    whose = {"user_id": caller.user_id, "environment": caller.environment}

    async def effect(transaction: Transaction) -> Answer:
        _found(await repository.endpoint(transaction, endpoint_id, **whose))
        await repository.publish_test(transaction, endpoint_id, **whose)
        return Answer.of(202, {"endpointId": str(endpoint_id)})

    return await in_one_transaction(core, key, effect)


async def deliveries(
    core: Core, caller: Caller, *, endpoint_id: UUID | None, state: str | None, limit: int
) -> list[DeliveryView]:
    """The caller's deliveries, newest first."""
    rows = await repository.deliveries(
        core.database,
        user_id=caller.user_id,
        environment=caller.environment,
        endpoint_id=endpoint_id,
        state=state,
        limit=limit,
    )
    return [DeliveryView.of(row) for row in rows]


async def replay(core: Core, caller: Caller, delivery_id: UUID, key: IdempotencyKey) -> Answer:
    """Send a delivery again, dead or delivered.

    Raises:
        NotFound: the caller has none with this id.
    """

    async def effect(transaction: Transaction) -> Answer:
        row = await repository.replay(transaction, delivery_id, user_id=caller.user_id, environment=caller.environment)
        if row is None:
            raise NotFound("There is no such delivery.")
        return Answer.of(202, DeliveryView.of(row).model_dump(mode="json"))

    return await in_one_transaction(core, key, effect)
