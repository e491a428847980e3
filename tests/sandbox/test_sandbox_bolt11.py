"""The nodes' invoices: the bolt11 library and the specification's own examples are the judges."""

from __future__ import annotations

import bolt11 as oracle
import pytest
from coincurve import PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.lnd import bolt11

KEY = PrivateKey(bytes.fromhex("e126f68f7eafcc8b74f54d269fe206be715000f94dac067d1c04a8ca3b2db734"))
"""The key that signed the specification's examples."""
PAYEE = "03e7156ae33b0a208d0744199163177e909e80176e55d97a2f221ede0f934dd9ad"
HASH = bytes.fromhex("0001020304050607080900010203040506070809000102030405060708090102")

# https://github.com/lightning/bolts/blob/master/11-payment-encoding.md#examples
DONATION = (
    "lnbc1pvjluezsp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygspp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypq"
    "dpl2pkx2ctnv5sxxmmwwd5kgetjypeh2ursdae8g6twvus8g6rfwvs8qun0dfjkxaq9qrsgq357wnc5r2ueh7ck6q93dj32dlqnls087fxdwk8qakdyafkq3yap9"
    "us6v52vjjsrvywa6rt52cm9r9zqt8r2t7mlcwspyetp5h2tztugp9lfyql"
)
COFFEE = (
    "lnbc2500u1pvjluezsp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygspp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypq"
    "dq5xysxxatsyp3k7enxv4jsxqzpu9qrsgquk0rl77nj30yxdy8j9vdx85fkpmdla2087ne0xh8nhedh8w27kyke0lp53ut353s06fv3qfegext0eh0ymjpf39tuv"
    "en09sam30g4vgpfna3rh"
)


def invoice(**fields: object) -> bolt11.Bolt11:
    base: dict[str, object] = {
        "network": "regtest",
        "timestamp": 1_700_000_000,
        "payment_hash": HASH,
        "payment_addr": bytes(range(32)),
        "description": "tea",
        "features": frozenset({8, 14, 17}),
    }
    return bolt11.Bolt11(**{**base, **fields})  # type: ignore[arg-type]


class TestTheSpecificationsExamples:
    def test_a_donation_of_any_amount_is_read(self) -> None:
        read = bolt11.decode(DONATION)
        assert (read.network, read.amount_msat, read.timestamp) == ("mainnet", None, 1496314658)
        assert read.description == "Please consider supporting this project"
        assert (read.payment_hash, read.payee.hex()) == (HASH, PAYEE)

    def test_a_coffee_for_a_minute_is_read(self) -> None:
        read = bolt11.decode(COFFEE)
        assert (read.amount_msat, read.expiry_seconds, read.description) == (250_000_000, 60, "1 cup coffee")

    def test_upper_case_is_the_same_invoice(self) -> None:
        assert bolt11.decode(COFFEE.upper()) == bolt11.decode(COFFEE)

    def test_a_changed_letter_is_refused(self) -> None:
        broken = COFFEE.replace("dq5xysxx", "dq5xysxy")
        with pytest.raises(bolt11.Bolt11Error, match="checksum failed"):
            bolt11.decode(broken)

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("", "invalid bech32 string length"),
            ("lnbc1" + "q" * 8000, "too large"),
            ("Lnbc1pvjluez", "not all lowercase"),
            ("lnbcpvjluezz", "invalid index of 1"),
            ("lnbc1pvjlueb", "not part of charset|invalid index"),
            ("bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq", "prefix"),
        ],
    )
    def test_what_is_no_invoice_is_refused_with_a_reason(self, text: str, words: str) -> None:
        with pytest.raises(bolt11.Bolt11Error, match=words):
            bolt11.decode(text)

    def test_an_invoice_of_another_network_is_refused(self) -> None:
        with pytest.raises(bolt11.Bolt11Error, match="not for current active network 'regtest'"):
            bolt11.decode(COFFEE, "regtest")


class TestAgainstTheLibrary:
    @settings(max_examples=60, deadline=None)
    @given(
        amount_msat=st.one_of(st.none(), st.integers(1, 10**15)),
        description=st.text(max_size=120),
        expiry=st.integers(1, 31_536_000),
        cltv=st.integers(18, 2016),
        payment_hash=st.binary(min_size=32, max_size=32),
        network=st.sampled_from(["regtest", "testnet", "signet"]),
    )
    def test_the_library_reads_what_we_write(
        self, amount_msat: int | None, description: str, expiry: int, cltv: int, payment_hash: bytes, network: str
    ) -> None:
        ours = invoice(
            amount_msat=amount_msat,
            description=description,
            expiry_seconds=expiry,
            min_final_cltv_expiry=cltv,
            payment_hash=payment_hash,
            network=network,
        )
        theirs = oracle.decode(bolt11.encode(ours, KEY))
        assert theirs.amount_msat == amount_msat
        assert (theirs.description or "") == description
        assert (theirs.expiry, theirs.min_final_cltv_expiry) == (expiry, cltv)
        assert (theirs.payment_hash, theirs.payee) == (payment_hash.hex(), PAYEE)

    def test_the_library_reads_a_description_hash_and_a_private_route(self) -> None:
        hop = bolt11.HopHint(KEY.public_key.format(), 474989023264768, 1000, 1, 80)
        ours = invoice(description=None, description_hash=HASH, route_hints=((hop,),))
        theirs = oracle.decode(bolt11.encode(ours, KEY))
        assert theirs.description_hash == HASH.hex()
        assert theirs.route_hints is not None
        assert theirs.route_hints[0].routes[0].base_fee == 1000

    @settings(max_examples=60, deadline=None)
    @given(
        amount_msat=st.one_of(st.none(), st.integers(1, 10**15)),
        description=st.text(max_size=60),
        features=st.frozensets(st.integers(0, 60), min_size=1, max_size=6),
    )
    def test_we_read_what_we_write(self, amount_msat: int | None, description: str, features: frozenset[int]) -> None:
        ours = invoice(amount_msat=amount_msat, description=description, features=features)
        read = bolt11.decode(bolt11.encode(ours, KEY))
        assert read.payee.hex() == PAYEE
        assert read == invoice(
            amount_msat=amount_msat, description=description, features=features, payee=bytes.fromhex(PAYEE)
        )
