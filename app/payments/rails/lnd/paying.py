"""Payouts: validated before, capped in fee on every try, tracked after any doubt, dead only with proof.

The payment hash is the identity: LND sends at most one payment a hash at a time and none after one has succeeded.
"""

import asyncio
import hashlib
from collections.abc import Callable
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any, Final

from payments.rails.lnd import bolt11
from payments.rails.lnd.client import LndClient
from payments.rails.lnd.errors import (
    RAIL,
    LndAnswerError,
    LndInvalidRequestError,
    LndOutcomeUnknownError,
    LndUnreachableError,
)
from payments.rails.lnd.messages import NodeInfo, NodePayment, to_base64, to_url_base64
from payments.rails.lnd.receiving import ASSET
from payments.rails.protocol import (
    DecodedRequest,
    Outcome,
    OutcomeState,
    PaymentOrder,
    PreparedPayment,
    RailError,
    RailRefusedError,
)

# LND begins no new try after this; a try under way may take longer (lnd#4269), which is why tracking decides.
ATTEMPT_SECONDS: Final = 60
# How long `submit` waits for the end before it says "in flight".
SUBMIT_WAIT_SECONDS: Final = 30.0
TRACK_WAIT_SECONDS: Final = 10.0
# Clocks differ: an invoice counts as expired for a proof of death only this long after its own time.
EXPIRY_MARGIN_SECONDS: Final = 120

_FINAL = frozenset({"SUCCEEDED", "FAILED"})
_BUSY = ("already paid", "in transition", "already exists")


def without_scheme(payment_request: str) -> str:
    """The bare invoice of a wallet link such as "lightning:LNBC1..."."""
    text = payment_request.strip()
    return text[10:] if text[:10].lower() == "lightning:" else text


def decode_request(payment_request: str, *, network: str) -> DecodedRequest:
    """Reads an invoice for this network; amounts in msat. Raises InvalidRequestError."""
    try:
        invoice = bolt11.decode(without_scheme(payment_request))
    except bolt11.Bolt11Error as error:
        raise LndInvalidRequestError(str(error)) from error
    if invoice.network != network:
        raise LndInvalidRequestError(f"The invoice is for {invoice.network}, and this service works on {network}.")
    return DecodedRequest(
        rail_id=invoice.payment_hash,
        asset=ASSET,
        amount=invoice.amount_msat,
        payee=invoice.payee,
        memo=invoice.description or "",
        network=invoice.network,
        created_at=datetime.fromtimestamp(invoice.timestamp, UTC),
        expires_at=datetime.fromtimestamp(invoice.expires_at, UTC),
        facts={
            "min_final_cltv_expiry_blocks": invoice.min_final_cltv_expiry_blocks,
            "description_hash": invoice.description_hash or "",
            "route_hints": len(invoice.route_hints),
        },
    )


