"""What the ledger is made of and how the API shows it."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel, Field


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a journal: a positive amount is a debit, a negative one a credit, in minor units of `asset`."""

    account: str
    asset: str
    amount: int


class AssetSum(BaseModel):
    """The sum over all entries of an asset."""

    asset: str
    sum: int = Field(description="Minor units; anything but 0 is an alarm.")


class AccountBalance(BaseModel):
    """The balance of an account."""

    account: str
    asset: str
    balance: int = Field(description="Minor units, debits minus credits: assets are positive, what we owe is negative.")


class LedgerView(BaseModel):
    """The ledger as its caller may see it."""

    balanced: bool
    assets: list[AssetSum]
    accounts: list[AccountBalance] = Field(
        description="The caller's accounts and the system's; other users' are summed as liabilities:user:(others)."
    )
    entries: int
