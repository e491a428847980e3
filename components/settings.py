"""The typed settings of a stack: every key with its type, default and meaning, all errors at once, each with its cure.

The program reads them from `pulumi.Config`; operations, policies and verify read them from plain dictionaries, for
which no running program is needed. The list of generated secrets, with how each is made, is here too.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

if TYPE_CHECKING:
    import pulumi

NAMESPACE = "railyard"
# Bitcoin's whole supply; no payment is larger.
ALL_BITCOIN_MSAT = 21_000_000 * 100_000_000 * 1_000


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


@dataclass(frozen=True)
class Generated:
    """A config value of a local stack that is generated when it is missing.

    Attributes:
        key: config key without the namespace.
        kind: how it is made.
        description: what it is for.
    """

    key: str
    kind: SecretKind
    description: str

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
    Generated("solanaFeePayer", SecretKind.SOLANA_KEYPAIR, "wallet that pays Solana's fees; the worker alone has it"),
    Generated("solanaCustomer", SecretKind.SOLANA_KEYPAIR, "wallet of the paying customer on the Solana counterpart"),
    Generated("solanaMintAuthority", SecretKind.SOLANA_KEYPAIR, "authority of the Solana counterpart's USDC mint"),
    Generated("solanaMint", SecretKind.SOLANA_KEYPAIR, "account of the Solana counterpart's USDC mint"),
    Generated("solanaPayTo", SecretKind.SOLANA_ADDRESS, "the merchant's wallet on the Solana counterpart"),
)
SECRETS: tuple[Generated, ...] = tuple(value for value in GENERATED if value.secret)


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with the settings: the key with its namespace, what is wrong, and how to mend it."""

    key: str
    what: str
    fix: str

    def __str__(self) -> str:
        return f"{self.key} {self.what}. {self.fix}"


class SettingsError(Exception):
    """The settings are wrong; `problems` has all of them, the message one a line."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("\n".join(str(problem) for problem in problems))


class _Model(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)


def _port(what: str) -> Any:
    return Field(default=0, ge=0, le=65535, description=f"Port of {what}.")


class Ports(_Model):
    """Fixed ports of the local stack. An absent one is chosen at random from 20000 to 31999 when the stack is made."""

    router: int = _port("the router, where the service is reached")
    router_admin: int = _port("Envoy's administration interface")
    postgres: int = _port("PostgreSQL")
    redis: int = _port("Redis")
    supervisor: int = _port("supervisord's interface")
    lnd_merchant: int = _port("the merchant's node of the Lightning counterpart")
    lnd_customer: int = _port("the customer's node of the Lightning counterpart")
    solana: int = _port("the Solana counterpart")
    web_blue: int = _port("the service's web role in slot blue, behind the router")
    worker_blue: int = _port("health and metrics of the worker in slot blue")


class Settings(_Model):
    """The plain settings of a stack, under `railyard:` in Pulumi.<stack>.yaml."""

    platform: Literal["local"] = Field(default="local", description="Where the service runs: local, this machine.")
    network: Literal["regtest"] = Field(
        default="regtest",
        description="The rails' networks: regtest, counterparts on this machine with worthless money.",
    )
    max_payment_msat: int = Field(
        default=1_000_000_000,
        ge=1_000,
        le=ALL_BITCOIN_MSAT,
        description="The largest single Lightning payment in millisatoshi, in or out.",
    )
    max_fee_msat: int = Field(
        default=50_000,
        ge=0,
        le=ALL_BITCOIN_MSAT,
        description="The largest routing fee a Lightning payout may cost in millisatoshi.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="How much the service logs: debug, info, warning or error."
    )
    ports: Ports = Field(default=Ports(), description="Fixed ports, by name.")
    solana_pay_to: str = Field(
        pattern=r"^[1-9A-HJ-NP-Za-km-z]{32,44}$",
        description="The merchant's Solana wallet, a base58 address; generated for local stacks.",
    )

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Self:
        """Read settings from a dictionary of config values; keys may carry the namespace, secrets are passed over.

        Raises:
            SettingsError: with every problem there is.
        """
        settings, problems = _read(cls, values)
        if settings is None or problems:
            raise SettingsError(problems)
        return settings

    @classmethod
    def from_pulumi(cls) -> tuple[Self, Secrets]:
        """Read settings and secrets of the running program.

        Raises:
            SettingsError: with every problem of both.
        """
        import pulumi
        from pulumi.runtime.config import CONFIG

        config = pulumi.Config(NAMESPACE)
        plain = {key: value for key, value in CONFIG.get().items() if key.startswith(f"{NAMESPACE}:")}
        settings, problems = _read(cls, _structured(plain))
        problems += _problems_of_secrets(config)
        if settings is None or problems:
            raise SettingsError(problems)
        return settings, Secrets({value.key: config.require_secret(value.key) for value in SECRETS})


SettingsType = TypeVar("SettingsType", bound=Settings)


class Secrets:
    """The stack's secrets as Pulumi outputs, which stay secret through everything they are put into."""

    def __init__(self, values: Mapping[str, pulumi.Output[str]]) -> None:
        self._values = dict(values)

    def __getitem__(self, key: str) -> pulumi.Output[str]:
        return self._values[key]


