"""The watch-only descriptor wallet: addresses, and transactions to be signed by the worker's signer. No key is here.

BDK wallets are made anew for each transaction, in memory, from the coins that it spends: what is ours is known from
blocks and PostgreSQL, so a wallet file that could be lost, or be older than the truth, does not exist.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

import bdkpython as bdk

from payments.rails.onchain.errors import OnchainConfigError


class Branch(enum.IntEnum):
    """The descriptor's two branches (BIP 44): addresses that are given out, and our own change."""

    RECEIVE = 0
    CHANGE = 1


@dataclass(frozen=True, slots=True)
class Coin:
    """An output of ours: `number` is its index in the branch, `raw` the transaction that made it."""

    txid: str
    vout: int
    branch: Branch
    number: int
    sats: int
    raw: bytes = b""


@dataclass(frozen=True, slots=True)
class Draft:
    """An unsigned transaction. `psbt` in base64; the id is final: it does not cover witness signatures."""

    txid: str
    psbt: str
    fee_sats: int
    virtual_size: int


class ShortOfFundsError(Exception):
    """The coins do not cover sum and fee."""


def descriptors_of(text: str, network: bdk.Network, *, setting: str) -> tuple[bdk.Descriptor, bdk.Descriptor]:
    """The two branches of a multipath descriptor such as wpkh([...]xpub.../<0;1>/*).

    Raises:
        OnchainConfigError: it is none; the sentence does not hold it.
    """
    kind = bdk.NetworkKind.MAIN if network is bdk.Network.BITCOIN else bdk.NetworkKind.TEST
    bare = text.strip().split("#")[0]
    try:
        # BDK splits a multipath descriptor itself only when it is public.
        branches = [bdk.Descriptor(bare.replace("<0;1>", str(branch)), kind) for branch in (0, 1)]
    except (bdk.DescriptorError, bdk.MiniscriptError, bdk.DescriptorKeyError):
        branches = []
    if bare.count("<0;1>") != 1 or len(branches) != 2:
        raise OnchainConfigError(
            f"{setting} must be an output descriptor of this network with both branches, like "
            "wpkh([fingerprint/84h/0h/0h]xpub.../<0;1>/*)."
        )
    if branches[0].desc_type() not in (bdk.DescriptorType.WPKH, bdk.DescriptorType.TR):
        raise OnchainConfigError(f"{setting} must be wpkh(...) or tr(...): transaction ids must not change by signing.")
    return branches[0], branches[1]


def holds_key(descriptor: bdk.Descriptor) -> bool:
    """Whether a descriptor has a private key: BDK writes it otherwise then when it may show secrets."""
    return bool(descriptor.to_string_with_secret() != str(descriptor))


class WatchWallet:
    """Addresses and drafts of one descriptor. Calls take milliseconds and more: use `asyncio.to_thread`.

    Args:
        descriptor: with both branches; a secret one is reduced to its public part.
        network: BDK's.
    """

    def __init__(self, descriptor: str, network: bdk.Network) -> None:
        receive, change = descriptors_of(descriptor, network, setting="ONCHAIN_DESCRIPTOR")
        if holds_key(receive):
            raise OnchainConfigError(
                "ONCHAIN_DESCRIPTOR holds a private key: give the public one; keys are the signer's."
            )
        self._branches = {Branch.RECEIVE: receive, Branch.CHANGE: change}
        self.network = network

    def address(self, branch: Branch, number: int) -> tuple[str, bytes]:
        """The address of an index, and its script."""
        address = self._branches[branch].derive_address(number, self.network)
        return str(address), bytes(address.script_pubkey().to_bytes())

    def draft(
        self, coins: Sequence[Coin], *, script: bytes, sats: int, rate_sat_per_vbyte: float, change_number: int
    ) -> Draft:
        """A transaction that spends all of `coins`, pays `sats` to `script` and the rest to our change address.

        Its inputs signal BIP 125, so that it can be replaced.

        Raises:
            ShortOfFundsError: the coins do not cover the sum and a fee at this rate.
        """
        wallet = bdk.Wallet(
            self._branches[Branch.RECEIVE],
            self._branches[Branch.CHANGE],
            self.network,
            bdk.Persister.new_in_memory(),
        )
        for branch, kind in ((Branch.RECEIVE, bdk.KeychainKind.EXTERNAL), (Branch.CHANGE, bdk.KeychainKind.INTERNAL)):
            numbers = [coin.number for coin in coins if coin.branch is branch]
            if numbers:
                wallet.reveal_addresses_to(kind, max(numbers))
        made_by = {coin.txid: coin.raw for coin in coins}
        wallet.apply_unconfirmed_txs(
            [bdk.UnconfirmedTx(tx=bdk.Transaction(raw), last_seen=1) for raw in made_by.values()]
        )
        points = [bdk.OutPoint(txid=bdk.Txid.from_string(coin.txid), vout=coin.vout) for coin in coins]
        change = self._branches[Branch.CHANGE].derive_address(change_number, self.network)
        builder = (
            bdk.TxBuilder()
            .add_utxos(points)
            .manually_selected_only()
            .add_recipient(bdk.Script(script), bdk.Amount.from_sat(sats))
            .drain_to(change.script_pubkey())
            .fee_rate(bdk.FeeRate.from_sat_per_kwu(max(250, round(rate_sat_per_vbyte * 250))))
        )
        try:
            psbt = builder.finish(wallet)
        except bdk.CreateTxError as error:
            raise ShortOfFundsError(type(error).__name__) from error
        transaction = psbt.extract_tx_unchecked_fee_rate()
        return Draft(str(transaction.compute_txid()), psbt.serialize(), psbt.fee(), signed_size(psbt))


def signed_size(psbt: bdk.Psbt) -> int:
    """Virtual bytes that a draft will have once signed: 27 for a P2WPKH witness, 17 for a P2TR one, per input."""
    size = int(psbt.extract_tx_unchecked_fee_rate().vsize())
    for one in psbt.input():
        is_taproot = one.witness_utxo is not None and one.witness_utxo.script_pubkey.to_bytes()[:1] == b"\x51"
        size += 17 if is_taproot else 27
    return size + 1


def inputs_of(psbt: str) -> list[tuple[str, int]]:
    """The outputs that a draft spends."""
    transaction = bdk.Psbt(psbt).extract_tx_unchecked_fee_rate()
    return [(str(one.previous_output.txid), int(one.previous_output.vout)) for one in transaction.input()]


def spends(raw: bytes, txid: str, vout: int) -> bool:
    """Whether a transaction spends an output."""
    inputs = [one.previous_output for one in bdk.Transaction(raw).input()]
    return any(str(point.txid) == txid and point.vout == vout for point in inputs)


def txid_of(raw: bytes) -> str:
    """A transaction's id."""
    return str(bdk.Transaction(raw).compute_txid())
