"""What a payment may be of: amount and fee cap in minor units of its asset, under the ceilings of that asset."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payments.clock import iso
from payments.errors import InvalidInput
from payments.payouts.schemas import NewPayment
from payments.rails.protocol import DecodedRequest
from payments.settings_of_safety import AssetLimits

if TYPE_CHECKING:
    from payments.core import Core

# Less is not worth sending: the route would take longer to find than the invoice lives.
MINIMUM_LIFE_SECONDS = 10


def amount_and_fee_cap(core: Core, new: NewPayment, decoded: DecodedRequest) -> tuple[int, int]:
    """Amount and fee cap of a payment, in minor units of its asset (the guides' rules pk-invoice-*).

    Raises:
        InvalidInput: they break a rule, and which.
    """
    limits, unit = limits_of(core, decoded.asset), _unit(decoded.asset)
    wish = one_of(decoded.asset, amount=new.amount, amountMsat=new.amountMsat)
    amount = decoded.amount if decoded.amount is not None else wish
    if amount is None:
        name = "amountMsat" if decoded.asset == "BTC" else "amount"
        raise InvalidInput(f"The payment request leaves the amount open: send {name}.")
    if wish is not None and wish != amount:
        raise InvalidInput(f"The amount sent is {wish}, but the payment request asks for {amount} {unit}.")
    if amount > limits.max_payment:
        raise InvalidInput(
            f"The amount of {amount} {unit} is above the ceiling of {limits.max_payment} {unit}.",
            details={"maximumMsat" if decoded.asset == "BTC" else "maximum": limits.max_payment},
        )
    left = (decoded.expires_at - core.clock.now()).total_seconds()
    if left < MINIMUM_LIFE_SECONDS:
        raise InvalidInput(
            "The payment request has expired, or is about to: ask the payee for a new one.",
            details={"reason": "InvoiceExpired", "invoiceId": decoded.rail_id, "expiredAt": iso(decoded.expires_at)},
        )
    fee_wish = one_of(decoded.asset, maxFee=new.maxFee, maxFeeMsat=new.maxFeeMsat)
    return amount, fee_cap(core, fee_wish, decoded.max_fee, asset=decoded.asset)


def _unit(asset: str) -> str:
    return "msat" if asset == "BTC" else f"minor units of {asset}"


def limits_of(core: Core, asset: str) -> AssetLimits:
    """What may be paid out in an asset.

    Raises:
        InvalidInput: nothing.
    """
    limits = core.settings.limits_of(asset)
    if limits is None:
        raise InvalidInput(f"Payouts in {asset} are not offered here: ASSET_LIMITS sets none for it.")
    return limits


def one_of(asset: str, **values: int | None) -> int | None:
    """The one value that was sent of two fields for the same, the second of which is for BTC alone.

    Raises:
        InvalidInput: both were sent, or the second for another asset.
    """
    (general, value), (of_bitcoin, msat) = values.items()
    if msat is not None and (value is not None or asset != "BTC"):
        raise InvalidInput(f"Send {general} in minor units of {asset}, or {of_bitcoin} for BTC, and not both.")
    return value if msat is None else msat


def fee_cap(core: Core, wish: int | None, of_rail: int | None = None, *, asset: str = "BTC") -> int:
    """The fee cap of a payment in minor units of its asset: the caller's wish, never above the rail's ceiling or else
    the service's.

    Raises:
        InvalidInput: nothing is paid out in the asset.
    """
    ceiling = limits_of(core, asset).max_fee if of_rail is None else of_rail
    return ceiling if wish is None else min(wish, ceiling)
