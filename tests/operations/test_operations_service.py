"""The client of the payment service tells a refusal from a silence, and keeps its key to itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from operations.errors import OperationError
from operations.service import PaymentService, RefusedError, signed_in
from tests.operations.conftest import free_port


class Recorder(ThreadingHTTPServer):
    """A server that knows one admin key and the API keys it gave out, and keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.keys: set[str] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Recorder

    def do_GET(self) -> None:
        self.answer(200, {"balanced": True})

    def do_POST(self) -> None:
        length = int(self.headers["content-length"])
        body = json.loads(self.rfile.read(length))
        if self.path == "/api-keys":
            key = f"sk_test_{len(self.server.keys)}"
            self.server.keys.add(key)
            self.answer(201, {"key": key, "userId": body["userId"]}, admin=True)
        else:
            self.answer(400, {"error": "amount must be positive", "code": "INVALID_INPUT", "requestId": "r-1"})

    def answer(self, status: int, body: dict[str, Any], *, admin: bool = False) -> None:
        self.server.asked.append((self.command, self.path, dict(self.headers)))
        key = self.headers.get("x-api-key", "")
        if key not in ({"admin"} if admin else self.server.keys):
            status, body = 401, {"error": "unknown key", "code": "UNAUTHORIZED"}
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def server() -> Iterator[Recorder]:
    with Recorder() as recorder:
        thread = Thread(target=recorder.serve_forever)
        thread.start()
        yield recorder
        recorder.shutdown()
        thread.join()


def test_a_refusal_carries_the_services_words_code_and_request(server: Recorder) -> None:
    server.keys.add("mine")
    with PaymentService(server.url, "mine") as service, pytest.raises(RefusedError) as refused:
        service.post("/v1/payments", {})
    assert refused.value.sentence == (
        "the service refused POST /v1/payments: amount must be positive (400 INVALID_INPUT, request r-1)."
    )
    assert (refused.value.status, refused.value.code) == (400, "INVALID_INPUT")


def test_a_silence_is_told_with_the_way_on() -> None:
    told = r"cannot be reached .*run \./railyard status"
    with PaymentService(f"http://127.0.0.1:{free_port()}") as service, pytest.raises(OperationError, match=told):
        service.get("/ready")


def test_a_proxy_of_the_surroundings_is_not_asked(server: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    server.keys.add("mine")
    with PaymentService(server.url, "mine") as service:
        assert service.get("/v1/ledger") == {"balanced": True}


def test_every_post_is_one_intent(server: Recorder) -> None:
    with PaymentService(server.url) as service:
        for _ in range(2):
            service.create_key("admin", name="n", user="u", environment="test", permissions=["read"], unlimited=False)
    one, two = (headers["Idempotency-Key"] for _, _, headers in server.asked)
    assert one != two


def test_the_key_is_made_once_and_kept_private(server: Recorder, tmp_path: Path) -> None:
    kept = tmp_path / "own" / "api-key"
    for _ in range(2):
        with signed_in(PaymentService(server.url), "admin", kept) as service:
            assert service.get("/v1/ledger")["balanced"]
    assert server.keys == {"sk_test_0"}
    assert kept.stat().st_mode & 0o777 == 0o600


def test_a_key_the_service_forgot_is_made_again(server: Recorder, tmp_path: Path) -> None:
    kept = tmp_path / "api-key"
    kept.write_text("sk_test_of_another_database")
    with signed_in(PaymentService(server.url), "admin", kept) as service:
        assert service.key == "sk_test_0"
    assert kept.read_text() == "sk_test_0"


def test_waiting_ends_with_what_was_seen_last(server: Recorder) -> None:
    seen = iter([{"status": "open"}, {"status": "settled"}])
    with PaymentService(server.url) as service:
        assert service.wait_for("it", lambda: next(seen), lambda s: s["status"] == "settled", 5)["status"] == "settled"
        with pytest.raises(OperationError, match="the invoice is still 'open' after 0 s"):
            service.wait_for("the invoice", lambda: {"status": "open"}, lambda s: s["status"] == "settled", 0)
