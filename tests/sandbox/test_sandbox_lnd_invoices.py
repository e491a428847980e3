"""Invoices of a node: what it takes, what it refuses, and the shape of what it answers."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
from typing import Any

import bolt11 as oracle
import pytest

from tests.sandbox.lnd_client import LndClient, b64, b64url

# Field -> kind, by message, from lnd's lightning.proto and router.proto in the JSON mapping that its proxy sets:
# every field is there, under its proto name, 64-bit integers are strings (L), bytes are base64 strings (S).
S, L, N, B, A, M, X = "string", "long", "number", "bool", "array", "message", "any"
SHAPES = {
    "GetInfoResponse": {
        "version": S, "commit_hash": S, "identity_pubkey": S, "alias": S, "color": S, "num_pending_channels": N,
        "num_active_channels": N, "num_inactive_channels": N, "num_peers": N, "block_height": N, "block_hash": S,
        "best_header_timestamp": L, "synced_to_chain": B, "synced_to_graph": B, "testnet": B, "chains": A, "uris": A,
        "features": M, "require_htlc_interceptor": B, "store_final_htlc_resolutions": B, "wallet_synced": B,
        "graph_cache_status": S,
    },
    "ChannelBalanceResponse": {
        "balance": L, "pending_open_balance": L, "local_balance": M, "remote_balance": M, "unsettled_local_balance": M,
        "unsettled_remote_balance": M, "pending_open_local_balance": M, "pending_open_remote_balance": M,
        "custom_channel_data": S,
    },
    "WalletBalanceResponse": {
        "total_balance": L, "confirmed_balance": L, "unconfirmed_balance": L, "locked_balance": L,
        "reserved_balance_anchor_chan": L, "account_balance": M,
    },
    "Channel": {
        "active": B, "remote_pubkey": S, "channel_point": S, "chan_id": L, "capacity": L, "local_balance": L,
        "remote_balance": L, "commit_fee": L, "commit_weight": L, "fee_per_kw": L, "unsettled_balance": L,
        "total_satoshis_sent": L, "total_satoshis_received": L, "num_updates": L, "pending_htlcs": A, "csv_delay": N,
        "private": B, "initiator": B, "chan_status_flags": S, "local_chan_reserve_sat": L, "remote_chan_reserve_sat": L,
        "static_remote_key": B, "commitment_type": S, "lifetime": L, "uptime": L, "close_address": S,
        "push_amount_sat": L, "thaw_height": N, "local_constraints": M, "remote_constraints": M, "alias_scids": A,
        "zero_conf": B, "zero_conf_confirmed_scid": L, "peer_alias": S, "peer_scid_alias": L, "memo": S,
        "custom_channel_data": S,
    },
    "Invoice": {
        "memo": S, "r_preimage": S, "r_hash": S, "value": L, "value_msat": L, "settled": B, "creation_date": L,
        "settle_date": L, "payment_request": S, "description_hash": S, "expiry": L, "fallback_addr": S,
        "cltv_expiry": L, "route_hints": A, "private": B, "add_index": L, "settle_index": L, "amt_paid": L,
        "amt_paid_sat": L, "amt_paid_msat": L, "state": S, "htlcs": A, "features": M, "is_keysend": B,
        "payment_addr": S, "is_amp": B, "amp_invoice_state": M, "is_blinded": B, "blinded_path_config": X,
    },
    "InvoiceHTLC": {
        "chan_id": L, "htlc_index": L, "amt_msat": L, "accept_height": N, "accept_time": L, "resolve_time": L,
        "expiry_height": N, "state": S, "custom_records": M, "mpp_total_amt_msat": L, "amp": X,
        "custom_channel_data": S,
    },
    "PayReq": {
        "destination": S, "payment_hash": S, "num_satoshis": L, "timestamp": L, "expiry": L, "description": S,
        "description_hash": S, "fallback_addr": S, "cltv_expiry": L, "route_hints": A, "payment_addr": S,
        "num_msat": L, "features": M, "blinded_paths": A,
    },
    "Payment": {
        "payment_hash": S, "value": L, "creation_date": L, "fee": L, "payment_preimage": S, "value_sat": L,
        "value_msat": L, "payment_request": S, "status": S, "fee_sat": L, "fee_msat": L, "creation_time_ns": L,
        "htlcs": A, "payment_index": L, "failure_reason": S, "first_hop_custom_records": M,
    },
    "HTLCAttempt": {
        "attempt_id": L, "status": S, "route": M, "attempt_time_ns": L, "resolve_time_ns": L, "failure": X,
        "preimage": S,
    },
    "Route": {
        "total_time_lock": N, "total_fees": L, "total_amt": L, "hops": A, "total_fees_msat": L, "total_amt_msat": L,
        "first_hop_amount_msat": L, "custom_channel_data": S,
    },
    "Hop": {
        "chan_id": L, "chan_capacity": L, "amt_to_forward": L, "fee": L, "expiry": N, "amt_to_forward_msat": L,
        "fee_msat": L, "pub_key": S, "tlv_payload": B, "mpp_record": X, "amp_record": X, "custom_records": M,
        "metadata": S, "blinding_point": S, "encrypted_data": S, "total_amt_msat": L,
    },
    "AddInvoiceResponse": {"r_hash": S, "payment_request": S, "add_index": L, "payment_addr": S},
    "RouteFeeResponse": {"routing_fee_msat": L, "time_lock_delay": L, "failure_reason": S},
}  # fmt: skip


def kind_of(value: Any, expected: str) -> str:
    if expected == X:
        return X
    if isinstance(value, bool):
        return B
    if isinstance(value, str):
        return L if expected == L and value.lstrip("-").isdigit() else S
    return {int: N, list: A, dict: M}.get(type(value), "null")


def assert_shape(value: dict[str, Any], message: str) -> None:
    fields = SHAPES[message]
    assert {name: kind_of(value[name], fields.get(name, X)) for name in value} == fields, message


class TestShapes:
    async def test_are_those_of_the_proto_files(self, merchant: LndClient, customer: LndClient) -> None:
        added = await merchant.add_invoice(value="21", memo="shape")
        payment = await customer.pay(added["payment_request"])
        payment_hash = base64.b64decode(added["r_hash"]).hex()
        invoice = await merchant.ok(f"/v1/invoice/{payment_hash}")
        estimate = await customer.post("/v2/router/route/estimatefee", {"payment_request": added["payment_request"]})
        assert_shape(added, "AddInvoiceResponse")
        assert_shape(payment, "Payment")
        assert_shape(payment["htlcs"][0], "HTLCAttempt")
        assert_shape(payment["htlcs"][0]["route"], "Route")
        assert_shape(payment["htlcs"][0]["route"]["hops"][0], "Hop")
        assert_shape(invoice, "Invoice")
        assert_shape(invoice["htlcs"][0], "InvoiceHTLC")
        assert_shape(await merchant.ok("/v1/payreq/" + added["payment_request"]), "PayReq")
        assert_shape(await merchant.ok("/v1/getinfo"), "GetInfoResponse")
        assert_shape(await merchant.ok("/v1/balance/channels"), "ChannelBalanceResponse")
        assert_shape(await merchant.ok("/v1/balance/blockchain"), "WalletBalanceResponse")
        assert_shape((await merchant.ok("/v1/channels"))["channels"][0], "Channel")
        assert_shape(estimate.body, "RouteFeeResponse")

    async def test_both_nodes_see_one_channel(self, merchant: LndClient, customer: LndClient) -> None:
        ours = (await merchant.ok("/v1/channels"))["channels"][0]
        theirs = (await customer.ok("/v1/channels"))["channels"][0]
        assert (ours["channel_point"], ours["local_balance"]) == (theirs["channel_point"], theirs["remote_balance"])
        assert ours["remote_pubkey"] == (await customer.ok("/v1/getinfo"))["identity_pubkey"]
        total = int(ours["local_balance"]) + int(ours["remote_balance"]) + int(ours["commit_fee"]) + 660
        assert total == int(ours["capacity"])


class TestAdding:
    async def test_the_library_reads_the_request_and_finds_the_node(self, merchant: LndClient) -> None:
        added = await merchant.add_invoice(value_msat="1001", memo="Käse ☕", expiry="7200", cltv_expiry="40")
        read = oracle.decode(added["payment_request"])
        assert read.payee == (await merchant.ok("/v1/getinfo"))["identity_pubkey"]
        assert (read.amount_msat, read.description, read.expiry) == (1001, "Käse ☕", 7200)
        assert read.min_final_cltv_expiry == 40
        assert read.payment_secret == base64.b64decode(added["payment_addr"]).hex()
        assert added["payment_request"].startswith("lnbcrt")

    async def test_a_given_preimage_gives_its_hash(self, merchant: LndClient) -> None:
        preimage = os.urandom(32)
        added = await merchant.add_invoice(value="1", r_preimage=b64(preimage))
        assert added["r_hash"] == b64(hashlib.sha256(preimage).digest())

    async def test_the_same_hash_twice_is_refused(self, merchant: LndClient) -> None:
        body = {"value": "1", "r_preimage": b64(os.urandom(32))}
        assert (await merchant.post("/v1/invoices", body)).status == 200
        again = await merchant.post("/v1/invoices", body)
        assert again.status == 500
        assert again.body == {"code": 2, "message": "invoice with payment hash already exists", "details": []}

    async def test_a_description_hash_takes_the_memos_place(self, merchant: LndClient) -> None:
        digest = hashlib.sha256(b"a long text").digest()
        added = await merchant.add_invoice(value="1", memo="kept", description_hash=b64(digest))
        read = oracle.decode(added["payment_request"])
        assert (read.description_hash, read.description) == (digest.hex(), None)
        found = await merchant.ok("/v2/invoices/lookup", payment_hash=b64url(base64.b64decode(added["r_hash"])))
        assert (found["memo"], found["description_hash"]) == ("kept", b64(digest))

    async def test_route_hints_are_in_the_request(self, merchant: LndClient) -> None:
        key = (await merchant.ok("/v1/getinfo"))["identity_pubkey"]
        hop = {"node_id": key, "chan_id": "99", "fee_base_msat": 1, "fee_proportional_millionths": 2}
        added = await merchant.add_invoice(value="1", private=True, route_hints=[{"hop_hints": [hop]}])
        decoded = await merchant.ok("/v1/payreq/" + added["payment_request"])
        assert decoded["route_hints"][0]["hop_hints"] == [{**hop, "cltv_expiry_delta": 0}]

    @pytest.mark.parametrize(
        ("fields", "words"),
        [
            ({"value": "-1"}, "amount cannot be negative"),
            ({"value": "1", "value_msat": "1"}, "mutually exclusive"),
            ({"memo": "x" * 1025}, "memo too large: 1025 bytes (maxsize=1024)"),
            ({"description_hash": b64(b"short")}, "description hash is 5 bytes, must be 32"),
            ({"r_preimage": b64(b"short")}, "invalid preimage length of 5, want 32"),
            ({"r_preimage": b64(bytes(32))}, "all-zeroes preimage"),
            ({"expiry": "31536001"}, "greater than max expiry of 31536000 seconds"),
            ({"cltv_expiry": "10"}, "must be greater than minimum of 24"),
            ({"value": "10000000000001"}, "is too large"),
            ({"is_amp": True}, "not offered"),
            ({"fallback_addr": "bcrt1q"}, "not offered"),
        ],
    )
    async def test_what_lnd_refuses_is_refused(self, merchant: LndClient, fields: dict[str, Any], words: str) -> None:
        answer = await merchant.post("/v1/invoices", fields)
        assert answer.status in (500, 501)
        assert words in answer.body["message"]


class TestLookingUp:
    async def test_an_unknown_one_is_not_found(self, merchant: LndClient) -> None:
        answer = await merchant.get(f"/v1/invoice/{os.urandom(32).hex()}")
        assert answer.status == 404
        assert answer.body == {"code": 5, "message": "unable to locate invoice", "details": []}

    async def test_a_wrong_hash_is_named(self, merchant: LndClient) -> None:
        short = await merchant.get("/v1/invoice/abcd")
        assert short.body["message"] == "payment hash must be exactly 32 bytes, is instead 2"
        none = await merchant.get("/v2/invoices/lookup")
        assert (none.status, none.body["message"]) == (400, "invoice ref must be set")

    async def test_a_request_of_another_network_is_refused(self, merchant: LndClient) -> None:
        answer = await merchant.get(
            "/v1/payreq/"
            "lnbc2500u1pvjluezsp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygspp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rq"
            "wzqfqypqdq5xysxxatsyp3k7enxv4jsxqzpu9qrsgquk0rl77nj30yxdy8j9vdx85fkpmdla2087ne0xh8nhedh8w27kyke0lp53ut353s06fv3qfegext0eh"
            "0ymjpf39tuven09sam30g4vgpfna3rh"
        )
        assert "not for current active network" in answer.body["message"]

    async def test_pages_go_forward_and_back(self, merchant: LndClient) -> None:
        added = [int((await merchant.add_invoice(value="1"))["add_index"]) for _ in range(5)]

        async def page(**query: Any) -> list[int]:
            body = await merchant.ok("/v1/invoices", **query)
            indices = [int(invoice["add_index"]) for invoice in body["invoices"]]
            if indices:
                assert (body["first_index_offset"], body["last_index_offset"]) == (str(indices[0]), str(indices[-1]))
            return indices

        assert await page(index_offset=added[0], num_max_invoices=2) == added[1:3]
        assert await page(index_offset=added[4], num_max_invoices=3, reversed="true") == added[1:4]
        assert await page(num_max_invoices=2, reversed="true") == added[3:5]
        assert await page(index_offset=added[4]) == []
        refused = await merchant.get("/v1/invoices", index_offset="x")
        assert (refused.status, refused.body["code"]) == (400, 3)

    async def test_pending_ones_can_be_listed_alone(self, merchant: LndClient, customer: LndClient) -> None:
        paid = await merchant.add_invoice(value="1")
        await customer.pay(paid["payment_request"])
        still_open = await merchant.add_invoice(value="1")
        body = await merchant.ok("/v1/invoices", pending_only="true", reversed="true", num_max_invoices=1)
        assert body["invoices"][0]["r_hash"] == still_open["r_hash"]


class TestSubscribing:
    async def test_tells_of_adds_and_settles(self, merchant: LndClient, customer: LndClient) -> None:
        first = await merchant.add_invoice(value="1")
        start = {"add_index": first["add_index"], "settle_index": "0"}

        async def listen() -> list[tuple[str, str]]:
            async with merchant.stream("GET", "/v1/invoices/subscribe", params=start) as lines:
                seen = []
                async for line in lines:
                    seen.append((line["result"]["r_hash"], line["result"]["state"]))
                    if line["result"]["state"] == "SETTLED":
                        return seen
                return seen

        second = await merchant.add_invoice(value="1")
        listening = asyncio.create_task(listen())
        third = await merchant.add_invoice(value="1")
        await asyncio.wait([listening], timeout=0.2)
        await customer.pay(third["payment_request"])
        seen = await asyncio.wait_for(listening, 10)
        assert seen[0] == (second["r_hash"], "OPEN")
        assert seen[-1] == (third["r_hash"], "SETTLED")

    async def test_catches_up_from_any_settle_index(self, merchant: LndClient, customer: LndClient) -> None:
        paid = []
        for _ in range(4):
            invoice = await merchant.add_invoice(value="1")
            await customer.pay(invoice["payment_request"])
            paid.append(
                await merchant.ok("/v2/invoices/lookup", payment_hash=b64url(base64.b64decode(invoice["r_hash"])))
            )
        indices = [int(invoice["settle_index"]) for invoice in paid]
        assert indices == list(range(indices[0], indices[0] + 4))
        query = {"settle_index": str(indices[0])}
        async with merchant.stream("GET", "/v1/invoices/subscribe", params=query) as lines:
            caught = [int((await anext(lines))["result"]["settle_index"]) for _ in range(3)]
        assert caught == indices[1:]

    async def test_shows_news_as_they_were_and_a_backlog_as_it_is(
        self, merchant: LndClient, customer: LndClient
    ) -> None:
        """So that a reader who keeps the last settle_index it saw never skips one."""
        last = (await merchant.ok("/v1/invoices", reversed="true", num_max_invoices=1))["last_index_offset"]
        paid = await merchant.add_invoice(value="1")
        await customer.pay(paid["payment_request"])
        async with merchant.stream("GET", "/v1/invoices/subscribe", params={"add_index": last}) as lines:
            assert (await anext(lines))["result"]["state"] == "SETTLED"
            news = await merchant.add_invoice(value="1")
            await customer.pay(news["payment_request"])
            states = [(await anext(lines))["result"] for _ in range(2)]
        assert [state["r_hash"] for state in states] == [news["r_hash"]] * 2
        assert [(state["state"], state["settle_index"] == "0") for state in states] == [
            ("OPEN", True),
            ("SETTLED", False),
        ]

    async def test_is_open_for_the_readonly_macaroon(self, merchant: LndClient, customer: LndClient) -> None:
        last = (await merchant.ok("/v1/invoices", reversed="true", num_max_invoices=1))["last_index_offset"]
        await merchant.add_invoice(value="1")
        for name, opens in (("readonly", True), ("pay", False)):
            async with (
                LndClient(merchant.program, "merchant", name) as client,
                client.stream("GET", "/v1/invoices/subscribe", params={"add_index": last}) as lines,
            ):
                assert ("result" in await anext(lines)) == opens

    async def test_follows_one_invoice_to_its_end(self, merchant: LndClient, customer: LndClient) -> None:
        invoice = await merchant.add_invoice(value="1")
        path = f"/v2/invoices/subscribe/{b64url(base64.b64decode(invoice['r_hash']))}"
        async with merchant.stream("GET", path) as lines:
            assert (await anext(lines))["result"]["state"] == "OPEN"
            await customer.pay(invoice["payment_request"])
            assert [line["result"]["state"] async for line in lines] == ["SETTLED"]
