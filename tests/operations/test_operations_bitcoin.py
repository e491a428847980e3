"""The customer pays on the Bitcoin chain and by River, and is told in a sentence why a payment did not go through."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

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
    with running(program), pytest.raises(OperationError, match=r"refused the payment: .*cannot be paid"):
        river.pay(Shop("lnbcrt1x"), RiverCounterpart(url=program.url), amount_sat=1, memo="tea")
    with pytest.raises(OperationError, match="gives no answer"):
        river.pay(Shop("lnbcrt1x"), RiverCounterpart(url=program.url), amount_sat=1, memo="tea")
