"""Rules of refunds: what may be given back, by whom, and how it is sent.

A refund is sent as a payment, by all the rules of payments; what it ends in is written to the refund by a trigger in
the payment's own transaction. No call leaves while a transaction is open: a payee's LNURL is asked before it.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

import psycopg

from payments.api_keys.schemas import Caller, Scope
from payments.database import Transaction
from payments.errors import Conflict, InvalidInput, NotFound, PaymentFailed
from payments.idempotency import repository as idempotency
from payments.idempotency.schemas import Answer, IdempotencyKey
from payments.idempotency.service import in_one_transaction
from payments.invoices import repository as invoices
from payments.invoices.schemas import InvoiceState
from payments.payouts import service as payouts
from payments.payouts.amounts import fee_cap, one_of
from payments.payouts.schemas import NewPayment
from payments.refunds import lnurl, repository
from payments.refunds.schemas import NewPayee, NewRefund, Refund, RefundState, RefundView
from payments.suspense import repository as suspense
from payments.suspense.schemas import SuspenseState
from payments.suspense.service import whose
from payments.webhooks.service import allows_private

if TYPE_CHECKING:
    from payments.core import Core

# Rails whose payees may be an LNURL or a Lightning address; amounts there are msat.
_LIGHTNING = frozenset({"lnd", "river"})
# States of an invoice whose owner was credited something.
_CREDITED = (InvoiceState.SETTLED, InvoiceState.OVERPAID, InvoiceState.PAID_TWICE, InvoiceState.PAID_LATE)


def _draft(core: Core, new: NewRefund, *, owner: str, environment: str, rail: str, asset: str, amount: int) -> Refund:
    now = core.clock.now()
    return Refund(
        id=core.clock.new_id(),
        user_id=owner,
        environment=environment,
        rail=rail,
        asset=asset,
        amount=amount,
        suspense_id=new.suspenseId,
        invoice_id=new.invoiceId,
        payment_id=None,
        tries=0,
        memo=new.memo,
        metadata=new.metadata,
        external_id=new.externalId,
        state=RefundState.AWAITING_PAYEE,
        reason="",
        created_at=now,
        updated_at=now,
        finished_at=None,
    )


async def _of_suspense(core: Core, tx: Transaction, caller: Caller, new: NewRefund) -> Refund:
    assert new.suspenseId is not None
    found = await suspense.by_id(tx, new.suspenseId, user_id=whose(caller), environment=caller.environment, lock=True)
    if found is None:
        raise NotFound("There is no such amount in suspense.")
    if found.state is not SuspenseState.OPEN:
        raise Conflict(f"This amount in suspense is {found.state} already.")
    amount = new.amount or found.amount
    cap = fee_cap(core, one_of(found.asset, maxFee=new.maxFee, maxFeeMsat=new.maxFeeMsat), asset=found.asset)
    if not found.amount - cap <= amount <= found.amount:
        raise InvalidInput(
            f"{found.amount} {found.asset} are in suspense: refund them, less at most the fee cap.",
            details={"amount": found.amount, "maxFee": cap},
        )
    draft = _draft(
        core,
        new,
        owner=found.user_id or caller.user_id,
        environment=caller.environment,
        rail=found.rail,
        asset=found.asset,
        amount=amount,
    )
    await suspense.set_state(tx, found.id, SuspenseState.REFUNDING, now=draft.created_at)
    return draft


async def _of_invoice(core: Core, tx: Transaction, caller: Caller, new: NewRefund) -> Refund:
    invoice = await invoices.of_user(
        tx, user_id=whose(caller), environment=caller.environment, invoice_id=new.invoiceId, rail_id=None
    )
    if invoice is None:
        raise NotFound("There is no such invoice.")
    left = await repository.refundable(tx, invoice.id)
    if left <= 0 and invoice.state not in _CREDITED:
        raise Conflict(f"The invoice is {invoice.state}: nothing was credited for it that could be given back.")
    amount = new.amount or left
    if not 1 <= amount <= left:
        raise PaymentFailed(
            f"{left} {invoice.asset} of this invoice can still be refunded.",
            details={"refundable": left, "asset": invoice.asset},
        )
    return _draft(
        core,
        new,
        owner=invoice.user_id,
        environment=invoice.environment,
        rail=invoice.rail,
        asset=invoice.asset,
        amount=amount,
    )


async def _send(
    core: Core, tx: Transaction, caller: Caller, refund: Refund, request: str, wish: NewRefund | NewPayee
) -> Refund:
    """Begin the payment of a refund inside the caller's transaction."""
    new = NewPayment(
        rail=refund.rail,
        paymentRequest=request,
        amount=refund.amount,
        maxFee=one_of(refund.asset, maxFee=wish.maxFee, maxFeeMsat=wish.maxFeeMsat),
        memo=refund.memo,
        metadata={"refundId": str(refund.id)},
    )
    owner = dataclasses.replace(caller, user_id=refund.user_id)
    key = IdempotencyKey(
        caller_id=f"refund:{refund.id}",
        environment=refund.environment,
        route="refund",
        key=str(refund.tries + 1),
        fingerprint=hashlib.sha256(request.encode()).digest(),
        token=core.clock.new_token(),
    )
    draft = payouts.draft(core, owner, new)
    if draft.asset != refund.asset:
        raise InvalidInput(f"The refund is in {refund.asset}, and the payee asks for {draft.asset}.")
    await repository.fund(tx, refund.id, draft.id)
    await payouts.accept_within(core, tx, owner, draft, key)
    await repository.mark_payment(tx, refund.id, draft.id)
    return await repository.set_sending(tx, refund.id, draft.id, now=core.clock.now())


