"""Every setting of the service, read once at start from the environment and from files in $SECRETS_DIR.

A secret is a file named after its variable (Kubernetes and Docker mount them so) or a plain variable (ECS injects them
so); the plain variable wins. `load` reports every problem at once, a sentence each, and never prints a secret's value.
"""

from __future__ import annotations

import enum
import ipaddress
import os
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from payments.settings_of_returns import ReturnSettings
from payments.settings_of_safety import AssetLimits, SafetySettings

MINIMUM_SECRET_LENGTH = 32
IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


class AppEnv(enum.StrEnum):
    """Where the service runs. Only `local` allows unlimited keys and plain-http origins."""

    LOCAL = "local"
    STAGING = "staging"
    PRODUCTION = "production"


class Network(enum.StrEnum):
    """One value for every rail (facts.md row 36): each rail maps it to its own word."""

    MAINNET = "mainnet"
    TESTNET = "testnet"
    REGTEST = "regtest"


# Release builds are on mainnet and others are not, unless somebody says otherwise (pk-network-registry-by-build).
_NETWORK_OF_ENVIRONMENT = {
    AppEnv.PRODUCTION: Network.MAINNET,
    AppEnv.STAGING: Network.TESTNET,
    AppEnv.LOCAL: Network.REGTEST,
}
_NETWORK_OF_BITCOINS = {
    "mainnet": Network.MAINNET,
    "testnet": Network.TESTNET,
    "signet": Network.TESTNET,
    "regtest": Network.REGTEST,
    "simnet": Network.REGTEST,
}


class Command(enum.StrEnum):
    """What the process is started for; decides which settings it must have."""

    SERVE = "serve"
    WORK = "work"
    MIGRATE = "migrate"
    AUDIT = "audit"
    ARCHIVE = "archive"
    RESTORE = "restore"
    FORGET = "forget-channels"


REQUIRED = {
    Command.SERVE: ("DATABASE_URL", "REDIS_URL", "JWT_SECRET", "API_KEY_PEPPER", "INVOICE_SECRET"),
    Command.WORK: ("DATABASE_URL", "REDIS_URL", "INVOICE_SECRET"),
    Command.MIGRATE: ("DATABASE_OWNER_URL",),
    Command.AUDIT: ("DATABASE_URL",),
    Command.ARCHIVE: ("AUDIT_ARCHIVE_STORE",),
    Command.RESTORE: ("LND_URL", "LND_BACKUP_STORE", "LND_SEED", "LND_WALLET_PASSWORD"),
    Command.FORGET: ("LND_URL", "LND_BACKUP_STORE"),
}


RANDOM_SECRETS = (
    "JWT_SECRET",
    "JWT_SECRET_PREVIOUS",
    "API_KEY_PEPPER",
    "API_KEY_PEPPER_PREVIOUS",
    "INVOICE_SECRET",
    "BOOTSTRAP_ADMIN_KEY",
)


