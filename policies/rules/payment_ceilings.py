"""payment-ceilings: whatever can pay has a ceiling for one payment and a cap for its fee.

A Lightning payment without a fee limit pays whatever the route asks: wallets have been drained that way
(lnbits issue 440). The guides name both figures and give no value, so they are settings that must be there.

Good: `environment: {"MAX_PAYMENT_MSAT": "1000000000", "MAX_FEE_MSAT": "50000"}`.
Bad: either missing, 0, or a fee cap above the payment ceiling.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from findings.finding import Severity
from policies.rule import Rule, is_unknown, known, known_items

CEILINGS = ("MAX_PAYMENT_MSAT", "MAX_FEE_MSAT")


def _positive(value: object) -> int | None:
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() and int(text) > 0 else None


def violations(properties: Mapping[str, Any]) -> Iterator[str]:
    # The payment service is recognised by what it runs: `python -m payments serve` or `work`.
    if "payments" not in [str(word) for word in known_items(properties, "command")]:
        return
    name = known(properties, "process") or "The service"
    if is_unknown(properties, "environment"):
        return
    environment = known(properties, "environment") or {}
    amounts = {}
    for variable in CEILINGS:
        if is_unknown(environment, variable):
            continue
        value = known(environment, variable)
        amounts[variable] = _positive(value)
        if amounts[variable] is None:
            yield f"{name} has no usable {variable}: {'it is missing' if value is None else f'{value!r}'}."
    payment, fee = amounts.get("MAX_PAYMENT_MSAT"), amounts.get("MAX_FEE_MSAT")
    if payment is not None and fee is not None and fee > payment:
        yield f"{name} may pay a fee of {fee} msat for a payment of at most {payment} msat."


RULE = Rule(
    id="payment-ceilings",
    what="The service has a ceiling for one payment and a cap for its fee.",
    risk="One request, or one greedy route, empties the hot wallet.",
    fix="Set railyard:maxPaymentMsat and railyard:maxFeeMsat to amounts above 0, the fee below the payment.",
    severity=Severity.HIGH,
    requirements=("pk-invoice-max-amount", "pk-invoice-fee-cap"),
    pci="6.2.4",
    resource="Process",
    violations=violations,
)
