"""The Solana rail: health, providers that fail over, arrivals without a gap, addresses that are never written out."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr
from solders.keypair import Keypair
from solders.transaction import VersionedTransaction
from x402.mechanisms.svm.utils import derive_ata

from payments.rails.protocol import ArrivalSource, Health, RailUnavailableError
from payments.rails.solana import build
from payments.rails.solana.effects import token_effect
from payments.rails.solana.rail import SolanaConfig, SolanaConfigError, SolanaRail
from payments.rails.solana.rpc import RpcAnswerError, SolanaRpc
from payments.rails.solana.tokens import TOKEN_2022_PROGRAM, TOKEN_PROGRAM, associated_token_account
from payments.settings import Network, Settings, SettingsError
from tests.app.conftest import until

NOWHERE = "http://127.0.0.1:1/?api-key=planted-secret"


@pytest.fixture(autouse=True)
def _short_poll(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("payments.rails.solana.arrivals.POLL_SECONDS", 0.1)


async def rail_of(chain: Any, **changes: Any) -> SolanaRail:
    rail = SolanaRail(replace(chain.config, **changes))
    await rail.start()
    return rail


async def transfer(chain: Any, amount: int = 1000, **changes: Any) -> str:
    """A payment of the customer's who pays the fee alone; its signature."""
    builder = chain.payment(fee_payer=chain.customer.pubkey(), amount=amount, **changes)
    transaction = VersionedTransaction(builder.message(), [chain.customer])
    outcome = await chain.cluster.submit(transaction)
    assert outcome is not None
    return str(transaction.signatures[0])


async def take(rail: SolanaRail, cursor: str | None, count: int) -> list[Any]:
    found = []
    async with asyncio.timeout(10):
        async for arrival in rail.arrivals(cursor):
            found.append(arrival)
            if len(found) == count:
                break
    return found


class TestHealth:
    async def test_it_is_well(self, chain: Any) -> None:
        rail = await rail_of(chain)
        health = await rail.health()
        await rail.close()
        assert health.health is Health.OK, health
        assert health.facts["fee_payer_lamports"] == 10**9
        assert isinstance(rail, ArrivalSource)

    async def test_what_is_held_is_the_merchants_token_account(self, chain: Any) -> None:
        rail = await rail_of(chain)
        before = await rail.held()
        await transfer(chain, 1234)

        async def is_finalized() -> bool:
            return (await rail.held())["USDC"] == before["USDC"] + 1234

        await until(is_finalized, 30)
        await rail.close()
        nobody = await rail_of(chain, pay_to="")
        assert await nobody.held() == {}
        await nobody.close()

    async def test_a_fee_payer_that_runs_dry_is_said(self, chain: Any) -> None:
        rail = await rail_of(chain, fee_payer=str(chain.accomplice.pubkey()))
        health = await rail.health()
        await rail.close()
        assert (health.health, "top it up" in health.reason) == (Health.DEGRADED, True)

    async def test_the_wrong_cluster_is_down(self, chain: Any) -> None:
        rail = await rail_of(chain, network="mainnet-beta")
        assert (await rail.health()).health is Health.DOWN
        await rail.close()

        async def as_mainnet(method: str, _params: list[Any]) -> dict[str, Any] | None:
            return {"result": "5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKqMoA"} if method == "getGenesisHash" else None

        chain.interference = as_mainnet
        test_rail = await rail_of(chain)
        health = await test_rail.health()
        await test_rail.close()
        assert (health.health, "mainnet-beta" in health.reason) == (Health.DOWN, True)

    @pytest.mark.parametrize("fault", ["silent", "behind", "gone"])
    async def test_a_provider_that_does_not_answer_is_down(self, chain: Any, fault: str) -> None:
        async def misbehave(_method: str, _params: list[Any]) -> dict[str, Any] | None:
            if fault == "silent":
                await asyncio.sleep(3600)
            return {"error": {"code": -32005, "message": "Node is behind by 42 slots"}}

        chain.interference = misbehave
        rail = await rail_of(chain, rpc_urls=(NOWHERE,) if fault == "gone" else (chain.url,))
        health = await rail.health()
        await rail.close()
        assert health.health is Health.DOWN
        assert "planted-secret" not in health.reason


