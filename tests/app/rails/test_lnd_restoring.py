"""A node that lost its disk, or was given an old one: nothing is sent over it, and its channels are paid out."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from payments.__main__ import main
from payments.object_stores import FolderStore, StoreError
from payments.rails.lnd import backups
from payments.rails.lnd.channel_state import MARKER, StateGuard
from payments.rails.lnd.client import LndClient
from payments.rails.lnd.credentials import GivenMacaroon, MacaroonFile, PinnedCertificate
from payments.rails.lnd.rail import LndRail
from payments.rails.lnd.restoring import look
from payments.rails.protocol import Health, OutcomeState, PaymentOrder, RailUnavailableError
from sandbox.nodes.building import are_built, has_go
from tests.app.conftest import until
from tests.app.rails.test_lnd_counterpart import an_order, bill, config_of, pay, to_pay
from tests.sandbox.processes import LndProgram, running, wait_until
from tests.sandbox.real_bitcoin import LndNode, real_bitcoin

DEADLINE_SECONDS = 20


def client_of(program: LndProgram, node: str, macaroon: str = "admin") -> LndClient:
    file = program.data / node / "data" / "chain" / "bitcoin" / "regtest" / f"{macaroon}.macaroon"
    return LndClient(
        f"https://127.0.0.1:{program.ports[node]}",
        certificate=PinnedCertificate(program.certificate(node)),
        macaroon=MacaroonFile(file, setting="LND_MACAROON_PATH"),
    )


@asynccontextmanager
async def opened(client: LndClient) -> AsyncIterator[LndClient]:
    await client.start()
    yield client
    await client.close()


@asynccontextmanager
async def rail_of(program: LndProgram, store: FolderStore) -> AsyncIterator[LndRail]:
    rail = LndRail(config_of(program), store=store)
    await rail.start()
    yield rail
    await rail.close()


async def a_payment(program: LndProgram, amount: int = 20_000) -> PaymentOrder:
    async with opened(client_of(program, "customer")) as customer:
        return to_pay(await bill(customer, amount), amount)


async def test_an_old_state_is_told_by_any_process_and_nothing_is_sent(tmp_path: Path) -> None:
    program, store = LndProgram(tmp_path), FolderStore(tmp_path / "store")
    with running(program):
        async with rail_of(program, store) as rail:
            await rail.check_channels()
            program.kill()
            shutil.copytree(program.data, tmp_path / "old")
            program.start()
            sent = await rail.submit(await rail.prepare(await a_payment(program)))
            assert sent.state is OutcomeState.SUCCEEDED
            await rail.check_channels()
            program.kill()
            newest = shutil.copytree(program.data, tmp_path / "newest")
            shutil.rmtree(program.data)
            shutil.copytree(tmp_path / "old", program.data)
            program.start()
            await rail.check_channels()
            health = await rail.health()
            assert (health.health, "older state" in health.reason) == (Health.DOWN, True)
            prepared = await a_payment(program)
            with pytest.raises(RailUnavailableError, match="Nothing is sent over LND: 1 of its channels"):
                await rail.prepare(prepared)
        async with rail_of(program, store) as another:
            with pytest.raises(RailUnavailableError, match=r"channel\.db is old or lost.*lnd-restore"):
                await another.prepare(prepared)
            program.kill()
            shutil.rmtree(program.data)
            shutil.copytree(newest, program.data)
            program.start()
            await another.check_channels()
            assert (await another.health()).health is Health.OK, "the newest state is as good as ever"
            assert (await another.submit(await another.prepare(await a_payment(program)))).state is (
                OutcomeState.SUCCEEDED
            )


async def test_money_received_counts_as_progress_too(tmp_path: Path) -> None:
    program, store = LndProgram(tmp_path), FolderStore(tmp_path / "store")
    with running(program):
        async with rail_of(program, store) as rail, opened(client_of(program, "customer")) as customer:
            await rail.check_channels()
            (name,) = [name for name in await store.names("") if name.endswith(MARKER)]
            before = json.loads(await store.get(name))["channels"]
            await pay(customer, (await rail.create_invoice(an_order())).payment_request)
            await rail.check_channels()
            after = json.loads(await store.get(name))["channels"]
    assert before.keys() == after.keys()
    assert all(after[point] > before[point] for point in before)


class _Broken(FolderStore):
    """Nobody can read what was seen."""

    async def names(self, prefix: str) -> list[str]:
        raise StoreError("The bucket is not reached.")


async def test_what_was_seen_must_be_readable_once_and_may_be_away_later(tmp_path: Path) -> None:
    program, store = LndProgram(tmp_path), FolderStore(tmp_path / "store")
    with running(program):
        order = await a_payment(program)
        async with rail_of(program, _Broken(tmp_path / "store")) as rail:
            with pytest.raises(RailUnavailableError, match=r"cannot be read from LND_BACKUP_STORE \(The bucket"):
                await rail.prepare(order)
        async with opened(client_of(program, "merchant")) as merchant:
            now = [0.0]
            guard = StateGuard(merchant, store, monotonic=lambda: now[0])
            await guard.admit()
            guard._store = _Broken(tmp_path / "store")
            now[0] += 60
            await guard.admit()


async def test_a_backup_is_stored_as_soon_as_the_channels_change(tmp_path: Path) -> None:
    program, store = LndProgram(tmp_path), FolderStore(tmp_path / "store")
    with running(program):
        async with rail_of(program, store) as rail, opened(client_of(program, "merchant")) as merchant:
            assert await rail.keep_backup(store)
            (first,) = await store.names("")
            changes = asyncio.create_task(_first(rail))
            (channel,) = (await merchant.get("/v1/channels"))["channels"]
            txid = channel["channel_point"].split(":")[0]

            async def subscribed() -> bool:
                return bool(rail._pay_client and rail._pay_client._streams and _connections(rail))

            await until(subscribed, DEADLINE_SECONDS)
            await merchant_closes(merchant, txid)
            async with asyncio.timeout(DEADLINE_SECONDS):
                await changes
            assert await rail.keep_backup(store)
            assert len(await store.names("")) == 2
            assert (await rail.try_backup(store)).is_usable
            assert (await store.names(""))[0] == first


async def test_what_is_held_is_the_same_before_and_after_a_channel_closes(tmp_path: Path) -> None:
    program, store = LndProgram(tmp_path), FolderStore(tmp_path / "store")
    with running(program):
        async with rail_of(program, store) as rail, opened(client_of(program, "merchant")) as merchant:
            before = await rail.held()
            assert rail.balance_scope == "channels and wallet"
            (channel,) = (await merchant.get("/v1/channels"))["channels"]
            assert before["BTC"] >= 1000 * int(channel["local_balance"]) > 0
            await merchant_closes(merchant, channel["channel_point"].split(":")[0])
            assert (await merchant.get("/v1/channels")).get("channels") == []
            assert await rail.held() == before, "it is in the wallet now"


async def test_with_a_macaroon_of_before_the_channels_alone_are_held(tmp_path: Path) -> None:
    program, store = LndProgram(tmp_path), FolderStore(tmp_path / "store")
    with running(program):
        async with opened(client_of(program, "merchant")) as merchant:
            rights = [{"entity": "offchain", "action": "read"}, {"entity": "info", "action": "read"}]
            baked = (await merchant.post("/v1/macaroon", {"permissions": rights}))["macaroon"]
        async with rail_of(program, store) as rail:
            assert rail._pay_client is not None
            rail._pay_client._macaroon = GivenMacaroon(baked, setting="LND_PAY_MACAROON")
            assert (await rail.held())["BTC"] > 0
            assert rail.balance_scope == ""


async def test_lost_channels_are_forgotten_by_name_alone_and_older_ones_never(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    program, store = LndProgram(tmp_path), FolderStore(tmp_path / "store")
    file = program.data / "merchant" / "data" / "chain" / "bitcoin" / "regtest" / "pay.macaroon"
    gone, other = "aa" * 32 + ":0", "bb" * 32 + ":1"
    for name, value in (
        ("LND_URL", f"https://127.0.0.1:{program.ports['merchant']}"),
        ("LND_TLS_CERT_PATH", str(program.certificate("merchant"))),
        ("LND_PAY_MACAROON_PATH", str(file)),
        ("LND_BACKUP_STORE", str(tmp_path / "store")),
    ):
        monkeypatch.setenv(name, value)

    async def forget(*arguments: str) -> tuple[int, dict[str, Any]]:
        status = await asyncio.to_thread(main, ["lnd", "forget-channels", "--node", *arguments])
        return status, json.loads(capsys.readouterr().out)

    async def seen(**more: int) -> dict[str, int]:
        found = json.loads(await store.get(marker))["channels"] | more
        await store.put(marker, json.dumps({"node": node, "channels": found}).encode())
        return dict(found)

    with running(program):
        order = await a_payment(program)
        async with rail_of(program, store) as rail:
            await rail.check_channels()
            (marker,) = [name for name in await store.names("") if name.endswith(MARKER)]
            node = marker.split("/")[0]
            (known,) = (await seen()).keys()
            await seen(**{gone: 5, other: 6})
        async with rail_of(program, store) as rail:
            with pytest.raises(RailUnavailableError, match="no longer knows 2 of its channels"):
                await rail.prepare(order)
            for arguments in ((node,), (node, "--confirm", gone), ("02" * 33, "--confirm", gone, "--confirm", other)):
                status, told = await forget(*arguments)
                assert (status, told["ok"], told["lost"]) == (1, False, [gone, other])
            with pytest.raises(RailUnavailableError, match="no longer knows 2 of its channels"):
                await rail.prepare(order)
            assert (await forget(node, "--confirm", other, "--confirm", gone))[0] == 0
            assert (await seen()).keys() == {known}, "the counts of the others stay"
            await rail.prepare(order)
            assert await forget(node) == (0, {"ok": True, "node": node, "older": [], "lost": []})
        await seen(**{known: 10**6, gone: 1})
        status, told = await forget(node, "--confirm", gone)
        assert (status, "never forgotten" in told["error"], told["older"]) == (1, True, [known])
        assert gone in await seen()


def _connections(rail: LndRail) -> int:
    client = rail._pay_client
    assert client is not None
    assert client._streams is not None
    connector = client._streams.connector
    assert connector is not None
    return len(connector._acquired)


async def _first(rail: LndRail) -> None:
    async for _change in rail.channel_changes():
        return


async def merchant_closes(client: LndClient, txid: str) -> None:
    async for _update in client.stream("DELETE", f"/v1/channels/{txid}/0", {"force": "true"}, idle_seconds=10):
        return


async def test_only_the_newest_backups_are_kept_and_a_damaged_one_is_not_used(tmp_path: Path) -> None:
    program, store = LndProgram(tmp_path), FolderStore(tmp_path / "store")
    with running(program):
        async with opened(client_of(program, "merchant")) as merchant:
            node = (await merchant.get("/v1/getinfo"))["identity_pubkey"]
            for number in range(backups.KEPT + 3):
                await store.put(f"{node}/2020010{number // 10}T{number:06d}.000000Z-aa-bb.multi", b"old")
            assert await backups.keep(merchant, store, now=datetime.now(UTC))
            assert not await backups.keep(merchant, store, now=datetime.now(UTC))
            kept = await backups.stored(store, node)
            assert len(kept) == backups.KEPT
            name, data = await backups.newest(store, node)
            assert name == kept[-1]
            assert hashlib.sha256(data).hexdigest()[:16] in name
            (tmp_path / "store" / name).write_bytes(data[:-1])
            with pytest.raises(StoreError, match="checksum"):
                await backups.newest(store, node)
            assert (await backups.drill(merchant, store)).reason == "the newest backup is not what was stored"


async def test_a_lost_node_is_restored_from_its_newest_backup_and_paid_out(tmp_path: Path) -> None:
    """The bundled node has its key from the seed by itself; the seed's part is tried on a real node, with --full."""
    program, store = LndProgram(tmp_path), FolderStore(tmp_path / "store")
    with running(program):
        async with rail_of(program, store) as rail:
            await rail.check_channels()
            await rail.keep_backup(store)
            async with opened(client_of(program, "merchant")) as merchant:
                balance = (await merchant.get("/v1/balance/channels"))["local_balance"]["sat"]
            order = await a_payment(program)
            program.kill()
            program.arguments += ["--forget", "merchant"]
            program.start()
            await rail.check_channels()
            with pytest.raises(RailUnavailableError, match="no longer knows 1 of its channels"):
                await rail.prepare(order)
            async with opened(client_of(program, "merchant")) as merchant:
                node = (await merchant.get("/v1/getinfo"))["identity_pubkey"]
                name, data = await backups.newest(store, node)
                assert (await look(merchant, name)).wallet_sat == 0
                restored = await merchant.post("/v1/channels/backup/restore", {"multi_chan_backup": _base64(data)})
                assert restored == {"num_restored": 1}
                found = await look(merchant, name)
                assert (found.closing, found.closed, found.wallet_sat) == (0, 1, int(balance))
            await rail.check_channels()
            assert "old or lost" not in (await rail.health()).reason, "what was closed is not lost"


