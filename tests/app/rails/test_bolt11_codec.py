"""The BOLT 11 codec against the official vectors, the `bolt11` library and Hypothesis."""

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import bolt11 as oracle
import pytest
from coincurve import PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from payments.rails.lnd import bech32
from payments.rails.lnd.bolt11 import Bolt11Error, Bolt11Invoice, RouteHop, decode, encode

VECTORS: dict[str, Any] = json.loads((Path(__file__).parent / "bolt11_vectors.json").read_text())
BOLT_KEY = bytes.fromhex("e126f68f7eafcc8b74f54d269fe206be715000f94dac067d1c04a8ca3b2db734")
BOLT_NODE = "03e7156ae33b0a208d0744199163177e909e80176e55d97a2f221ede0f934dd9ad"
BOLT_HASH = "0001020304050607080900010203040506070809000102030405060708090102"


def vector(start: str, kind: str = "valid") -> str:
    return next(str(case["invoice"]) for case in VECTORS[kind] if case["title"].startswith(start))


def an_invoice(**changes: Any) -> Bolt11Invoice:
    plain = Bolt11Invoice(
        network="regtest",
        timestamp=1_700_000_000,
        payment_hash="ab" * 32,
        payment_secret="cd" * 32,
        amount_msat=1000,
        description="tea",
    )
    return replace(plain, **changes)


