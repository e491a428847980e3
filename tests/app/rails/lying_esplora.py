"""An Esplora between the rail and a real one that can lag, lie, be silent or be gone."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web


@dataclass
class LyingEsplora:
    """Passes everything on, but for what it is told.

    Attributes:
        hidden_above: blocks above this height are not there.
        answers: bodies by path, whatever the truth.
        silent: nobody is answered until it is set.
        asked: paths of every request.
    """

    truth: str
    port: int = 0
    hidden_above: int | None = None
    answers: dict[str, bytes] = field(default_factory=dict)
    silent: asyncio.Event | None = None
    asked: list[str] = field(default_factory=list)
    _session: aiohttp.ClientSession | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def handle(self, request: web.Request) -> web.StreamResponse:
        path = request.path
        self.asked.append(path)
        if self.silent is not None:
            await self.silent.wait()
        if path in self.answers:
            return web.Response(body=self.answers[path])
        if self.hidden_above is not None:
            lagging = await self._lagging(path, self.hidden_above)
            if lagging is not None:
                return lagging
        assert self._session is not None
        async with self._session.request(request.method, self.truth + path, data=await request.read()) as answer:
            return web.Response(status=answer.status, body=await answer.read())

    async def _truth(self, path: str) -> bytes:
        assert self._session is not None
        async with self._session.get(self.truth + path) as answer:
            return await answer.read()

    async def _lagging(self, path: str, height: int) -> web.Response | None:
        """As a replica that has not heard of the newest blocks."""
        if path == "/blocks/tip/height":
            return web.Response(text=str(height))
        if path == "/blocks/tip/hash":
            return web.Response(body=await self._truth(f"/block-height/{height}"))
        wanted = re.fullmatch(r"/block-height/(\d+)", path)
        if wanted and int(wanted[1]) > height:
            return web.Response(status=404, text="Block not found")
        status = re.fullmatch(r"/block/([0-9a-f]{64})/status", path)
        if status and b'"in_best_chain":true' in await self._truth(path):
            known = await self._truth(f"/block/{status[1]}")
            if int(re.search(rb'"height":(\d+)', known)[1]) > height:  # type: ignore[index]
                return web.json_response({"in_best_chain": False})
        return None


@asynccontextmanager
async def lying_esplora(truth: str) -> AsyncIterator[LyingEsplora]:
    """One in front of the Esplora at `truth`."""
    made = LyingEsplora(truth)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
    async with aiohttp.ClientSession() as session:
        made._session = session
        yield made
    if made.silent is not None:
        made.silent.set()
    await runner.cleanup()
