"""Settings of what comes back or stays open: suspense, what waits for a person, discovery, webhooks in."""

from __future__ import annotations

from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings


class ReturnSettings(BaseSettings):
    """Settings of suspense, the human queue, endpoint discovery and webhooks in."""

    suspense_accept_overpaid_msat: int = Field(
        0, ge=0, description="Overpayments up to this many msat are accepted by themselves; 0: a person decides."
    )
    suspense_accept_late_seconds: float = Field(
        0, ge=0, description="Payments late by up to this are accepted by themselves; 0: a person decides."
    )
    person_after_seconds: float = Field(
        3600, ge=60, description="An outcome that is unknown for so long is put before a person, and looked up on."
    )
    payee_directory_url: str = Field(
        "",
        description="https URL of the Pubky homeserver to discover payees' Paykit endpoints on; off when empty.",
    )
    endpoint_cache_seconds: int = Field(300, ge=1, le=86_400, description="How long discovered endpoints are kept.")
    river_webhook_secret: SecretStr | None = Field(
        None, description="Secret of River's webhooks, POST /v1/inbound/river; not offered when absent."
    )
    inbound_tolerance_seconds: int = Field(
        300, ge=1, le=3600, description="How far a webhook's timestamp may be from now, either way."
    )

    @field_validator("payee_directory_url")
    @classmethod
    def _directory(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and (not parts.hostname or parts.scheme != "https") and parts.hostname not in ("127.0.0.1", "::1"):
            raise ValueError("must be an https URL like https://directory.example")
        return value.rstrip("/")
