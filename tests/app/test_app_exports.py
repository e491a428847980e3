"""Records leave as CSV and JSON lines; an account's day goes from opening to closing; payees' endpoints are cached."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from aiohttp import web

from payments import metrics
from payments.core import Core
from payments.discovery.service import Directory, Discovery
from payments.errors import NotFound, ServiceUnavailable
from payments.invoices import service as invoices
from payments.version import API_VERSIONS
from payments.worker.following import credit
from tests.app.conftest import client_of, fund, new_key
from tests.app.memory_rail import MemoryRail

TODAY = datetime.now(UTC).date()


async def _csv(client: httpx.AsyncClient, kind: str, **parameters: str) -> list[dict[str, str]]:
    answer = await client.get(f"/v1/exports/{kind}", params=parameters)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/csv")
    return list(csv.DictReader(io.StringIO(answer.text)))


class TestExports:
    async def test_every_invoice_is_in_the_file_once(
        self, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("payments.exports.service.PAGE", 3)
        made = [
            (
                await client.post("/v1/invoices", json={"amount": n, "externalId": f"e{n}", "metadata": {"a": "b"}})
            ).json()
            for n in range(1, 9)
        ]
        rows = await _csv(client, "invoices")
        assert [row["id"] for row in rows] == [invoice["id"] for invoice in reversed(made)]
        assert json.loads(rows[0]["metadata"]) == {"a": "b"}
        lines = (await client.get("/v1/exports/invoices", params={"format": "jsonl"})).text.splitlines()
        assert [json.loads(line) for line in lines] == list(reversed(made))

    async def test_one_that_breaks_off_is_told_in_the_log(
        self, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Its status has been sent by then: the client sees that the connection ended before the last chunk."""
        monkeypatch.setattr("payments.exports.service.PAGE", 1)
        for n in (1, 2):
            await client.post("/v1/invoices", json={"amount": n})
        asked = 0
        page = invoices.page

        async def breaking(*arguments: Any, **named: Any) -> Any:
            nonlocal asked
            asked += 1
            if asked == 2:
                raise ServiceUnavailable("The database does not answer.")
            return await page(*arguments, **named)

        monkeypatch.setattr("payments.exports.service.invoices.page", breaking)
        with contextlib.suppress(httpx.HTTPError, AssertionError):
            await client.get("/v1/exports/invoices")
        assert asked == 2
        told = capsys.readouterr().out
        assert "answer broken off" in told
        assert "The database does not answer." in told

    async def test_a_time_bounds_it(self, client: httpx.AsyncClient) -> None:
        await client.post("/v1/invoices", json={"amount": 1})
        day = timedelta(days=1)
        now = datetime.now(UTC)
        assert (
            len(await _csv(client, "invoices", **{"from": (now - day).isoformat(), "to": (now + day).isoformat()})) == 1
        )
        assert await _csv(client, "invoices", to=(now - day).isoformat()) == []
        assert (
            await _csv(client, "invoices", **{"from": (now + day).isoformat(), "to": (now + 2 * day).isoformat()}) == []
        )
        wrong = {"from": now.isoformat(), "to": (now - day).isoformat()}
        assert (await client.get("/v1/exports/invoices", params=wrong)).status_code == 400

    async def test_no_cell_is_a_formula(self, client: httpx.AsyncClient) -> None:
        await client.post("/v1/invoices", json={"amount": 1, "memo": "=cmd()", "externalId": "@x"})
        (row,) = await _csv(client, "invoices")
        assert (row["memo"], row["externalId"]) == ("'=cmd()", "'@x")

    @pytest.mark.parametrize("kind", ["invoices", "payments", "refunds", "entries"])
    async def test_others_records_stay_theirs(self, client: httpx.AsyncClient, core: Core, kind: str) -> None:
        await fund(core, 10_000)
        await client.post("/v1/invoices", json={"amount": 1})
        await client.post(
            "/v1/payments",
            json={"paymentRequest": MemoryRail.request(1, 10), "maxFeeMsat": 1},
            headers={"Idempotency-Key": "k"},
        )
        mallory = await new_key(core, userId="mallory")
        async with client_of(core, **{"x-api-key": mallory["key"]}) as other:
            assert await _csv(other, kind) == []
        assert await _csv(client, kind) or kind == "refunds"


