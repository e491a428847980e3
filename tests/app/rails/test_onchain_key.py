"""The on-chain signer signs what was accepted and nothing else; wrong descriptors are refused."""

from __future__ import annotations

import bdkpython as bdk
import pytest
from pydantic import SecretStr

from payments.rails.onchain.confirmations import Confirmations
from payments.rails.onchain.errors import OnchainConfigError, OnchainRefusedError
from payments.rails.onchain.wallet import Branch, Coin, Draft, WatchWallet
from payments.signer.onchain_key import OnchainKey
from tests.app.rails.onchain_world import PAYEE, fresh_descriptors

NETWORK = bdk.Network.REGTEST
SATS, CHANGE = 50_000, 7


@pytest.fixture(scope="module")
def descriptors() -> tuple[str, str]:
    return fresh_descriptors()


def funding(watch: WatchWallet, number: int, sats: int) -> Coin:
    """A coin of the wallet's, made by a transaction of nobody's."""
    _, script = watch.address(Branch.RECEIVE, number)
    raw = (
        b"\x02\x00\x00\x00\x01" + b"\x11" * 36 + b"\x00" + b"\xff" * 4 + b"\x01"
        + sats.to_bytes(8, "little") + bytes([len(script)]) + script + b"\x00" * 4
    )  # fmt: skip
    txid = str(bdk.Transaction(raw).compute_txid())
    return Coin(txid, 0, Branch.RECEIVE, number, sats, raw)


@pytest.fixture(scope="module")
def watch(descriptors: tuple[str, str]) -> WatchWallet:
    return WatchWallet(descriptors[0], NETWORK)


@pytest.fixture(scope="module")
def draft(watch: WatchWallet) -> Draft:
    script = bytes(bdk.Address(PAYEE, NETWORK).script_pubkey().to_bytes())
    coins = [funding(watch, 3, 80_000)]
    return watch.draft(coins, script=script, sats=SATS, rate_sat_per_vbyte=2, change_number=CHANGE)


@pytest.fixture(scope="module")
def key(descriptors: tuple[str, str]) -> OnchainKey:
    return OnchainKey(SecretStr(descriptors[1]), descriptors[0], NETWORK)


def test_it_completes_what_was_accepted_under_the_id_that_was_written_down(key: OnchainKey, draft: Draft) -> None:
    raw = key.sign(draft.psbt, address=PAYEE, sats=SATS, max_fee_sats=1000, change_number=CHANGE)
    signed = bdk.Transaction(raw)
    assert str(signed.compute_txid()) == draft.txid
    assert key.sign(draft.psbt, address=PAYEE, sats=SATS, max_fee_sats=1000, change_number=CHANGE) == raw
    assert abs(signed.vsize() - draft.virtual_size) <= 2


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"sats": SATS + 1}, "does not pay what was accepted"),
        ({"change_number": CHANGE + 1}, "pays somebody else"),
        ({"max_fee_sats": 10}, "fee is above its cap"),
    ],
)
def test_it_refuses_another_transaction(key: OnchainKey, draft: Draft, changes: dict[str, int], sentence: str) -> None:
    wanted = {"sats": SATS, "max_fee_sats": 1000, "change_number": CHANGE, **changes}
    with pytest.raises(OnchainRefusedError, match=sentence):
        key.sign(draft.psbt, address=PAYEE, **wanted)


def test_descriptors_that_are_not_what_they_should_be_are_refused(descriptors: tuple[str, str]) -> None:
    public, secret = descriptors
    for text, sentence in (
        (secret, "holds a private key"),
        ("nonsense", "both branches"),
        (public.replace("<0;1>", "0"), "both branches"),
        (public.replace("wpkh(", "pkh("), "wpkh"),
    ):
        with pytest.raises(OnchainConfigError, match=sentence) as refusal:
            WatchWallet(text, NETWORK)
        assert secret[20:60] not in str(refusal.value)
    with pytest.raises(OnchainConfigError, match="no private key"):
        OnchainKey(SecretStr(public), public, NETWORK)
    with pytest.raises(OnchainConfigError, match="another wallet"):
        OnchainKey(SecretStr(fresh_descriptors()[1]), public, NETWORK)


def test_confirmations_rise_with_the_sum() -> None:
    steps = Confirmations.parse("1000000:1, 10000000:3, 6")
    assert [steps.needed(sats) for sats in (1, 1_000_000, 1_000_001, 10_000_001)] == [1, 1, 3, 6]
    for text in ("", "x", "10:3,2", "10:1,5:2,6", "0"):
        with pytest.raises(OnchainConfigError, match="ONCHAIN_CONFIRMATIONS"):
            Confirmations.parse(text)
