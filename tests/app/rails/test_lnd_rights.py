"""Rights of macaroons, hold invoices and liquidity: what a production node is run by."""

import asyncio
import hashlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments.rails.lnd import build, macaroons
from payments.rails.lnd.client import LndClient
from payments.rails.lnd.credentials import MacaroonFile, PinnedCertificate
from payments.rails.lnd.errors import LndAnswerError
from payments.rails.lnd.rail import LndConfig, LndRail
from payments.rails.protocol import Health, RailRefusedError
from payments.settings import Settings, SettingsError
from tests.sandbox.processes import LndProgram, running

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LndProgram]:
    network = LndProgram(tmp_path_factory.mktemp("lnd"))
    with running(network):
        yield network


def file_of(program: LndProgram, node: str, name: str) -> Path:
    return program.data / node / "data" / "chain" / "bitcoin" / "regtest" / f"{name}.macaroon"


class TestRights:
    def test_they_are_read_from_lnds_own_files(self, program: LndProgram) -> None:
        invoice = macaroons.rights(file_of(program, "merchant", "invoice").read_bytes())
        assert invoice == {"invoices:read", "invoices:write", "address:read", "address:write", "onchain:read"}
        assert macaroons.rights(file_of(program, "merchant", "pay").read_bytes()) == {
            "offchain:read",
            "offchain:write",
            "info:read",
            "onchain:read",
        }
        assert macaroons.rights(file_of(program, "merchant", "admin").read_bytes()) >= macaroons.SPENDING

    @given(data=st.binary(max_size=200))
    def test_other_bytes_give_the_one_error(self, data: bytes) -> None:
        with pytest.raises(macaroons.MacaroonError):
            macaroons.rights(data)

    def test_a_cut_macaroon_gives_the_one_error(self, program: LndProgram) -> None:
        whole = file_of(program, "merchant", "invoice").read_bytes()
        end_of_identifier = whole.index(b"onchain")
        for length in range(end_of_identifier):
            with pytest.raises(macaroons.MacaroonError):
                macaroons.rights(whole[:length])


class TestLeastPrivilege:
    def settings(self, program: LndProgram, invoice: str, pay: str | None = None) -> Settings:
        values: dict[str, Any] = {
            "lnd_url": f"https://127.0.0.1:{program.ports['merchant']}",
            "lnd_tls_cert_path": program.certificate("merchant"),
            "lnd_macaroon_path": file_of(program, "merchant", invoice),
        }
        if pay:
            values["lnd_pay_macaroon_path"] = file_of(program, "merchant", pay)
        return Settings(**values)

    def test_the_right_macaroons_are_taken(self, program: LndProgram) -> None:
        web = build(self.settings(program, "invoice"), "web")
        worker = build(self.settings(program, "invoice", "pay"), "worker")
        assert web is not None
        assert worker is not None
        assert (web.can_pay, worker.can_pay) == (False, True)

    def test_the_web_role_never_pays_even_when_it_is_given_the_macaroon(self, program: LndProgram) -> None:
        web = build(self.settings(program, "invoice", "pay"), "web")
        assert web is not None
        assert not web.can_pay

    @pytest.mark.parametrize(("invoice", "pay"), [("admin", None), ("pay", None), ("invoice", "admin")])
    def test_one_that_may_do_more_is_refused_with_the_way_to_bake_another(
        self, program: LndProgram, invoice: str, pay: str | None
    ) -> None:
        with pytest.raises(SettingsError, match="lncli bakemacaroon"):
            build(self.settings(program, invoice, pay), "worker")

    async def test_what_is_no_macaroon_is_refused_by_the_node_without_being_shown(self, program: LndProgram) -> None:
        values = self.settings(program, "invoice").model_dump() | {"lnd_macaroon": "deadbeef" * 8}
        rail = build(Settings(**values), "web")
        assert rail is not None
        await rail.start()
        health = await rail.health()
        await rail.close()
        assert health.health is Health.DOWN
        assert "LND_MACAROON" in health.reason
        assert "deadbeef" not in health.reason

    def test_a_file_that_is_not_there_yet_is_no_reason_not_to_start(self, program: LndProgram, tmp_path: Path) -> None:
        values = self.settings(program, "invoice").model_dump() | {"lnd_macaroon_path": tmp_path / "later.macaroon"}
        assert build(Settings(**values), "web") is not None

    def test_the_rail_is_off_without_a_url(self) -> None:
        assert build(Settings(), "web") is None


@pytest.fixture
async def rail(program: LndProgram) -> AsyncIterator[LndRail]:
    made = LndRail(
        LndConfig(
            url=f"https://127.0.0.1:{program.ports['merchant']}",
            tls_certificate=program.certificate("merchant"),
            invoice_macaroon=MacaroonFile(file_of(program, "merchant", "invoice"), setting="LND_MACAROON_PATH"),
            pay_macaroon=MacaroonFile(file_of(program, "merchant", "pay"), setting="LND_PAY_MACAROON_PATH"),
            network="regtest",
            max_payment_msat=10**9,
            max_fee_msat=1000,
        )
    )
    await made.start()
    yield made
    await made.close()


