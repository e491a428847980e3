"""A dead node comes back from its seed and the newest channel backup: its peers close the channels and pay us out.

Only an empty node takes part: LND makes a wallet once (`InitWallet`), so a node that has one refuses, and an old
`channel.db` is never touched. The procedure around it is docs/runbooks/lnd-restore.md.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from payments.object_stores import ObjectStore
from payments.rails.lnd import backups
from payments.rails.lnd.client import LndClient
from payments.rails.lnd.credentials import GivenMacaroon, PinnedCertificate
from payments.rails.protocol import RailUnavailableError

# How many addresses without a coin end the search for the wallet's coins; LND's documentation advises it.
RECOVERY_WINDOW: Final = 2_500
_UP: Final = frozenset({"RPC_ACTIVE", "SERVER_ACTIVE"})
_WAIT_SECONDS: Final = 0.5
_UP_WITHIN_SECONDS: Final = 600.0


class _NoMacaroon:
    """What makes the wallet needs none: there is no wallet yet that could have signed one."""

    def hex(self) -> str:
        return ""


@dataclass(frozen=True, slots=True)
class Restored:
    """How far the way back is.

    Attributes:
        backup: name of the one that was used.
        closing: channels whose peer has not closed them yet, or whose closing is not buried yet.
        closed: channels that are closed.
        limbo_sat: what closings still hold.
        wallet_sat: what is on the chain and confirmed.
    """

    backup: str
    closing: int
    closed: int
    limbo_sat: int
    wallet_sat: int


class Restoration:
    """One node's way back.

    Args:
        url, certificate: of the empty node.
        store: of the channel backups.
        node: identity of the dead node, which the new one will have, too: 66 hex digits.
    """

    def __init__(self, url: str, certificate: PinnedCertificate, store: ObjectStore, node: str) -> None:
        self._url = url
        self._certificate = certificate
        self._store = store
        self._node = node

    async def begin(self, words: Sequence[str], password: bytes) -> tuple[str, GivenMacaroon]:
        """Make the wallet from the seed with the newest backup; its name, and the admin macaroon of the new node.

        Raises:
            StoreError: there is no backup, or it is damaged: nothing was done.
            RailError: the node refuses (it has a wallet, the words are no seed), or does not answer.
        """
        name, data = await backups.newest(self._store, self._node)
        client = LndClient(self._url, certificate=self._certificate, macaroon=_NoMacaroon())
        body = {
            "wallet_password": base64.b64encode(password).decode(),
            "cipher_seed_mnemonic": list(words),
            "recovery_window": RECOVERY_WINDOW,
            "channel_backups": {"multi_chan_backup": {"multi_chan_backup": base64.b64encode(data).decode()}},
        }
        await client.start()
        try:
            made = await client.post("/v1/initwallet", body, timeout_seconds=120)
            await _wait_until_up(client)
        finally:
            await client.close()
        macaroon = base64.b64decode(str(made.get("admin_macaroon") or ""))
        return name, GivenMacaroon(macaroon.hex(), setting="The answer of InitWallet")

    async def progress(self, macaroon: GivenMacaroon, backup: str) -> Restored:
        """How far it is. Raises RailError."""
        client = LndClient(self._url, certificate=self._certificate, macaroon=macaroon)
        await client.start()
        try:
            return await look(client, backup)
        finally:
            await client.close()


async def look(client: LndClient, backup: str) -> Restored:
    """How far a restored node is; takes offchain:read and onchain:read. Raises RailError."""
    pending = await client.get("/v1/channels/pending")
    kinds = ("pending_closing_channels", "pending_force_closing_channels", "waiting_close_channels")
    closed = (await client.get("/v1/channels/closed")).get("channels") or []
    wallet = await client.get("/v1/balance/blockchain")
    return Restored(
        backup=backup,
        closing=sum(len(pending.get(kind) or []) for kind in kinds),
        closed=len(closed),
        limbo_sat=int(pending.get("total_limbo_balance") or 0),
        wallet_sat=int(wallet.get("confirmed_balance") or 0),
    )


async def _wait_until_up(client: LndClient) -> None:
    """Until the node with its new wallet answers; it goes on searching for coins meanwhile. Raises RailError."""
    async with asyncio.timeout(_UP_WITHIN_SECONDS):
        while True:
            # It opens its interface anew once it has a wallet, so there may be nobody for a moment.
            with contextlib.suppress(RailUnavailableError):
                if (await client.get("/v1/state")).get("state") in _UP:
                    return
            await asyncio.sleep(_WAIT_SECONDS)
