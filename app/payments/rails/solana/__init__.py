"""Solana: JSON-RPC reads, the checks of an x402 payment, proof of on-chain effect, arrivals of USDC. No key here."""

from payments.rails.solana.rail import SolanaConfig, SolanaConfigError, SolanaRail, known_mint
from payments.settings import Settings, SettingsError
from payments.upstreams.guarding import Patience


def build(settings: Settings, role: str) -> SolanaRail | None:
    """The rail of these settings, None without SOLANA_RPC_URL (one URL, or several with commas between them).

    The worker, which has the fee payer's key, takes the address from it when SOLANA_FEE_PAYER_ADDRESS is not set.

    Raises:
        SettingsError: a setting cannot be used.
    """
    if settings.solana_rpc_url is None:
        return None
    urls = tuple(part.strip() for part in settings.solana_rpc_url.get_secret_value().split(",") if part.strip())
    try:
        config = SolanaConfig(
            rpc_urls=urls,
            network=settings.solana_network,
            mint=settings.solana_usdc_mint or known_mint(settings.solana_network),
            pay_to=settings.solana_pay_to,
            fee_payer=settings.solana_fee_payer_address or _address_of_key(settings, role),
            patience=Patience(settings.breaker_failures, settings.breaker_rest_seconds),
        )
        return SolanaRail(config)
    except SolanaConfigError as error:
        raise SettingsError([str(error)]) from error


def _address_of_key(settings: Settings, role: str) -> str:
    if role != "worker" or settings.solana_fee_payer is None:
        return ""
    from payments.signer.fee_payer import FeePayer, FeePayerError

    try:
        return FeePayer(settings.solana_fee_payer).address
    except FeePayerError as error:
        raise SettingsError([str(error)]) from error


__all__ = ["SolanaConfig", "SolanaRail", "build"]
