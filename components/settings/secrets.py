"""The secrets of a stack: which ones its platform and rails need, what each is for, and how a worthless one is made.

A local stack generates all of them. A real stack is given only what others issued (`pulumi config set --secret`);
what nobody outside has to know (database passwords, the Redis AUTH token, signing keys) is made in the account and
lives in its Secrets Manager. An emulated stack generates stand-ins of the former in its copy of the settings.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

from components.settings.payments import Rail

if TYPE_CHECKING:
    import pulumi


class SecretKind(StrEnum):
    """How the value of a generated secret is made."""

    HEX_32_BYTES = "hex32"
    """32 random bytes as 64 hexadecimal digits."""
    BOOTSTRAP_KEY = "bootstrap_key"
    """`sk_bootstrap_` and 32 random bytes as hexadecimal digits."""
    SOLANA_KEYPAIR = "solana_keypair"
    """base58 of the 64 bytes of a new ed25519 keypair."""
    SOLANA_ADDRESS = "solana_address"
    """base58 of the public key of a new ed25519 keypair; no secret, stored plain."""
    PREFIXED_HEX = "prefixed_hex"
    """The value's `prefix` and 32 random bytes as hexadecimal digits."""


@dataclass(frozen=True)
class Generated:
    """A config value that is generated when a local or emulated stack misses it.

    Attributes:
        key: config key without the namespace.
        kind: how it is made.
        description: what it is for.
        prefix: what a value of kind PREFIXED_HEX begins with; an address of a host that does not exist, a key's kind.
        roles: those of the service that are given it, on a cloud's platform: web, worker, migrate.
    """

    key: str
    kind: SecretKind
    description: str
    prefix: str = ""
    roles: tuple[str, ...] = ("web", "worker")

    @property
    def variable(self) -> str:
        """The environment variable that the service reads it from: lndMacaroon -> LND_MACAROON."""
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", self.key).upper()

    @property
    def secret(self) -> bool:
        """Whether it is kept as a Pulumi secret."""
        return self.kind is not SecretKind.SOLANA_ADDRESS


GENERATED: tuple[Generated, ...] = (
    Generated("databaseSuperuserPassword", SecretKind.HEX_32_BYTES, "password of PostgreSQL's role postgres"),
    Generated("databaseOwnerPassword", SecretKind.HEX_32_BYTES, "password of payments_owner, who migrates"),
    Generated("databaseAppPassword", SecretKind.HEX_32_BYTES, "password of payments_app, the service's role"),
    Generated("databaseReaderPassword", SecretKind.HEX_32_BYTES, "password of payments_reader, who only reads"),
    Generated("redisPassword", SecretKind.HEX_32_BYTES, "password of Redis"),
    Generated("supervisorPassword", SecretKind.HEX_32_BYTES, "password of supervisord's interface"),
    Generated("jwtSecret", SecretKind.HEX_32_BYTES, "key that signs session tokens"),
    Generated("apiKeyPepper", SecretKind.HEX_32_BYTES, "pepper of the API keys' digests"),
    Generated("invoiceSecret", SecretKind.HEX_32_BYTES, "key from which Lightning preimages are derived"),
    Generated("bootstrapAdminKey", SecretKind.BOOTSTRAP_KEY, "the API key that makes the first API keys"),
    Generated("lndRootKey", SecretKind.HEX_32_BYTES, "root key of the Lightning counterpart's macaroons"),
    Generated("onchainSeed", SecretKind.HEX_32_BYTES, "seed of the merchant's wallet on the Bitcoin counterpart"),
    Generated("riverApiKey", SecretKind.HEX_32_BYTES, "API key of the account at the River counterpart"),
    Generated("riverWebhookSecret", SecretKind.HEX_32_BYTES, "secret that the River counterpart signs webhooks with"),
    Generated("solanaFeePayer", SecretKind.SOLANA_KEYPAIR, "wallet that pays Solana's fees; the worker alone has it"),
    Generated("solanaCustomer", SecretKind.SOLANA_KEYPAIR, "wallet of the paying customer on the Solana counterpart"),
    Generated("solanaMintAuthority", SecretKind.SOLANA_KEYPAIR, "authority of the Solana counterpart's USDC mint"),
    Generated("solanaMint", SecretKind.SOLANA_KEYPAIR, "account of the Solana counterpart's USDC mint"),
    Generated("solanaPayTo", SecretKind.SOLANA_ADDRESS, "the merchant's wallet on the Solana counterpart"),
)
"""What a local stack generates."""
SECRETS: tuple[Generated, ...] = tuple(value for value in GENERATED if value.secret)
"""The secrets of a local stack."""

