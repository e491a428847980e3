"""Variables that the guides name and this release does not read: accepted under their names, and said to be unused.

A deployment written for the five guides sets all of them. They are checked as far as their form is known, their secrets
are redacted as any other, and `unused` names them at start: nothing is silently ignored. Whoever begins to read one
moves it to `settings.py`.
"""

from __future__ import annotations

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings


def _later(what: str) -> str:
    return f"{what} Accepted; this release does not read it."


class GuideSettings(BaseSettings):
    """Settings of rails and platforms outside this release, by the names of facts.md section 7."""

    test_invoice: str | None = Field(None, description=_later("The Paykit guide's invoice for integration tests."))
    datadog_api_key: SecretStr | None = Field(None, description=_later("DataDog's key; logs and metrics are pulled."))
    ton_api_key: SecretStr | None = Field(None, description=_later("Toncenter's API key."))
    ton_master_key: SecretStr | None = Field(None, description=_later("Key of the TON wallet; worker only."))
    payment_processor_address: str | None = Field(None, description=_later("TON address of the processor contract."))
    api_keys: SecretStr | None = Field(
        None, description=_later("The TON guide's list of keys. API keys are in the database, made by POST /api-keys.")
    )
    stripe_secret_key: SecretStr | None = Field(None, description=_later("Stripe's secret key."))
    stripe_publishable_key: str | None = Field(None, description=_later("Stripe's publishable key."))
    stripe_webhook_secret: SecretStr | None = Field(None, description=_later("Secret of Stripe's webhooks."))
    paypal_client_id: SecretStr | None = Field(None, description=_later("PayPal's client id."))
    paypal_client_secret: SecretStr | None = Field(None, description=_later("PayPal's client secret."))
    slack_webhook_url: SecretStr | None = Field(None, description=_later("Alerts to Slack are the platform's."))
    payment_alert_email: str | None = Field(None, description=_later("Alerts by email are the platform's."))
    aws_region: str | None = Field(None, description=_later("Region of the platform."))
    ssl_certificate_arn: str | None = Field(None, description=_later("Certificate of the load balancer."))
    stellar_network: str | None = Field(None, description=_later("PUBLIC on mainnet, TESTNET elsewhere."))
    stellar_horizon_url: str | None = Field(None, description=_later("https URL of Horizon."))
    postgres_user: str | None = Field(None, description=_later("Of the database container; see DATABASE_URL."))
    postgres_password: SecretStr | None = Field(None, description=_later("Of the database container."))
    postgres_db: str | None = Field(None, description=_later("Of the database container; see DATABASE_URL."))

    def unused(self) -> list[str]:
        """Variables that are set and that this release does not read, by name."""
        return sorted(name.upper() for name in GuideSettings.model_fields if getattr(self, name) is not None)

    def guide_problems(self, *, is_mainnet: bool, is_web: bool) -> list[str]:
        """What is wrong with them: networks that are mixed, a wallet's key where nothing signs."""
        problems = []
        stripe = self.stripe_secret_key.get_secret_value() if self.stripe_secret_key else ""
        if stripe.startswith("sk_live_") and not is_mainnet:
            problems.append("STRIPE_SECRET_KEY is a live key but NETWORK is not mainnet: give the test key.")
        if stripe.startswith("sk_test_") and is_mainnet:
            problems.append("STRIPE_SECRET_KEY is a test key but NETWORK is mainnet: give the live key.")
        if self.stellar_network and (self.stellar_network.upper() == "PUBLIC") != is_mainnet:
            problems.append(f"STELLAR_NETWORK is {self.stellar_network!r} but NETWORK says otherwise: they must agree.")
        if self.stellar_horizon_url and not self.stellar_horizon_url.startswith("https://"):
            problems.append("STELLAR_HORIZON_URL must be an https URL like https://horizon.stellar.org.")
        if is_web and self.ton_master_key is not None:
            problems.append(
                "TON_MASTER_KEY is set for the web role, which must not be able to sign: give it to the worker alone."
            )
        return problems
