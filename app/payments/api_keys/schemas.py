"""Callers and API keys."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from payments.text import Moment

KeyEnvironment = Literal["live", "test"]
UserId = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._@+-]*$")]


class Scope(enum.StrEnum):
    """What a key may do: `admin` includes the others and making keys."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request.

    Attributes:
        id: of the API key, or "bootstrap", or "token:<issuer>:<user>"; idempotency keys belong to it.
        user_id: whose money it is.
        environment: live or test; objects of the other one do not exist for the caller.
        unlimited: no rate limits (local stacks only).
    """

    id: str
    user_id: str
    environment: KeyEnvironment
    scopes: frozenset[str]
    unlimited: bool = False

    @property
    def key_id(self) -> UUID | None:
        """Id of the API key, None for the bootstrap credential and for tokens."""
        return UUID(self.id) if len(self.id) == 36 and ":" not in self.id else None

    @property
    def actor(self) -> str:
        """As the audit log names it."""
        return self.id if self.id.startswith("token:") else f"key:{self.id}"


class NewApiKey(BaseModel):
    """A key to be made."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: str = Field(min_length=1, max_length=100, description="For people: what the key is for.")
    userId: UserId = Field(description="Whose money the key moves.")  # noqa: N815
    environment: KeyEnvironment
    permissions: list[Literal["read", "write", "admin"]] = Field(default=["read"], min_length=1, max_length=3)
    unlimited: bool = Field(False, description="Lift the key's rate limits; local stacks only.")
    expiresAt: Moment | None = Field(  # noqa: N815
        None, description="When it stops working; never when absent."
    )


class ApiKeyView(BaseModel):
    """A key as it is shown after it was made."""

    id: UUID
    prefix: str = Field(description="The first characters, to recognise the key by.")
    name: str
    userId: str  # noqa: N815
    environment: KeyEnvironment
    permissions: list[str]
    unlimited: bool
    createdAt: str  # noqa: N815
    expiresAt: str | None = None  # noqa: N815
    revoked: bool = False
    lastUsedAt: str | None = None  # noqa: N815


class CreatedApiKey(ApiKeyView):
    """A new key. This is the only time that `key` is shown."""

    key: str


class ApiKeyList(BaseModel):
    """Keys, newest first."""

    data: list[ApiKeyView]
