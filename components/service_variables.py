"""The plain variables that the service is told on a cloud's platform, from the settings; the names are those of
app/payments/settings.py. Secrets are not here: each platform injects them its own way."""

from __future__ import annotations

from components.settings import Settings

WEB_PORT, WORKER_PORT = 3001, 3002


def service_variables(settings: Settings) -> dict[str, str]:
    """Variables of every role. What a platform adds: ports, addresses of proxies, where certificates are.

    Only what the settings say is in it, so that the service's own defaults hold for the rest.
    """
    networks = settings.rail_networks
    variables = {
        "APP_ENV": settings.environment,
        "NETWORK": settings.network,
        "BITCOIN_NETWORK": networks["bitcoin"],
        "SOLANA_NETWORK": networks["solana"],
        "LOG_LEVEL": settings.log_level,
        "ENABLE_METRICS": "true",
        "MAX_PAYMENT_MSAT": str(settings.max_payment_msat),
        "MAX_FEE_MSAT": str(settings.max_fee_msat),
        "DAILY_PAYOUT_LIMIT_MSAT": str(settings.daily_payout_limit_msat),
        "MAX_RETRIES": str(settings.max_retries),
        "ASSET_LIMITS": settings.asset_limits,
        "DATABASE_POOL_SIZE": str(settings.database_pool_size),
        "DATABASE_POOL_TIMEOUT_SECONDS": str(settings.database_pool_timeout_seconds),
        "EXPECTED_INSTANCES": str(settings.max_tasks),
        "PUBLIC_RATE_LIMIT": str(settings.public_rate_limit),
        "AUTH_RATE_LIMIT": str(settings.auth_rate_limit),
        "VERIFY_RATE_LIMIT": str(settings.verify_rate_limit),
        "ALLOWED_ORIGINS": ",".join(settings.allowed_origins),
        "LND_URL": settings.lnd_url,
        "LND_TLS_CERT": settings.lnd_tls_certificate,
        "SOLANA_PAY_TO": settings.solana_pay_to,
        "SOLANA_FEE_PAYER_ADDRESS": settings.solana_fee_payer_address,
        "ESPLORA_URL": settings.esplora_url,
        "STELLAR_HORIZON_URL": settings.stellar_horizon_url,
        "STRIPE_PUBLISHABLE_KEY": settings.stripe_publishable_key,
    }
    return {name: value for name, value in variables.items() if value}
