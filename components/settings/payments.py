"""Settings of the payment service, on every platform: the network of all rails, the rails, limits, addresses."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Literal
from urllib.parse import urlsplit

from components.settings.model import CLOUD, Model, setting
from components.settings.problems import Problem, problem

# Bitcoin's whole supply; no payment is larger.
ALL_BITCOIN_MSAT = 21_000_000 * 100_000_000 * 1_000
BASE58_ADDRESS = r"^[1-9A-HJ-NP-Za-km-z]{32,44}$"

Network = Literal["mainnet", "testnet", "regtest"]


class Rail(StrEnum):
    """A way of being paid."""

    LND = "lnd"
    ONCHAIN = "onchain"
    RIVER = "river"
    SOLANA = "solana"
    TON = "ton"
    STELLAR = "stellar"
    STRIPE = "stripe"
    PAYPAL = "paypal"
    BANK = "bank"


RAIL_NETWORKS: dict[str, dict[str, str]] = {
    "mainnet": {
        "bitcoin": "mainnet",
        "solana": "mainnet-beta",
        "stellar": "PUBLIC",
        "ton": "mainnet",
        "keys": "live",
        "stripe": "live",
        "paypal": "live",
    },
    "testnet": {
        "bitcoin": "testnet",
        "solana": "devnet",
        "stellar": "TESTNET",
        "ton": "testnet",
        "keys": "test",
        "stripe": "test",
        "paypal": "sandbox",
    },
    "regtest": {
        "bitcoin": "regtest",
        "solana": "devnet",
        "stellar": "STANDALONE",
        "ton": "testnet",
        "keys": "test",
        "stripe": "test",
        "paypal": "sandbox",
    },
}
"""What the one value `network` means to each rail (facts.md row 36)."""

# Words in an endpoint's address that belong to a network without value, and those of the one with value.
_WORTHLESS = ("testnet", "devnet", "regtest", "sandbox", "signet", "friendbot")
_VALUABLE = ("mainnet", "api.mainnet-beta")
# Hosts without such a word in their name.
_VALUABLE_HOSTS = ("horizon.stellar.org", "toncenter.com", "api-m.paypal.com", "blockstream.info", "mempool.space")


class PaymentSettings(Model):
    """What the service itself is told."""

    network: Network = setting(
        "regtest",
        "The network of every rail: mainnet with real money, testnet, or regtest (worthless money, the only one of "
        "the local platform).",
    )
    rails: tuple[Rail, ...] = setting(
        (Rail.LND, Rail.SOLANA),
        "The rails the service is paid on: lnd, onchain, river, solana, ton, stellar, stripe, paypal, bank.",
    )
    max_payment_msat: int = setting(
        1_000_000_000,
        "The largest single Lightning payment in millisatoshi, in or out.",
        ge=1_000,
        le=ALL_BITCOIN_MSAT,
    )
    max_fee_msat: int = setting(
        50_000, "The largest routing fee a Lightning payout may cost in millisatoshi.", ge=0, le=ALL_BITCOIN_MSAT
    )
    daily_payout_limit_msat: int = setting(
        10_000_000_000, "The largest sum of one user's payouts in 24 hours in millisatoshi.", ge=0, le=ALL_BITCOIN_MSAT
    )
    max_retries: int = setting(
        3, "How often a payment that provably failed may be tried again, one after the other.", ge=0, le=100
    )
    asset_limits: str = setting(
        "",
        "Limits of payouts in assets beside Bitcoin, JSON in minor units: an object by asset of max_payment, max_fee, "
        "daily_payout and maybe approval_threshold, hot_wallet_floor, hot_wallet_ceiling. An asset without is not paid "
        "out.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = setting(
        "info", "How much the service logs: debug, info, warning or error."
    )
    solana_pay_to: str = setting(
        "",
        "The merchant's Solana wallet, a base58 address; generated for local stacks.",
        wanted="a base58 address of 32 to 44 characters",
        pattern=BASE58_ADDRESS,
    )
    solana_fee_payer_address: str = setting(
        "",
        "The public key of the wallet that pays Solana's fees, base58; its private key is the secret solanaFeePayer.",
        platforms=CLOUD,
        wanted="a base58 address of 32 to 44 characters",
        pattern=BASE58_ADDRESS,
    )
    lnd_url: str = setting(
        "",
        "Address of LND's REST interface, https://<host>:<port>.",
        platforms=CLOUD,
        wanted="an address like https://10.60.0.10:8080",
        pattern=r"^https://[A-Za-z0-9.-]+:[0-9]{1,5}$",
    )
    lnd_tls_certificate: str = setting(
        "",
        "LND's tls.cert, the only certificate the service trusts there: PEM text, no secret.",
        platforms=CLOUD,
        wanted="PEM text that begins with -----BEGIN CERTIFICATE-----",
        pattern=r"^-----BEGIN CERTIFICATE-----\s",
    )
    allowed_origins: tuple[str, ...] = setting(
        (), "Origins of browsers that may call the API, as https://shop.example; no wildcard.", platforms=CLOUD
    )
    stripe_publishable_key: str = setting(
        "",
        "Stripe's publishable key: pk_live_... on mainnet, pk_test_... elsewhere; no secret.",
        platforms=CLOUD,
        wanted="a key that begins with pk_live_ or pk_test_",
        pattern=r"^pk_(live|test)_[A-Za-z0-9]+$",
    )
    stellar_horizon_url: str = setting(
        "",
        "Address of the Stellar Horizon, as https://horizon.stellar.org.",
        platforms=CLOUD,
        wanted="an https address",
        pattern=r"^https://[A-Za-z0-9.:/_-]+$",
    )
    esplora_url: str = setting(
        "",
        "Address of the Esplora that on-chain payments are watched with.",
        platforms=CLOUD,
        wanted="an https address",
        pattern=r"^https://[A-Za-z0-9.:/_-]+$",
    )

    @property
    def rail_networks(self) -> dict[str, str]:
        """What `network` is called on each rail, by rail: `{"solana": "mainnet-beta", ...}`."""
        return dict(RAIL_NETWORKS[self.network])

    @property
    def lnd_address(self) -> tuple[str, int] | None:
        """Host and port of LND, None when it is not used."""
        if not self.lnd_url:
            return None
        parts = urlsplit(self.lnd_url)
        return parts.hostname or "", parts.port or 443


def problems_of_payments(settings: PaymentSettings, platform: str) -> list[Problem]:
    """What is wrong between the service's settings that are each right."""
    problems = []
    if settings.max_fee_msat > settings.max_payment_msat:
        problems.append(
            problem(
                "maxFeeMsat",
                f"is {settings.max_fee_msat}, more than railyard:maxPaymentMsat, which is {settings.max_payment_msat}",
            )
        )
    problems += _problems_of_limits(settings.asset_limits)
    if platform == "local" and settings.network != "regtest":
        problems.append(
            problem(
                "network",
                f"is {settings.network!r}, and the local platform has counterparts of the rails, no real network",
                "regtest",
            )
        )
    if platform == "local":
        return problems
    for rail, names in _NEEDED_BY_RAIL.items():
        if rail in settings.rails:
            problems += [
                problem(_alias(name), f"is missing, and the rail {rail.value} needs it")
                for name in names
                if not getattr(settings, name)
            ]
    problems += _problems_of_origins(settings.allowed_origins)
    for name in ("stellar_horizon_url", "esplora_url", "stripe_publishable_key"):
        mixed = other_network(getattr(settings, name), settings.network)
        if mixed:
            problems.append(problem(_alias(name), f"is {mixed}, and railyard:network is {settings.network!r}"))
    return problems


