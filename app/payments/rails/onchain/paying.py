"""Payouts: one payment, any number of versions of its transaction, of which at most one can ever confirm.

Every version spends all inputs of the versions before it. So the first that confirms makes the others impossible, and
a payment is dead when a transaction that is not ours has spent one of the first version's inputs six blocks ago.
Absence from a mempool proves nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol
from uuid import UUID

import bdkpython as bdk
import structlog

from payments.database import Database
from payments.rails.onchain import repository, wallet
from payments.rails.onchain.confirmations import CONFLICT_CONFIRMATIONS, Confirmations
from payments.rails.onchain.errors import (
    ASSET,
    MSAT_PER_SAT,
    RAIL,
    EsploraRefusedError,
    EsploraUnreachableError,
    OnchainInvalidRequestError,
    OnchainRefusedError,
)
from payments.rails.onchain.esplora import Esplora
from payments.rails.onchain.receiving import DUST_SATS, AddressDesk
from payments.rails.onchain.repository import Version
from payments.rails.onchain.requests import Request, read_request
from payments.rails.onchain.wallet import Branch, Coin, Draft, ShortOfFundsError, WatchWallet
from payments.rails.protocol import Outcome, OutcomeState, PaymentOrder, PreparedPayment, RailUnavailableError

COINS_LOOKED_AT: Final = 200
MINIMUM_RATE: Final = 1.0
# A replacement must pay for its own relay on top of all it replaces (BIP 125 rule 4).
RELAY_SAT_PER_VBYTE: Final = 1.0
LOOK_AGAIN_SECONDS: Final = 30.0
_ON_ITS_WAY: Final = ("already in", "already have", "already-in", "already-known", "already known", "in utxo set")
_log = structlog.get_logger(__name__)


class Signer(Protocol):
    """The worker's key, behind its own checks."""

    def sign(self, psbt: str, *, address: str, sats: int, max_fee_sats: int, change_number: int) -> bytes:
        """The signed transaction. Raises RailRefusedError: it does something else than it should."""


@dataclass(frozen=True, slots=True)
class PayoutRules:
    """Limits of payouts: fee ceiling in satoshis, fee rate ceiling in sat/vB, target in blocks."""

    max_fee_sats: int
    max_rate_sat_per_vbyte: float
    target_blocks: int