class TestProviders:
    async def test_the_next_one_is_asked_when_the_first_does_not_answer(self, chain: Any) -> None:
        rail = await rail_of(chain, rpc_urls=(NOWHERE, chain.url))
        assert await rail.rpc.block_height("processed") > 0
        assert (await rail.health()).health is Health.OK
        await rail.close()

    async def test_a_proof_asks_the_one_it_names(self, chain: Any) -> None:
        rail = await rail_of(chain, rpc_urls=(NOWHERE, chain.url))
        with pytest.raises(RailUnavailableError) as caught:
            await rail.rpc.block_height("finalized", provider=0)
        await rail.close()
        assert "planted-secret" not in str(caught.value)
        assert caught.value.__cause__ is None

    async def test_an_answer_that_is_an_error_is_not_asked_elsewhere(self, chain: Any) -> None:
        rail = await rail_of(chain, rpc_urls=(chain.url, chain.url))
        with pytest.raises(RpcAnswerError, match="Method not found"):
            await rail.rpc.call("noSuchMethod")
        await rail.close()
        assert chain.calls.count("noSuchMethod") == 1

    @pytest.mark.parametrize("answer", ["tea", "[]", "{}", '{"result": {"tea": 1}}', '{"result": null}'])
    async def test_answers_of_another_form_are_no_answers(self, answer: str) -> None:
        async def handle(_request: web.Request) -> web.Response:
            return web.Response(text=answer)

        app = web.Application()
        app.router.add_post("/", handle)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        rpc = SolanaRpc((f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}",))  # type: ignore[union-attr]
        await rpc.start()
        with pytest.raises(RailUnavailableError):
            await rpc.status("x", search_history=False)
        await rpc.close()
        await runner.cleanup()


class TestArrivals:
    async def test_they_come_in_order_finalized_and_after_the_cursor(self, chain: Any) -> None:
        rail = await rail_of(chain)
        signatures = []
        for amount in (10, 20, 30):
            signatures.append(await transfer(chain, amount))
            await asyncio.sleep(0.05)
        found = await take(rail, None, 3)
        assert [arrival.amount for arrival in found] == [10, 20, 30]
        assert [arrival.cursor for arrival in found] == signatures
        assert len({arrival.event_id for arrival in found}) == 3
        assert [arrival.amount for arrival in await take(rail, found[0].cursor, 2)] == [20, 30]
        await rail.close()

    async def test_failed_and_outgoing_transactions_are_passed_over(self, chain: Any) -> None:
        rail = await rail_of(chain)
        await transfer(chain, 10**12)  # more than there is: lands as failed
        await transfer(chain, 50)
        back = chain.payment(
            payer=chain.merchant, fee_payer=chain.customer.pubkey(), pay_to=chain.customer.pubkey(), amount=5
        )
        returned = VersionedTransaction(back.message(), [chain.customer, chain.merchant])
        assert (await chain.cluster.submit(returned)) is not None
        await asyncio.sleep(0.05)
        await transfer(chain, 60)
        assert [arrival.amount for arrival in await take(rail, None, 2)] == [50, 60]
        await rail.close()

    async def test_pages_leave_no_gap(self, chain: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("payments.rails.solana.arrivals.PAGE", 2)
        rail = await rail_of(chain)
        for amount in range(1, 8):
            await transfer(chain, amount)
            await asyncio.sleep(0.03)
        assert [arrival.amount for arrival in await take(rail, None, 7)] == list(range(1, 8))
        await rail.close()

    async def test_a_provider_that_lists_what_it_cannot_show_makes_no_gap(self, chain: Any) -> None:
        rail = await rail_of(chain)
        await transfer(chain, 10)

        async def not_yet(method: str, _params: list[Any]) -> dict[str, Any] | None:
            return {"result": None} if method == "getTransaction" else None

        chain.interference = not_yet
        with pytest.raises(RailUnavailableError):
            await take(rail, None, 1)
        chain.interference = None
        assert [arrival.amount for arrival in await take(rail, None, 1)] == [10]
        await rail.close()


class TestEffects:
    def answer(self, **changes: Any) -> dict[str, Any]:
        def held(amount: int) -> dict[str, Any]:
            return {"accountIndex": 1, "mint": "mint", "uiTokenAmount": {"amount": str(amount)}}

        meta = {"err": None, "fee": 5000, "preTokenBalances": [held(7)], "postTokenBalances": [held(12)]}
        return {"slot": 3, "meta": {**meta, **changes}, "transaction": {"message": {"accountKeys": ["fee", "account"]}}}

    def test_the_gain_is_the_difference(self) -> None:
        assert token_effect(self.answer(), account="account", mint="mint").delta == 5

    def test_an_account_made_by_the_transaction_began_with_nothing(self) -> None:
        assert token_effect(self.answer(preTokenBalances=[]), account="account", mint="mint").delta == 12

    def test_a_failed_transaction_gained_nothing_whatever_it_lists(self) -> None:
        assert token_effect(self.answer(err={"a": 1}), account="account", mint="mint").delta == 0

    @pytest.mark.parametrize(("account", "mint"), [("other", "mint"), ("account", "other")])
    def test_another_account_or_mint_gained_nothing(self, account: str, mint: str) -> None:
        assert token_effect(self.answer(), account=account, mint=mint).delta == 0

    def test_an_account_from_a_lookup_table_is_found(self) -> None:
        loaded = {"writable": ["account"], "readonly": []}
        answer = self.answer(loadedAddresses=loaded)
        answer["transaction"]["message"]["accountKeys"] = ["fee"]
        assert token_effect(answer, account="account", mint="mint").delta == 5

    def test_an_answer_without_effects_is_not_read(self) -> None:
        with pytest.raises(ValueError, match="meta"):
            token_effect({"meta": None}, account="a", mint="m")


class TestSettings:
    def test_the_worker_takes_the_address_from_its_key(self) -> None:
        key = Keypair()
        settings = Settings(solana_rpc_url=SecretStr(NOWHERE), solana_fee_payer=SecretStr(str(key)))
        worker, web_rail = build(settings, "worker"), build(settings, "web")
        assert worker is not None
        assert web_rail is not None
        assert (worker.config.fee_payer, web_rail.config.fee_payer) == (str(key.pubkey()), "")
        assert "planted-secret" not in repr(worker.config)

    @pytest.mark.parametrize(
        ("changes", "name"),
        [
            ({"solana_rpc_url": "ftp://x"}, "SOLANA_RPC_URL"),
            ({"solana_rpc_url": " , "}, "SOLANA_RPC_URL"),
            ({"solana_network": "tea"}, "SOLANA_NETWORK"),
            ({"solana_pay_to": "tea"}, "SOLANA_PAY_TO"),
            ({"solana_usdc_mint": "tea"}, "SOLANA_USDC_MINT"),
            ({"solana_fee_payer_address": "0" * 44}, "SOLANA_FEE_PAYER_ADDRESS"),
            ({"solana_fee_payer": "tea"}, "SOLANA_FEE_PAYER"),
        ],
    )
    def test_a_bad_setting_is_named(self, changes: dict[str, Any], name: str) -> None:
        values: dict[str, Any] = {"solana_rpc_url": NOWHERE, **changes}
        with pytest.raises(SettingsError, match=name):
            build(Settings(**values), "worker")

    def test_the_known_mint_is_the_default(self) -> None:
        rail = build(Settings(solana_rpc_url=SecretStr(NOWHERE), network=Network.MAINNET), "web")
        assert rail is not None
        assert rail.config.mint == "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"
        assert rail.config.caip2 == "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"

    def test_a_config_without_a_provider_is_refused(self) -> None:
        with pytest.raises(SolanaConfigError):
            SolanaConfig(rpc_urls=(), network="devnet", mint="", pay_to="", fee_payer="")


def test_a_token_account_is_the_one_that_x402_clients_pay_to() -> None:
    owner = "2wKupLR9q6wXYppw8Gr2NvWxKBUqm4PPJKkQfoxHDBg4"
    mint = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"
    for program in (TOKEN_PROGRAM, TOKEN_2022_PROGRAM):
        assert str(associated_token_account(owner, mint, program)) == derive_ata(owner, mint, str(program))
