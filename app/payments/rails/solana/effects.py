"""What a landed transaction really did: the only thing that success is read from."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class TokenEffect:
    """A transaction's effect on one token account.

    Attributes:
        error: the transaction's error; None when it succeeded.
        delta: tokens gained (minor units); negative when lost. 0 for a transaction that failed.
        account_index: the account's place in the transaction.
        fee_lamports: what the fee payer paid, also for a transaction that failed.
        landed_at: time of its block, None when the cluster does not say.
    """

    error: Any
    delta: int
    account_index: int
    fee_lamports: int
    slot: int
    landed_at: datetime | None


def token_effect(transaction: Mapping[str, Any], *, account: str, mint: str) -> TokenEffect:
    """Reads `getTransaction`'s answer.

    Args:
        transaction: the answer, encoding "json".
        account: the token account, base58.
        mint: what it must hold.

    Raises:
        ValueError: the answer has no effects to read.
    """
    meta = transaction.get("meta")
    if not isinstance(meta, dict):
        raise ValueError("The transaction's answer has no meta: nothing can be read from it.")
    keys = [str(key) for key in transaction["transaction"]["message"]["accountKeys"]]
    loaded = meta.get("loadedAddresses") or {}
    keys += [str(key) for key in loaded.get("writable") or ()] + [str(key) for key in loaded.get("readonly") or ()]
    index = keys.index(account) if account in keys else -1
    error = meta.get("err")
    delta = 0
    if index >= 0 and error is None:
        before = _balance(meta.get("preTokenBalances"), index, mint)
        delta = _balance(meta.get("postTokenBalances"), index, mint) - before
    block_time = transaction.get("blockTime")
    return TokenEffect(
        error=error,
        delta=delta,
        account_index=index,
        fee_lamports=int(meta.get("fee") or 0),
        slot=int(transaction.get("slot") or 0),
        landed_at=datetime.fromtimestamp(int(block_time), UTC) if block_time else None,
    )


def _balance(balances: Any, index: int, mint: str) -> int:
    """An account that is not listed, or is listed with another mint, holds none of this mint."""
    for entry in balances or ():
        if entry.get("accountIndex") == index and entry.get("mint") == mint:
            return int(entry["uiTokenAmount"]["amount"])
    return 0
