"""From a request in either version to one thing wanted, with x402's reason for every mismatch."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from payments.rails.solana import exact
from payments.rails.solana.exact import PaymentInvalidError, Wanted
from payments.rails.solana.rail import SolanaConfig, is_address
from payments.x402.schemas import SCHEME, FacilitatorRequest, Requirements

UNSUPPORTED_SCHEME: Final = "unsupported_scheme"
INVALID_NETWORK: Final = "invalid_network"
NETWORK_MISMATCH: Final = "network_mismatch"
INVALID_REQUIREMENTS: Final = "invalid_payment_requirements"
INVALID_VERSION: Final = "invalid_x402_version"
_MAX_U64 = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Ask:
    """One payment that a resource server asks about.

    Attributes:
        binding: SHA-256 of who asks and for what. The same signed message with another binding is not a retry.
    """

    version: int
    network: str
    transaction: str
    wanted: Wanted
    binding: bytes


def read(request: FacilitatorRequest, config: SolanaConfig, *, user_id: str, environment: str) -> Ask:
    """What is asked, if this facilitator can settle it.

    Raises:
        PaymentInvalidError: with x402's reason.
    """
    payload, requirements = request.paymentPayload, request.paymentRequirements
    if payload.x402Version != request.x402Version:
        raise PaymentInvalidError(INVALID_VERSION, "The payload is of another version than the request.")
    amount = _amount(requirements, request.x402Version)
    _check_terms(request, config, amount)
    extra = requirements.extra or {}
    fee_payer, memo = extra.get("feePayer"), extra.get("memo")
    if not fee_payer or not isinstance(fee_payer, str):
        raise PaymentInvalidError(exact.NO_FEE_PAYER, "extra.feePayer is missing.")
    if fee_payer != config.fee_payer:
        raise PaymentInvalidError(exact.FOREIGN_FEE_PAYER, "extra.feePayer is not this facilitator's.")
    if memo is not None and not _is_memo(memo):
        raise PaymentInvalidError(
            INVALID_REQUIREMENTS, f"extra.memo is no text of at most {exact.MAX_MEMO_BYTES} bytes in UTF-8."
        )
    wanted = Wanted(
        mint=requirements.asset, pay_to=requirements.payTo, amount=amount, fee_payer=fee_payer, memo=memo or None
    )
    resource = requirements.resource or (payload.resource.url if payload.resource else "")
    return Ask(
        version=request.x402Version,
        network=requirements.network,
        transaction=payload.payload.transaction,
        wanted=wanted,
        binding=_digest(environment, user_id, resource, wanted),
    )


def _is_memo(value: object) -> bool:
    """JSON can say what UTF-8 cannot (half of a surrogate pair) and what PostgreSQL cannot keep (NUL)."""
    if not isinstance(value, str) or "\0" in value:
        return False
    try:
        return len(value.encode()) <= exact.MAX_MEMO_BYTES
    except UnicodeEncodeError:
        return False


def _amount(requirements: Requirements, version: int) -> int:
    text = requirements.maxAmountRequired if version == 1 else requirements.amount
    amount = int(text or 0)
    if not 0 < amount <= _MAX_U64:
        name = "maxAmountRequired" if version == 1 else "amount"
        raise PaymentInvalidError(INVALID_REQUIREMENTS, f"{name} must be minor units above 0.")
    return amount


def _check_terms(request: FacilitatorRequest, config: SolanaConfig, amount: int) -> None:
    payload, requirements = request.paymentPayload, request.paymentRequirements
    accepted = payload.accepted if request.x402Version == 2 else payload
    if accepted is None:
        raise PaymentInvalidError(INVALID_REQUIREMENTS, "paymentPayload.accepted is missing.")
    if requirements.scheme != SCHEME or accepted.scheme != SCHEME:
        raise PaymentInvalidError(UNSUPPORTED_SCHEME, f"Only the scheme '{SCHEME}' is settled here.")
    if accepted.network != requirements.network:
        raise PaymentInvalidError(NETWORK_MISMATCH, "The payload was made for another network.")
    if requirements.network != (config.v1_name if request.x402Version == 1 else config.caip2):
        raise PaymentInvalidError(INVALID_NETWORK, f"The network {requirements.network} is not settled here.")
    if requirements.asset != config.mint:
        raise PaymentInvalidError(INVALID_REQUIREMENTS, f"Only USDC ({config.mint}) is settled here.")
    if not is_address(requirements.payTo) or requirements.payTo == config.fee_payer:
        raise PaymentInvalidError(INVALID_REQUIREMENTS, "payTo is no address that can be paid.")
    if request.x402Version == 2:
        terms = payload.accepted
        assert terms is not None
        same = terms.asset == requirements.asset and terms.payTo == requirements.payTo
        if not same or int(terms.amount or 0) != amount:
            raise PaymentInvalidError(INVALID_REQUIREMENTS, "The payer accepted other terms than the requirements.")


def _digest(environment: str, user_id: str, resource: str, wanted: Wanted) -> bytes:
    """Parts are length-prefixed: none can imitate another."""
    digest = hashlib.sha256()
    for part in (environment, user_id, resource, wanted.mint, wanted.pay_to, str(wanted.amount), wanted.memo or ""):
        data = part.encode()
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.digest()
