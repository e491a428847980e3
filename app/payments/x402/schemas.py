"""x402's wire format, versions 1 and 2, and what we keep of a settlement."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from payments.database import Row
from payments.rails.solana.exact import Wanted
from payments.states import NEWER, read_state

SCHEME = "exact"
Amount = Annotated[str, Field(pattern=r"^[0-9]{1,20}$", description="Minor units of the token, as a string.")]
Short = Annotated[str, Field(max_length=100)]


class Requirements(BaseModel):
    """What the resource server asks for. Version 1 says `maxAmountRequired`, version 2 `amount`."""

    model_config = ConfigDict(extra="allow")

    scheme: Short
    network: Short
    amount: Amount | None = None
    maxAmountRequired: Amount | None = None  # noqa: N815
    asset: Short
    payTo: Short  # noqa: N815
    maxTimeoutSeconds: int | None = None  # noqa: N815
    resource: Annotated[str, Field(max_length=2048)] | None = None
    extra: dict[str, Any] | None = None


class Resource(BaseModel):
    """What is paid for (version 2)."""

    model_config = ConfigDict(extra="allow")

    url: Annotated[str, Field(max_length=2048)]


class SvmPayload(BaseModel):
    """The scheme's own part: the transaction, signed by the payer."""

    model_config = ConfigDict(extra="allow")

    transaction: Annotated[str, Field(max_length=4096, description="Base64 of a partially signed transaction.")]


class Payload(BaseModel):
    """What the payer sent. Version 1 has `scheme` and `network` here, version 2 in `accepted`."""

    model_config = ConfigDict(extra="allow")

    x402Version: Literal[1, 2]  # noqa: N815
    scheme: Short | None = None
    network: Short | None = None
    payload: SvmPayload
    accepted: Requirements | None = None
    resource: Resource | None = None


class FacilitatorRequest(BaseModel):
    """The body of /verify and /settle."""

    model_config = ConfigDict(extra="ignore")

    x402Version: Literal[1, 2]  # noqa: N815
    paymentPayload: Payload  # noqa: N815
    paymentRequirements: Requirements  # noqa: N815


class VerifyAnswer(BaseModel):
    """Whether the payment could be settled now."""

    isValid: bool  # noqa: N815
    invalidReason: str | None = None  # noqa: N815
    invalidMessage: str | None = None  # noqa: N815
    payer: str = ""


class SettleAnswer(BaseModel):
    """What became of the payment.

    `success` is true only of an effect on the chain. `errorReason` "settlement_pending" means not yet: `extra` says
    where to ask; every other reason is final.
    """

    success: bool
    errorReason: str | None = None  # noqa: N815
    errorMessage: str | None = None  # noqa: N815
    payer: str = ""
    transaction: str = Field("", description="Signature on the chain, as soon as there is one.")
    network: str
    amount: str | None = Field(None, description="What arrived, minor units.")
    extra: dict[str, Any] | None = None


class SupportedKind(BaseModel):
    """One way to pay."""

    x402Version: int  # noqa: N815
    scheme: str
    network: str
    extra: dict[str, Any]


class Supported(BaseModel):
    """What this facilitator settles."""

    kinds: list[SupportedKind]
    extensions: list[str]
    signers: dict[str, list[str]]


class State(enum.StrEnum):
    """`accepted`: nothing signed. `submitted`: signed, in flight. The other two are final and carry a proof."""

    ACCEPTED = "accepted"
    SUBMITTED = "submitted"
    SETTLED = "settled"
    FAILED = "failed"
    NEWER = NEWER  # read_state


FINAL = frozenset({State.SETTLED, State.FAILED})


@dataclass(frozen=True, slots=True)
class Settlement:
    """A row of x402.settlements."""

    id: UUID
    message_hash: bytes
    binding: bytes
    retry_key: str | None
    user_id: str
    environment: str
    network: str
    payer: str
    pay_to: str
    destination: str
    mint: str
    wanted: int
    fee_payer: str
    memo: str | None
    transaction: str
    last_valid_height: int
    state: State
    signature: str | None
    received: int | None
    reason: str
    message: str
    proof: Mapping[str, Any] | None
    told_at: datetime | None
    created_at: datetime
    finished_at: datetime | None

    @classmethod
    def of(cls, row: Row) -> Settlement:
        """The settlement in a row."""
        values = {name: row[name] for name in cls.__slots__}
        return cls(**{**values, "state": read_state(State, row["state"])})

    @property
    def order(self) -> Wanted:
        """What the transaction must do."""
        return Wanted(mint=self.mint, pay_to=self.pay_to, amount=self.wanted, fee_payer=self.fee_payer, memo=self.memo)


class SettlementView(BaseModel):
    """A settlement as its owner sees it."""

    id: UUID
    state: State
    payer: str
    payTo: str  # noqa: N815
    asset: str = Field(description="Mint address.")
    amount: str = Field(description="What was wanted, minor units.")
    received: str | None = None
    transaction: str = ""
    network: str
    errorReason: str | None = None  # noqa: N815
    errorMessage: str | None = None  # noqa: N815
    createdAt: str  # noqa: N815
    finishedAt: str | None = None  # noqa: N815