@pytest.fixture
async def customer(program: LndProgram) -> AsyncIterator[LndClient]:
    client = LndClient(
        f"https://127.0.0.1:{program.ports['customer']}",
        certificate=PinnedCertificate(program.certificate("customer")),
        macaroon=MacaroonFile(file_of(program, "customer", "admin"), setting="LND_MACAROON_PATH"),
    )
    await client.start()
    yield client
    await client.close()


class TestHoldInvoices:
    async def held(self, rail: LndRail, customer: LndClient) -> tuple[bytes, str, asyncio.Task[str]]:
        """An invoice whose payment has arrived and is held; the task ends with the payment's last status."""
        preimage = os.urandom(32)
        digest = hashlib.sha256(preimage).hexdigest()
        soon = datetime.now(UTC) + timedelta(hours=1)
        made = await rail.holds.create(
            digest, amount_msat=30_000, memo="deposit", expires_at=soon, cltv_expiry_blocks=80
        )
        again = await rail.holds.create(
            digest, amount_msat=30_000, memo="deposit", expires_at=soon, cltv_expiry_blocks=80
        )
        assert again.payment_request == made.payment_request
        paying = asyncio.create_task(self.last_status(customer, made.payment_request))
        for _ in range(250):
            if (await rail.holds.state(digest)).state == "ACCEPTED":
                break
            await asyncio.sleep(0.02)
        return preimage, digest, paying

    async def last_status(self, customer: LndClient, payment_request: str) -> str:
        body = {"payment_request": payment_request, "timeout_seconds": 10, "fee_limit_msat": "0"}
        status = ""
        async for update in customer.stream("POST", "/v2/router/send", None, body, idle_seconds=20):
            status = str(update["status"])
        return status

    async def test_held_money_is_taken_once_we_say_so(self, rail: LndRail, customer: LndClient) -> None:
        preimage, digest, paying = await self.held(rail, customer)
        assert (await rail.holds.settle(preimage)).amount_paid_msat == 30_000
        assert (await rail.holds.settle(preimage)).state == "SETTLED"
        assert await paying == "SUCCEEDED"
        with pytest.raises(RailRefusedError):
            await rail.holds.cancel(digest)

    async def test_held_money_goes_back_once_we_say_so(self, rail: LndRail, customer: LndClient) -> None:
        preimage, digest, paying = await self.held(rail, customer)
        assert (await rail.holds.cancel(digest)).state == "CANCELED"
        assert (await rail.holds.cancel(digest)).state == "CANCELED"
        assert await paying == "FAILED"
        with pytest.raises(RailRefusedError):
            await rail.holds.settle(preimage)

    async def test_an_unknown_one_is_refused(self, rail: LndRail) -> None:
        with pytest.raises(LndAnswerError):
            await rail.holds.settle(os.urandom(32))


async def test_liquidity_and_what_is_held_move_with_a_payment(rail: LndRail, customer: LndClient) -> None:
    before, held = await rail.liquidity(), (await rail.held())["BTC"]
    (channel,) = (await customer.get("/v1/channels"))["channels"]
    reserve_msat = int(channel["remote_constraints"]["chan_reserve_sat"]) * 1000
    # The other side opened the channel and bears its fee; the reserve is ours and cannot be sent.
    assert held == before.sendable_msat + reserve_msat
    bill = await customer.post("/v1/invoices", {"value_msat": "2000000", "memo": "bread"})
    from uuid import uuid4

    from payments.rails.protocol import PaymentOrder

    order = PaymentOrder(uuid4(), str(bill["payment_request"]), "BTC", 2_000_000, 0)
    await rail.submit(await rail.prepare(order))
    after = await rail.liquidity()
    assert before.sendable_msat - after.sendable_msat == 2_000_000
    assert held - (await rail.held())["BTC"] == 2_000_000
    assert after.receivable_msat - before.receivable_msat == 2_000_000
    assert after.active_channels == 1


def test_the_web_role_never_loads_the_signer() -> None:
    """Not even by way of another import: what is not loaded cannot sign."""
    program = (
        "import sys\n"
        "import payments.process, payments.web.application as application, importlib\n"
        "from payments.rail_registry import build_rails, Role\n"
        "from payments.settings import Settings\n"
        "for name in application.ROUTERS: importlib.import_module(name)\n"
        "build_rails(Settings(SOLANA_RPC_URL='http://127.0.0.1:1'), Role.WEB)\n"
        "print([name for name in sys.modules if name.startswith('payments.signer')])\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT / "app")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.stdout.strip() == "[]", found.stderr
