"""The rail from the settings."""

from payments.rails.onchain.confirmations import Confirmations
from payments.rails.onchain.errors import OnchainConfigError
from payments.rails.onchain.paying import PayoutRules, Signer
from payments.rails.onchain.rail import OnchainConfig, OnchainRail
from payments.rails.onchain.requests import network_of
from payments.settings import Settings
from payments.upstreams.guarding import Patience


def build_rail(settings: Settings, *, can_sign: bool) -> OnchainRail:
    """The rail; with a signer where it may be and there is a key. Raises OnchainConfigError."""
    if settings.onchain_descriptor is None:
        raise OnchainConfigError(
            "ONCHAIN_DESCRIPTOR is missing: give the wallet's public descriptor beside ESPLORA_URL."
        )
    config = OnchainConfig(
        url=settings.esplora_url,
        network=settings.bitcoin_network,
        descriptor=settings.onchain_descriptor.get_secret_value(),
        confirmations=Confirmations.parse(settings.onchain_confirmations),
        rules=PayoutRules(
            max_fee_sats=settings.onchain_max_fee_sat,
            max_rate_sat_per_vbyte=settings.onchain_max_fee_rate_sat_vb,
            target_blocks=settings.onchain_fee_target_blocks,
        ),
        poll_seconds=settings.onchain_poll_seconds,
        bump_after_seconds=settings.onchain_bump_after_seconds,
        patience=Patience(settings.breaker_failures, settings.breaker_rest_seconds),
    )
    signer: Signer | None = None
    if can_sign and settings.onchain_signing_descriptor is not None:
        from payments.signer.onchain_key import OnchainKey  # the web role never loads it

        network = network_of(settings.bitcoin_network)
        signer = OnchainKey(settings.onchain_signing_descriptor, config.descriptor, network)
    return OnchainRail(config, signer=signer)
