"""The on-chain rail with an Esplora that lags, lies, is silent or serves another chain: it makes and loses no money."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from uuid import uuid4

import pytest

from payments.payouts import sending
from payments.rails.onchain.blocks import Header, keeps_difficulty, read_block
from payments.rails.onchain.esplora import Esplora
from payments.rails.protocol import Health, RailUnavailableError
from payments.settings import Settings
from payments.worker.following import follow
from tests.app.conftest import TestDatabase, balances, until
from tests.app.rails.lying_esplora import LyingEsplora, lying_esplora
from tests.app.rails.onchain_world import (
    PAYEE,
    OnchainWorld,
    address_of,
    onchain_settings,
    onchain_world,
    payouts_id,
)
from tests.sandbox.processes import EsploraProgram, running

ANOTHER_GENESIS = b"000000000933ea01ad0ee984209779baaec3ced90fa3f408719526f8d77f4943"


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EsploraProgram]:
    program = EsploraProgram(tmp_path_factory.mktemp("esplora"))
    with running(program):
        yield program


@pytest.fixture
async def liar(network: EsploraProgram) -> AsyncIterator[LyingEsplora]:
    async with lying_esplora(network.url) as made:
        yield made


@pytest.fixture
async def world(
    settings: Settings, database: TestDatabase, network: EsploraProgram, liar: LyingEsplora
) -> AsyncIterator[OnchainWorld]:
    own = onchain_settings(settings, liar.url, breaker_failures=1000)
    async with onchain_world(own, database, network) as made:
        yield made


async def asked_again(liar: LyingEsplora, path: str, times: int = 3) -> None:
    """Wait until the rail has asked for something some more times."""
    before = liar.asked.count(path)

    async def enough() -> bool:
        return liar.asked.count(path) >= before + times

    await until(enough, 30)


async def test_a_provider_that_lags_behind_is_no_reorganisation(world: OnchainWorld, liar: LyingEsplora) -> None:
    invoice = await world.invoice(50_000)
    height = world.network.ask("/blocks/tip/height")
    world.network.pay(address_of(invoice), 50_000)
    world.network.mine(1)
    await world.settled(invoice)
    liar.hidden_above = height
    await asked_again(liar, f"/block-height/{height + 1}")
    assert (await world.read("invoices", invoice["id"]))["status"] == "settled"
    liar.hidden_above = None
    later = await world.invoice(40_000)
    world.network.pay(address_of(later), 40_000)
    world.network.mine(1)
    await world.settled(later)
    assert (await balances(world.core))["assets:onchain"] == 90_000_000
    assert world.execute("SELECT 1 FROM payments.reversals") == []


async def test_one_that_lags_at_the_start_is_waited_for(
    settings: Settings, database: TestDatabase, network: EsploraProgram, liar: LyingEsplora
) -> None:
    own = onchain_settings(settings, liar.url, breaker_failures=1000)
    async with onchain_world(own, database, network) as before:
        invoice = await before.invoice(50_000)
        network.pay(address_of(invoice), 50_000)
        network.mine(1)
        await before.settled(invoice)
        await before.followed_to_tip()
    liar.hidden_above = network.ask("/blocks/tip/height") - 20
    async with onchain_world(own, database, network) as after:
        await asked_again(liar, "/block-height/0", 2)
        assert (await after.read("invoices", invoice["id"]))["status"] == "settled"
        assert after.execute("SELECT 1 FROM payments.reversals") == []


async def test_another_networks_blocks_pay_nothing_and_no_payout_goes_there(
    settings: Settings, database: TestDatabase, network: EsploraProgram, liar: LyingEsplora
) -> None:
    own = onchain_settings(settings, liar.url, breaker_failures=1000)
    async with onchain_world(own, database, network, follows=False) as world:
        liar.answers["/block-height/0"] = ANOTHER_GENESIS
        follower = asyncio.create_task(follow(world.core, world.rail))
        invoice = await world.invoice(50_000)
        network.pay(address_of(invoice), 50_000)
        network.mine(1)
        await asked_again(liar, "/block-height/0")
        assert (await world.read("invoices", invoice["id"]))["status"] == "open"
        body = {"rail": "onchain", "paymentRequest": PAYEE, "amountMsat": 10_000_000}
        made = await world.client.post("/v1/payments", json=body, headers={"Idempotency-Key": str(uuid4())})
        with pytest.raises(RailUnavailableError, match="another network"):
            await sending.send(world.core, payouts_id(made.json()))
        assert (await world.rail.health()).health is Health.DOWN
        del liar.answers["/block-height/0"]
        await world.settled(invoice)
        follower.cancel()
        await asyncio.gather(follower, return_exceptions=True)


async def test_a_silent_one_is_down_within_three_seconds_and_what_came_meanwhile_is_credited(
    world: OnchainWorld, liar: LyingEsplora
) -> None:
    invoice = await world.invoice(50_000)
    liar.silent = asyncio.Event()
    async with asyncio.timeout(10):
        assert (await world.rail.health()).health is Health.DOWN
    world.network.pay(address_of(invoice), 50_000)
    world.network.mine(1)
    liar.silent.set()
    await world.settled(invoice)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/fee-estimates", b'{"6": "much"}'),
        ("/fee-estimates", b'{"soon": 2}'),
        ("/fee-estimates", b"<html>"),
        ("/blocks/tip/height", b"-1"),
        ("/tx/00/hex", b"zz"),
        ("/block/00/header", b"zz"),
        ("/tx/00/status", b'{"confirmed": true}'),
    ],
)
async def test_what_is_no_answer_is_unavailable_in_one_sentence(liar: LyingEsplora, path: str, body: bytes) -> None:
    liar.answers[path] = body
    esplora = Esplora(liar.url)
    await esplora.start()
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "/fee-estimates": lambda: esplora.fee_rate(6),
        "/blocks/tip/height": esplora.tip_height,
        "/tx/00/hex": lambda: esplora.transaction("00"),
        "/block/00/header": lambda: esplora.header("00"),
        "/tx/00/status": lambda: esplora.confirmation("00"),
    }
    with pytest.raises(RailUnavailableError, match="Esplora"):
        await calls[path]()
    await esplora.close()


async def test_an_absurd_fee_estimate_costs_no_more_than_the_cap(world: OnchainWorld, liar: LyingEsplora) -> None:
    await world.load_wallet(300_000)
    liar.answers["/fee-estimates"] = json.dumps({"6": 1_000_000}).encode()
    paid = await world.pay(PAYEE, 50_000, maxFeeMsat=3_000_000)
    assert paid["status"] == "sending", paid
    (waiting,) = world.network.ask(f"/address/{PAYEE}/txs/mempool")
    assert waiting["fee"] <= 3_000
    world.network.mine(1)


def test_a_block_that_is_not_what_it_says_is_not_believed(network: EsploraProgram) -> None:
    tip = network.ask("/blocks/tip/hash")
    with urllib.request.urlopen(f"{network.url}/block/{tip}/raw") as answer:
        data = answer.read()
    assert read_block(data, tip).header.hash == tip
    for changed, sentence in (
        (data[:-1], "too early|merkle"),
        (data[:4] + bytes([data[4] ^ 1]) + data[5:], "proof of work|another one"),
        (data[:-1] + bytes([data[-1] ^ 1]), "merkle"),
    ):
        with pytest.raises(RailUnavailableError, match=sentence):
            read_block(changed, tip)
    with pytest.raises(RailUnavailableError, match="another one"):
        read_block(data, "00" * 32)


def test_made_up_blocks_of_mainnet_would_need_the_miners_power() -> None:
    """Bits of mainnet's blocks 2015, 2016 and 32255, 32256, the first that were harder."""

    def header(bits: int) -> Header:
        return Header("", "", b"", 0, bits)

    least, harder = 0x1D00FFFF, 0x1D00D86A
    assert keeps_difficulty(header(least), header(least), 2015)
    assert keeps_difficulty(header(least), header(harder), 32256)
    assert not keeps_difficulty(header(harder), header(least), 32257), "made easy to be made up"
    today, fourfold, more = 0x17028C61, 0x170A3184, 0x170A3185
    assert keeps_difficulty(header(today), header(fourfold), 2016 * 400)
    assert not keeps_difficulty(header(today), header(more), 2016 * 400)
    assert not keeps_difficulty(header(today), header(0x207FFFFF), 2016 * 400), "regtest's"