class SettingsError(Exception):
    """The settings cannot be used; `problems` has one sentence each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Settings(SafetySettings, ReturnSettings):
    """The settings by their variables' names in lower case. Those of callers and safety, and those of the guides that
    no part of this release reads, are in the classes it extends."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, env_ignore_empty=True, hide_input_in_errors=True)

    app_env: AppEnv = Field(
        AppEnv.PRODUCTION,
        validation_alias=AliasChoices("APP_ENV", "NODE_ENV"),
        description="local, staging or production; the strictest rules apply when absent. NODE_ENV is an alias.",
    )
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(3001, ge=0, le=65535, description="Port of the web role.")
    worker_port: int = Field(3002, ge=0, le=65535, description="Port of the worker's /health, /ready and /metrics.")
    workers: int = Field(1, ge=1, le=64, description="Web processes; 1 runs in the one process.")
    release: str = Field("unreleased", max_length=64, description="Id of the running release; written into jobs.")
    slot: str = Field("blue", pattern=r"^[a-z0-9-]{1,32}$", description="Which of the router's slots this process is.")
    log_level: str = Field("info", pattern=r"(?i)^(debug|info|warning|error)$", description="Lowest level logged.")
    enable_metrics: bool = Field(True, description="Whether GET /metrics answers.")

    cloudwatch_namespace: str = Field(
        "", description="Namespace of the CloudWatch metrics that are written as lines; none are when empty."
    )

    database_url: SecretStr | None = Field(None, description="postgresql://payments_app:...@host:port/payments")
    database_owner_url: SecretStr | None = Field(None, description="The owner's URL; only `migrate` reads it.")
    database_pool_size: int = Field(20, ge=1, le=200, description="Connections a process may hold.")
    database_pool_timeout_seconds: float = Field(30, gt=0, le=120, description="Longest wait for a connection.")
    redis_url: SecretStr | None = Field(None, description="redis:// or rediss:// with a password.")

    api_key_pepper: SecretStr | None = Field(None, description="Secret of the API keys' HMAC digests.")
    api_key_pepper_version: int = Field(1, ge=1, le=32767, description="Version that new digests are stored with.")
    api_key_pepper_previous: SecretStr | None = Field(None, description="Pepper of the version before, in rotation.")
    invoice_secret: SecretStr | None = Field(None, description="Secret that every invoice's preimage comes from.")
    bootstrap_admin_key: SecretStr | None = Field(None, description="Credential that makes the first admin key.")

    network: Network = Field(
        Network.REGTEST,
        description="mainnet, testnet or regtest, for every rail; from BITCOIN_NETWORK or APP_ENV when absent.",
    )
    bitcoin_network: str = Field("", description="Bitcoin's word for the network; from NETWORK when absent.")
    max_payment_msat: int = Field(1_000_000_000, ge=1000, description="Ceiling of one payment, in or out, in msat.")
    max_fee_msat: int = Field(50_000, ge=0, description="Ceiling of the routing fee of one payout, in msat.")
    daily_payout_limit_msat: int = Field(
        10_000_000_000, ge=0, description="Ceiling of one user's payouts in 24 hours, in msat."
    )
    invoice_expiry_seconds: int = Field(3600, ge=60, le=31_536_000, description="How long an invoice can be paid.")

    lnd_url: str = Field("", description="https URL of LND's REST port; the rail is off when empty.")
    lnd_tls_cert_path: Path | None = Field(None, description="LND's tls.cert, the only certificate trusted.")
    lnd_tls_cert: str = Field("", description="That certificate as PEM text, where no file can be mounted.")
    lnd_macaroon: SecretStr | None = Field(None, description="Invoice macaroon in hex.")
    lnd_macaroon_path: Path | None = Field(None, description="File of the invoice macaroon, instead of LND_MACAROON.")
    lnd_pay_macaroon: SecretStr | None = Field(None, description="Pay macaroon in hex; worker only.")
    lnd_pay_macaroon_path: Path | None = Field(None, description="File of the pay macaroon; worker only.")

    lnd_backup_store: str = Field("", description="Channel backups: s3://bucket/prefix or a folder; none when empty.")
    lnd_backup_s3_endpoint: str = Field("", description="Another service with S3's API; AWS when empty.")
    lnd_seed: SecretStr | None = Field(None, description="The node's 24 words; `lnd restore` alone reads them.")
    lnd_wallet_password: SecretStr | None = Field(None, description="Of its new wallet; `lnd restore` alone reads it.")

    audit_archive_store: str = Field(
        "", description="Archive of the audit log: s3://bucket/prefix or a folder; none when empty."
    )
    audit_archive_s3_endpoint: str = Field("", description="Another service with S3's API; AWS when empty.")
    audit_archive_lock_days: int = Field(
        0, ge=0, le=36_525, description="Object lock of each segment in compliance mode; 0: the bucket's own rule."
    )

    esplora_url: str = Field("", description="Base URL of Esplora's API; the on-chain rail is off when empty.")
    onchain_descriptor: SecretStr | None = Field(None, description="Public descriptor of the wallet, .../<0;1>/*.")
    onchain_signing_descriptor: SecretStr | None = Field(None, description="It with the private key; worker only.")
    onchain_confirmations: str = Field(
        "1000000:1,10000000:3,6", description="satoshis:confirmations in rising steps, then the number above them."
    )
    onchain_max_fee_sat: int = Field(20_000, ge=0, description="Ceiling of one payout's network fee, in satoshis.")
    onchain_max_fee_rate_sat_vb: float = Field(200, ge=1, description="Ceiling of the fee rate, in sat/vB.")
    onchain_fee_target_blocks: int = Field(6, ge=1, le=1008, description="Blocks within which a payout should confirm.")
    onchain_bump_after_seconds: float = Field(3600, ge=1, description="A payout waiting longer is replaced (RBF).")
    onchain_poll_seconds: float = Field(10, ge=0.1, le=600, description="How often Esplora's tip is asked for.")

    river_url: str = Field("", description="https base URL of River's API; the rail is off when empty.")
    river_api_key: SecretStr | None = Field(None, description="River's API key, the user of Basic authentication.")
    river_api_secret: SecretStr | None = Field(None, description="Its password, where the account has one.")
    river_paths: str = Field("", description="JSON object of River's paths by name, over the assumed ones.")
    river_poll_seconds: float = Field(15, ge=0.1, le=600, description="How often settled invoices are asked for.")

    solana_network: str = Field("", description="mainnet-beta, devnet or testnet; from NETWORK when absent.")
    solana_rpc_url: SecretStr | None = Field(None, description="JSON-RPC URL; may hold the provider's key.")
    solana_usdc_mint: str = Field("", description="Mint address of USDC, base58; the known one when empty.")
    solana_pay_to: str = Field("", description="The merchant's wallet that x402 payments go to, base58.")
    solana_fee_payer_address: str = Field("", description="Public key of the fee payer, base58; web.")
    solana_fee_payer: SecretStr | None = Field(None, description="Keypair of the fee payer, base58; worker only.")

    public_rate_limit: int = Field(1000, ge=1, description="Requests of one IP without a key in a window.")
    auth_rate_limit: int = Field(2000, ge=1, description="Requests of one key in a window.")
    verify_rate_limit: int = Field(500, ge=1, description="POST /verify and /settle of one key in a window.")
    create_invoice_rate_limit: int = Field(50, ge=1, description="Invoices of one IP in a window.")
    create_invoice_burst: int = Field(10, ge=0, description="Invoices of one IP above the limit, once.")
    user_payment_rate_limit: int = Field(50, ge=1, description="Payouts of one user, over all keys, in a window.")
    rate_limit_window_seconds: int = Field(60, ge=1, le=3600, description="Length of the limits' window.")
    expected_instances: int = Field(1, ge=1, description="Processes that share a limit while Redis is down.")

    allowed_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        validation_alias=AliasChoices("ALLOWED_ORIGINS", "CORS_ORIGIN"),
        description="Origins of browsers, comma separated, https, no wildcard. CORS_ORIGIN is an alias.",
    )
    trusted_proxies: Annotated[tuple[IpNetwork, ...], NoDecode] = Field(
        (), description="CIDRs of proxies whose X-Forwarded-For counts, comma separated."
    )
    trusted_hops: int = Field(
        1, ge=1, le=10, description="Which entry of X-Forwarded-For, from the right, is the client."
    )

    lease_seconds: float = Field(60, ge=1, le=3600, description="How long a rail call may take before it is looked up.")

    @field_validator("allowed_origins", mode="before")
    @classmethod
    def _split_origins(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("allowed_origins")
    @classmethod
    def _check_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            parts = urlsplit(origin)
            bare = f"{parts.scheme}://{parts.netloc}"
            if "*" in origin or parts.scheme not in ("https", "http") or bare != origin:
                raise ValueError(
                    f"has {origin!r}: list whole origins like https://shop.example, without wildcard or path"
                )
        return value

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _split_proxies(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        networks = []
        for part in filter(None, (piece.strip() for piece in value.split(","))):
            try:
                networks.append(ipaddress.ip_network(part, strict=False))
            except ValueError:
                raise ValueError(f"has {part!r}: list addresses or CIDRs like 10.0.0.0/8") from None
        return tuple(networks)

    @field_validator("jwt_secret", "jwt_secret_previous", "api_key_pepper", "api_key_pepper_previous", "invoice_secret")
    @classmethod
    def _long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < MINIMUM_SECRET_LENGTH:
            raise ValueError(f"is shorter than {MINIMUM_SECRET_LENGTH} characters: generate 32 random bytes in hex")
        return value

    @field_validator("database_url", "database_owner_url")
    @classmethod
    def _postgres_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and urlsplit(value.get_secret_value()).scheme not in ("postgresql", "postgres"):
            raise ValueError("is no PostgreSQL URL: write postgresql://user:password@host:port/database")
        return value

    @field_validator("redis_url")
    @classmethod
    def _redis_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and urlsplit(value.get_secret_value()).scheme not in ("redis", "rediss"):
            raise ValueError("is no Redis URL: write rediss://user:password@host:port/0")
        return value

    @field_validator("lnd_url")
    @classmethod
    def _https(cls, value: str) -> str:
        if value and urlsplit(value).scheme != "https":
            raise ValueError("must be an https URL like https://127.0.0.1:8080")
        return value.rstrip("/")

    def model_post_init(self, _context: Any) -> None:
        """Derive NETWORK from BITCOIN_NETWORK, or else from APP_ENV, and what NETWORK decides, unless it is said."""
        if "network" not in self.model_fields_set:
            derived_network = _NETWORK_OF_BITCOINS.get(self.bitcoin_network)
            if derived_network is None and "app_env" in self.model_fields_set:
                derived_network = _NETWORK_OF_ENVIRONMENT[self.app_env]
            object.__setattr__(self, "network", derived_network or self.network)
        if not self.bitcoin_network:
            object.__setattr__(self, "bitcoin_network", self.network.value)
        if not self.solana_network:
            derived = "mainnet-beta" if self.network is Network.MAINNET else "devnet"
            object.__setattr__(self, "solana_network", derived)

    def limits_of(self, asset: str) -> AssetLimits | None:
        """What may be paid in an asset, in its minor units; None: nothing is paid out in it."""
        if asset != "BTC":
            return self.asset_limits.get(asset)
        return AssetLimits(
            max_payment=self.max_payment_msat,
            max_fee=self.max_fee_msat,
            daily_payout=self.daily_payout_limit_msat,
            approval_threshold=self.approval_threshold_msat,
            hot_wallet_floor=self.hot_wallet_floor_msat,
            hot_wallet_ceiling=self.hot_wallet_ceiling_msat,
        )

    def approval_thresholds(self) -> dict[str, int]:
        """Assets whose larger payouts need a second person, with the amount above which they do."""
        found = {asset: self.limits_of(asset) for asset in ("BTC", *self.asset_limits)}
        return {
            asset: limits.approval_threshold
            for asset, limits in found.items()
            if limits is not None and limits.approval_threshold is not None
        }

    @property
    def key_environment(self) -> str:
        """The environment whose API keys may move money here: live on mainnet, test elsewhere."""
        return "live" if self.network is Network.MAINNET else "test"


def _missing(name: str) -> str:
    return f"{name} is missing: set it, or put a file {name} into $SECRETS_DIR."


def _is_given(name: str, folder: str | None) -> bool:
    return bool(os.environ.get(name)) or (folder is not None and (Path(folder) / name).is_file())


def _is_demonstration(secret: SecretStr | None) -> bool:
    """Whether a secret is no random one: an example's word, or a pattern of few different characters."""
    if secret is None:
        return False
    text = secret.get_secret_value().lower()
    return len(set(text)) < 4 or any(word in text for word in ("demo", "example", "changeme", "change-me", "insecure"))


def _across_fields(settings: Settings, command: Command) -> list[str]:
    problems: list[str] = []
    problems.extend(_missing(name) for name in REQUIRED[command] if not getattr(settings, name.lower()))
    if settings.bitcoin_network not in (settings.network.value, "simnet", "signet"):
        problems.append(
            f"BITCOIN_NETWORK is {settings.bitcoin_network!r} but NETWORK is {settings.network.value!r}: "
            "they must agree."
        )
    if (settings.solana_network == "mainnet-beta") != (settings.network is Network.MAINNET):
        problems.append(
            f"SOLANA_NETWORK is {settings.solana_network!r} but NETWORK is {settings.network.value!r}: they must agree."
        )
    if settings.lnd_url and not (settings.lnd_tls_cert_path or settings.lnd_tls_cert):
        problems.append(
            "LND_TLS_CERT_PATH is missing: give the path of LND's tls.cert, its text in LND_TLS_CERT, or leave "
            "LND_URL empty."
        )
    has_macaroon = settings.lnd_macaroon or settings.lnd_macaroon_path or command in (Command.RESTORE, Command.FORGET)
    if settings.lnd_url and not has_macaroon:
        problems.append(
            "LND_MACAROON is missing: give it in hex or its file in LND_MACAROON_PATH, or leave LND_URL empty."
        )
    if settings.max_fee_msat > settings.max_payment_msat:
        problems.append("MAX_FEE_MSAT is above MAX_PAYMENT_MSAT: a fee may not exceed the payment's ceiling.")
    if settings.app_env is not AppEnv.LOCAL:
        plain = [origin for origin in settings.allowed_origins if not origin.startswith("https://")]
        problems.extend(
            f"ALLOWED_ORIGINS has {origin!r}: outside APP_ENV=local every origin is https." for origin in plain
        )
        problems.extend(
            f"{name} is a demonstration value: outside APP_ENV=local generate 32 random bytes in hex."
            for name in RANDOM_SECRETS
            if _is_demonstration(getattr(settings, name.lower()))
        )
    problems.extend(settings.safety_problems(is_local=settings.app_env is AppEnv.LOCAL))
    problems.extend(
        settings.guide_problems(is_mainnet=settings.network is Network.MAINNET, is_web=command is Command.SERVE)
    )
    if command is Command.SERVE:
        signers = ("LND_PAY_MACAROON", "LND_PAY_MACAROON_PATH", "ONCHAIN_SIGNING_DESCRIPTOR", "SOLANA_FEE_PAYER")
        problems.extend(
            f"{name} is set for the web role, which must not be able to sign: give it to the worker alone."
            for name in signers
            if getattr(settings, name.lower()) is not None
        )
    return problems


def _sentences(error: ValidationError) -> list[str]:
    """A sentence a problem. The input is never in it: it may be a secret."""
    sentences = []
    for problem in error.errors(include_input=False, include_url=False, include_context=False):
        name = str(problem["loc"][0]).upper() if problem["loc"] else "The environment"
        said = problem["msg"].removeprefix("Value error, ")
        joined = said if problem["type"] == "value_error" else f"is not usable: {said[:1].lower()}{said[1:]}"
        field = Settings.model_fields.get(name.lower())
        explain = problem["type"] != "value_error" and field is not None and field.description
        meaning = f" (it is: {field.description.rstrip('.')})" if explain and field and field.description else ""
        sentences.append(f"{name} {joined}{meaning}.")
    return sentences


def load(command: Command) -> Settings:
    """The settings for `command` from the environment and $SECRETS_DIR.

    Raises:
        SettingsError: with every problem found.
    """
    folder = os.environ.get("SECRETS_DIR") or None
    if folder is not None and not Path(folder).is_dir():
        raise SettingsError([f"SECRETS_DIR is {folder!r}, which is no folder: mount the secrets there or unset it."])
    try:
        settings = Settings(_secrets_dir=folder)
    except ValidationError as error:
        missing = [_missing(name) for name in REQUIRED[command] if not _is_given(name, folder)]
        raise SettingsError(_sentences(error) + missing) from None
    problems = _across_fields(settings, command)
    if problems:
        raise SettingsError(problems)
    return settings
