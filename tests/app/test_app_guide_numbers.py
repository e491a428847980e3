"""Figures of the guides, read where they take effect: what each client really asks its session for."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from payments.core import Core
from payments.discovery.service import Directory
from payments.rails.lnd.client import LndClient
from payments.rails.lnd.credentials import GivenMacaroon, PinnedCertificate
from payments.rails.onchain.esplora import Esplora
from payments.rails.river.client import DEFAULT_PATHS, RiverAccess, RiverClient
from payments.rails.solana.rpc import SolanaRpc
from payments.webhooks.tasks import Sender

NOWHERE = "http://127.0.0.1:9"


class _Pin(PinnedCertificate):
    def __init__(self) -> None:
        """No file: nothing is connected to."""

    def fingerprint(self) -> aiohttp.Fingerprint:
        return aiohttp.Fingerprint(bytes(32))


class _Asked(Exception):  # noqa: N818 - ends a call as soon as it is known how it would have been made
    def __init__(self, session: aiohttp.ClientSession, timeout: aiohttp.ClientTimeout) -> None:
        super().__init__("asked")
        self.session, self.timeout = session, timeout


@pytest.fixture(autouse=True)
def _caught(monkeypatch: pytest.MonkeyPatch) -> None:
    async def caught(self: aiohttp.ClientSession, *_args: Any, **options: Any) -> None:
        raise _Asked(self, options.get("timeout") or self.timeout)

    monkeypatch.setattr(aiohttp.ClientSession, "_request", caught)


async def _clients(core: Core) -> dict[str, tuple[Any, Any]]:
    """A call of every client and how it is closed."""
    lnd = LndClient("https://127.0.0.1:9", certificate=_Pin(), macaroon=GivenMacaroon("00", setting="M"))
    esplora, solana = Esplora(NOWHERE), SolanaRpc((NOWHERE,))
    river = RiverClient(RiverAccess(NOWHERE, "k", "", DEFAULT_PATHS))
    directory, sender = Directory(NOWHERE), Sender(core)
    for one in (lnd, esplora, river, solana):
        await one.start()
    return {
        "lnd": (lambda: lnd.get("/v1/getinfo"), lnd.close),
        "esplora": (esplora.tip_hash, esplora.close),
        "river": (lambda: river.get("invoice", "1"), river.close),
        "solana": (lambda: solana.call("getSlot"), solana.close),
        "payees": (lambda: directory.fetch("k"), directory.close),
        "webhooks": (lambda: sender._session.post(NOWHERE), sender.close),
    }


async def test_every_client_has_one_pool_of_ten_a_host_and_thirty_seconds(core: Core) -> None:
    """pk-lnd-timeout-30s, pk-esplora-timeout-30s, pk-http-timeout-30s, pk-http-client-reuse, pk-http-pool-idle-10."""
    clients = await _clients(core)
    for name, (call, close) in clients.items():
        sessions = []
        for _ in range(2):
            with pytest.raises(_Asked) as asked:
                await call()
            sessions.append(asked.value.session)
        assert sessions[0] is sessions[1], f"{name} makes one session and uses it again"
        connector: Any = sessions[0].connector
        assert connector.limit_per_host == 10, name
        # Webhooks go to strangers, who get half of it.
        assert asked.value.timeout.total == (15 if name == "webhooks" else 30), name
        await close()
