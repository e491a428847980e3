"""A receiver that never answers holds its own events and nobody else's."""

from __future__ import annotations

import asyncio
import contextlib

import httpx
import pytest
from aiohttp import web

from payments.core import Core
from payments.settings import Settings
from payments.webhooks import tasks
from tests.app.conftest import free_port, until
from tests.app.test_app_webhooks import Receiver, _register, _relay, receiver

__all__ = ["receiver"]


async def test_nobody_waits_for_a_receiver_that_hangs(
    client: httpx.AsyncClient, core: Core, settings: Settings, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "TIMEOUT_SECONDS", 3600.0)
    hanging = asyncio.Event()

    async def hang(_request: web.Request) -> web.Response:
        hanging.set()
        await asyncio.Event().wait()
        return web.Response()

    application = web.Application()
    application.router.add_post("/hook", hang)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    slow = await _register(client, f"http://127.0.0.1:{port}/hook")
    quick = await _register(client, receiver.url)
    sending = asyncio.create_task(tasks.deliver(core))
    try:
        await client.post(f"/v1/webhook-endpoints/{slow['id']}/test")
        await _relay(core, settings)
        await asyncio.wait_for(hanging.wait(), 60)
        for _ in range(3):
            await client.post(f"/v1/webhook-endpoints/{quick['id']}/test")
        await _relay(core, settings)

        async def all_came() -> bool:
            return len(receiver.seen) == 3

        await until(all_came, 60)
        assert not sending.done()
    finally:
        sending.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await sending
        await runner.cleanup()
