"""Who may call what: every call under every macaroon, as LND's permission table has it."""

from __future__ import annotations

import os

import pytest

from sandbox.lnd import macaroons
from tests.sandbox.lnd_client import LndClient, b64, b64url
from tests.sandbox.processes import LndProgram

HASH = os.urandom(32)
DENIED = {"code": 2, "message": "permission denied", "details": []}

# Verb, path, body -> the file macaroons besides admin that open it (lnd's rpcserver.go and sub-servers).
CALLS = [
    ("GET", "/v1/getinfo", None, {"readonly", "pay"}),
    ("GET", "/v1/balance/channels", None, {"readonly", "pay"}),
    ("GET", "/v1/balance/blockchain", None, {"readonly", "invoice", "pay"}),
    ("GET", "/v1/channels", None, {"readonly", "pay"}),
    ("GET", "/v1/channels/backup", None, {"readonly", "pay"}),
    ("POST", "/v1/channels/backup/verify", {}, {"readonly", "pay"}),
    ("POST", "/v1/channels/backup/restore", {}, {"pay"}),
    ("GET", "/v1/channels/pending", None, {"readonly", "pay"}),
    ("GET", "/v1/channels/closed", None, {"readonly", "pay"}),
    ("DELETE", f"/v1/channels/{HASH.hex()}/0", None, set()),
    ("GET", "/v1/newaddress", None, {"invoice"}),
    ("POST", "/v1/invoices", {"value": "1"}, {"invoice"}),
    ("GET", "/v1/invoices", None, {"readonly", "invoice"}),
    ("GET", f"/v1/invoice/{HASH.hex()}", None, {"readonly", "invoice"}),
    ("GET", f"/v2/invoices/lookup?payment_hash={b64url(HASH)}", None, {"invoice"}),
    ("GET", f"/v2/invoices/subscribe/{b64url(HASH)}", None, {"readonly", "invoice"}),
    ("POST", "/v2/invoices/hodl", {"hash": b64(HASH[:31])}, {"invoice"}),
    ("POST", "/v2/invoices/settle", {"preimage": b64(HASH)}, {"invoice"}),
    ("POST", "/v2/invoices/cancel", {"payment_hash": b64(HASH)}, {"invoice"}),
    ("GET", "/v1/payreq/lnbcrt1nonsense", None, {"readonly", "pay"}),
    ("POST", "/v2/router/send", {"payment_request": "nonsense"}, {"pay"}),
    ("GET", f"/v2/router/track/{b64url(HASH)}", None, {"readonly", "pay"}),
    ("POST", "/v2/router/route/estimatefee", {"payment_request": "nonsense"}, {"readonly", "pay"}),
    ("GET", "/v1/payments", None, {"readonly", "pay"}),
    ("POST", "/v1/macaroon", {"permissions": [{"entity": "info", "action": "read"}]}, set()),
]


class TestEveryCall:
    @pytest.mark.parametrize("name", ["admin", "readonly", "invoice", "pay"])
    async def test_opens_for_exactly_the_right_macaroons(self, lnd: LndProgram, name: str) -> None:
        async with LndClient(lnd, "merchant", name) as client:
            wrong = []
            for verb, path, body, allowed in CALLS:
                answer = await client.ask(verb, path, body)
                error = answer.body.get("error", answer.body)
                opened = error != DENIED
                if opened != (name == "admin" or name in allowed):
                    wrong.append((verb, path, answer))
                if not opened:
                    assert answer.status == 500
        assert wrong == []

    async def test_of_the_table_is_tried_here(self) -> None:
        from sandbox.lnd.permissions import REQUIRED

        # The two subscriptions have tests of their own: they answer only when there is news.
        assert len(CALLS) + 2 == len(REQUIRED)

    async def test_is_closed_without_a_macaroon(self, lnd: LndProgram) -> None:
        async with LndClient(lnd, "merchant", None) as client:
            answer = await client.get("/v1/getinfo")
            assert answer.status == 500
            assert answer.body == {"code": 2, "message": "expected 1 macaroon, got 0", "details": []}
            stream = await client.post("/v2/router/send", {"payment_request": "x"})
            assert stream.body == {"error": answer.body}
            assert (await client.get("/v1/state")).body == {"state": "SERVER_ACTIVE"}


