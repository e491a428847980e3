"""The customer's x402 payment is one that the unmodified reference facilitator verifies and settles."""

from __future__ import annotations

from typing import Any

import pytest
from solders.transaction import VersionedTransaction
from x402.mechanisms.svm.exact.facilitator import ExactSvmScheme
from x402.mechanisms.svm.signers import FacilitatorKeypairSigner
from x402.schemas import PaymentPayload, PaymentRequirements

from operations.errors import OperationError
from operations.outputs import SolanaCounterpart
from operations.payment.x402 import sign
from tests.operations.conftest import SolanaNetwork, free_port

DEVNET = "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1"


def terms(solana: SolanaNetwork, amount: int) -> dict[str, Any]:
    return {
        "scheme": "exact",
        "network": DEVNET,
        "amount": str(amount),
        "asset": solana.counterpart.mint,
        "payTo": str(solana.merchant),
        "maxTimeoutSeconds": 60,
        "extra": {"feePayer": str(solana.fee_payer.pubkey())},
    }


@pytest.fixture
def facilitator(solana: SolanaNetwork) -> ExactSvmScheme:
    return ExactSvmScheme(FacilitatorKeypairSigner(solana.fee_payer, solana.counterpart.rpc_url))


def test_the_reference_facilitator_settles_it(solana: SolanaNetwork, facilitator: ExactSvmScheme) -> None:
    asked = terms(solana, 10_000)
    payload = PaymentPayload.model_validate(sign(solana.counterpart, asked))
    requirements = PaymentRequirements.model_validate(asked)
    before = solana.balance_of_merchant()
    assert facilitator.verify(payload, requirements).is_valid
    assert facilitator.settle(payload, requirements).success
    assert solana.balance_of_merchant() == before + 10_000


def test_it_pays_no_less_than_was_asked(solana: SolanaNetwork, facilitator: ExactSvmScheme) -> None:
    payload = PaymentPayload.model_validate(sign(solana.counterpart, terms(solana, 9_999)))
    verdict = facilitator.verify(payload, PaymentRequirements.model_validate(terms(solana, 10_000)))
    assert not verdict.is_valid


def test_two_equal_payments_are_two_transactions(solana: SolanaNetwork) -> None:
    one, two = (sign(solana.counterpart, terms(solana, 5))["payload"]["transaction"] for _ in range(2))
    assert one != two


def test_only_the_fee_payers_signature_is_left_open(solana: SolanaNetwork) -> None:
    import base64

    signed = sign(solana.counterpart, terms(solana, 5))["payload"]["transaction"]
    transaction = VersionedTransaction.from_bytes(base64.b64decode(signed))
    assert transaction.verify_with_results() == [False, True]
    assert transaction.message.account_keys[0] == solana.fee_payer.pubkey()


def test_a_network_that_is_down_is_told(solana: SolanaNetwork) -> None:
    gone = SolanaCounterpart(**(solana.counterpart.model_dump() | {"rpc_url": f"http://127.0.0.1:{free_port()}"}))
    with pytest.raises(OperationError, match="gives no blockhash"):
        sign(gone, terms(solana, 5))