class TestOfficialVectors:
    @pytest.mark.parametrize("case", VECTORS["valid"], ids=lambda case: case["title"][:40])
    def test_every_valid_example_is_read(self, case: dict[str, str]) -> None:
        invoice = decode(case["invoice"], strict="must be ignored" not in case["title"])
        assert invoice.payment_secret == "11" * 32
        assert len(invoice.payment_hash) == 64
        if "high-S" not in case["title"]:
            assert invoice.payee == BOLT_NODE

    @pytest.mark.parametrize("case", VECTORS["invalid"], ids=lambda case: case["title"][:40])
    @pytest.mark.parametrize("strict", [True, False])
    def test_every_invalid_example_is_refused(self, case: dict[str, str], strict: bool) -> None:
        with pytest.raises(Bolt11Error):
            decode(case["invoice"], strict=strict)

    def test_a_high_s_signature_beside_a_stated_payee_is_refused_for_that_reason(self) -> None:
        with pytest.raises(Bolt11Error, match="low-S"):
            decode(vector("Non canonical", "invalid"), strict=False)

    def test_the_values_of_the_examples(self) -> None:
        coffee = decode(vector("Please send $3"))
        assert (coffee.amount_msat, coffee.expiry_seconds, coffee.description) == (250_000_000, 60, "1 cup coffee")
        assert coffee.payment_hash == BOLT_HASH
        assert decode(vector("Please make a donation")).amount_msat is None
        assert decode(vector("Please send 0.00967878534")).amount_msat == 967_878_534
        assert decode(vector("Please send 0.01 BTC with")).metadata == bytes.fromhex("01fafaf0")
        assert decode(vector("Please send $30")).features == frozenset({8, 14, 99})
        assert decode(vector("The same, on testnet")).network == "testnet"
        assert "ナンセンス 1杯" in str(decode(vector("Please send 0.0025")).description)

    def test_a_hashed_description_is_recognised(self) -> None:
        text = (
            "One piece of chocolate cake, one icecream cone, one pickle, one slice of swiss cheese, one slice of "
            "salami, one lollypop, one piece of cherry pie, one sausage, one cupcake, and one slice of watermelon"
        )
        invoice = decode(vector("Now send $24"))
        assert invoice.describes(text)
        assert not invoice.describes(text + "s")

    def test_route_hints_hop_by_hop(self) -> None:
        (hint,) = decode(vector("On mainnet, with fallback address 1Rusty")).route_hints
        assert [hop.pubkey[:6] for hop in hint] == ["029e03", "039e03"]
        assert hint[0].short_channel_id == (66051 << 40) | (263430 << 16) | 1800
        assert (hint[0].fee_base_msat, hint[0].fee_proportional_millionths, hint[0].cltv_expiry_delta) == (1, 20, 3)

    @pytest.mark.parametrize(
        ("start", "address"),
        [
            ("The same, on testnet", "mk2QpYatsKicvFVuTAQLBryyccRXMUaGHP"),
            ("On mainnet, with fallback address", "1RustyRX2oai4EYYDpQGWvEL62BBGqN9T"),
            ("On mainnet, with fallback (P2SH)", "3EktnHQD7RiAE6uzMj2ZifT9YgRrkSgzQX"),
            ("On mainnet, with fallback (P2WPKH)", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"),
            ("On mainnet, with fallback (P2WSH)", "bc1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qccfmv3"),
        ],
    )
    def test_fallback_addresses(self, start: str, address: str) -> None:
        assert decode(vector(start)).fallback_addresses == (address,)

    def test_writing_an_example_again_gives_the_same_text(self) -> None:
        for start in ("Please make a donation", "Please send $3"):
            assert encode(decode(vector(start)), BOLT_KEY) == vector(start)


HOPS = st.builds(
    RouteHop,
    pubkey=st.binary(min_size=32, max_size=32).map(lambda raw: "02" + raw.hex()),
    short_channel_id=st.integers(0, 2**64 - 1),
    fee_base_msat=st.integers(0, 2**32 - 1),
    fee_proportional_millionths=st.integers(0, 2**32 - 1),
    cltv_expiry_delta=st.integers(0, 2**16 - 1),
)
FALLBACKS = st.sampled_from(
    [
        "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080",
        "mk2QpYatsKicvFVuTAQLBryyccRXMUaGHP",
        "2N2JD6wb56AfK4tfmM6PwdVmoYk2dCKf4Br",
    ]
)
HEX32 = st.binary(min_size=32, max_size=32).map(bytes.hex)


@st.composite
def invoices(draw: st.DrawFn) -> Bolt11Invoice:
    hashed = draw(st.booleans())
    return Bolt11Invoice(
        network="regtest",
        timestamp=draw(st.integers(0, 2**35 - 1)),
        payment_hash=draw(HEX32),
        payment_secret=draw(HEX32),
        amount_msat=draw(st.none() | st.integers(1, 21 * 10**17)),
        description=None if hashed else draw(st.text(max_size=150)),
        description_hash=draw(HEX32) if hashed else None,
        expiry_seconds=draw(st.integers(0, 2**40)),
        min_final_cltv_expiry_blocks=draw(st.integers(0, 2**20)),
        fallback_addresses=tuple(draw(st.lists(FALLBACKS, max_size=2))),
        route_hints=tuple(draw(st.lists(st.lists(HOPS, min_size=1, max_size=4).map(tuple), max_size=3))),
        features=draw(st.frozensets(st.integers(0, 70).map(lambda n: 2 * n + 1) | st.sampled_from([8, 14, 16, 48]))),
        metadata=draw(st.none() | st.binary(max_size=200)),
    )


class TestRoundTrip:
    @given(invoice=invoices(), state_payee=st.booleans())
    @settings(max_examples=150, deadline=None)
    def test_what_is_written_is_read_back(self, invoice: Bolt11Invoice, state_payee: bool) -> None:
        text = encode(invoice, BOLT_KEY, state_payee=state_payee)
        for form in (text, text.upper()):
            read = decode(form)
            assert read == invoice
            assert read.payee == BOLT_NODE

    @given(invoice=invoices(), position=st.integers(0, 10**6), symbol=st.sampled_from(bech32.CHARSET))
    @settings(max_examples=150, deadline=None)
    def test_one_changed_character_never_passes(self, invoice: Bolt11Invoice, position: int, symbol: str) -> None:
        text = encode(invoice, BOLT_KEY)
        position %= len(text)
        changed = text[:position] + symbol + text[position + 1 :]
        if changed != text:
            with pytest.raises(Bolt11Error):
                decode(changed)

    @given(text=st.text(max_size=400) | st.text(alphabet="ln1bcrtqpzry9x8gf2tvdw0s3jn54khce6mua7", max_size=400))
    @settings(max_examples=300, deadline=None)
    def test_any_text_gives_an_invoice_or_the_one_error(self, text: str) -> None:
        with pytest.raises(Bolt11Error):
            decode(text)

    @given(
        symbols=st.text(alphabet=bech32.CHARSET, max_size=300), prefix=st.sampled_from(["lnbcrt", "lnbc20m", "lntbs1p"])
    )
    @settings(max_examples=300, deadline=None)
    def test_random_fields_under_a_right_checksum_give_the_one_error(self, symbols: str, prefix: str) -> None:
        with pytest.raises(Bolt11Error):
            decode(bech32.encode(prefix, symbols + "q" * 104))


class TestAgainstTheLibrary:
    @given(invoice=invoices())
    @settings(max_examples=40, deadline=None)
    def test_the_library_reads_what_we_write(self, invoice: Bolt11Invoice) -> None:
        simple = replace(
            invoice, route_hints=(), fallback_addresses=(), expiry_seconds=invoice.expiry_seconds % 10**7 + 1
        )
        simple = replace(simple, features=frozenset({8, 14}), min_final_cltv_expiry_blocks=144)
        theirs = oracle.decode(encode(simple, BOLT_KEY))
        assert theirs.payment_hash == simple.payment_hash
        assert theirs.payment_secret == simple.payment_secret
        assert (int(theirs.amount_msat) if theirs.amount_msat else None) == simple.amount_msat
        assert theirs.date == simple.timestamp
        assert (theirs.expiry or 3600) == (simple.expiry_seconds or 3600)
        assert theirs.payee == BOLT_NODE
        assert (theirs.description_hash, theirs.description or None) == (
            simple.description_hash,
            simple.description or None,
        )

    @pytest.mark.parametrize("amount_msat", [None, 1, 10, 999, 1000, 123_456, 100_000_000_000])
    def test_we_read_what_the_library_writes(self, amount_msat: int | None) -> None:
        tags = oracle.Tags()
        tags.add(oracle.TagChar.payment_hash, "ab" * 32)
        tags.add(oracle.TagChar.payment_secret, "cd" * 32)
        tags.add(oracle.TagChar.description, "ナンセンス 1杯")
        tags.add(oracle.TagChar.expire_time, 600)
        amount = oracle.MilliSatoshi(amount_msat) if amount_msat else None
        theirs = oracle.Bolt11(currency="bcrt", date=1_700_000_000, amount_msat=amount, tags=tags)
        ours = decode(oracle.encode(theirs, BOLT_KEY.hex()))
        assert (ours.amount_msat, ours.network, ours.expiry_seconds) == (amount_msat, "regtest", 600)
        assert (ours.payment_hash, ours.description, ours.payee) == ("ab" * 32, "ナンセンス 1杯", BOLT_NODE)


def signed(prefix: str, symbols: str, key: bytes = BOLT_KEY) -> str:
    """An invoice of any fields, rightly signed: what a malicious payee could make."""
    message = prefix.encode() + bech32.to_bytes(symbols, pad=True)
    return bech32.encode(prefix, symbols + bech32.from_bytes(PrivateKey(key).sign_recoverable(message)))


def field(tag: str, data: str) -> str:
    return tag + bech32.from_integer(len(data), 2) + data


HASH = field("p", bech32.from_bytes(b"\xab" * 32))
SECRET = field("s", bech32.from_bytes(b"\xcd" * 32))
NOTE = field("d", bech32.from_bytes(b"tea"))
TIME = bech32.from_integer(1_700_000_000, 7)


class TestStrictness:
    def test_the_plain_fields_alone_pass(self) -> None:
        assert decode(signed("lnbcrt10u", TIME + SECRET + HASH + NOTE)).amount_msat == 1_000_000

    @pytest.mark.parametrize(
        ("fields", "reason"),
        [
            (SECRET + NOTE, "no payment hash"),
            (HASH + NOTE, "no payment secret"),
            (SECRET + HASH, "description or its hash"),
            (SECRET + HASH + NOTE + field("h", bech32.from_bytes(b"\x01" * 32)), "description or its hash"),
            (SECRET + HASH + HASH + NOTE, "more than one field 'p'"),
            (SECRET + HASH + NOTE + field("x", "qqpu"), "needless zeros"),
            (SECRET + HASH + NOTE + field("x", "l" * 13), "impossibly large"),
            (SECRET + HASH + NOTE + field("9", "qsgq"), "needless zeros"),
            (SECRET + HASH + NOTE + field("n", "q" * 52), "52 symbols, not 53"),
            (SECRET + HASH + NOTE + field("r", "q" * 40), "route hint"),
            (SECRET + HASH + NOTE + field("f", "q" + "q" * 10), "fallback address"),
            (SECRET + HASH + NOTE + "d", "cut off"),
            (SECRET + HASH + "dzz", "longer than the invoice"),
            (SECRET + HASH + field("d", bech32.from_bytes(b"\xff\xfe")), "UTF-8"),
            (SECRET + NOTE + field("p", bech32.from_bytes(b"\xab" * 32)[:-1] + "l"), "padding"),
            (SECRET + HASH + NOTE + field("9", bech32.from_integer(1 << 30 | 1 << 8)), "feature 30"),
        ],
    )
    def test_a_badly_built_invoice_is_refused_with_its_reason(self, fields: str, reason: str) -> None:
        with pytest.raises(Bolt11Error, match=reason):
            decode(signed("lnbcrt10u", TIME + fields))

    @pytest.mark.parametrize("prefix", ["lnbcrt0", "lnbcrt01m", "lnxx1m", "lnbcrt1x", "lnbcrt-1", "lnbc21000001", "ln"])
    def test_a_bad_amount_or_network_is_refused(self, prefix: str) -> None:
        with pytest.raises(Bolt11Error):
            decode(signed(prefix, TIME + SECRET + HASH + NOTE))

    def test_a_stated_payee_must_have_signed(self) -> None:
        other = PrivateKey(b"\x07" * 32).public_key.format(compressed=True)
        with pytest.raises(Bolt11Error, match="not its payee's"):
            decode(signed("lnbcrt10u", TIME + SECRET + HASH + NOTE + field("n", bech32.from_bytes(other))))

    def test_an_unknown_tag_and_an_unknown_fallback_version_are_skipped(self) -> None:
        extra = field("2", "qqq") + field("f", "n" + "q" * 32)
        assert decode(signed("lnbcrt10u", TIME + SECRET + HASH + NOTE + extra)).fallback_addresses == ()

    @pytest.mark.parametrize(
        "changes",
        [
            {"amount_msat": 0},
            {"amount_msat": -5},
            {"network": "liquid"},
            {"description": "a" * 640},
            {"description": None},
            {"description_hash": "00" * 32},
            {"payment_hash": "ab"},
            {"payment_hash": "zz" * 32},
            {"timestamp": 2**35},
            {"fallback_addresses": ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",)},
            {"expiry_seconds": -1},
        ],
    )
    def test_what_cannot_be_written_is_refused(self, changes: dict[str, Any]) -> None:
        with pytest.raises(Bolt11Error):
            encode(an_invoice(**changes), BOLT_KEY)


def best_milliseconds(work: Any, rounds: int = 5, calls: int = 60) -> float:
    best = float("inf")
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in range(calls):
            work()
        best = min(best, (time.perf_counter() - start) / calls * 1000)
    return best


def test_encoding_and_decoding_take_less_than_a_third_of_a_millisecond() -> None:
    invoice = an_invoice(description="x" * 100, expiry_seconds=600)
    text = encode(invoice, BOLT_KEY)
    assert best_milliseconds(lambda: decode(text)) < 0.3
    assert best_milliseconds(lambda: encode(invoice, BOLT_KEY)) < 0.3