class PayoutDesk:
    """Builds, sends, watches and bumps payouts.

    Args:
        esplora: the provider.
        database: coins and versions.
        watch: builds transactions.
        addresses: of our change.
        signer: signs them.
        confirmations: how many make a payout final.
        rules: ceilings.
    """

    def __init__(
        self,
        esplora: Esplora,
        database: Database,
        *,
        watch: WatchWallet,
        addresses: AddressDesk,
        signer: Signer,
        confirmations: Confirmations,
        rules: PayoutRules,
    ) -> None:
        self._esplora = esplora
        self._database = database
        self._watch = watch
        self._addresses = addresses
        self._signer = signer
        self._confirmations = confirmations
        self._rules = rules

    # ---- preparing

    def _checked(self, order: PaymentOrder) -> tuple[Request, int]:
        request = read_request(order.payment_request, self._watch.network)
        if order.asset != ASSET or order.amount % MSAT_PER_SAT or order.amount < DUST_SATS * MSAT_PER_SAT:
            raise OnchainInvalidRequestError(f"An on-chain payment is whole satoshis, at least {DUST_SATS} sat.")
        sats = order.amount // MSAT_PER_SAT
        if request.sats is not None and request.sats != sats:
            raise OnchainInvalidRequestError(f"The request asks {request.sats} sat and the order says {sats}.")
        return request, sats

    def _cap(self, order: PaymentOrder) -> int:
        return min(order.max_fee // MSAT_PER_SAT, self._rules.max_fee_sats)

    async def prepare(self, order: PaymentOrder) -> PreparedPayment:
        """Choose coins, hold them, and write the first version; asked again, the same one.

        Raises:
            InvalidRequestError: not payable on the chain.
            RailRefusedError: too few coins, or the fee cap is below what the network takes.
            RailUnavailableError: the provider does not answer, or the coins are in use this moment.
        """
        request, sats = self._checked(order)
        await self._esplora.ensure_network()
        known = await repository.versions(self._database, order.payment_id)
        if not known:
            await self._write_version(order, request, sats, await self._rate(), before=[])
            known = await repository.versions(self._database, order.payment_id)
        first = known[0]
        payload = {
            "txid": first.txid,
            "address": request.address,
            "sats": sats,
            "inputs": [f"{txid}:{vout}" for txid, vout in wallet.inputs_of(first.psbt)],
        }
        return PreparedPayment(order, request.rail_id, payload)

    async def _rate(self) -> float:
        return min(await self._esplora.fee_rate(self._rules.target_blocks), self._rules.max_rate_sat_per_vbyte)

    async def _write_version(
        self, order: PaymentOrder, request: Request, sats: int, rate: float, *, before: Sequence[Version]
    ) -> None:
        """Build the next version with all inputs of those before, holding more coins where they are needed."""
        coins = await self._with_raw(await repository.held_coins(self._database, order.payment_id))
        change = await self._addresses.derived(Branch.CHANGE, f"change of {order.payment_id}")
        spare = await repository.free_coins(self._database, besides=order.payment_id, limit=COINS_LOOKED_AT)
        while True:
            draft = await self._draft(coins, request, sats, rate, change.number) if coins else None
            if draft is not None:
                break
            coin = await self._next_unspent(spare)
            if coin is None:
                total = sum(one.sats for one in coins)
                raise OnchainRefusedError(f"The on-chain wallet has {total} sat free, and {sats} and the fee are due.")
            coins = [*coins, coin]
        draft = await self._under_cap(draft, coins, request, sats, change.number, cap=self._cap(order), before=before)
        if not await repository.reserve(self._database, order.payment_id, coins):
            raise RailUnavailableError("The coins are in use this moment.", rail=RAIL, retry_after_seconds=1)
        number = len(before) + 1
        await repository.add_version(self._database, order.payment_id, number, draft.txid, draft.psbt, draft.fee_sats)

    async def _draft(
        self, coins: Sequence[Coin], request: Request, sats: int, rate: float, change_number: int
    ) -> Draft | None:
        try:
            return await asyncio.to_thread(
                self._watch.draft,
                coins,
                script=request.script,
                sats=sats,
                rate_sat_per_vbyte=rate,
                change_number=change_number,
            )
        except ShortOfFundsError:
            return None

    async def _under_cap(
        self,
        draft: Draft,
        coins: Sequence[Coin],
        request: Request,
        sats: int,
        change_number: int,
        *,
        cap: int,
        before: Sequence[Version],
    ) -> Draft:
        """The draft, or one at a lower rate that keeps the cap and still is relayed."""
        least = MINIMUM_RATE * draft.virtual_size
        if before:
            least = max(version.fee_sats for version in before) + RELAY_SAT_PER_VBYTE * draft.virtual_size
        if draft.fee_sats > cap and cap >= least:
            lower = await self._draft(coins, request, sats, cap / (draft.virtual_size + 1), change_number)
            draft = lower or draft
        if draft.fee_sats > cap or draft.fee_sats < least:
            raise OnchainRefusedError(f"The fee cap of {cap} sat is below the {least:.0f} sat that the network takes.")
        return draft

    async def _next_unspent(self, spare: list[Coin]) -> Coin | None:
        """The next free coin that the chain confirms to be there and unspent, with its transaction."""
        while spare:
            coin = spare.pop(0)
            confirmation = await self._esplora.confirmation(coin.txid)
            is_there = confirmation is not None and confirmation.is_confirmed
            if is_there and await self._esplora.spend(coin.txid, coin.vout) is None:
                (whole,) = await self._with_raw([coin])
                return whole
            if not is_there:
                continue
            await repository.forget_coin(self._database, coin)
        return None

    async def _with_raw(self, coins: Sequence[Coin]) -> list[Coin]:
        whole = []
        for coin in coins:
            raw = await self._esplora.transaction(coin.txid)
            if raw is None or wallet.txid_of(raw) != coin.txid:
                raise EsploraUnreachableError("Esplora has not the transaction of a coin of ours.")
            whole.append(Coin(coin.txid, coin.vout, coin.branch, coin.number, coin.sats, raw))
        return whole

    # ---- sending and looking up

    async def submit(self, prepared: PreparedPayment) -> Outcome:
        """Sign and broadcast the newest version. Again is harmless: the same coins, at most one can confirm.

        Raises:
            RailUnavailableError: nothing was sent.
            OutcomeUnknownError: sent, and the answer is lost.
        """
        known = await repository.versions(self._database, prepared.order.payment_id)
        if not known:
            return Outcome(OutcomeState.UNKNOWN, reason="no version is written down", retry_after_seconds=60)
        return await self._broadcast(prepared.order, known[-1])

    async def _broadcast(self, order: PaymentOrder, version: Version) -> Outcome:
        request, sats = self._checked(order)
        change = await self._addresses.derived(Branch.CHANGE, f"change of {order.payment_id}")
        raw = await asyncio.to_thread(
            self._signer.sign,
            version.psbt,
            address=request.address,
            sats=sats,
            max_fee_sats=self._cap(order),
            change_number=change.number,
        )
        try:
            await self._esplora.broadcast(raw)
        except EsploraRefusedError as refusal:
            words = str(refusal)
            if any(known in words.lower() for known in _ON_ITS_WAY):
                return Outcome(OutcomeState.IN_FLIGHT, reason=words, retry_after_seconds=LOOK_AGAIN_SECONDS)
            # A signed transaction exists: a refusal by one node is not its death.
            return Outcome(OutcomeState.UNKNOWN, reason=words, retry_after_seconds=LOOK_AGAIN_SECONDS)
        return Outcome(
            OutcomeState.IN_FLIGHT, reason=f"broadcast as {version.txid}", retry_after_seconds=LOOK_AGAIN_SECONDS
        )

    async def look_up(self, prepared: PreparedPayment) -> Outcome:
        """What became of it. Raises RailUnavailableError."""
        known = await repository.versions(self._database, prepared.order.payment_id)
        tip = await self._esplora.tip_height()
        is_waiting = False
        for version in reversed(known):
            found = await self._esplora.confirmation(version.txid)
            if found is not None and found.is_confirmed and await self._esplora.is_in_best_chain(found.block_hash):
                needed = self._confirmations.needed(prepared.order.amount // MSAT_PER_SAT)
                return _confirmed(version, found.block_hash, found.block_height, tip, needed)
            is_waiting = is_waiting or found is not None
        if is_waiting:
            return Outcome(
                OutcomeState.IN_FLIGHT, reason="waits in the mempool", retry_after_seconds=LOOK_AGAIN_SECONDS
            )
        return await self._conflict(known, tip)

    async def _conflict(self, known: Sequence[Version], tip: int) -> Outcome:
        """No version is known to the network: dead only with a buried conflict."""
        ours = {version.txid for version in known}
        for txid, vout in wallet.inputs_of(known[0].psbt) if known else []:
            spend = await self._esplora.spend(txid, vout)
            if spend is None or spend.txid in ours or not spend.confirmation.is_confirmed:
                continue
            raw = await self._esplora.transaction(spend.txid)
            is_real = raw is not None and wallet.txid_of(raw) == spend.txid and wallet.spends(raw, txid, vout)
            if not is_real or not await self._esplora.is_in_best_chain(spend.confirmation.block_hash):
                continue
            confirmations = tip - spend.confirmation.block_height + 1
            proof: dict[str, Any] = {
                "conflicting_txid": spend.txid,
                "input": f"{txid}:{vout}",
                "block_hash": spend.confirmation.block_hash,
                "block_height": spend.confirmation.block_height,
                "confirmations": confirmations,
            }
            if confirmations >= CONFLICT_CONFIRMATIONS:
                return Outcome(OutcomeState.DEAD, proof=proof, reason="another transaction spent one of its inputs")
            reason = f"a conflicting transaction has {confirmations} of {CONFLICT_CONFIRMATIONS} confirmations"
            return Outcome(OutcomeState.UNKNOWN, reason=reason, retry_after_seconds=LOOK_AGAIN_SECONDS)
        return Outcome(
            OutcomeState.UNKNOWN,
            proof={"not_found": True},
            reason="no node knows it, which proves nothing: it is broadcast again",
            retry_after_seconds=LOOK_AGAIN_SECONDS,
        )

    # ---- stuck payouts

    async def bump(self, payment_id: UUID, payment_request: str, amount_msat: int, max_fee_msat: int) -> bool:
        """Replace a payout that waits too long by one that pays more (BIP 125); whether there is a new version.

        Raises: RailUnavailableError, OutcomeUnknownError.
        """
        order = PaymentOrder(payment_id, payment_request, ASSET, amount_msat, max_fee_msat)
        request, sats = self._checked(order)
        known = await repository.versions(self._database, payment_id)
        for version in known:
            found = await self._esplora.confirmation(version.txid)
            if found is not None and found.is_confirmed:
                return False
        size = wallet.signed_size(bdk.Psbt(known[-1].psbt))
        wanted = known[-1].fee_sats / size + RELAY_SAT_PER_VBYTE + 0.1
        rate = min(max(await self._rate(), wanted), self._rules.max_rate_sat_per_vbyte)
        try:
            await self._write_version(order, request, sats, rate, before=known)
        except OnchainRefusedError as refusal:
            _log.warning("a stuck payout cannot be bumped", payment_id=str(payment_id), reason=refusal.sentence)
            return False
        newest = (await repository.versions(self._database, payment_id))[-1]
        await self._broadcast(order, newest)
        _log.info("a stuck payout was bumped", payment_id=str(payment_id), version=newest.number, fee=newest.fee_sats)
        return True


def _confirmed(version: Version, block_hash: str, height: int, tip: int, needed: int) -> Outcome:
    confirmations = tip - height + 1
    if confirmations < needed:
        reason = f"{confirmations} of {needed} confirmations"
        return Outcome(OutcomeState.IN_FLIGHT, reason=reason, retry_after_seconds=LOOK_AGAIN_SECONDS)
    return Outcome(
        OutcomeState.SUCCEEDED,
        fee=version.fee_sats * MSAT_PER_SAT,
        proof={
            "txid": version.txid,
            "version": version.number,
            "block_hash": block_hash,
            "block_height": height,
            "confirmations": confirmations,
        },
    )