class TestStatements:
    async def test_opening_and_every_line_make_the_closing(
        self, client: httpx.AsyncClient, core: Core, rail: MemoryRail
    ) -> None:
        await fund(core, 10_000)
        made = (await client.post("/v1/invoices", json={"amount": 700})).json()
        await credit(core, "lnd", [await rail.arrive(made["paymentHash"], 700)])
        found = (await client.get(f"/v1/statements/{TODAY}")).json()
        assert (found["opening"], found["closing"], found["isFinal"]) == (0, -10_700, False)
        assert [(line["kind"], line["amount"]) for line in found["lines"]] == [
            ("test-funding", -10_000),
            ("arrival", -700),
        ]
        assert found["opening"] + sum(line["amount"] for line in found["lines"]) == found["closing"]

    async def test_it_is_read_page_by_page(self, client: httpx.AsyncClient, core: Core) -> None:
        for _ in range(5):
            await fund(core, 10)
        seen, after = 0, 0
        while True:
            page = (await client.get(f"/v1/statements/{TODAY}", params={"limit": 2, "after": after})).json()
            seen += len(page["lines"])
            assert page["closing"] == -50
            if page["nextCursor"] is None:
                break
            after = page["nextCursor"]
        assert seen == 5

    async def test_a_day_that_is_over_is_final(self, client: httpx.AsyncClient, core: Core) -> None:
        await fund(core, 10)
        found = (await client.get(f"/v1/statements/{TODAY - timedelta(days=2)}")).json()
        assert (found["isFinal"], found["opening"], found["closing"], found["lines"]) == (True, 0, 0, [])
        tomorrow = await client.get(f"/v1/statements/{TODAY + timedelta(days=1)}")
        assert tomorrow.status_code == 400

    async def test_others_accounts_are_an_administrators_to_read(self, client: httpx.AsyncClient, core: Core) -> None:
        await fund(core, 10)
        path, whose = f"/v1/statements/{TODAY}", {"account": "assets:lnd"}
        assert (await client.get(path, params=whose)).status_code == 403
        admin = await new_key(core, userId="root", permissions=["read", "admin"])
        async with client_of(core, **{"x-api-key": admin["key"]}) as office:
            assert (await office.get(path, params=whose)).json()["closing"] == 10
            assert (await office.get(path, params={"account": "assets:nobody"})).status_code == 404


class TestApiVersion:
    async def test_an_answer_names_its_version_and_a_request_may_ask_for_one(self, client: httpx.AsyncClient) -> None:
        for headers in ({}, {"Api-Version": API_VERSIONS[-1]}):
            answer = await client.get("/v1/invoices", headers=headers)
            assert (answer.status_code, answer.headers["api-version"]) == (200, API_VERSIONS[-1])

    async def test_a_version_that_is_not_there_is_refused(self, client: httpx.AsyncClient) -> None:
        answer = await client.get("/v1/invoices", headers={"Api-Version": "1999-01-01"})
        assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_INPUT")
        assert answer.json()["details"] == {"versions": list(API_VERSIONS)}


KEY = "o1gg96ewuojmopcjbz8895478wdtxtzzuxnfjjz8o8e77csa1ngo"


