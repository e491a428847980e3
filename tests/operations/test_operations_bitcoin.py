"""The customer pays on the Bitcoin chain and by River, and is told in a sentence why a payment did not go through."""

from __future__ import annotations

import hashlib
import hmac
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from operations.errors import OperationError
from operations.outputs import BitcoinCounterpart, RiverCounterpart
from operations.payment import onchain, river
from operations.service import PaymentService
from tests.operations.conftest import free_port
from tests.sandbox.processes import EsploraProgram, RiverProgram, running

ADDRESS = "bcrt1q6rz28mcfaxtmd6v789l9rrlrusdprr9pz3cppk"


class Shop(PaymentService):
    """A service that makes one invoice and believes it paid once the chain or the custodian says so."""

    def __init__(self, payment_request: str) -> None:
        super().__init__("http://127.0.0.1:1")
        self.invoice: dict[str, Any] = {"id": "1", "paymentRequest": payment_request, "paymentHash": "ab" * 32}

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        self.invoice["ordered"] = body
        return self.invoice

    def get(self, path: str) -> dict[str, Any]:
        return self.invoice | {"status": "settled", "received": self.invoice["ordered"]["amount"]}


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EsploraProgram]:
    program = EsploraProgram(tmp_path_factory.mktemp("esplora"))
    with running(program):
        yield program


@pytest.mark.parametrize("request_text", [ADDRESS, f"bitcoin:{ADDRESS}?amount=0.0001"])
def test_the_faucet_pays_the_address_and_the_block_holds_it(chain: EsploraProgram, request_text: str) -> None:
    height = chain.ask("/blocks/tip/height")
    counterpart = BitcoinCounterpart(url=chain.url)
    paid = onchain.pay(Shop(request_text), counterpart, amount_sat=10_000, memo="tea", confirmations=2)
    found = chain.ask(f"/tx/{paid.reference}")
    assert (found["status"]["block_height"], found["fee"] * 1_000) == (height + 1, paid.fee)
    assert 10_000 in [one["value"] for one in found["vout"] if one["scriptpubkey_address"] == ADDRESS]
    assert chain.ask("/blocks/tip/height") == height + 2
    assert (paid.price, paid.note) == ("0.0001 BTC", "regtest, 2 confirmations")


def test_what_the_chain_refuses_or_does_not_answer_is_told(chain: EsploraProgram) -> None:
    order: dict[str, Any] = {"amount_sat": 10_000, "memo": "tea", "confirmations": 1}
    with pytest.raises(OperationError, match=r"refused /sandbox/pay: Invalid Bitcoin address"):
        onchain.pay(Shop("no address"), BitcoinCounterpart(url=chain.url), **order)
    gone = BitcoinCounterpart(url=f"http://127.0.0.1:{free_port()}")
    with pytest.raises(OperationError, match=r"gives no answer .*run \./railyard up"):
        onchain.pay(Shop(ADDRESS), gone, **order)


def test_what_river_refuses_or_does_not_answer_is_told(tmp_path: Path) -> None:
    program = RiverProgram(tmp_path)
    with running(program), pytest.raises(OperationError, match=r"refused /sandbox/receive: .*cannot be paid"):
        river.pay(Shop("lnbcrt1x"), RiverCounterpart(url=program.url), amount_sat=1, memo="tea")
    with pytest.raises(OperationError, match="gives no answer"):
        river.pay(Shop("lnbcrt1x"), RiverCounterpart(url=program.url), amount_sat=1, memo="tea")


@contextmanager
def _receiver(status: int) -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """A receiver of webhooks that answers so; its address, and signature and body of what came."""
    came: list[tuple[str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            came.append((self.headers["River-Signature"], body))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/inbound/river", came
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _request(program: RiverProgram) -> str:
    order = {"external_id": "e1", "amount_msat": 1000, "memo": "tea", "expiry_seconds": 3600}
    answer = httpx.post(f"{program.url}/v1/invoices", json=order, auth=(program.api_key, ""))
    return str(answer.raise_for_status().json()["payment_request"])


def test_river_tells_the_service_by_a_signed_webhook(tmp_path: Path) -> None:
    with _receiver(200) as (url, came):
        program = RiverProgram(tmp_path, url)
        with running(program):
            shop = Shop(_request(program))
            paid = river.pay(shop, RiverCounterpart(url=program.url), amount_sat=1, memo="tea")
    assert paid.note == "told by a signed webhook"
    ((signature, body),) = came
    time, mark = (part.partition("=")[2] for part in signature.split(","))
    key = bytes.fromhex(program.webhook_secret)
    assert mark == hmac.new(key, f"{time}.".encode() + body, hashlib.sha256).hexdigest()


def test_a_webhook_that_the_service_does_not_take_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(river, "SETTLE_WITHIN_SECONDS", 1.0)
    with _receiver(401) as (url, _):
        program = RiverProgram(tmp_path, url)
        with (
            running(program),
            pytest.raises(OperationError, match="River's webhook about the payment is still 'not taken'"),
        ):
            river.pay(Shop(_request(program)), RiverCounterpart(url=program.url), amount_sat=1, memo="tea")
