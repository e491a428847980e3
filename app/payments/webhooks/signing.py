"""Signatures of the Standard Webhooks specification (standardwebhooks.com), and the endpoints' secrets.

A secret is derived, not stored: HMAC-SHA256(INVOICE_SECRET, "webhook:<endpoint id>:<version>"). Whoever reads the
database cannot sign, and rotating is counting up.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from uuid import UUID

PREFIX = "whsec_"


def secret_of(service_secret: bytes, endpoint_id: UUID, version: int) -> bytes:
    """The 32 bytes an endpoint's deliveries are signed with."""
    return hmac.new(service_secret, f"webhook:{endpoint_id}:{version}".encode(), hashlib.sha256).digest()


def shown(secret: bytes) -> str:
    """A secret as its owner is told it: whsec_ and base64."""
    return PREFIX + base64.b64encode(secret).decode()


def signature(secrets: Sequence[bytes], message_id: str, timestamp_seconds: int, body: bytes) -> str:
    """The header webhook-signature: one v1 signature a secret, separated by spaces."""
    signed = b"%s.%d.%s" % (message_id.encode(), timestamp_seconds, body)
    return " ".join(
        "v1," + base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode() for secret in secrets
    )