class PaymentDesk:
    """Pays invoices from one node.

    Args:
        client: with a macaroon that may send payments.
        network: mainnet, testnet, signet, regtest or simnet.
        max_payment_msat: ceiling of one payment, also for invoices without an amount.
        max_fee_msat: ceiling of the fee, whatever the order allows.
        clock: the time now, in UTC.
        submit_wait_seconds: how long `submit` waits for the end.
    """

    def __init__(
        self,
        client: LndClient,
        *,
        network: str,
        max_payment_msat: int,
        max_fee_msat: int,
        clock: Callable[[], datetime],
        submit_wait_seconds: float = SUBMIT_WAIT_SECONDS,
    ) -> None:
        self._client = client
        self._network = network
        self._max_payment_msat = max_payment_msat
        self._max_fee_msat = max_fee_msat
        self._clock = clock
        self._submit_wait_seconds = submit_wait_seconds

    async def prepare(self, order: PaymentOrder) -> PreparedPayment:
        """Checks the order against its invoice and the ceilings, and notes which node will pay.

        Raises:
            InvalidRequestError: malformed, another network, expired, or the amounts differ.
            RailRefusedError: above a ceiling.
            RailUnavailableError: the node does not say who it is.
        """
        request = decode_request(order.payment_request, network=self._network)
        if request.expires_at <= self._clock():
            raise LndInvalidRequestError(f"The invoice expired at {request.expires_at.isoformat()}.")
        if order.asset != ASSET or order.amount <= 0:
            raise LndInvalidRequestError("A Lightning payment needs an amount in BTC above 0 msat.")
        if request.amount is not None and request.amount != order.amount:
            raise LndInvalidRequestError(f"The invoice asks {request.amount} msat and the order says {order.amount}.")
        if order.amount > self._max_payment_msat:
            raise RailRefusedError(
                f"The payment of {order.amount} msat is above the ceiling of {self._max_payment_msat} msat "
                "(MAX_PAYMENT_MSAT).",
                rail=RAIL,
            )
        node = NodeInfo.from_json(await self._client.get("/v1/getinfo"))
        if request.payee == node.identity_pubkey:
            raise RailRefusedError("The invoice is our own node's: nothing would move.", rail=RAIL)
        payload = {
            "node": node.identity_pubkey,
            "expires_at": int(request.expires_at.timestamp()),
            "amount_in_request": request.amount is not None,
            "fee_limit_msat": min(order.max_fee, self._max_fee_msat),
        }
        return PreparedPayment(order=order, rail_id=request.rail_id, payload=payload)

    async def submit(self, prepared: PreparedPayment) -> Outcome:
        """Sends the payment and waits a bounded time for its end; the same hash again is harmless.

        Raises:
            RailUnavailableError: nothing was sent.
            RailRefusedError: the node refused it for good, and tracks no payment with this hash.
            OutcomeUnknownError: sent, and neither the answer nor tracking came back.
        """
        order = prepared.order
        body: dict[str, Any] = {
            "payment_request": without_scheme(order.payment_request),
            "fee_limit_msat": str(_fee_limit_msat(prepared, self._max_fee_msat)),
            "timeout_seconds": ATTEMPT_SECONDS,
            "no_inflight_updates": False,
            "cancelable": False,
        }
        if not prepared.payload["amount_in_request"]:
            body["amt_msat"] = str(order.amount)
        try:
            last = await self._last_update(
                "POST", "/v2/router/send", {}, body, seconds=self._submit_wait_seconds, until_final=True
            )
        except LndAnswerError as refusal:
            return await self._after_refusal(prepared, refusal)
        except LndOutcomeUnknownError as lost:
            return await self._after_lost_answer(prepared, lost)
        return _outcome(prepared, last)

    async def _after_refusal(self, prepared: PreparedPayment, refusal: LndAnswerError) -> Outcome:
        """The node said no: perhaps because it knows the hash already. Tracking tells; a plain no stays a no."""
        try:
            known = await self._track(prepared.rail_id)
        except RailError as error:
            raise LndOutcomeUnknownError(
                f"LND refused ({refusal.message[:120]}) and could not be asked again."
            ) from error
        if known is not None:
            return _outcome(prepared, known)
        if refusal.code == LndAnswerError.ALREADY_EXISTS or any(word in refusal.message.lower() for word in _BUSY):
            return Outcome(OutcomeState.UNKNOWN, reason=refusal.message[:200], retry_after_seconds=2)
        raise refusal

    async def _after_lost_answer(self, prepared: PreparedPayment, lost: LndOutcomeUnknownError) -> Outcome:
        try:
            known = await self._track(prepared.rail_id)
        except RailError as error:
            raise lost from error
        if known is None:
            # The request may still be on its way: only the invoice's expiry turns "not found" into a proof.
            return Outcome(OutcomeState.UNKNOWN, reason="sent, but not yet known to the node", retry_after_seconds=2)
        return _outcome(prepared, known)

    async def look_up(self, prepared: PreparedPayment) -> Outcome:
        """What became of the payment (TrackPayment).

        Dead only when the node says FAILED, or when it knows no such payment, the invoice expired over two minutes ago
        and the node is the one that `prepare` saw. Before that, sending the same hash again is the safe way on.

        Raises:
            RailUnavailableError: no answer.
        """
        try:
            known = await self._track(prepared.rail_id)
        except LndOutcomeUnknownError as error:
            raise LndUnreachableError(error.sentence) from error
        except LndAnswerError as error:
            raise LndUnreachableError(f"LND cannot track the payment: {error.message[:200]}.") from error
        if known is not None:
            return _outcome(prepared, known)
        return await self._not_found(prepared)

    async def _not_found(self, prepared: PreparedPayment) -> Outcome:
        try:
            node = NodeInfo.from_json(await self._client.get("/v1/getinfo")).identity_pubkey
        except LndAnswerError as error:
            raise LndUnreachableError(f"LND does not say who it is: {error.message[:200]}.") from error
        if node != prepared.payload["node"]:
            return Outcome(
                OutcomeState.UNKNOWN,
                reason=f"node {node[:16]} never heard of it, but node {prepared.payload['node'][:16]} was told to pay",
                retry_after_seconds=300,
            )
        expired_for = self._clock().timestamp() - prepared.payload["expires_at"]
        if expired_for < EXPIRY_MARGIN_SECONDS:
            return Outcome(
                OutcomeState.UNKNOWN,
                proof={"not_found": True, "node": node},
                reason="the node knows no such payment; until its invoice expires it may be sent again, same hash",
                retry_after_seconds=min(60.0, max(2.0, EXPIRY_MARGIN_SECONDS - expired_for)),
            )
        return Outcome(
            OutcomeState.DEAD,
            proof={"track_payment": "NOT_FOUND", "node": node, "invoice_expired_at": prepared.payload["expires_at"]},
            reason="the invoice expired and the node knows no such payment",
        )

    async def _track(self, payment_hash: str) -> NodePayment | None:
        """The node's present word on a payment, None when it knows none."""
        path = f"/v2/router/track/{to_url_base64(bytes.fromhex(payment_hash))}"
        query = {"no_inflight_updates": "false"}
        try:
            return await self._last_update("GET", path, query, None, seconds=TRACK_WAIT_SECONDS, until_final=False)
        except LndAnswerError as error:
            if error.code == LndAnswerError.NOT_FOUND or "isn't initiated" in error.message:
                return None
            raise

    async def _last_update(
        self,
        method: str,
        path: str,
        query: dict[str, str],
        body: dict[str, Any] | None,
        *,
        seconds: float,
        until_final: bool,
    ) -> NodePayment:
        """The newest update of a payment's stream: the final one, or what there is when the time is over.

        Raises:
            LndOutcomeUnknownError: the time was over, or the stream ended, before the first update.
        """
        newest: NodePayment | None = None
        try:
            async with (
                asyncio.timeout(seconds),
                aclosing(self._client.stream(method, path, query, body, idle_seconds=seconds)) as updates,
            ):
                async for update in updates:
                    newest = NodePayment.from_json(update)
                    if newest.status in _FINAL or not until_final:
                        break
        except TimeoutError:
            pass
        except (LndOutcomeUnknownError, LndUnreachableError):
            if newest is None:
                raise
        if newest is None:
            raise LndOutcomeUnknownError("LND sent no update of the payment in time.")
        return newest

    async def estimate_fee_msat(self, payment_request: str, amount_msat: int) -> int:
        """The routing fee that LND expects, in msat, without sending anything.

        Raises:
            InvalidRequestError, RailUnavailableError, RailRefusedError.
        """
        request = decode_request(payment_request, network=self._network)
        body = {"dest": to_base64(bytes.fromhex(request.payee)), "amt_sat": str(-(-amount_msat // 1000))}
        try:
            answer = await self._client.post("/v2/router/route/estimatefee", body)
        except LndOutcomeUnknownError as error:
            raise LndUnreachableError(error.sentence) from error  # estimating changes nothing
        failure = str(answer.get("failure_reason") or "FAILURE_REASON_NONE")
        if failure != "FAILURE_REASON_NONE":
            raise RailRefusedError(f"LND finds no way to the payee: {failure}.", rail=RAIL)
        return int(answer.get("routing_fee_msat") or 0)


def _fee_limit_msat(prepared: PreparedPayment, ceiling_msat: int) -> int:
    """The cap sent with every try; the ceiling holds even for a payment prepared under a laxer setting."""
    return min(int(prepared.payload["fee_limit_msat"]), prepared.order.max_fee, ceiling_msat)


def _outcome(prepared: PreparedPayment, payment: NodePayment) -> Outcome:
    if payment.status == "FAILED":
        return Outcome(
            OutcomeState.DEAD,
            proof={
                "track_payment": "FAILED",
                "failure_reason": payment.failure_reason,
                "payment_index": payment.payment_index,
                "node": prepared.payload["node"],
            },
            reason=payment.failure_reason,
        )
    if payment.status != "SUCCEEDED":
        return Outcome(OutcomeState.IN_FLIGHT, reason=payment.status, retry_after_seconds=2)
    if hashlib.sha256(bytes.fromhex(payment.preimage)).hexdigest() != prepared.rail_id:
        return Outcome(OutcomeState.UNKNOWN, reason="LND says SUCCEEDED with a preimage that does not match the hash")
    return Outcome(
        OutcomeState.SUCCEEDED,
        fee=payment.fee_msat,
        proof={"preimage": payment.preimage, "payment_index": payment.payment_index},
    )
