"""Lightning by River (the MSTY guide's provider): an account behind an API key, and webhooks.

River publishes authentication and webhook signatures, and neither paths nor field names: those here are assumptions in
one adapter (client.py, rail.py), the paths settable by RIVER_PATHS. Check them against the account's own documentation.
"""

from __future__ import annotations

from payments.rails.river.client import RiverAccess, RiverConfigError, read_paths
from payments.rails.river.rail import RiverRail
from payments.settings import Settings, SettingsError
from payments.upstreams.guarding import Patience


def build(settings: Settings, role: str) -> RiverRail | None:
    """The rail of these settings, None without RIVER_URL.

    Raises:
        SettingsError: a setting cannot be used.
    """
    if not settings.river_url:
        return None
    if settings.river_api_key is None:
        raise SettingsError(["RIVER_API_KEY is missing: give it beside RIVER_URL, or leave RIVER_URL empty."])
    try:
        paths = read_paths(settings.river_paths)
        access = RiverAccess(
            url=settings.river_url,
            key=settings.river_api_key.get_secret_value(),
            secret=settings.river_api_secret.get_secret_value() if settings.river_api_secret else "",
            paths=paths,
            patience=Patience(settings.breaker_failures, settings.breaker_rest_seconds),
        )
    except RiverConfigError as error:
        raise SettingsError([str(error)]) from error
    return RiverRail(
        access,
        network=settings.bitcoin_network,
        max_payment_msat=settings.max_payment_msat,
        max_fee_msat=settings.max_fee_msat,
        can_pay=role == "worker",
        polls=bool(paths["settled_invoices"]),
        tells_balance=bool(paths["balance"]),
        poll_seconds=settings.river_poll_seconds,
    )


__all__ = ["RiverRail", "build"]
