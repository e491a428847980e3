"""Bitcoin on the chain: addresses from a descriptor, blocks followed through Esplora, payouts with RBF. No key here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payments.settings import Settings, SettingsError

if TYPE_CHECKING:
    from payments.rails.onchain.rail import OnchainRail


def build(settings: Settings, role: str) -> OnchainRail | None:
    """The rail of these settings, None without ESPLORA_URL. Only the worker's is given a signer.

    Raises:
        SettingsError: a setting cannot be used.
    """
    if not settings.esplora_url:
        return None
    # BDK takes 60 MB and half a second: whoever has no on-chain rail does not load it.
    from payments.rails.onchain.building import build_rail
    from payments.rails.onchain.errors import OnchainConfigError

    try:
        return build_rail(settings, can_sign=role == "worker")
    except OnchainConfigError as error:
        raise SettingsError([str(error)]) from error


__all__ = ["build"]
