"""Providers whose webhooks are taken, and how each signs. A source is offered when its secret is set.

River publishes that `River-Signature` holds a timestamp and HMAC-SHA256(hex-decoded secret, "<timestamp>.<raw body>")
in hex, and no more: the header's spelling (`t=...,v1=...`) and the names of the event's fields are read leniently
here, and an event without an id is known by the hash of its body.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from payments.errors import InvalidInput, Unauthorized
from payments.settings import Settings
from payments.web.strict_json import parse

MAXIMUM_ID_LENGTH = 255
_TIMESTAMPS, _SIGNATURES = ("t", "timestamp", "ts"), ("v1", "s", "sig", "signature")


@dataclass(frozen=True, slots=True)
class InboundEvent:
    """A verified event of a provider. `event_id` is unique within the source, for ever."""

    event_id: str
    event_type: str
    payload: Mapping[str, Any]
    sent_at: datetime


@dataclass(frozen=True, slots=True)
class InboundSource:
    """A provider.

    Attributes:
        secret: of its webhooks; None when it is not configured.
        verify: checks secret, headers, raw body and time (now, tolerance in seconds), and reads the event.
    """

    name: str
    secret: Callable[[Settings], str | None]
    verify: Callable[[str, Mapping[str, str], bytes, datetime, float], InboundEvent]


def _parts(header: str) -> tuple[list[str], list[str]]:
    pairs = [piece.strip().partition("=") for piece in header.replace(";", ",").split(",")]
    times = [value for name, _, value in pairs if name.lower() in _TIMESTAMPS]
    return times, [value.lower() for name, _, value in pairs if name.lower() in _SIGNATURES]


def fresh(timestamp: str, now: datetime, tolerance_seconds: float) -> datetime:
    """The time of a signed timestamp, in seconds or milliseconds.

    Raises:
        Unauthorized: too far from now: a recording, or a clock that is wrong.
    """
    if not timestamp.isascii() or not timestamp.isdigit() or len(timestamp) > 14:
        raise Unauthorized("The webhook's timestamp cannot be read.")
    seconds = int(timestamp) / (1000 if len(timestamp) > 11 else 1)
    if abs(seconds - now.timestamp()) > tolerance_seconds:
        raise Unauthorized("The webhook's timestamp is too far from now.")
    return datetime.fromtimestamp(seconds, UTC)


def verify_river(
    secret: str, headers: Mapping[str, str], raw: bytes, now: datetime, tolerance_seconds: float
) -> InboundEvent:
    """River's webhook.

    Raises:
        Unauthorized: the signature is missing, wrong or too old. The body is not even read then.
        InvalidInput: the body is no JSON object.
    """
    times, signatures = _parts(headers.get("river-signature", ""))
    if len(times) != 1 or not signatures:
        raise Unauthorized("The header River-Signature is missing or has another form.")
    try:
        key = bytes.fromhex(secret)
    except ValueError:
        key = secret.encode()
    expected = hmac.new(key, times[0].encode() + b"." + raw, hashlib.sha256).hexdigest()
    if not any(hmac.compare_digest(expected, given) for given in signatures if given.isascii()):
        raise Unauthorized("The webhook's signature is wrong.")
    sent_at = fresh(times[0], now, tolerance_seconds)
    payload = parse(raw)
    if not isinstance(payload, dict):
        raise InvalidInput("The webhook's body is no JSON object.")
    identity = payload.get("id") or payload.get("event_id")
    if not isinstance(identity, str) or not 1 <= len(identity) <= MAXIMUM_ID_LENGTH or not identity.isprintable():
        identity = hashlib.sha256(raw).hexdigest()
    kind = payload.get("type") or payload.get("event") or "unnamed"
    return InboundEvent(identity, str(kind)[:100], payload, sent_at)


def _river_secret(settings: Settings) -> str | None:
    secret = settings.river_webhook_secret
    return secret.get_secret_value() if secret is not None else None


SOURCES = {source.name: source for source in (InboundSource("river", _river_secret, verify_river),)}
