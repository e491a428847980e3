"""Rules of invoices: two short transactions around one rail call (design section 4, rule 1)."""

from __future__ import annotations

import asyncio
import dataclasses
import hmac
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import structlog

from payments import metrics
from payments.api_keys.schemas import Caller, Scope
from payments.database import Transaction
from payments.errors import Conflict, InvalidInput, NotFound, PaymentFailed, ServiceUnavailable
from payments.idempotency.schemas import Answer, ClaimOutcome, IdempotencyKey
from payments.idempotency.service import in_one_transaction, settle_claim
from payments.invoices import repository
from payments.invoices.repository import Actor
from payments.invoices.schemas import Invoice, InvoiceState, InvoiceView, NewInvoice
from payments.rails.protocol import (
    InvoiceOrder,
    OutcomeUnknownError,
    RailInvoice,
    RailRefusedError,
    RailUnavailableError,
    ReceivingRail,
)

if TYPE_CHECKING:
    from payments.core import Core

# Below the lease: whoever takes over finds no call of ours still running.
RAIL_CALL_SECONDS = 30.0
LOOK_AGAIN_SECONDS = 5.0
_log = structlog.get_logger(__name__)


def seed_of(core: Core, invoice_id: UUID) -> bytes:
    """The invoice's secret seed, HMAC-SHA256(INVOICE_SECRET, id): the same for every retry, so the same identity."""
    assert core.settings.invoice_secret is not None
    secret = core.settings.invoice_secret.get_secret_value().encode()
    return hmac.digest(secret, invoice_id.bytes, "sha256")


def order_of(core: Core, invoice: Invoice) -> InvoiceOrder:
    """What the rail is asked for, the same on every retry."""
    return InvoiceOrder(
        invoice_id=invoice.id,
        seed=seed_of(core, invoice.id),
        asset=invoice.asset,
        amount=invoice.amount,
        memo=invoice.memo,
        created_at=invoice.created_at,
        expires_at=invoice.expires_at,
    )


def _ceiling(core: Core, asset: str) -> int | None:
    if asset == "BTC":
        return core.settings.max_payment_msat
    limits = core.settings.limits_of(asset)
    return limits.max_payment if limits else None


def _draft(core: Core, caller: Caller, new: NewInvoice, rail: ReceivingRail) -> Invoice:
    if new.asset not in rail.assets:
        raise InvalidInput(f"The rail {rail.name} takes {sorted(rail.assets)}, not {new.asset!r}.")
    ceiling = _ceiling(core, new.asset)
    if new.amount is not None and ceiling is not None and new.amount > ceiling:
        unit = "msat" if new.asset == "BTC" else f"minor units of {new.asset}"
        raise InvalidInput(
            f"The amount is above the ceiling of {ceiling} {unit} of one payment.",
            details={"maximumMsat": ceiling} if new.asset == "BTC" else {"maximum": ceiling, "asset": new.asset},
        )
    now = core.clock.now().replace(microsecond=0)
    invoice_id = core.clock.new_id()
    return Invoice(
        id=invoice_id,
        user_id=caller.user_id,
        environment=caller.environment,
        rail=rail.name,
        rail_id=rail.invoice_rail_id(seed_of(core, invoice_id)),
        asset=new.asset,
        amount=new.amount,
        received=0,
        memo=new.memo,
        metadata=new.metadata,
        external_id=new.externalId,
        state=InvoiceState.CREATING,
        payment_request=None,
        reason="",
        expires_at=now + timedelta(seconds=new.expirySeconds or core.settings.invoice_expiry_seconds),
        settled_at=None,
        created_at=now,
    )


async def create(
    core: Core,
    caller: Caller,
    new: NewInvoice,
    key: IdempotencyKey,
    *,
    status: int,
    render: Callable[[Invoice], Any],
) -> Answer:
    """Make an invoice on its rail, once per key.

    Args:
        render: the answer's content, made from the finished invoice; stored and replayed.

    Raises:
        InvalidInput, NotFound: the order cannot be kept here.
        Conflict: the key was used with another body or is still at work; the external id is taken.
        PaymentFailed: the rail finally refused.
        ServiceUnavailable: the rail does not answer; asking again with the same key is safe.
    """
    await core.switches.refuse_if_stopped("invoices", f"receive:{new.rail}")
    rail = core.rail(new.rail, ReceivingRail)  # type: ignore[type-abstract]
    draft = _draft(core, caller, new, rail)
    attempt_id = core.clock.new_id()
    claim = await settle_claim(
        lambda: repository.begin(
            core.database,
            draft,
            key=key,
            attempt_id=attempt_id,
            api_key_id=caller.key_id,
            lease_seconds=core.settings.lease_seconds,
            release=core.settings.release,
        )
    )
    if claim.outcome is ClaimOutcome.REPLAY:
        assert claim.answer is not None
        metrics.INVOICE_CREATE.labels("replayed").inc()
        return claim.answer
    is_resumed = claim.outcome is ClaimOutcome.RESUMED
    invoice = draft
    if is_resumed:
        found = await repository.by_id(core.database, claim.subject_id)
        assert found is not None, "a claimed key's invoice is written in the same transaction"
        invoice = found
    making = _Making(core, rail, invoice, key, Actor(caller.actor, key.route))
    return await making.finish(is_resumed=is_resumed, status=status, render=render)