@pytest.mark.full
def test_a_wiped_node_is_restored_from_its_seed_and_newest_backup_and_its_channel_is_swept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The drill on real lnd nodes: `payments lnd restore` and nothing else brings the money back."""
    if not (are_built() or has_go()):
        pytest.skip("there is no Go to build lnd with")
    password = "a long password"
    with real_bitcoin(tmp_path / "network") as network:
        peer = network.add_node("peer")
        dead = network.add_node("merchant", seeded=True)
        words = dead.ask_unlocker("/v1/genseed")["cipher_seed_mnemonic"]
        wallet = {"wallet_password": _base64(password.encode()), "cipher_seed_mnemonic": words}
        dead.ask_unlocker("/v1/initwallet", wallet)
        node = dead.wait_ready()["identity_pubkey"]
        peer.wait_ready()
        network.fund(dead, 4_000_000)
        network.open_channel(dead, peer, 2_000_000)
        asyncio.run(_keep(dead, FolderStore(tmp_path / "store")))
        in_channel = int(dead.ask("/v1/balance/channels")["local_balance"]["sat"])
        on_chain = int(dead.ask("/v1/balance/blockchain")["confirmed_balance"])
        dead.kill()
        shutil.rmtree(dead.folder)
        dead.start()
        wait_until(dead.waits_for_wallet, "the empty node waits for its wallet", 240)
        for name, value in {
            "LND_URL": dead.url,
            "LND_TLS_CERT_PATH": str(dead.certificate),
            "LND_BACKUP_STORE": str(tmp_path / "store"),
            "LND_SEED": " ".join(words),
            "LND_WALLET_PASSWORD": password,
        }.items():
            monkeypatch.setenv(name, value)
        status = main(["lnd", "restore", "--node", node])
        told = json.loads(capsys.readouterr().out)
        assert (status, told["ok"]) == (0, True), told
        assert dead.wait_ready()["identity_pubkey"] == node

        def is_paid_out() -> bool:
            network.esplora.mine(1)
            closed = dead.ask("/v1/channels/closed").get("channels") or []
            wallet = int(dead.ask("/v1/balance/blockchain")["confirmed_balance"])
            # Fees of the closing and the sweep go off; the on-chain coins were found again by the seed.
            return bool(closed) and wallet > on_chain + in_channel - 20_000

        wait_until(is_paid_out, "the channel is closed and swept", 300)
        (closed,) = dead.ask("/v1/channels/closed")["channels"]
        assert closed["close_type"] == "REMOTE_FORCE_CLOSE"
        assert main(["lnd", "restore", "--node", node]) == 1, "a node that has a wallet is left alone"


async def _keep(node: LndNode, store: FolderStore) -> None:
    macaroon = MacaroonFile(node.macaroon_file("admin"), setting="LND_MACAROON_PATH")
    client = LndClient(node.url, certificate=PinnedCertificate(node.certificate), macaroon=macaroon)
    async with opened(client):
        assert await backups.keep(client, store, now=datetime.now(UTC))


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_the_command_says_what_it_lacks(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name, value in (("LND_URL", "https://127.0.0.1:1"), ("LND_TLS_CERT", "x"), ("LND_BACKUP_STORE", "/nowhere")):
        monkeypatch.setenv(name, value)
    assert main(["lnd", "restore", "--node", "02" * 33]) == 2
    assert "LND_SEED is missing" in capsys.readouterr().err
    monkeypatch.setenv("LND_SEED", "abandon " * 24)
    monkeypatch.setenv("LND_WALLET_PASSWORD", "a long password")
    assert main(["lnd", "restore", "--node", "02" * 33]) == 1
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert told == {"ok": False, "error": f"There is no channel backup of the node {'02' * 33}."}
