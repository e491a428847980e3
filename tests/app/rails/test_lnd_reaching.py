"""Reaching the node: pinned certificate, macaroons, connections, health."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from payments.rails.lnd.client import LndClient
from payments.rails.lnd.credentials import GivenMacaroon, MacaroonFile, PinnedCertificate
from payments.rails.lnd.errors import LndConfigError
from payments.rails.protocol import (
    Health,
    RailUnavailableError,
)
from payments.upstreams.breaker import Breaker, BreakerState
from tests.app.conftest import free_port
from tests.app.rails.lnd_orders import (
    INFO,
    INVOICE_MACAROON,
    MakeRail,
    an_order,
)


class TestReachingTheNode:
    @pytest.fixture(autouse=True)
    def _readable_invoices(self, node: Any, script: Any) -> None:
        node.on("GET", "/v1/invoices", script.says({"invoices": []}))

    async def test_a_node_that_is_down_is_unavailable_and_its_health_says_so(
        self, node: Any, make_rail: MakeRail
    ) -> None:
        await node.stop()
        async with make_rail() as rail:
            with pytest.raises(RailUnavailableError, match="not reached"):
                await rail.create_invoice(an_order())
            assert (await rail.health()).health is Health.DOWN

    async def test_another_certificate_than_the_pinned_one_is_refused_before_anything_is_sent(
        self, node: Any, script: Any, make_rail: MakeRail, tmp_path: Path
    ) -> None:
        script.write_certificate(tmp_path)
        async with make_rail(tls_certificate=tmp_path / "tls.cert") as rail:
            with pytest.raises(RailUnavailableError, match="another certificate"):
                await rail.create_invoice(an_order())
        assert node.calls == []

    async def test_the_certificate_can_be_given_as_text(
        self, node: Any, script: Any, make_rail: MakeRail, tmp_path: Path
    ) -> None:
        node.on("GET", "/v1/getinfo", script.says(INFO))
        text = (node.folder / "tls.cert").read_text(encoding="ascii")
        async with make_rail(tls_certificate=text) as rail:
            assert (await rail.health()).health is Health.OK
        script.write_certificate(tmp_path)
        async with make_rail(tls_certificate=(tmp_path / "tls.cert").read_text(encoding="ascii")) as rail:
            assert (await rail.health()).health is Health.DOWN

    async def test_a_rotated_certificate_is_read_without_a_restart(
        self, node: Any, script: Any, make_rail: MakeRail
    ) -> None:
        node.on("GET", "/v1/getinfo", script.says(INFO))
        async with make_rail() as rail:
            assert (await rail.health()).health is Health.OK
            await node.stop()
            script.write_certificate(node.folder)
            await node.start()
            assert (await rail.health()).health is Health.OK

    async def test_a_rotated_macaroon_file_is_read_without_a_restart(
        self, node: Any, script: Any, make_rail: MakeRail, tmp_path: Path
    ) -> None:
        node.on("GET", "/v1/getinfo", script.says(INFO))
        path = tmp_path / "invoice.macaroon"
        path.write_bytes(b"one")
        async with make_rail(invoice_macaroon=MacaroonFile(path, setting="LND_MACAROON_PATH")) as rail:
            await rail.look_up_invoice(an_order())
            path.write_bytes(b"three")
            await rail.look_up_invoice(an_order())
        assert [call.macaroon for call in node.calls] == [b"one".hex(), b"three".hex()]

    @pytest.mark.parametrize(
        ("status", "code", "message"),
        [
            (500, 2, "verification failed: signature mismatch after caveat verification"),
            (403, 7, "permission denied"),
            (500, 2, "expected 1 macaroon, got 0"),
        ],
    )
    async def test_a_refused_macaroon_is_named(
        self, node: Any, script: Any, make_rail: MakeRail, status: int, code: int, message: str
    ) -> None:
        node.on("POST", "/v1/invoices", script.fails(status, code, message))
        async with make_rail() as rail:
            with pytest.raises(RailUnavailableError, match="LND_MACAROON") as caught:
                await rail.create_invoice(an_order())
        assert INVOICE_MACAROON not in str(caught.value)

    async def test_a_locked_wallet_is_unavailable(self, node: Any, script: Any, make_rail: MakeRail) -> None:
        node.on("POST", "/v1/invoices", script.fails(500, 2, "wallet locked, unlock it to enable full RPC access"))
        async with make_rail() as rail:
            with pytest.raises(RailUnavailableError, match="not ready"):
                await rail.create_invoice(an_order())

    async def test_a_missing_certificate_or_macaroon_is_said_in_a_sentence(
        self, make_rail: MakeRail, tmp_path: Path
    ) -> None:
        async with make_rail(tls_certificate=tmp_path / "no.cert") as rail:
            with pytest.raises(LndConfigError, match="LND_TLS_CERT_PATH"):
                await rail.create_invoice(an_order())
        async with make_rail(invoice_macaroon=MacaroonFile(tmp_path / "no", setting="LND_MACAROON_PATH")) as rail:
            assert "LND_MACAROON_PATH" in (await rail.health()).reason
        with pytest.raises(LndConfigError, match="not hex"):
            GivenMacaroon("tea", setting="LND_MACAROON")

    async def test_plain_http_is_refused(self, make_rail: MakeRail) -> None:
        with pytest.raises(LndConfigError, match="https"):
            async with make_rail(url="http://127.0.0.1:8080"):
                pass

    async def test_at_most_ten_connections_to_the_node(self, node: Any, make_rail: MakeRail) -> None:
        from aiohttp import web

        open_now, most = 0, 0

        async def answer(_request: web.Request, _body: dict[str, Any]) -> web.StreamResponse:
            nonlocal open_now, most
            open_now += 1
            most = max(most, open_now)
            await asyncio.sleep(0.01)
            open_now -= 1
            return web.json_response(INFO)

        node.on("GET", "/v1/getinfo", answer)
        async with make_rail() as rail:
            await asyncio.gather(*(rail.health() for _ in range(50)))
        assert most == 10


class TestHealth:
    @pytest.fixture(autouse=True)
    def _readable_invoices(self, node: Any, script: Any) -> None:
        node.on("GET", "/v1/invoices", script.says({"invoices": []}))

    @pytest.mark.parametrize(
        ("change", "health", "reason"),
        [
            ({}, Health.OK, ""),
            ({"synced_to_chain": False}, Health.DEGRADED, "chain"),
            ({"synced_to_graph": False}, Health.DEGRADED, "graph"),
            ({"num_active_channels": 0}, Health.DEGRADED, "active channel"),
            ({"chains": [{"network": "mainnet"}]}, Health.DOWN, "mainnet"),
        ],
    )
    async def test_ready_means_synced_with_a_channel_on_our_network(
        self, node: Any, script: Any, make_rail: MakeRail, change: dict[str, Any], health: Health, reason: str
    ) -> None:
        node.on("GET", "/v1/getinfo", script.says({**INFO, **change}))
        async with make_rail() as rail:
            found = await rail.health()
        assert found.health is health
        assert reason in found.reason

    async def test_a_silent_node_is_down_within_three_seconds(
        self, node: Any, script: Any, make_rail: MakeRail
    ) -> None:
        node.on("GET", "/v1/getinfo", script.hangs())
        async with make_rail() as rail:
            start = time.monotonic()
            assert (await rail.health()).health is Health.DOWN
        assert time.monotonic() - start < 4


async def test_a_node_that_does_not_answer_is_left_alone_for_a_while_and_then_tried_once(
    script: Any, tmp_path: Path
) -> None:
    now = 0.0
    breaker = Breaker("lnd", failures=2, rest_seconds=10, now=lambda: now, spread=lambda: 0.0)
    script.write_certificate(tmp_path)
    client = LndClient(
        f"https://127.0.0.1:{free_port()}",
        certificate=PinnedCertificate(tmp_path / "tls.cert"),
        macaroon=GivenMacaroon("00", setting="LND_MACAROON"),
        breaker=breaker,
    )
    await client.start()
    for said in ("not reached", "not reached", "left alone", "left alone"):
        with pytest.raises(RailUnavailableError, match=said) as caught:
            await client.get("/v1/getinfo")
    assert caught.value.retry_after_seconds == 10
    now = 10.0
    with pytest.raises(RailUnavailableError, match="not reached"):
        await client.post("/v1/invoices", {})
    assert breaker.state is BreakerState.OPEN
    await client.close()