_PREFIXED = SecretKind.PREFIXED_HEX
_HEX = SecretKind.HEX_32_BYTES
# What signs is the worker's alone (design section 4, rule 11).
_SIGNS = ("worker",)
ISSUED_BY_RAIL: dict[Rail, tuple[Generated, ...]] = {
    Rail.LND: (
        Generated("lndMacaroon", _HEX, "LND's invoice macaroon in hexadecimal digits"),
        Generated("lndPayMacaroon", _HEX, "LND's macaroon that may pay, in hexadecimal digits", roles=_SIGNS),
    ),
    Rail.RIVER: (
        Generated("riverApiKey", _HEX, "River's API key"),
        Generated("riverApiSecret", _HEX, "River's API secret"),
        Generated("riverWebhookSecret", _HEX, "secret that River signs its webhooks with"),
        Generated(
            "sentryDsn", _PREFIXED, "Sentry's DSN, which the guide for River wants", "https://key@sentry.invalid/"
        ),
    ),
    Rail.SOLANA: (
        Generated("solanaRpcUrl", _PREFIXED, "address of the Solana RPC, with its key", "https://rpc.invalid/?key="),
        Generated("solanaFeePayer", SecretKind.SOLANA_KEYPAIR, "wallet that pays Solana's fees", roles=_SIGNS),
    ),
    Rail.TON: (
        Generated("tonApiKey", _HEX, "toncenter's API key"),
        Generated("tonMasterKey", _HEX, "key of the TON wallet", roles=_SIGNS),
    ),
    Rail.STELLAR: (Generated("stellarSigningKey", _HEX, "key of the Stellar account", roles=_SIGNS),),
    Rail.STRIPE: (
        Generated("stripeSecretKey", _PREFIXED, "Stripe's secret key, sk_live_... on mainnet alone", "sk_test_"),
        Generated("stripeWebhookSecret", _PREFIXED, "secret that Stripe signs its webhooks with", "whsec_"),
    ),
    Rail.PAYPAL: (
        Generated("paypalClientId", _HEX, "PayPal's client id"),
        Generated("paypalClientSecret", _HEX, "PayPal's client secret"),
    ),
}
"""The credentials that the rails' operators issue; onchain and bank need none."""
ISSUED_BY_ALERTING: tuple[Generated, ...] = (
    Generated(
        "slackWebhookUrl", _PREFIXED, "Slack's incoming webhook for alarms", "https://hooks.slack.invalid/", roles=()
    ),
    Generated(
        "pagerdutyIntegrationUrl",
        _PREFIXED,
        "PagerDuty's address for critical alarms",
        "https://events.invalid/x/",
        roles=(),
    ),
)

GivenPart = Literal["database", "cache"]
# An emulated stack's are of hosts that do not exist, with TLS as the real ones.
GIVEN_URLS: dict[GivenPart, tuple[Generated, ...]] = {
    "database": (
        Generated(
            "databaseUrl",
            _PREFIXED,
            "URL of a given database for payments_app, with sslmode=require or stricter",
            "postgresql://payments_app:emulated@database.invalid:{port}/payments?sslmode=require&application_name=",
        ),
        Generated(
            "databaseOwnerUrl",
            _PREFIXED,
            "URL of a given database for payments_owner, who migrates, with sslmode=require or stricter",
            "postgresql://payments_owner:emulated@database.invalid:{port}/payments?sslmode=require&application_name=",
            roles=("migrate",),
        ),
    ),
    "cache": (
        Generated(
            "redisUrl",
            _PREFIXED,
            "URL of a given cache, rediss://...",
            "rediss://:emulated@cache.invalid:{port}/0?client_name=",
        ),
    ),
}
"""The URLs of a database and a cache that somebody else runs."""


def generated_for(
    platform: str, rails: Iterable[Rail] = (), given: Mapping[GivenPart, int] | None = None
) -> tuple[Generated, ...]:
    """The config values that a stack needs and that nobody has to choose: all of a local stack's, and what others
    issue to a cloud's.

    Args:
        platform: local, ecs or kubernetes.
        rails: those of the settings; of no meaning on the local platform.
        given: of database and cache those that somebody else runs, with their ports.
    """
    if platform == "local":
        return GENERATED
    of_rails = [value for rail in Rail if rail in set(rails) for value in ISSUED_BY_RAIL.get(rail, ())]
    urls = [
        replace(value, prefix=value.prefix.format(port=port))
        for part, port in (given or {}).items()
        for value in GIVEN_URLS[part]
    ]
    return (*of_rails, *ISSUED_BY_ALERTING, *urls)


def _every_secret_key() -> frozenset[str]:
    groups = (SECRETS, *ISSUED_BY_RAIL.values(), ISSUED_BY_ALERTING, *GIVEN_URLS.values())
    return frozenset(value.key for group in groups for value in group if value.secret)


SECRET_KEYS: frozenset[str] = _every_secret_key()
"""Every config key that only ever holds a secret, on whatever platform."""


class Secrets:
    """The stack's secrets as Pulumi outputs, which stay secret through everything they are put into."""

    def __init__(self, values: Mapping[str, pulumi.Output[str]]) -> None:
        self._values = dict(values)

    def __getitem__(self, key: str) -> pulumi.Output[str]:
        return self._values[key]

    def __contains__(self, key: object) -> bool:
        return key in self._values

    def names(self) -> tuple[str, ...]:
        """The config keys of those there are."""
        return tuple(self._values)
