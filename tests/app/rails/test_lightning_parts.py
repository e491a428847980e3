"""A payment larger than any channel goes in parts, on real lnd nodes: one hash, one fee cap, one outcome."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest

from payments.rails.lnd.credentials import MacaroonFile
from payments.rails.lnd.rail import LndConfig, LndRail
from payments.rails.protocol import OutcomeState, PaymentOrder, RailRefusedError
from sandbox.nodes.building import are_built, has_go
from tests.app.rails.lightning_networks import PAYING_RIGHTS
from tests.sandbox.real_bitcoin import bake, real_bitcoin

CHANNEL_SATS = 1_000_000


@pytest.mark.full
async def test_a_payment_larger_than_any_channel_goes_in_parts(tmp_path: Path) -> None:
    if not (are_built() or has_go()):
        pytest.skip("there is no Go to build lnd with")
    with real_bitcoin(tmp_path / "network") as network:
        merchant, customer = network.add_node("merchant"), network.add_node("customer")
        for node in (merchant, customer):
            node.wait_ready()
        network.fund(merchant, 4 * CHANNEL_SATS)
        for _ in range(2):
            network.open_channel(merchant, customer, CHANNEL_SATS)
        network.wait_graph(merchant, 2)
        largest = max(int(one["local_balance"]) for one in merchant.ask("/v1/channels")["channels"])
        sats = largest * 3 // 2
        bill = customer.ask("/v1/invoices", {"value": str(sats)})["payment_request"]
        config = LndConfig(
            url=merchant.url,
            tls_certificate=merchant.certificate,
            invoice_macaroon=MacaroonFile(merchant.macaroon_file("invoice"), setting="LND_MACAROON_PATH"),
            pay_macaroon=MacaroonFile(bake(merchant, "pay", PAYING_RIGHTS), setting="LND_PAY_MACAROON_PATH"),
            network="regtest",
            max_payment_msat=10**12,
            max_fee_msat=50_000,
        )
        rail = LndRail(config)
        await rail.start()
        order = PaymentOrder(uuid4(), str(bill), "BTC", sats * 1000, 20_000)
        # LND estimates single paths alone; that it knows none is no congestion, and the payment is tried.
        with pytest.raises(RailRefusedError):
            await rail.congestion(order)
        prepared = await rail.prepare(order)
        paid = await rail.submit(prepared)
        assert paid.state is OutcomeState.SUCCEEDED, paid
        assert await rail.look_up(prepared) == paid
        (payment,) = merchant.ask("/v1/payments")["payments"]
        parts = [one for one in payment["htlcs"] if one["status"] == "SUCCEEDED"]
        assert len(parts) > 1
        assert sum(int(one["route"]["total_amt_msat"]) for one in parts) == sats * 1000 + paid.fee
        await rail.close()
