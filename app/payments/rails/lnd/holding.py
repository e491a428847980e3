"""Hold invoices: money that has arrived but is ours only when we say so, or goes back when we do not."""

from collections.abc import Callable
from datetime import UTC, datetime

from payments.rails.lnd import bolt11
from payments.rails.lnd.client import LndClient
from payments.rails.lnd.errors import RAIL, LndAnswerError, LndOutcomeUnknownError
from payments.rails.lnd.messages import NodeInvoice, to_base64
from payments.rails.lnd.receiving import payment_hash
from payments.rails.protocol import RailInvoice, RailRefusedError


class HoldDesk:
    """Makes, settles and cancels hold invoices on one node. Every call may be repeated.

    Args:
        client: with a macaroon that may read and write invoices.
        clock: the time now, in UTC.
    """

    def __init__(self, client: LndClient, *, clock: Callable[[], datetime]) -> None:
        self._client = client
        self._clock = clock

    async def create(
        self, digest: str, *, amount_msat: int, memo: str, expires_at: datetime, cltv_expiry_blocks: int
    ) -> RailInvoice:
        """An invoice for a payment hash whose preimage the node does not know yet; the one that exists, if any.

        Args:
            digest: payment hash, hex.
            amount_msat: above 0.
            memo: shown to the payer.
            expires_at: it cannot be paid after it.
            cltv_expiry_blocks: how long an arrived payment may be held before the channel would be closed over it.

        Raises:
            RailUnavailableError, RailRefusedError, OutcomeUnknownError.
        """
        remaining = int((expires_at - self._clock()).total_seconds())
        if remaining < 1:
            raise RailRefusedError("The hold invoice cannot be made: it has expired already.", rail=RAIL)
        body = {
            "hash": to_base64(bytes.fromhex(digest)),
            "value_msat": str(amount_msat),
            "memo": memo,
            "expiry": str(remaining),
            "cltv_expiry": str(cltv_expiry_blocks),
        }
        try:
            request = str((await self._client.post("/v2/invoices/hodl", body)).get("payment_request") or "")
        except (LndAnswerError, LndOutcomeUnknownError) as doubt:
            try:
                request = (await self.state(digest)).payment_request
            except LndAnswerError:
                raise doubt from None
        invoice = bolt11.decode(request)
        if (invoice.payment_hash, invoice.amount_msat) != (digest, amount_msat):
            raise RailRefusedError("LND has another invoice for this hash: its amount differs.", rail=RAIL)
        return RailInvoice(digest, request, datetime.fromtimestamp(invoice.expires_at, UTC), {"hold": True})

    async def state(self, digest: str) -> NodeInvoice:
        """The invoice as the node has it: OPEN, ACCEPTED (arrived and held), SETTLED or CANCELED.

        Raises:
            LndAnswerError: the node has none with this hash.
            RailUnavailableError: no answer.
        """
        return NodeInvoice.from_json(await self._client.get(f"/v1/invoice/{digest}"))

    async def settle(self, preimage: bytes) -> NodeInvoice:
        """Takes the held money. Settling again is harmless.

        Raises:
            RailRefusedError: nothing has arrived, or it went back.
            RailUnavailableError, OutcomeUnknownError.
        """
        body = {"preimage": to_base64(preimage)}
        return await self._decide("/v2/invoices/settle", body, payment_hash(preimage), "SETTLED")

    async def cancel(self, digest: str) -> NodeInvoice:
        """Sends the held money back, or closes an unpaid invoice. Cancelling again is harmless.

        Raises:
            RailRefusedError: it is settled already.
            RailUnavailableError, OutcomeUnknownError.
        """
        body = {"payment_hash": to_base64(bytes.fromhex(digest))}
        return await self._decide("/v2/invoices/cancel", body, digest, "CANCELED")

    async def _decide(self, path: str, body: dict[str, str], digest: str, wanted: str) -> NodeInvoice:
        doubt: LndAnswerError | LndOutcomeUnknownError | None = None
        try:
            await self._client.post(path, body)
        except (LndAnswerError, LndOutcomeUnknownError) as error:
            doubt = error  # perhaps it was decided so before: the invoice tells
        found = await self.state(digest)
        if found.state == wanted:
            return found
        raise doubt or LndOutcomeUnknownError(f"LND took the decision, and the invoice is still {found.state}.")
