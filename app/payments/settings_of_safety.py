"""Settings of who may call and of what money may leave: tokens, approvals, suspicion, hot wallets, circuit breakers."""

from __future__ import annotations

import json
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import NoDecode

from payments.settings_of_guides import GuideSettings

ISSUER_FORM = (
    '{"issuer": "https://id.example", "audience": "payments", "algorithm": "RS256", '
    '"jwks_url": "https://id.example/jwks.json", "scopes": ["read", "write"]}'
)


class TokenIssuer(BaseModel):
    """An issuer of tokens beside JWT_SECRET's, with the one algorithm its tokens have (design section 4, rule 12).

    Attributes:
        scopes: the most its tokens may do, whatever they claim.
        user_prefix: put before `sub`. Two issuers whose subjects mean different people need different prefixes.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    issuer: str = Field(min_length=1, max_length=200)
    audience: str = Field(min_length=1, max_length=200)
    algorithm: Literal["RS256", "ES256"]
    jwks_url: str = Field(max_length=500)
    scopes: tuple[Literal["read", "write", "admin"], ...] = ("read", "write")
    user_prefix: str = Field("", max_length=24, pattern=r"^[A-Za-z0-9._-]*$")


class AssetLimits(BaseModel):
    """What may be paid in an asset, in its minor units. Without `approval_threshold` nobody has to approve; without a
    floor or a ceiling the hot wallet has none."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_payment: int = Field(ge=1)
    max_fee: int = Field(ge=0)
    daily_payout: int = Field(ge=0)
    approval_threshold: int | None = Field(None, ge=0)
    hot_wallet_floor: int | None = Field(None, ge=0)
    hot_wallet_ceiling: int | None = Field(None, ge=0)


LIMITS_FORM = (
    '{"USDC": {"max_payment": 1000000000, "max_fee": 0, "daily_payout": 10000000000, "approval_threshold": 500000000, '
    '"hot_wallet_floor": 0, "hot_wallet_ceiling": 100000000000}}'
)


