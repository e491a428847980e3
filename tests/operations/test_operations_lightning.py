"""The customer pays over Lightning from its own node, and is told in a sentence why a payment did not go through."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import pytest

from operations.errors import OperationError
from operations.payment.lightning import send
from tests.operations.conftest import LightningNetwork, free_port


def invoice(lightning: LightningNetwork, sat: int) -> dict[str, str]:
    return lightning.merchant("POST", "/v1/invoices", {"value": str(sat), "memo": "tea"})


def test_a_paid_invoice_gives_the_preimage_of_its_hash(lightning: LightningNetwork) -> None:
    asked = invoice(lightning, 1_000)
    paid = send(lightning.node("customer"), asked["payment_request"], max_fee_sat=50)
    preimage = bytes.fromhex(str(paid["payment_preimage"]))
    assert hashlib.sha256(preimage).digest() == base64.b64decode(asked["r_hash"])
    assert int(paid["value_msat"]) == 1_000_000


def test_paying_twice_is_refused_with_the_nodes_own_words(lightning: LightningNetwork) -> None:
    asked = invoice(lightning, 10)
    send(lightning.node("customer"), asked["payment_request"], max_fee_sat=5)
    with pytest.raises(OperationError, match=r"would not pay: .*already paid"):
        send(lightning.node("customer"), asked["payment_request"], max_fee_sat=5)


def test_more_than_the_channel_holds_is_told_with_the_reason(lightning: LightningNetwork) -> None:
    asked = invoice(lightning, 2_000_000_000)
    with pytest.raises(OperationError, match="FAILED: FAILURE_REASON_"):
        send(lightning.node("customer"), asked["payment_request"], max_fee_sat=5)


def test_no_invoice_is_told(lightning: LightningNetwork) -> None:
    with pytest.raises(OperationError, match="would not pay"):
        send(lightning.node("customer"), "lnbcrt1nonsense", max_fee_sat=5)


def test_a_macaroon_without_the_right_is_told(lightning: LightningNetwork) -> None:
    asked = invoice(lightning, 10)
    with pytest.raises(OperationError, match="permission denied"):
        send(lightning.node("customer", "invoice"), asked["payment_request"], max_fee_sat=5)


def test_another_nodes_certificate_is_not_trusted(lightning: LightningNetwork) -> None:
    theirs = lightning.node("merchant").tls_cert_path
    mixed = lightning.node("customer").model_copy(update={"tls_cert_path": theirs})
    with pytest.raises(OperationError, match=r"does not answer: .*certificate"):
        send(mixed, invoice(lightning, 10)["payment_request"], max_fee_sat=5)


def test_a_node_that_is_down_is_told(lightning: LightningNetwork) -> None:
    gone = lightning.node("customer").model_copy(update={"url": f"https://127.0.0.1:{free_port()}"})
    with pytest.raises(OperationError, match="does not answer"):
        send(gone, "lnbcrt1", max_fee_sat=5)


def test_missing_files_are_told_with_the_way_out(lightning: LightningNetwork, tmp_path: Path) -> None:
    gone = lightning.node("customer").model_copy(update={"macaroon_path": str(tmp_path / "none")})
    with pytest.raises(OperationError, match=r"has no .*none: run \./railyard up"):
        send(gone, "lnbcrt1", max_fee_sat=5)
