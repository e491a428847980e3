"""Pays the service by x402: signs a USDC transfer, which the service as facilitator verifies, completes and submits.

Sources: x402 v2 specification, scheme "exact" on Solana (specs/schemes/exact/scheme_exact_svm.md).
"""

from __future__ import annotations

import base64
import secrets
import time
from typing import Any

import httpx
from solders.compute_budget import set_compute_unit_limit, set_compute_unit_price
from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.message import MessageV0, to_bytes_versioned
from solders.null_signer import NullSigner
from solders.pubkey import Pubkey
from solders.token.associated import get_associated_token_address
from solders.transaction import VersionedTransaction

from operations.errors import OperationError
from operations.outputs import SolanaCounterpart
from operations.payment.receipt import Receipt
from operations.service import PaymentService

TOKEN_PROGRAM = Pubkey.from_string("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA")
MEMO_PROGRAM = Pubkey.from_string("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr")
USDC_DECIMALS = 6
# Room for TransferChecked with a memo; the price is 1 of the 5,000,000 micro-lamports a unit the scheme allows.
COMPUTE_UNITS = 60_000
COMPUTE_UNIT_PRICE_MICROLAMPORTS = 1
TRANSFER_CHECKED = 12
SETTLE_WITHIN_SECONDS = 30.0
PENDING = "settlement_pending"


def pay(service: PaymentService, network: SolanaCounterpart, *, pay_to: str, amount: int) -> Receipt:
    """Pay `amount` millionths of a USDC: ask for the terms, sign, have it verified and settled.

    Args:
        pay_to: the merchant's wallet.

    Raises:
        OperationError: the service offers no such payment, refuses it, or does not settle it in time.
    """
    started = time.monotonic()
    requirements = _requirements(service, network, pay_to, amount)
    payment = sign(network, requirements)
    body = {"x402Version": 2, "paymentPayload": payment, "paymentRequirements": requirements}
    verdict = service.post("/verify", body)
    if not verdict.get("isValid"):
        raise OperationError(
            f"the service calls the x402 payment invalid: {verdict.get('invalidReason', 'no reason')}."
        )
    settled = service.wait_for(
        "the x402 settlement",
        # The same signed message settles once, however often it is asked for: asking again is how to follow it.
        lambda: _settle(service, body),
        lambda answer: bool(answer.get("success")) or answer.get("errorReason") != PENDING,
        SETTLE_WITHIN_SECONDS,
    )
    if not settled.get("success"):
        raise OperationError(f"the service did not settle the x402 payment: {settled.get('errorReason', 'no reason')}.")
    return Receipt(
        rail="x402",
        amount=amount,
        asset="USDC",
        reference=str(settled["transaction"]),
        proof=str(settled.get("payer", "")),
        fee=0,
        status="settled",
        seconds=time.monotonic() - started,
    )


def _settle(service: PaymentService, body: dict[str, Any]) -> dict[str, Any]:
    answer = service.post("/settle", body)
    return answer | {"status": answer.get("errorReason", "unfinished")}


def _requirements(service: PaymentService, network: SolanaCounterpart, pay_to: str, amount: int) -> dict[str, Any]:
    """The terms a shop would put into its 402 answer, from what the facilitator says it supports."""
    kinds = service.get("/supported").get("kinds", [])
    for kind in kinds:
        if kind.get("x402Version") == 2 and kind.get("scheme") == "exact" and _is_solana(str(kind.get("network"))):
            extra = kind.get("extra") or {}
            return {
                "scheme": "exact",
                "network": kind["network"],
                "amount": str(amount),
                "asset": network.mint,
                "payTo": pay_to,
                "maxTimeoutSeconds": 60,
                "extra": {"feePayer": extra.get("feePayer", network.fee_payer)},
            }
    raise OperationError("the service supports no x402 payment of scheme exact on Solana: see its /supported.")


def _is_solana(network: str) -> bool:
    return network.startswith("solana:")


def sign(network: SolanaCounterpart, requirements: dict[str, Any]) -> dict[str, Any]:
    """The payment payload of x402 v2: a transfer signed by the customer, the fee payer's signature left open.

    Args:
        requirements: the shop's terms, with `extra.feePayer`.

    Raises:
        OperationError: the network gives no recent blockhash.
    """
    customer = Keypair.from_base58_string(network.customer_keypair)
    mint = Pubkey.from_string(requirements["asset"])
    fee_payer = Pubkey.from_string(requirements["extra"]["feePayer"])
    transfer = Instruction(
        TOKEN_PROGRAM,
        bytes([TRANSFER_CHECKED])
        + int(requirements["amount"]).to_bytes(8, "little")
        + bytes([USDC_DECIMALS]),
        [
            AccountMeta(get_associated_token_address(customer.pubkey(), mint), is_signer=False, is_writable=True),
            AccountMeta(mint, is_signer=False, is_writable=False),
            AccountMeta(
                get_associated_token_address(Pubkey.from_string(requirements["payTo"]), mint),
                is_signer=False,
                is_writable=True,
            ),
            AccountMeta(customer.pubkey(), is_signer=True, is_writable=False),
        ],
    )  # fmt: skip
    # Without it two equal payments within one blockhash would be the same transaction.
    memo = Instruction(MEMO_PROGRAM, secrets.token_hex(16).encode(), [])
    message = MessageV0.try_compile(
        fee_payer,
        [
            set_compute_unit_limit(COMPUTE_UNITS),
            set_compute_unit_price(COMPUTE_UNIT_PRICE_MICROLAMPORTS),
            transfer,
            memo,
        ],
        [],
        _latest_blockhash(network.rpc_url),
    )
    signatures = [
        customer.sign_message(to_bytes_versioned(message))
        if key == customer.pubkey()
        else NullSigner(key).sign_message(to_bytes_versioned(message))
        for key in message.account_keys[: message.header.num_required_signatures]
    ]
    signed = base64.b64encode(bytes(VersionedTransaction.populate(message, signatures))).decode()
    return {
        "x402Version": 2,
        "resource": {"url": "railyard:pay", "description": "A payment by ./railyard", "mimeType": "application/json"},
        "accepted": requirements,
        "payload": {"transaction": signed},
    }


def _latest_blockhash(rpc_url: str) -> Hash:
    request = {"jsonrpc": "2.0", "id": 1, "method": "getLatestBlockhash", "params": [{"commitment": "finalized"}]}
    try:
        with httpx.Client(timeout=10, trust_env=False) as http:
            answer = http.post(rpc_url, json=request).json()
        return Hash.from_string(answer["result"]["value"]["blockhash"])
    except (httpx.TransportError, ValueError, KeyError, TypeError) as reason:
        raise OperationError(f"the Solana network at {rpc_url} gives no blockhash: {reason}.") from None