_NEEDED_BY_RAIL: dict[Rail, tuple[str, ...]] = {
    Rail.LND: ("lnd_url", "lnd_tls_certificate"),
    Rail.SOLANA: ("solana_pay_to", "solana_fee_payer_address"),
    Rail.ONCHAIN: ("esplora_url",),
    Rail.STELLAR: ("stellar_horizon_url",),
    Rail.STRIPE: ("stripe_publishable_key",),
}


def _alias(name: str) -> str:
    return PaymentSettings.model_fields[name].alias or name


_LIMITS_NEEDED = frozenset({"max_payment", "max_fee", "daily_payout"})
_LIMITS = _LIMITS_NEEDED | {"approval_threshold", "hot_wallet_floor", "hot_wallet_ceiling"}


def _problems_of_limits(text: str) -> list[Problem]:
    """What is wrong with the JSON; the service looks at what the numbers mean together."""
    fix = (
        "Set it with `pulumi config set railyard:assetLimits "
        '\'{"USDC": {"max_payment": 1000000, "max_fee": 0, "daily_payout": 10000000}}\'`.'
    )
    try:
        limits = json.loads(text or "{}")
    except json.JSONDecodeError:
        limits = None
    if not isinstance(limits, dict) or not all(isinstance(one, dict) for one in limits.values()):
        return [Problem("railyard:assetLimits", "is no JSON object of objects", fix)]
    problems = []
    for asset, one in limits.items():
        wrong = sorted((_LIMITS_NEEDED - one.keys()) | (one.keys() - _LIMITS))
        wrong += sorted(name for name, value in one.items() if type(value) is not int or value < 0)
        if asset == "BTC":
            wrong.append("BTC, whose limits are railyard:maxPaymentMsat and its like")
        if wrong:
            problems.append(Problem("railyard:assetLimits", f"has {asset} with {wrong[0]} missing or wrong", fix))
    return problems


def _problems_of_origins(origins: tuple[str, ...]) -> list[Problem]:
    fix = "Write origins as `pulumi config set --path 'railyard:allowedOrigins[0]' https://shop.example`."
    problems = []
    for origin in origins:
        parts = urlsplit(origin)
        if "*" in origin or parts.scheme != "https" or origin != f"https://{parts.netloc}":
            problems.append(Problem("railyard:allowedOrigins", f"has {origin!r}, which is no https origin", fix))
    return problems


def other_network(value: str, network: str) -> str:
    """Say of what network a key or an address is when it is of another than `network`; "" when nothing shows.

    Args:
        value: an address or a key of a provider. What is said never contains it.
    """
    live = network == "mainnet"
    if value.startswith(("sk_live_", "pk_live_", "rk_live_")):
        return "" if live else "a live key, which moves real money"
    if value.startswith(("sk_test_", "pk_test_", "rk_test_")):
        return "a test key, which moves no money" if live else ""
    try:
        parts = urlsplit(value)
    except ValueError:
        # What is no address, as one with a lone bracket, is of no network.
        return ""
    host = (parts.hostname or "").lower()
    place = host + parts.path.lower()
    if any(word in place for word in _WORTHLESS):
        return "an address of a test network" if live else ""
    if host in _VALUABLE_HOSTS or any(word in place for word in _VALUABLE):
        return "" if live else "an address of mainnet, where the money is real"
    return ""
