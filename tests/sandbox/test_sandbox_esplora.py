"""The Bitcoin counterpart, used by BDK's own wallet and Esplora client as an independent second opinion."""

from __future__ import annotations

import urllib.error
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bdkpython as bdk
import pytest

from tests.sandbox.processes import EsploraProgram, running

WORDS = "abandon " * 11 + "about"


class Purse:
    """A BDK wallet on the program."""

    def __init__(self, program: EsploraProgram, *, taproot: bool = False) -> None:
        key = bdk.DescriptorSecretKey(bdk.NetworkKind.TEST, bdk.Mnemonic.from_string(WORDS), None)
        make = bdk.Descriptor.new_bip86 if taproot else bdk.Descriptor.new_bip84
        branches = [
            make(key, kind, bdk.NetworkKind.TEST) for kind in (bdk.KeychainKind.EXTERNAL, bdk.KeychainKind.INTERNAL)
        ]
        self.wallet = bdk.Wallet(*branches, bdk.Network.REGTEST, bdk.Persister.new_in_memory())
        self.client = bdk.EsploraClient(program.url)
        self.address = self.wallet.reveal_next_address(bdk.KeychainKind.EXTERNAL).address

    def sync(self) -> int:
        self.wallet.apply_update(self.client.full_scan(self.wallet.start_full_scan().build(), 5, 1))
        return int(self.wallet.balance().total.to_sat())

    def signed(self, sats: int, rate: int) -> bdk.Transaction:
        builder = bdk.TxBuilder().add_recipient(self.address.script_pubkey(), bdk.Amount.from_sat(sats))
        psbt = builder.fee_rate(bdk.FeeRate.from_sat_per_vb(rate)).finish(self.wallet)
        assert self.wallet.sign(psbt)
        return psbt.extract_tx()

    def bumped(self, txid: bdk.Txid, rate: int) -> bdk.Transaction:
        psbt = bdk.BumpFeeTxBuilder(txid, bdk.FeeRate.from_sat_per_vb(rate)).finish(self.wallet)
        assert self.wallet.sign(psbt)
        return psbt.extract_tx()


@pytest.fixture
def program(tmp_path: Path) -> Iterator[EsploraProgram]:
    own = EsploraProgram(tmp_path)
    with running(own):
        yield own


def refused(program: EsploraProgram, path: str, body: Any = None) -> str:
    with pytest.raises(urllib.error.HTTPError) as refusal:
        program.ask(path, body)
    return f"{refusal.value.code} {refusal.value.read().decode()}"


@pytest.mark.parametrize("taproot", [False, True])
def test_a_wallet_of_bdk_syncs_spends_and_replaces(program: EsploraProgram, taproot: bool) -> None:
    purse = Purse(program, taproot=taproot)
    program.pay(str(purse.address), 500_000)
    program.mine()
    assert purse.sync() == 500_000
    first = purse.signed(100_000, 2)
    purse.client.broadcast(first)
    purse.sync()
    second = purse.bumped(first.compute_txid(), 6)
    purse.client.broadcast(second)
    assert "404" in refused(program, f"/tx/{first.compute_txid()}/status")
    program.mine()
    assert program.ask(f"/tx/{second.compute_txid()}/status")["confirmed"] is True
    again = refused(program, "/tx", first.serialize().hex())
    assert "bad-txns-inputs-missingorspent" in again


@pytest.mark.parametrize("taproot", [False, True])
def test_a_changed_signature_or_amount_is_refused(program: EsploraProgram, taproot: bool) -> None:
    purse = Purse(program, taproot=taproot)
    program.pay(str(purse.address), 500_000)
    program.mine()
    purse.sync()
    whole = bytearray(purse.signed(100_000, 2).serialize())
    value = whole.index((100_000).to_bytes(8, "little"))
    whole[value] ^= 1
    assert "mandatory-script-verify-flag-failed" in refused(program, "/tx", bytes(whole).hex())
    assert "TX decode failed" in refused(program, "/tx", whole.hex()[:-2])
    assert "TX decode failed" in refused(program, "/tx", "zz")


def test_a_reorganisation_takes_a_payment_back_and_a_double_spend_replaces_it(program: EsploraProgram) -> None:
    purse = Purse(program)
    kept, lost = (program.pay(str(purse.address), sats) for sats in (40_000, 50_000))
    (block,) = program.mine()
    program.reorganise(1, without=[kept], double_spend=[lost])
    assert program.ask(f"/block/{block}/status") == {"in_best_chain": False}
    assert program.ask(f"/tx/{kept}/status") == {"confirmed": False}
    assert "404" in refused(program, f"/tx/{lost}")
    program.mine()
    assert purse.sync() == 40_000


def test_what_was_answered_survives_a_kill(program: EsploraProgram) -> None:
    purse = Purse(program)
    mined = program.pay(str(purse.address), 30_000)
    program.mine()
    waiting = program.pay(str(purse.address), 20_000)
    tip = program.ask("/blocks/tip/hash")
    program.kill()
    program.start()
    assert program.ask("/blocks/tip/hash") == tip
    assert program.ask(f"/tx/{mined}/status")["confirmed"] is True
    assert program.ask(f"/tx/{waiting}/status") == {"confirmed": False}
    assert purse.sync() == 50_000


def test_a_merkle_proof_leads_to_the_root(program: EsploraProgram) -> None:
    purse = Purse(program)
    txids = [program.pay(str(purse.address), 10_000 + n) for n in range(3)]
    program.mine()
    for txid in txids:
        proof = purse.client.get_merkle_proof(bdk.Txid.from_string(txid))
        assert proof is not None
        header = program.ask(f"/block/{program.ask('/blocks/tip/hash')}")
        assert header["tx_count"] == 4


def test_bad_requests_are_refused_in_a_sentence(program: EsploraProgram) -> None:
    assert "Invalid Bitcoin address" in refused(program, "/address/bc1qnonsense")
    assert "Block not found" in refused(program, "/block-height/999999")
    assert "blocks must be from 1 to 1000" in refused(program, "/sandbox/mine", {"blocks": 0})
    assert "more new blocks" in refused(program, "/sandbox/reorganise", {"depth": 2, "blocks": 2})
    assert "mine first" in refused(
        program, "/sandbox/pay", {"address": "bcrt1q6rz28mcfaxtmd6v789l9rrlrusdprr9pz3cppk", "sats": 10**15}
    )
