"""What a Lightning invoice (BOLT 11) holds, and the constants that reading and writing share."""

import hashlib
from dataclasses import dataclass, field
from typing import Final

from payments.rails.lnd.addresses import AddressFormat

DEFAULT_EXPIRY_SECONDS: Final = 3600
DEFAULT_MIN_FINAL_CLTV_EXPIRY_BLOCKS: Final = 18
MAX_DESCRIPTION_BYTES: Final = 639
MAX_INVOICE_LENGTH: Final = 7089  # what a QR code holds; LND's own ceiling

# Every even bit outside these makes an invoice unpayable for us (BOLT 9, context "9"). AMP (30) is left out on
# purpose: such an invoice can be paid many times, which breaks one payment per payment hash.
KNOWN_FEATURE_BITS: Final = frozenset({8, 14, 16, 24, 36, 48})

NETWORKS: Final = {
    "bc": ("mainnet", AddressFormat("bc", 0x00, 0x05)),
    "tb": ("testnet", AddressFormat("tb", 0x6F, 0xC4)),
    "tbs": ("signet", AddressFormat("tb", 0x6F, 0xC4)),
    "bcrt": ("regtest", AddressFormat("bcrt", 0x6F, 0xC4)),
    "sb": ("simnet", AddressFormat("sb", 0x3F, 0x7B)),
}
PREFIX_OF_NETWORK: Final = {network: prefix for prefix, (network, _) in NETWORKS.items()}

PICO_PER_UNIT: Final = {"": 10**12, "m": 10**9, "u": 10**6, "n": 10**3, "p": 1}
MAX_MSAT: Final = 21_000_000 * 100_000_000 * 1000
TIMESTAMP_SYMBOLS: Final = 7
SHORT_INTEGER_SYMBOLS: Final = 12  # 60 bits: far above any expiry in seconds


class Bolt11Error(ValueError):
    """The text is no invoice we may pay; the message is one sentence that says why."""


@dataclass(frozen=True, slots=True)
class RouteHop:
    """One private channel on the way to the payee.

    Attributes:
        pubkey: node at the start of the channel, 66 hex digits.
        short_channel_id: "block x transaction x output" as one 64-bit integer.
        fee_base_msat: flat fee.
        fee_proportional_millionths: fee per million of the amount.
        cltv_expiry_delta: blocks.
    """

    pubkey: str
    short_channel_id: int
    fee_base_msat: int
    fee_proportional_millionths: int
    cltv_expiry_delta: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Bolt11Invoice:
    """What an invoice says. Hashes, keys and secrets are lower-case hex.

    Attributes:
        network: mainnet, testnet, signet, regtest or simnet.
        amount_msat: None when the payer chooses.
        timestamp: seconds since 1970.
        payee: the payee's node key; left empty before signing.
        description_hash: sha256 of a description kept elsewhere; exactly one of it and `description` is there.
        features: the numbers of the set feature bits.
        route_hints: ways to the payee, each a tuple of hops.
        fallback_addresses: on-chain addresses in the payee's order of preference.
        metadata: bytes to hand back to the payee with the payment.
    """

    network: str
    timestamp: int
    payment_hash: str
    payment_secret: str
    amount_msat: int | None = None
    description: str | None = None
    description_hash: str | None = None
    expiry_seconds: int = DEFAULT_EXPIRY_SECONDS
    min_final_cltv_expiry_blocks: int = DEFAULT_MIN_FINAL_CLTV_EXPIRY_BLOCKS
    fallback_addresses: tuple[str, ...] = ()
    route_hints: tuple[tuple[RouteHop, ...], ...] = ()
    features: frozenset[int] = frozenset({8, 14})
    metadata: bytes | None = None
    payee: str = field(default="", compare=False)

    @property
    def expires_at(self) -> int:
        """Seconds since 1970 after which the invoice should not be paid."""
        return self.timestamp + self.expiry_seconds

    def describes(self, text: str) -> bool:
        """Whether `text` is the description this invoice commits to."""
        if self.description_hash is not None:
            return hashlib.sha256(text.encode()).hexdigest() == self.description_hash
        return text == self.description