@dataclasses.dataclass(frozen=True, slots=True)
class _Making:
    """The making of one invoice after T1, by whoever holds its lease."""

    core: Core
    rail: ReceivingRail
    invoice: Invoice
    key: IdempotencyKey
    actor: Actor

    async def finish(self, *, is_resumed: bool, status: int, render: Callable[[Invoice], Any]) -> Answer:
        """The rail call, without a connection, and T2."""
        if self.invoice.state is InvoiceState.FAILED:
            # The sweeper found that the rail never had it. The key's next request begins anew.
            await repository.fail(
                self.core.database,
                self.invoice.id,
                key=self.key,
                proof={"state": "failed"},
                reason=self.invoice.reason,
                now=self.core.clock.now(),
                actor=self.actor,
            )
            raise ServiceUnavailable(
                "The invoice could not be made before: send the request again.", headers={"Retry-After": "1"}
            )
        on_rail = await self._on_rail(is_resumed=is_resumed)
        invoice = self.invoice.with_rail(on_rail.payment_request, on_rail.expires_at)
        answer = Answer.of(status, render(invoice))
        written = await repository.open_(
            self.core.database,
            invoice,
            key=self.key,
            proof={"rail_id": on_rail.rail_id, **on_rail.facts},
            now=self.core.clock.now(),
            answer=answer,
            actor=self.actor,
        )
        if not written:
            raise Conflict("This invoice is being finished elsewhere: ask again.", headers={"Retry-After": "1"})
        metrics.INVOICE_CREATE.labels("created").inc()
        metrics.INVOICES.labels("open").inc()
        return answer

    async def _on_rail(self, *, is_resumed: bool) -> RailInvoice:
        order = order_of(self.core, self.invoice)
        try:
            async with asyncio.timeout(min(RAIL_CALL_SECONDS, self.core.settings.lease_seconds / 2)):
                known = await self.rail.look_up_invoice(order) if is_resumed else None
                return known or await self.rail.create_invoice(order)
        except RailRefusedError as error:
            metrics.INVOICE_CREATE.labels("refused").inc()
            await self._nothing_happened({"refused": error.sentence}, error.sentence)
            raise PaymentFailed(f"The invoice cannot be made: {error.sentence}") from error
        except RailUnavailableError as error:
            metrics.INVOICE_CREATE.labels("unavailable").inc()
            metrics.RAIL_NETWORK_ERRORS.labels(self.rail.name).inc()
            if is_resumed:
                # What the first request did is still not known.
                await self._doubt(error.sentence)
            else:
                await self._nothing_happened({"unreached": error.sentence}, error.sentence)
            raise ServiceUnavailable(
                f"{error.sentence} Nothing was made: try again.", headers={"Retry-After": "5"}
            ) from error
        except (OutcomeUnknownError, TimeoutError) as error:
            metrics.INVOICE_CREATE.labels("unknown").inc()
            metrics.RAIL_NETWORK_ERRORS.labels(self.rail.name).inc()
            await self._doubt(str(error) or "the rail did not answer in time")
            raise ServiceUnavailable(
                "The rail did not answer in time: ask again with the same Idempotency-Key.",
                headers={"Retry-After": "2"},
            ) from error

    async def _nothing_happened(self, proof: dict[str, Any], reason: str) -> None:
        await repository.fail(
            self.core.database,
            self.invoice.id,
            key=self.key,
            proof=proof,
            reason=reason,
            now=self.core.clock.now(),
            actor=self.actor,
        )

    async def _doubt(self, reason: str) -> None:
        await repository.doubt(
            self.core.database,
            self.invoice.id,
            key=self.key,
            reason=reason,
            look_again_seconds=LOOK_AGAIN_SECONDS,
        )


def _id_or_none(reference: str) -> UUID | None:
    try:
        return UUID(reference)
    except ValueError:
        return None


async def cancel(core: Core, caller: Caller, invoice_id: UUID, key: IdempotencyKey) -> Answer:
    """Say that an invoice is no longer wanted. The rail may still take a payment of it: that is credited as late.

    Raises:
        NotFound: there is none of the caller's with this id.
        Conflict: it was paid, has expired or is still being made; the key's rules.
    """
    user = None if Scope.ADMIN in caller.scopes else caller.user_id

    async def found(transaction: Transaction) -> Invoice:
        invoice = await repository.of_user(
            transaction, user_id=user, environment=caller.environment, invoice_id=invoice_id, rail_id=None
        )
        if invoice is None:
            raise NotFound("There is no such invoice.")
        return invoice

    async def effect(transaction: Transaction) -> Answer:
        await found(transaction)
        await repository.cancel(
            transaction,
            invoice_id,
            reason="cancelled by its owner",
            now=core.clock.now(),
            actor=Actor(caller.actor, key.route),
        )
        latest = await found(transaction)
        if latest.state is not InvoiceState.CANCELLED:
            raise Conflict(f"The invoice is {latest.state} and can no longer be cancelled.")
        return Answer.of(200, InvoiceView.of(latest).model_dump(mode="json"))

    return await in_one_transaction(core, key, effect)


async def read(core: Core, caller: Caller, reference: str) -> Invoice:
    """The caller's invoice by its id or its identity on the rail (the payment hash).

    Raises:
        NotFound: there is none, or it is somebody else's.
    """
    user = None if Scope.ADMIN in caller.scopes else caller.user_id
    # A payment hash of 32 hex digits cannot exist, but an id without dashes can: the id wins.
    invoice = await repository.of_user(
        core.database,
        user_id=user,
        environment=caller.environment,
        invoice_id=_id_or_none(reference),
        rail_id=reference,
    )
    if invoice is None:
        raise NotFound("There is no such invoice.")
    return invoice


async def page(
    core: Core,
    caller: Caller,
    *,
    states: Sequence[InvoiceState],
    external_id: str | None,
    before: UUID | None,
    limit: int,
) -> list[Invoice]:
    """Invoices of the caller's user, newest first."""
    return await repository.page(
        core.database,
        user_id=caller.user_id,
        environment=caller.environment,
        states=states,
        external_id=external_id,
        before=before,
        limit=limit,
    )