class SafetySettings(GuideSettings):
    """Settings of callers and of safety."""

    jwt_secret: SecretStr | None = Field(
        None,
        description="32 random bytes in hex; the text itself is the key that users' tokens are signed with (HS256).",
    )
    jwt_secret_previous: SecretStr | None = Field(None, description="The secret before, while it is rotated.")
    jwt_issuer: str = Field("railyard-payments", min_length=1, description="`iss` of tokens signed with JWT_SECRET.")
    jwt_audience: str = Field("payments", min_length=1, description="`aud` of tokens signed with JWT_SECRET.")
    jwt_issuers: Annotated[tuple[TokenIssuer, ...], NoDecode] = Field(
        (), description=f"Further issuers as a JSON list of {ISSUER_FORM}."
    )
    jwks_lifetime_seconds: float = Field(300, ge=10, le=86_400, description="How long an issuer's keys are believed.")

    approval_threshold_msat: int | None = Field(
        None, ge=0, description="Payouts above it, in msat, need a second person's approval; nobody's when absent."
    )
    approval_lifetime_seconds: int = Field(
        86_400, ge=60, le=2_592_000, description="A payout that nobody approved for so long is closed."
    )
    max_retries: int = Field(
        3, ge=0, le=100, description="How often a payment that provably failed may be tried again, one after the other."
    )
    suspicious_failures: int = Field(10, ge=1, description="Failures of one user in the window that hold its payouts.")
    suspicious_window_seconds: int = Field(3600, ge=60, le=604_800, description="Window of SUSPICIOUS_FAILURES.")
    hot_wallet_floor_msat: int | None = Field(
        None, ge=0, description="Payouts wait when they would leave less than this in the hot wallet, in msat."
    )
    hot_wallet_ceiling_msat: int | None = Field(
        None, ge=0, description="More than this in the hot wallet, in msat, calls for a sweep to cold storage."
    )
    asset_limits: Annotated[dict[str, AssetLimits], NoDecode] = Field(
        {},
        description="Limits of assets beside BTC (whose are MAX_PAYMENT_MSAT and so on) as JSON, in minor units: "
        f"{LIMITS_FORM}. An asset without limits is not paid out.",
    )
    sentry_dsn: SecretStr | None = Field(
        None, description="Sentry's DSN: what the log says at level error is sent there, redacted; nothing when absent."
    )
    breaker_failures: int = Field(5, ge=1, le=1000, description="Failures in a row that open an upstream's breaker.")
    breaker_rest_seconds: float = Field(10, gt=0, le=3600, description="Rest of an open breaker before one trial call.")

    @field_validator("jwt_issuers", mode="before")
    @classmethod
    def _read_issuers(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            listed = json.loads(value)
        except json.JSONDecodeError:
            raise ValueError(f"is no JSON: write a list of {ISSUER_FORM}") from None
        if not isinstance(listed, list):
            raise ValueError(f"is no list: write a list of {ISSUER_FORM}")
        try:
            return tuple(TokenIssuer.model_validate(one) for one in listed)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            raise ValueError(f"has an issuer whose {where} is wrong ({first['msg']}): write {ISSUER_FORM}") from None

    @field_validator("asset_limits", mode="before")
    @classmethod
    def _read_limits(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            listed = json.loads(value)
        except json.JSONDecodeError:
            raise ValueError(f"is no JSON: write {LIMITS_FORM}") from None
        if not isinstance(listed, dict):
            raise ValueError(f"is no object: write {LIMITS_FORM}")
        limits = {}
        for asset, one in listed.items():
            try:
                limits[asset] = AssetLimits.model_validate(one)
            except ValidationError as error:
                first = error.errors(include_input=False, include_url=False)[0]
                where = ".".join(str(part) for part in (asset, *first["loc"]))
                raise ValueError(f"has {where} wrong ({first['msg']}): write {LIMITS_FORM}") from None
        return limits

    def safety_problems(self, *, is_local: bool) -> list[str]:
        """What does not fit together."""
        problems: list[str] = []
        if self.sentry_dsn is not None and (wrong := dsn_problem(self.sentry_dsn.get_secret_value())):
            problems.append(wrong)
        names = [self.jwt_issuer, *(one.issuer for one in self.jwt_issuers)]
        problems.extend(
            f"JWT_ISSUERS names the issuer {name!r} twice (JWT_ISSUER counts): each has one verifier."
            for name in sorted({name for name in names if names.count(name) > 1})
        )
        for one in self.jwt_issuers:
            scheme = urlsplit(one.jwks_url).scheme
            if scheme != "https" and not (is_local and scheme == "http"):
                problems.append(f"JWT_ISSUERS has the jwks_url {one.jwks_url!r}: outside APP_ENV=local it is https.")
        if _without_room(self.hot_wallet_floor_msat, self.hot_wallet_ceiling_msat):
            problems.append("HOT_WALLET_FLOOR_MSAT is not below HOT_WALLET_CEILING_MSAT: leave room between them.")
        if "BTC" in self.asset_limits:
            problems.append("ASSET_LIMITS has BTC, whose limits are MAX_PAYMENT_MSAT and its like: leave it out.")
        for asset, limits in self.asset_limits.items():
            if _without_room(limits.hot_wallet_floor, limits.hot_wallet_ceiling):
                problems.append(f"ASSET_LIMITS has a hot_wallet_floor of {asset} that is not below its ceiling.")
            if limits.max_fee > limits.max_payment:
                problems.append(f"ASSET_LIMITS has a max_fee of {asset} above its max_payment.")
        return problems


def dsn_problem(dsn: str) -> str | None:
    """One sentence on what is wrong with SENTRY_DSN, which it never shows."""
    parts = urlsplit(dsn)
    is_here = parts.hostname in ("127.0.0.1", "::1", "localhost")
    is_whole = bool(parts.username and parts.hostname and parts.path.rsplit("/", 1)[-1].isdigit())
    if is_whole and (parts.scheme == "https" or (parts.scheme == "http" and is_here)):
        return None
    return "SENTRY_DSN must be of the form https://<key>@<host>/<project number>, as Sentry shows it."


def _without_room(floor: int | None, ceiling: int | None) -> bool:
    return floor is not None and ceiling is not None and floor >= ceiling
