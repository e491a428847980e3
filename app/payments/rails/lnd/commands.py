"""What `python -m payments lnd ...` does: returns the exit status and what is printed, as one JSON object."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from payments.object_stores import StoreConfigError, StoreError
from payments.rails.lnd.backups import backup_store
from payments.rails.lnd.channel_state import Differences, StateGuard
from payments.rails.lnd.client import LndClient
from payments.rails.lnd.credentials import PinnedCertificate
from payments.rails.lnd.errors import LndConfigError
from payments.rails.lnd.rail import macaroon_source
from payments.rails.lnd.restoring import Restoration
from payments.rails.protocol import RailError
from payments.settings import Settings, SettingsError


def restore(settings: Settings, node: str) -> tuple[int, dict[str, Any]]:
    """Make the wallet of an empty node from LND_SEED with the newest channel backup of the dead one."""
    try:
        store = backup_store(settings)
    except StoreConfigError as error:
        raise SettingsError([str(error)]) from error
    certificate = settings.lnd_tls_cert_path or settings.lnd_tls_cert
    assert store is not None
    assert settings.lnd_seed is not None
    assert settings.lnd_wallet_password is not None
    restoration = Restoration(settings.lnd_url, PinnedCertificate(certificate), store, node)
    words = settings.lnd_seed.get_secret_value().split()
    password = settings.lnd_wallet_password.get_secret_value().encode()

    async def run() -> tuple[int, dict[str, Any]]:
        try:
            backup, macaroon = await restoration.begin(words, password)
            found = await restoration.progress(macaroon, backup)
        except (StoreError, RailError) as error:
            return 1, {"ok": False, "error": str(error)}
        return 0, {"ok": True, **asdict(found)}

    return asyncio.run(run())


def forget_channels(settings: Settings, node: str, confirmed: Sequence[str]) -> tuple[int, dict[str, Any]]:
    """Show which channels the node has lost without a trace, and forget them once each is named in `confirmed`.

    Never a channel in an older state than it was seen in: that node has an old channel.db and must not run.
    """
    try:
        store = backup_store(settings)
        pay = settings.lnd_pay_macaroon
        macaroon = macaroon_source(
            pay.get_secret_value() if pay else None, settings.lnd_pay_macaroon_path, setting="LND_PAY_MACAROON"
        )
    except (StoreConfigError, LndConfigError) as error:
        raise SettingsError([str(error)]) from error
    if macaroon is None:
        raise SettingsError(["LND_PAY_MACAROON is missing: give it in hex or its file in LND_PAY_MACAROON_PATH."])
    assert store is not None
    certificate = PinnedCertificate(settings.lnd_tls_cert_path or settings.lnd_tls_cert)
    client = LndClient(settings.lnd_url, certificate=certificate, macaroon=macaroon)
    guard = StateGuard(client, store)

    async def run() -> tuple[int, dict[str, Any]]:
        await client.start()
        try:
            found = await guard.differences()
            refusal = _refusal(found, node, confirmed)
            if not refusal and found.lost:
                await guard.forget(found)
        except (StoreError, RailError) as error:
            return 1, {"ok": False, "error": str(error)}
        finally:
            await client.close()
        return (1, {"ok": False, "error": refusal, **asdict(found)}) if refusal else (0, {"ok": True, **asdict(found)})

    return asyncio.run(run())


def _refusal(found: Differences, node: str, confirmed: Sequence[str]) -> str:
    if found.node != node:
        return f"At LND_URL is another node, {found.node}: nothing was changed."
    if found.older:
        return (
            "Channels are in an older state than they were seen in: stop the node, its channel.db is old. That is "
            "never forgotten; the way back is docs/runbooks/lnd-restore.md."
        )
    if set(confirmed) != set(found.lost):
        if not found.lost:
            return "No channel is lost: leave --confirm out."
        named = " ".join(f"--confirm {point}" for point in found.lost)
        return f"Make sure that each of `lost` is closed on the chain or was never funded, then name each: {named}"
    return ""