async def _request_of(core: Core, rail: str, payee: str, amount: int) -> str:
    if rail not in _LIGHTNING:
        return payee.strip()
    return await lnurl.find(payee, amount, allow_private=allows_private(core.settings))


async def _of_what(core: Core, caller: Caller, new: NewRefund) -> tuple[str, int]:
    """Rail and amount that the payee is asked about; decided again, under locks, when the refund is made."""
    user, environment = whose(caller), caller.environment
    if new.suspenseId is not None:
        found = await suspense.by_id(core.database, new.suspenseId, user_id=user, environment=environment)
        if found is None:
            raise NotFound("There is no such amount in suspense.")
        return found.rail, new.amount or found.amount
    invoice = await invoices.of_user(
        core.database, user_id=user, environment=environment, invoice_id=new.invoiceId, rail_id=None
    )
    if invoice is None:
        raise NotFound("There is no such invoice.")
    return invoice.rail, new.amount or await repository.refundable(core.database, invoice.id)


async def create(core: Core, caller: Caller, new: NewRefund, key: IdempotencyKey) -> Answer:
    """Make a refund, once per key; it is sent at once if its payee is known.

    Raises:
        InvalidInput: what to refund is not said clearly, or the payee cannot be paid.
        NotFound: there is no such amount or invoice of the caller's.
        Conflict: it was decided otherwise about the amount; the key's rules.
        PaymentFailed: more than what came in, or more than the balance allows.
    """
    if (new.suspenseId is None) == (new.invoiceId is None):
        raise InvalidInput("Say what to refund: either suspenseId or invoiceId.")
    request = None
    if new.payee is not None:
        if known := await idempotency.stored(core.database, key):
            return known
        rail, amount = await _of_what(core, caller, new)
        await payouts.refuse_if_stopped(core, caller, rail)
        request = await _request_of(core, rail, new.payee, amount)

    async def effect(tx: Transaction) -> Answer:
        await repository.act_as(tx, caller.actor, key.route)
        of = _of_suspense if new.suspenseId is not None else _of_invoice
        refund = await of(core, tx, caller, new)
        await repository.insert(tx, refund)
        if request is not None:
            refund = await _send(core, tx, caller, refund, request, new)
        return Answer.of(201, RefundView.of(refund).model_dump(mode="json"))

    try:
        return await in_one_transaction(core, key, effect)
    except psycopg.DatabaseError as error:
        raise payouts.refusal(error) from error


async def _locked(tx: Transaction, caller: Caller, refund_id: UUID) -> Refund:
    user = None if Scope.ADMIN in caller.scopes else caller.user_id
    refund = await repository.by_id(tx, refund_id, user_id=user, environment=caller.environment, lock=True)
    if refund is None:
        raise NotFound("There is no such refund.")
    return refund


async def give_payee(core: Core, caller: Caller, refund_id: UUID, wish: NewPayee, key: IdempotencyKey) -> Answer:
    """Say where a refund goes; it is sent.

    Raises:
        NotFound: there is none of the caller's with this id.
        Conflict: it is on its way, or over.
        InvalidInput, PaymentFailed: as `create`.
    """
    refund = await read(core, caller, refund_id)
    if known := await idempotency.stored(core.database, key):
        return known
    await payouts.refuse_if_stopped(core, caller, refund.rail)
    request = await _request_of(core, refund.rail, wish.payee, refund.amount)

    async def effect(tx: Transaction) -> Answer:
        await repository.act_as(tx, caller.actor, key.route)
        locked = await _locked(tx, caller, refund_id)
        if locked.state is not RefundState.AWAITING_PAYEE:
            raise Conflict(f"The refund is {locked.state} and awaits no payee.")
        sent = await _send(core, tx, caller, locked, request, wish)
        return Answer.of(200, RefundView.of(sent).model_dump(mode="json"))

    try:
        return await in_one_transaction(core, key, effect)
    except psycopg.DatabaseError as error:
        raise payouts.refusal(error) from error


async def cancel(core: Core, caller: Caller, refund_id: UUID, key: IdempotencyKey) -> Answer:
    """Give a refund up that is not on its way; an amount in suspense is open again.

    Raises:
        NotFound: there is none of the caller's with this id.
        Conflict: it is on its way, or was paid.
    """

    async def effect(tx: Transaction) -> Answer:
        await repository.act_as(tx, caller.actor, key.route)
        refund = await _locked(tx, caller, refund_id)
        if refund.state is RefundState.AWAITING_PAYEE:
            refund = await repository.set_cancelled(tx, refund_id, now=core.clock.now())
            if refund.suspense_id is not None:
                await suspense.set_state(tx, refund.suspense_id, SuspenseState.OPEN, now=core.clock.now())
        elif refund.state is not RefundState.CANCELLED:
            raise Conflict(f"The refund is {refund.state} and can no longer be cancelled.")
        return Answer.of(200, RefundView.of(refund).model_dump(mode="json"))

    return await in_one_transaction(core, key, effect)


async def read(core: Core, caller: Caller, refund_id: UUID) -> Refund:
    """The caller's refund.

    Raises:
        NotFound: there is none, or it is somebody else's.
    """
    user = None if Scope.ADMIN in caller.scopes else caller.user_id
    refund = await repository.by_id(core.database, refund_id, user_id=user, environment=caller.environment)
    if refund is None:
        raise NotFound("There is no such refund.")
    return refund


async def page(
    core: Core,
    caller: Caller,
    *,
    states: Sequence[RefundState],
    external_id: str | None,
    before: UUID | None,
    limit: int,
) -> list[Refund]:
    """Refunds of the caller's user, newest first."""
    return await repository.page(
        core.database,
        user_id=caller.user_id,
        environment=caller.environment,
        states=states,
        external_id=external_id,
        before=before,
        limit=limit,
    )