class TestMacaroons:
    async def test_of_the_other_node_do_not_open(self, lnd: LndProgram, merchant: LndClient) -> None:
        async with merchant.using(lnd.macaroon("customer", "admin")) as client:
            answer = await client.get("/v1/getinfo")
        assert answer.body["message"] == "verification failed: signature mismatch after caveat verification"

    @pytest.mark.parametrize(("given", "words"), [("zz", "encoding/hex"), ("00ff", "data format"), ("", "empty")])
    async def test_that_are_none_are_refused(self, merchant: LndClient, given: str, words: str) -> None:
        async with merchant.session.get(
            merchant.url + "/v1/getinfo", headers={"Grpc-Metadata-macaroon": given}
        ) as answer:
            assert words in (await answer.json())["message"]

    async def test_can_be_baked_for_one_purpose(self, merchant: LndClient) -> None:
        wanted = [{"entity": "invoices", "action": "read"}]
        answer = await merchant.post("/v1/macaroon", {"permissions": wanted, "root_key_id": "5"})
        async with merchant.using(answer.body["macaroon"]) as client:
            assert (await client.get("/v1/invoices")).status == 200
            assert (await client.post("/v1/invoices", {"value": "1"})).body == DENIED

    async def test_can_be_baked_for_one_method(self, merchant: LndClient) -> None:
        wanted = [{"entity": "uri", "action": "/lnrpc.Lightning/GetInfo"}]
        answer = await merchant.post("/v1/macaroon", {"permissions": wanted})
        async with merchant.using(answer.body["macaroon"]) as client:
            assert (await client.get("/v1/getinfo")).status == 200
            assert (await client.get("/v1/channels")).body == DENIED

    async def test_of_a_root_key_that_was_never_used_do_not_open(self, lnd: LndProgram, merchant: LndClient) -> None:
        root_key = macaroons.derive_root_key(bytes.fromhex(lnd.root_key), "merchant", b"99")
        forged = macaroons.bake(root_key, b"99", bytes(16), [])
        async with merchant.using(forged.hex()) as client:
            answer = await client.get("/v1/getinfo")
        assert answer.body["message"] == "cannot get macaroon: root key with id 99 doesn't exist"

    async def test_with_an_expiry_close_when_it_has_passed(self, lnd: LndProgram, merchant: LndClient) -> None:
        from sandbox.lnd.permissions import FILES

        root_key = macaroons.derive_root_key(bytes.fromhex(lnd.root_key), "merchant", b"0")
        for caveat, status in ((b"time-before 2020-01-01T00:00:00Z", 500), (b"time-before 2120-01-01T00:00:00Z", 200)):
            narrowed = macaroons.bake(root_key, b"0", bytes(16), FILES["admin"], [caveat])
            async with merchant.using(narrowed.hex()) as client:
                assert (await client.get("/v1/getinfo")).status == status

    @pytest.mark.parametrize(
        ("wanted", "words"),
        [
            ([], "permission list cannot be empty"),
            ([{"entity": "moon", "action": "read"}], "invalid permission entity"),
            ([{"entity": "info", "action": "fly"}], "invalid permission action"),
            ([{"entity": "uri", "action": "/lnrpc.Lightning/Nothing"}], "must be an existing URI"),
        ],
    )
    async def test_for_nonsense_are_not_baked(self, merchant: LndClient, wanted: object, words: str) -> None:
        answer = await merchant.post("/v1/macaroon", {"permissions": wanted})
        assert answer.status == 500
        assert words in answer.body["message"]


class TestTheEdges:
    async def test_there_is_no_wallet_on_a_chain(self, merchant: LndClient) -> None:
        answer = await merchant.get("/v1/newaddress")
        assert (answer.status, answer.body["code"]) == (501, 12)
        assert "no on-chain wallet" in answer.body["message"]

    async def test_unknown_paths_and_verbs_answer_as_the_proxy_does(self, merchant: LndClient) -> None:
        assert (await merchant.get("/v1/nothing")).body == {"code": 5, "message": "Not Found", "details": []}
        answer = await merchant.post("/v1/getinfo")
        assert (answer.status, answer.body["code"]) == (501, 12)

    @pytest.mark.parametrize(
        ("body", "words"),
        [
            (b"{", "syntax error"),
            (b"[]", "unexpected token"),
            (b'{"valeu":"1"}', 'unknown field "valeu"'),
            (b'{"value":"1.5"}', "invalid value for int64"),
            (b'{"value":true}', "invalid value for int64"),
            (b'{"value":"9223372036854775808"}', "invalid value for int64"),
            (b'{"memo":5}', "invalid value for string"),
            (b'{"r_preimage":"*"}', "invalid value for bytes"),
        ],
    )
    async def test_a_body_that_is_no_message_is_an_invalid_argument(
        self, merchant: LndClient, body: bytes, words: str
    ) -> None:
        async with merchant.session.post(merchant.url + "/v1/invoices", data=body) as answer:
            refusal = await answer.json()
        assert (answer.status, refusal["code"]) == (400, 3)
        assert words in refusal["message"]

    async def test_camel_case_numbers_and_nulls_are_understood(self, merchant: LndClient) -> None:
        answer = await merchant.post("/v1/invoices", {"valueMsat": 2500, "memo": None})
        found = await merchant.ok("/v1/payreq/" + answer.body["payment_request"])
        assert (found["num_msat"], found["num_satoshis"]) == ("2500", "2")
