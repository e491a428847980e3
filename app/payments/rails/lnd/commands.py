"""What `python -m payments lnd ...` does: returns the exit status and what is printed, as one JSON object."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Any

from payments.object_stores import StoreConfigError, StoreError
from payments.rails.lnd.backups import backup_store
from payments.rails.lnd.credentials import PinnedCertificate
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
