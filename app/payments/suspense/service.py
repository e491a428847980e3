"""Rules of suspense: who may decide about an amount, and what a rule may take by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from payments.api_keys.schemas import Caller, Scope
from payments.database import Transaction
from payments.errors import Conflict, Forbidden, InvalidInput, NotFound
from payments.idempotency.schemas import Answer, IdempotencyKey
from payments.idempotency.service import in_one_transaction
from payments.suspense import repository
from payments.suspense.schemas import Acceptance, Suspended, SuspenseState, SuspenseView

if TYPE_CHECKING:
    from payments.core import Core


def whose(caller: Caller) -> str | None:
    """Whose amounts the caller may see: everybody's (None) if it is an administrator."""
    return None if Scope.ADMIN in caller.scopes else caller.user_id


async def accept(core: Core, caller: Caller, suspense_id: UUID, wish: Acceptance, key: IdempotencyKey) -> Answer:
    """Take an amount: it is credited, once.

    Raises:
        NotFound: there is none of the caller's with this id.
        InvalidInput: it is nobody's and no user is named.
        Forbidden: a user is named by somebody who is no administrator.
        Conflict: something else was decided about it already.
    """
    if wish.userId is not None and Scope.ADMIN not in caller.scopes:
        raise Forbidden("Only an administrator decides whose an unmatched arrival is: leave userId out.")

    async def effect(transaction: Transaction) -> Answer:
        found = await repository.by_id(
            transaction, suspense_id, user_id=whose(caller), environment=caller.environment, lock=True
        )
        if found is None:
            raise NotFound("There is no such amount in suspense.")
        if not found.user_id and wish.userId is None:
            raise InvalidInput("Nobody's invoice was paid: say with userId whom it is credited to.")
        accepted = await repository.accept(
            transaction,
            suspense_id,
            user_id=wish.userId or "",
            environment=caller.environment,
            reason=wish.reason,
            now=core.clock.now(),
            actor=caller.actor,
            cause=key.route,
        )
        if accepted is None and found.state is not SuspenseState.ACCEPTED:
            raise Conflict(f"This amount is {found.state} already.")
        return Answer.of(200, SuspenseView.of(accepted or found).model_dump(mode="json"))

    return await in_one_transaction(core, key, effect)


async def page(
    core: Core, caller: Caller, *, state: SuspenseState | None, before: UUID | None, limit: int
) -> list[Suspended]:
    """Amounts the caller may decide about, newest first."""
    return await repository.page(
        core.database,
        user_id=whose(caller),
        environment=caller.environment,
        state=state,
        before=before,
        limit=limit,
    )