def describe(model: type[BaseModel] = Settings, prefix: str = f"{NAMESPACE}:") -> list[tuple[str, str, str, str]]:
    """Every plain key as (key, type, default, description), for documentation."""
    rows = []
    for name, field in model.model_fields.items():
        key, annotation = prefix + (field.alias or name), field.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            rows += describe(annotation, f"{key}.")
            continue
        kind = annotation.__name__ if isinstance(annotation, type) else " | ".join(map(str, _choices(annotation)))
        default = "generated" if field.is_required() else str(field.default)
        rows.append((key, kind, default, field.description or ""))
    return rows


def _choices(annotation: Any) -> tuple[Any, ...]:
    return tuple(getattr(annotation, "__args__", ()))


def _structured(values: Mapping[str, Any]) -> dict[str, Any]:
    """Config values as the engine passes them: structured ones are JSON text."""
    structured = dict(values)
    key = f"{NAMESPACE}:ports"
    if isinstance(structured.get(key), str):
        # Text that is no JSON is left as it is: the model says what is wrong with it.
        with contextlib.suppress(ValueError):
            structured[key] = json.loads(structured[key])
    return structured


def _read(model: type[SettingsType], values: Mapping[str, Any]) -> tuple[SettingsType | None, list[Problem]]:
    generated_secrets = {value.key for value in SECRETS}
    plain: dict[str, Any] = {}
    for key, value in values.items():
        namespace, _, name = key.rpartition(":")
        if namespace in ("", NAMESPACE) and name not in generated_secrets:
            plain[name] = value
    try:
        settings = model.model_validate(plain)
    except ValidationError as errors:
        return None, [_problem(dict(error)) for error in errors.errors()]
    return settings, _problems_between(settings)


def _problems_between(settings: Settings) -> list[Problem]:
    """What is wrong between keys that are each right."""
    problems = []
    if settings.max_fee_msat > settings.max_payment_msat:
        problems.append(
            Problem(
                f"{NAMESPACE}:maxFeeMsat",
                f"is {settings.max_fee_msat}, more than railyard:maxPaymentMsat, which is {settings.max_payment_msat}",
                f"Lower it with `pulumi config set {NAMESPACE}:maxFeeMsat <value>`.",
            )
        )
    purposes: dict[int, str] = {}
    for name, port in settings.ports.model_dump(by_alias=True).items():
        if port and purposes.setdefault(port, name) != name:
            problems.append(
                Problem(
                    f"{NAMESPACE}:ports.{name}",
                    f"is {port}, which {purposes[port]} has",
                    f"Give it another with `pulumi config set --path {NAMESPACE}:ports.{name} <value>`.",
                )
            )
    return problems


def _problem(error: dict[str, Any]) -> Problem:
    """A pydantic error as a sentence; the value is shown, plain settings hold no secrets."""
    path = [str(part) for part in error["loc"]]
    key = NAMESPACE + ":" + ".".join(path)
    set_it = f"pulumi config set --path {key}" if len(path) > 1 else f"pulumi config set {key}"
    remove_it = set_it.replace("config set", "config rm")
    if error["type"] == "missing":
        return Problem(
            key, "is missing", f"Set it with `{set_it} <value>`; ./railyard up generates it for a local stack."
        )
    if error["type"] == "extra_forbidden":
        known = ", ".join(
            field.alias or name for name, field in (Ports if len(path) > 1 else Settings).model_fields.items()
        )
        return Problem(key, "is not a setting", f"Remove it with `{remove_it}`; the settings are {known}.")
    context = error.get("ctx", {})
    match error["type"]:
        case "literal_error":
            wanted = f"must be {context['expected']}"
        case "greater_than_equal":
            wanted = f"must be at least {context['ge']}"
        case "less_than_equal":
            wanted = f"must be at most {context['le']}"
        case "int_parsing" | "int_type" | "int_from_float":
            wanted = "must be a whole number"
        case "string_pattern_mismatch":
            wanted = "must be a base58 address of 32 to 44 characters"
        case "model_type" | "model_attributes_type" | "dict_type":
            wanted = "must be a map of names to port numbers"
        case _:
            wanted = str(error["msg"])[:1].lower() + str(error["msg"])[1:]
    return Problem(key, f"is {error['input']!r} and {wanted}", f"Set it with `{set_it} <value>`.")


def _problems_of_secrets(config: pulumi.Config) -> list[Problem]:
    from pulumi.runtime.config import is_config_secret

    problems = []
    for value in SECRETS:
        key = f"{NAMESPACE}:{value.key}"
        set_it = f"`pulumi config set --secret {key}`"
        if not config.get(value.key):
            problems.append(
                Problem(
                    key, f"({value.description}) is missing", f"Run ./railyard up, which generates it, or {set_it}."
                )
            )
        elif not is_config_secret(key):
            problems.append(
                Problem(key, f"({value.description}) is stored in plain text", f"Change it and store it with {set_it}.")
            )
    return problems