class TestDiscovery:
    async def test_an_entry_older_than_its_time_is_a_miss(self, core: Core) -> None:
        """pk-cache-endpoints-ttl, pk-metric-discovery-latency."""
        asked: list[str] = []
        clock = [0.0]

        async def fetch(public_key: str) -> dict[str, str]:
            asked.append(public_key)
            await asyncio.sleep(0)
            return {"lightning": f"lnbcrt{len(asked)}"}

        before = metrics.DISCOVERY_SECONDS._sum.get()
        discovery = Discovery(fetch, ttl_seconds=300, now=lambda: clock[0])
        first = await asyncio.gather(*(discovery.find(core, KEY) for _ in range(20)))
        assert {one.endpoints[0].endpoint for one in first} == {"lnbcrt1"}
        clock[0] = 299.9
        assert (await discovery.find(core, KEY)).isCached
        clock[0] = 300.0
        assert (await discovery.find(core, KEY)).endpoints[0].endpoint == "lnbcrt2"
        await discovery.find(core, KEY[::-1])
        assert asked == [KEY, KEY, KEY[::-1]]
        assert metrics.DISCOVERY_SECONDS._sum.get() > before

    async def test_a_failure_is_not_kept(self, core: Core) -> None:
        answers: list[Any] = [ServiceUnavailable("down"), {"onchain": "bcrt1q"}]

        async def fetch(_: str) -> dict[str, str]:
            answer = answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            found: dict[str, str] = answer
            return found

        discovery = Discovery(fetch, ttl_seconds=300)
        with pytest.raises(ServiceUnavailable):
            await discovery.find(core, KEY)
        assert (await discovery.find(core, KEY)).endpoints[0].method == "onchain"

    async def test_it_reads_what_paykit_publishes(self, core: Core) -> None:
        """The layout of paykit-lib: a listing of files, a payload each."""
        files = {
            "btc-lightning-bolt12": b'{"value": "lno1abc", "min": "0.0001"}',
            "btc-bitcoin-p2tr": b'{"value": "bc1p"}',
            "usd-revolut-tag": b"@alice\n",
            "gone": b"",
            "eur-sepa-iban": b'{"iban": "DE89"}',
            # Newer versions: a folder an app, and two apps may publish the same way to pay.
            "apps/bitkit/endpoints/btc-bitcoin-p2tr": b'{"value": "bc1p-of-bitkit"}',
            "apps/shop.example/endpoints/btc-lightning-bolt12": b'{"value": "lno1shop"}',
            "app-registry.json": b'{"version": 1, "kind": "paykit.app_registry"}',
        }
        folders = {
            "": [*files, "private", "private/", "bitkit/", "apps/", "..", "a b"],
            "apps/": ["apps/bitkit/", "apps/shop.example/", "apps/../", "apps/a file"],
            "apps/bitkit/endpoints/": ["apps/bitkit/endpoints/btc-bitcoin-p2tr", "apps/bitkit/endpoints/deeper/"],
            "apps/shop.example/endpoints/": ["apps/shop.example/endpoints/btc-lightning-bolt12"],
        }
        asked: list[tuple[str, str]] = []

        async def answer(request: web.Request) -> web.Response:
            asked.append((request.path_qs, request.headers["pubky-host"]))
            name = request.path.removeprefix("/pub/paykit/v0/")
            if request.headers["pubky-host"] != KEY:
                return web.Response(status=404)
            if name in files:
                return web.Response(body=files[name]) if files[name] else web.Response(status=410)
            lines = [
                line for line in folders[name] if not (name == "" and line.startswith("apps/") and line != "apps/")
            ]
            return web.Response(text="\n".join(f"pubky://{KEY}/pub/paykit/v0/{line}" for line in lines))

        application = web.Application()
        application.router.add_get("/{path:.*}", answer)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        directory = Directory(f"http://127.0.0.1:{runner.addresses[0][1]}")
        discovery = Discovery(directory.fetch, ttl_seconds=300)
        found = (await discovery.find(core, KEY)).endpoints
        assert [(one.method, one.app, one.endpoint, one.details) for one in found] == [
            ("btc-bitcoin-p2tr", "", "bc1p", {}),
            ("btc-bitcoin-p2tr", "bitkit", "bc1p-of-bitkit", {}),
            ("btc-lightning-bolt12", "", "lno1abc", {"min": "0.0001"}),
            ("btc-lightning-bolt12", "shop.example", "lno1shop", {}),
            ("eur-sepa-iban", "", '{"iban": "DE89"}', {}),
            ("usd-revolut-tag", "", "@alice", {}),
        ]
        assert asked[0] == ("/pub/paykit/v0/?shallow=true&limit=50", KEY)
        # Every listing, and every file but the registry, which is no endpoint.
        assert len(asked) == len(folders) + len(files) - 1, "neither private nor another app's folder was asked for"
        with pytest.raises(NotFound):
            await discovery.find(core, KEY[::-1])
        await directory.close()
        await runner.cleanup()

    async def test_a_directory_that_is_not_there_is_said_to_be_silent(self) -> None:
        directory = Directory("http://127.0.0.1:9")
        with pytest.raises(ServiceUnavailable, match="directory does not answer"):
            await directory.fetch(KEY)
        await directory.close()

    async def test_without_a_directory_it_is_not_offered(self, client: httpx.AsyncClient) -> None:
        answer = await client.get(f"/v1/payees/{KEY}/endpoints")
        assert answer.status_code == 404
        assert "PAYEE_DIRECTORY_URL" in answer.json()["error"]
