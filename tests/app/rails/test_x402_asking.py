"""Any JSON at all ends in a payment that is wanted, in x402's reason, or in a validation error: never in a crash."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from solders.keypair import Keypair

from payments.rails.solana.exact import PaymentInvalidError, check
from payments.rails.solana.rail import SolanaConfig
from payments.x402 import asking
from payments.x402.schemas import FacilitatorRequest

MINT, PAY_TO, FEE_PAYER = (str(Keypair.from_seed(bytes([number]) * 32).pubkey()) for number in (1, 2, 3))
CONFIG = SolanaConfig(rpc_urls=("http://127.0.0.1:1",), network="devnet", mint=MINT, pay_to=PAY_TO, fee_payer=FEE_PAYER)

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def terms(version: int) -> dict[str, Any]:
    return {
        "scheme": "exact",
        "network": CONFIG.v1_name if version == 1 else CONFIG.caip2,
        "maxAmountRequired" if version == 1 else "amount": "1000",
        "asset": MINT,
        "payTo": PAY_TO,
        "maxTimeoutSeconds": 60,
        "resource": "https://shop.example/tea",
        "extra": {"feePayer": FEE_PAYER},
    }


def a_body(version: int) -> dict[str, Any]:
    payload: dict[str, Any] = {"x402Version": version, "payload": {"transaction": "AAAA"}}
    if version == 1:
        payload |= {"scheme": "exact", "network": CONFIG.v1_name}
    else:
        payload |= {"accepted": terms(2), "resource": {"url": "https://shop.example/tea"}}
    return {"x402Version": version, "paymentPayload": payload, "paymentRequirements": terms(version)}


def paths(value: Any, here: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = [here] if here else []
    if isinstance(value, dict):
        for name, inner in value.items():
            found += paths(inner, (*here, name))
    return found


@st.composite
def mangled(draw: st.DrawFn) -> dict[str, Any]:
    """A good body in which up to three values anywhere are something else, or gone."""
    body = a_body(draw(st.sampled_from([1, 2])))
    for _ in range(draw(st.integers(0, 3))):
        path = draw(st.sampled_from(paths(body)))
        place: Any = body
        for name in path[:-1]:
            place = place[name]
        if draw(st.booleans()):
            place.pop(path[-1])
        else:
            place[path[-1]] = draw(ANYTHING)
    return body


@given(body=mangled())
@settings(max_examples=500, deadline=None)
def test_no_body_makes_it_stumble(body: dict[str, Any]) -> None:
    try:
        request = FacilitatorRequest.model_validate(json.loads(json.dumps(body)))
        ask = asking.read(request, CONFIG, user_id="shop", environment="test")
        check(ask.transaction, ask.wanted)
    except (ValidationError, PaymentInvalidError):
        return
    raise AssertionError("AAAA is no transaction")


def test_both_versions_of_one_payment_are_bound_to_the_same_thing() -> None:
    bindings = {
        asking.read(
            FacilitatorRequest.model_validate(a_body(version)), CONFIG, user_id="shop", environment="test"
        ).binding
        for version in (1, 2)
    }
    assert len(bindings) == 1


def test_nothing_that_matters_is_left_out_of_the_binding() -> None:
    def bound(user: str = "shop", environment: str = "test", **changes: Any) -> bytes:
        body = a_body(1)
        body["paymentRequirements"] |= changes
        request = FacilitatorRequest.model_validate(body)
        return asking.read(request, CONFIG, user_id=user, environment=environment).binding

    others = [
        bound(user="bob"),
        bound(environment="live"),
        bound(resource="https://shop.example/coffee"),
        bound(maxAmountRequired="999"),
        bound(payTo=MINT),
        bound(extra={"feePayer": FEE_PAYER, "memo": "x"}),
    ]
    assert len({bound(), *others}) == 7
