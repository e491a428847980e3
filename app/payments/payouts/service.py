"""Rules of payments in the web role: what is accepted, cancelled and tried again.

Accepting is one transaction without a rail call. Sending is the worker's (`sending.py`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

import psycopg

from payments.api_keys.schemas import Caller, Scope
from payments.database import Queries, Transaction
from payments.errors import Conflict, InvalidInput, NotFound, PaymentFailed
from payments.idempotency.schemas import Answer, ClaimOutcome, IdempotencyKey
from payments.idempotency.service import in_one_transaction, settle_claim
from payments.payouts import falling_back, repository
from payments.payouts.amounts import amount_and_fee_cap, limits_of
from payments.payouts.schemas import NewPayment, Payment, PaymentState, PaymentView
from payments.rails.protocol import InvalidRequestError, PayingRail
from payments.suspicion import service as suspicion

if TYPE_CHECKING:
    from payments.core import Core


def draft(core: Core, caller: Caller, new: NewPayment) -> Payment:
    """The payment as it would be accepted; checks what can be checked without the database.

    Raises:
        InvalidInput: the payment request cannot be read, has expired or is above a ceiling.
        NotFound: the rail is not offered here.
    """
    rail = core.rail(new.rail, PayingRail)  # type: ignore[type-abstract]
    try:
        decoded = rail.decode(new.paymentRequest)
    except InvalidRequestError as error:
        raise InvalidInput(error.sentence, details={"field": "paymentRequest"}) from error
    amount, max_fee = amount_and_fee_cap(core, new, decoded)
    now = core.clock.now()
    return Payment(
        id=core.clock.new_id(),
        user_id=caller.user_id,
        environment=caller.environment,
        rail=rail.name,
        rail_id=decoded.rail_id,
        payment_request=new.paymentRequest.strip(),
        asset=decoded.asset,
        amount=amount,
        max_fee=max_fee,
        fee=None,
        memo=new.memo,
        metadata=new.metadata,
        external_id=new.externalId,
        retry_of=None,
        refund_id=None,
        state=PaymentState.CREATED,
        reason="",
        proof=None,
        created_at=now,
        updated_at=now,
        finished_at=None,
    )


async def refuse_if_stopped(core: Core, caller: Caller, rail: str) -> None:
    """Refuse new payouts while a switch stops them or the caller's user is held. Not inside a transaction.

    Raises:
        ServiceUnavailable, Forbidden: and why.
    """
    await core.switches.refuse_if_stopped("payouts", f"send:{rail}")
    await suspicion.refuse_if_held(core, caller)


async def create(core: Core, caller: Caller, new: NewPayment, key: IdempotencyKey) -> Answer:
    """Accept a payment, once per key; the worker sends it.

    Raises:
        InvalidInput: the payment request cannot be read, has expired or is above a ceiling.
        Conflict: the key's rules; this payment request is being paid or was paid; the external id is taken.
        PaymentFailed: the balance or the daily limit does not allow it.
    """
    await refuse_if_stopped(core, caller, new.rail)
    drafted = draft(core, caller, new)
    fallback = falling_back.drafted(core, new, drafted)
    if fallback is not None:
        # What is reserved covers either rail's fee.
        drafted = dataclasses.replace(drafted, max_fee=max(drafted.max_fee, fallback.max_fee))
    answer = Answer.of(202, PaymentView.of(drafted).model_dump(mode="json"))
    try:
        claim = await settle_claim(
            lambda: repository.create(
                core.database,
                drafted,
                key=key,
                api_key_id=caller.key_id,
                daily_limit=limits_of(core, drafted.asset).daily_payout,
                release=core.settings.release,
                answer=answer,
                actor=caller.actor,
                fallback=fallback,
            )
        )
    except psycopg.DatabaseError as error:
        if error.sqlstate in ("RY004", "RY005"):
            what = "balance too low" if error.sqlstate == "RY004" else "over the daily limit"
            await suspicion.failed(core, user_id=caller.user_id, environment=caller.environment, what=what)
        raise refusal(error, drafted) from error
    if claim.outcome is ClaimOutcome.REPLAY:
        assert claim.answer is not None
        return claim.answer
    return answer


def refusal(error: psycopg.DatabaseError, drafted: Payment | None = None) -> Exception:
    """What the caller is told when PostgreSQL refused to accept a payment; `error` itself when it is none of these."""
    if isinstance(error, psycopg.errors.UniqueViolation) and (error.diag.constraint_name == "payments_one_per_request"):
        return Conflict("This payment request is being paid, or was paid, by another payment.")
    if error.sqlstate == "RY004":
        details = {"needed": drafted.amount + drafted.max_fee, "asset": drafted.asset} if drafted else None
        return PaymentFailed("The balance is too low for the amount and its fee cap.", details=details)
    if error.sqlstate == "RY005":
        return PaymentFailed(error.diag.message_primary or "The daily limit would be exceeded.")
    return error


async def accept_within(
    core: Core, transaction: Transaction, caller: Caller, drafted: Payment, key: IdempotencyKey
) -> None:
    """Accept a drafted payment inside the caller's transaction, by the rules of `create`.

    Raises:
        Conflict: a payment was made under this key before.
        psycopg.DatabaseError: as `refusal` explains.
    """
    claim = await repository.create(
        transaction,
        drafted,
        key=key,
        api_key_id=caller.key_id,
        daily_limit=limits_of(core, drafted.asset).daily_payout,
        release=core.settings.release,
        answer=Answer.of(202, PaymentView.of(drafted).model_dump(mode="json")),
        actor=caller.actor,
    )
    if claim.outcome is not ClaimOutcome.CLAIMED:
        raise Conflict("This was paid by another payment already.")


async def cancel(core: Core, caller: Caller, payment_id: UUID, key: IdempotencyKey) -> Answer:
    """Cancel a payment that nothing was tried for yet.

    Raises:
        NotFound: there is none of the caller's with this id.
        Conflict: it is being sent, or over; the key's rules.
    """

    async def effect(transaction: Transaction) -> Answer:
        await _of_caller(transaction, caller, payment_id)
        await repository.close_untried(
            transaction,
            payment_id,
            state=PaymentState.CANCELLED,
            reason="cancelled by its owner",
            now=core.clock.now(),
            actor=caller.actor,
            cause=key.route,
        )
        latest = await _of_caller(transaction, caller, payment_id)
        if latest.state is not PaymentState.CANCELLED:
            raise Conflict(f"The payment is {latest.state} and can no longer be cancelled.")
        return Answer.of(200, PaymentView.of(latest).model_dump(mode="json"))

    return await in_one_transaction(core, key, effect)


async def retry(core: Core, caller: Caller, payment_id: UUID, key: IdempotencyKey) -> Answer:
    """Try a payment again that provably failed: as a new payment, once.

    Raises:
        NotFound: there is none of the caller's with this id.
        Conflict: it has not failed, was tried again already or too often, or sends a refund.
        InvalidInput, PaymentFailed: as `create`; its payment request may have expired meanwhile.
    """
    await refuse_if_stopped(core, caller, (await read(core, caller, payment_id)).rail)

    async def effect(transaction: Transaction) -> Answer:
        failed = await _of_caller(transaction, caller, payment_id)
        if failed.state is not PaymentState.FAILED:
            raise Conflict(f"The payment is {failed.state}: only one that provably failed is tried again.")
        if failed.refund_id is not None:
            raise Conflict(f"The payment sends a refund: give refund {failed.refund_id} a payee instead.")
        if await repository.retries_before(transaction, failed.id) >= core.settings.max_retries:
            raise Conflict(
                f"The payment was tried again {core.settings.max_retries} times, as often as MAX_RETRIES allows; "
                f"the last time: {failed.reason or 'it failed'}."
            )
        owner = dataclasses.replace(caller, user_id=failed.user_id)
        wish = NewPayment(
            rail=failed.rail,
            paymentRequest=failed.payment_request,
            amount=failed.amount,
            maxFee=failed.max_fee,
            memo=failed.memo,
            metadata=dict(failed.metadata),
        )
        drafted = dataclasses.replace(draft(core, owner, wish), retry_of=failed.id)
        # Its own acceptance is keyed by what it repeats: the request's key is this transaction's.
        own = dataclasses.replace(key, route="retry", key=str(failed.id), caller_id=f"payment:{failed.id}")
        await accept_within(core, transaction, owner, drafted, own)
        await repository.mark_retry(transaction, drafted.id, failed.id)
        return Answer.of(202, PaymentView.of(drafted).model_dump(mode="json"))

    try:
        return await in_one_transaction(core, key, effect)
    except psycopg.errors.UniqueViolation as error:
        if error.diag.constraint_name == "payments_one_retry":
            raise Conflict("The payment was tried again already.") from error
        raise refusal(error) from error
    except psycopg.DatabaseError as error:
        raise refusal(error) from error


async def _of_caller(database: Queries, caller: Caller, payment_id: UUID) -> Payment:
    user = None if Scope.ADMIN in caller.scopes else caller.user_id
    payment = await repository.of_user(database, payment_id, user_id=user, environment=caller.environment)
    if payment is None:
        raise NotFound("There is no such payment.")
    return payment


async def read(core: Core, caller: Caller, payment_id: UUID) -> Payment:
    """The caller's payment.

    Raises:
        NotFound: there is none, or it is somebody else's.
    """
    return await _of_caller(core.database, caller, payment_id)


async def page(
    core: Core,
    caller: Caller,
    *,
    states: Sequence[PaymentState],
    external_id: str | None,
    before: UUID | None,
    limit: int,
) -> list[Payment]:
    """Payments of the caller's user, newest first."""
    return await repository.page(
        core.database,
        user_id=caller.user_id,
        environment=caller.environment,
        states=states,
        external_id=external_id,
        before=before,
        limit=limit,
    )
