"""Envoy for real: who gets the traffic, and who may decide it."""

from __future__ import annotations

import contextlib
import http.client
import importlib
import json
import socket
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from components.aws import load_balancer
from components.local import envoy_settings
from components.local.binaries import find_envoy
from components.local.durable_file import write_durably
from components.local.process import ProcessProvider
from components.local.seed_file import SeedFileProvider
from tests.components.conftest import Properties, wait_until


class Slot:
    """A slot's web role as the router sees it: answers with its name, and 503 on /ready when told to."""

    def __init__(self, name: str) -> None:
        self.ready = True
        self.bodies_begun = 0
        slot = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = json.dumps({"slot": name, "from": self.headers.get("X-Forwarded-For")}).encode()
                self.send_response(503 if self.path == "/ready" and not slot.ready else 200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self) -> None:
                slot.bodies_begun += 1
                self.rfile.read(int(self.headers["Content-Length"]))
                self.do_GET()

            def do_BREW(self) -> None:
                self.send_response(405)
                self.send_header("Allow", "GET")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(scope="module")
def slots() -> Iterator[dict[str, Slot]]:
    made = {name: Slot(name) for name in ("blue", "green", "standby")}
    yield made
    for slot in made.values():
        slot.close()


@pytest.fixture(scope="module")
def folder(stack: Path) -> Path:
    return stack / "envoy"


@pytest.fixture(scope="module")
def router(
    folder: Path, slots: dict[str, Slot], process_inputs: Callable[..., Properties], free_port: Callable[[str], int]
) -> Properties:
    port, admin = free_port("router"), free_port("router-admin")
    files = {
        "bootstrap.json": envoy_settings.bootstrap(f"127.0.0.1:{port}", f"127.0.0.1:{admin}", folder),
        "clusters.json": envoy_settings.clusters({"blue": [slots["blue"].address]}, folder),
        "routes.json": envoy_settings.routes(),
        "weights/weights.json": envoy_settings.weights(100, 0),
        "rollback/fraction.json": envoy_settings.rollback_fraction(0),
        "rollback/endpoints.json": envoy_settings.rollback_endpoints([]),
    }
    for name, content in files.items():
        SeedFileProvider().make({"path": str(folder / name), "content": content})
    command = [
        str(find_envoy().path),
        "-c",
        str(folder / "bootstrap.json"),
        "--disable-hot-restart",
        "--concurrency",
        "1",
    ]
    command += ["--file-flush-interval-msec", "200"]
    ready = {"kind": "http", "address": f"127.0.0.1:{port}", "path": "/ready"}
    listens = [f"127.0.0.1:{port}", f"127.0.0.1:{admin}"]
    return ProcessProvider().make(process_inputs("router", port, command=command, ready=ready, listens=listens))[1]


def get(router: Properties, path: str = "/", **headers: str) -> tuple[int, dict[str, str]]:
    connection = http.client.HTTPConnection(router["listens"][0], timeout=5)
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def connected(router: Properties) -> socket.socket:
    host, port = router["listens"][0].rsplit(":", 1)
    return socket.create_connection((host, int(port)), timeout=10)


def answered(wire: socket.socket) -> bytes:
    """What comes until the connection ends or the answer is whole."""
    got = b""
    while not (b"\r\n\r\n" in got and (b"}" in got or b"content-length: 0" in got.lower())):
        piece = wire.recv(65536)
        if not piece:
            break
        got += piece
    return got


HEAD = b"POST / HTTP/1.1\r\nHost: x\r\n"
# By name: what is sent, and status and code of the answer.
REFUSED: dict[str, tuple[bytes, int, str]] = {
    "an unknown coding": (HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400, "INVALID_INPUT"),
    "two codings": (HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400, "INVALID_INPUT"),
    "length and chunks": (
        HEAD + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
        "INVALID_INPUT",
    ),
    "a websocket": (
        b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        400,
        "INVALID_INPUT",
    ),
    "a tunnel": (b"CONNECT example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n", 400, "INVALID_INPUT"),
    "all of it": (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", 404, "NOT_FOUND"),
    "100 headers": (
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"".join(b"A%d: b\r\n" % n for n in range(95)) + b"\r\n",
        431,
        "INVALID_INPUT",
    ),
    "a large body, announced": (HEAD + b"Content-Length: 16385\r\n\r\n", 413, "INVALID_INPUT"),
    "a large body, in chunks": (
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + (b"1000\r\n" + b" " * 4096 + b"\r\n") * 5 + b"0\r\n\r\n",
        413,
        "INVALID_INPUT",
    ),
}


def shares(router: Properties, requests: int = 40) -> Counter[str]:
    return Counter(get(router)[1].get("slot", "nobody") for _ in range(requests))


@pytest.fixture
def as_new(folder: Path, router: Properties, slots: dict[str, Slot]) -> Iterator[None]:
    """Afterwards all traffic goes to blue again, and green has no endpoint."""
    yield
    slots["blue"].ready = True
    write_durably(folder / "weights/weights.json", envoy_settings.weights(100, 0), 0o644)
    write_durably(folder / "rollback/fraction.json", envoy_settings.rollback_fraction(0), 0o644)
    write_durably(folder / "clusters.json", envoy_settings.clusters({"blue": [slots["blue"].address]}, folder), 0o644)
    wait_until(lambda: shares(router, 10) == {"blue": 10})


@pytest.mark.usefixtures("as_new")
class TestTraffic:
    def test_all_goes_to_blue_at_first(self, router: Properties) -> None:
        assert shares(router) == {"blue": 40}

    def test_weights_move_it_without_a_restart(self, folder: Path, router: Properties, slots: dict[str, Slot]) -> None:
        both = {name: [slots[name].address] for name in ("blue", "green")}
        write_durably(folder / "clusters.json", envoy_settings.clusters(both, folder), 0o644)
        write_durably(folder / "weights/weights.json", envoy_settings.weights(0, 100), 0o644)
        wait_until(lambda: shares(router, 10) == {"green": 10})
        write_durably(folder / "weights/weights.json", envoy_settings.weights(50, 50), 0o644)
        wait_until(lambda: set(shares(router, 20)) == {"blue", "green"})
        assert 60 < shares(router, 200)["blue"] < 140

    def test_an_update_of_the_clusters_leaves_the_weights(
        self, folder: Path, router: Properties, slots: dict[str, Slot]
    ) -> None:
        both = {name: [slots[name].address] for name in ("blue", "green")}
        write_durably(folder / "weights/weights.json", envoy_settings.weights(0, 100), 0o644)
        write_durably(folder / "clusters.json", envoy_settings.clusters(both, folder), 0o644)
        write_durably(folder / "routes.json", envoy_settings.routes(), 0o644)
        wait_until(lambda: shares(router, 10) == {"green": 10})

    def test_the_rollback_route_takes_all_before_the_weights(
        self, folder: Path, router: Properties, slots: dict[str, Slot]
    ) -> None:
        standby = envoy_settings.rollback_endpoints([slots["standby"].address])
        write_durably(folder / "rollback/endpoints.json", standby, 0o644)
        write_durably(folder / "rollback/fraction.json", envoy_settings.rollback_fraction(100), 0o644)
        wait_until(lambda: shares(router, 10) == {"standby": 10})

    def test_a_slot_that_is_not_ready_gets_nothing_and_the_answer_has_the_services_form(
        self, router: Properties, slots: dict[str, Slot]
    ) -> None:
        slots["blue"].ready = False
        wait_until(lambda: get(router)[0] == 503)
        status, body = get(router, **{"X-Request-Id": "3f1c"})
        assert (status, body["code"], body["requestId"]) == (503, "SERVICE_UNAVAILABLE", "3f1c")
        slots["blue"].ready = True
        wait_until(lambda: get(router)[0] == 200)


class TestRequests:
    def test_what_is_refused_before_the_service_has_its_form_too(self, router: Properties) -> None:
        status, body = get(router, **{"a_b": "c"})
        assert (status, body["code"]) == (400, "INVALID_INPUT")

    def test_a_method_that_nobody_knows_is_the_services_to_refuse(self, router: Properties) -> None:
        with connected(router) as wire:
            wire.sendall(b"BREW / HTTP/1.1\r\nHost: x\r\n\r\n")
            head = answered(wire)
        assert head.startswith(b"HTTP/1.1 405")
        assert b"allow: GET" in head

    def test_a_client_of_http_1_0_is_served(self, router: Properties) -> None:
        with connected(router) as wire:
            wire.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert b" 200 " in answered(wire)

    @pytest.mark.parametrize("attack", REFUSED)
    def test_what_no_service_could_take_is_refused_at_once_and_for_good(self, router: Properties, attack: str) -> None:
        sent, status, code = REFUSED[attack]
        with connected(router) as wire:
            wire.sendall(sent)
            head = answered(wire)
        assert head.startswith(f"HTTP/1.1 {status} ".encode()), head
        assert f'"code":"{code}"'.encode() in head
        assert b"retry-after" not in head, "trying again mends nothing"

    def test_a_body_that_is_late_is_held_here_and_reaches_no_slot(
        self, router: Properties, slots: dict[str, Slot]
    ) -> None:
        """The service's connections are for everybody: a thousand late bodies would take them all."""
        begun = slots["blue"].bodies_begun
        with contextlib.ExitStack() as held:
            late = [held.enter_context(connected(router)) for _ in range(20)]
            for wire in late:
                wire.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{")
            assert shares(router, 20) == {"blue": 20}
            assert slots["blue"].bodies_begun == begun
            late[0].sendall(b"}")
            assert b" 200 " in answered(late[0])
            assert slots["blue"].bodies_begun == begun + 1

    def test_the_router_does_not_say_what_it_is(self, router: Properties) -> None:
        with connected(router) as wire:
            wire.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b"x-envoy" not in answered(wire).lower()

    def test_a_forged_client_address_stays_left_of_the_one_trusted_hop(self, router: Properties) -> None:
        forwarded = get(router, **{"X-Forwarded-For": "203.0.113.9"})[1]["from"].split(",")
        assert forwarded[0] == "203.0.113.9"
        assert len(forwarded) == 2

    def test_the_access_log_has_no_query_and_no_headers(self, router: Properties) -> None:
        get(router, "/planted?key=planted-in-query", **{"X-Api-Key": "planted-in-header"})
        log = Path(router["log"])
        wait_until(lambda: '"path":"/planted"' in log.read_text())
        line = json.loads(next(line for line in log.read_text().splitlines() if '"path":"/planted"' in line))
        assert (line["method"], line["status"], line["upstream"]) == ("GET", 200, "web-blue")
        assert "planted-in" not in log.read_text()


class TestSettings:
    def test_envoy_accepts_them(self, router: Properties, folder: Path) -> None:
        command = [str(find_envoy().path), "--mode", "validate", "-c", str(folder / "bootstrap.json")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr

    def test_the_router_and_the_service_take_bodies_of_the_same_size(self) -> None:
        gate = importlib.import_module("payments.web.gate")
        assert envoy_settings.MAXIMUM_BODY_BYTES == gate.MAXIMUM_BODY_BYTES

    def test_the_service_keeps_an_idle_connection_for_longer_than_who_sends_requests_into_it(self) -> None:
        kept = importlib.import_module("payments.process").KEEP_ALIVE_SECONDS
        assert kept > envoy_settings.UPSTREAM_IDLE_SECONDS
        assert kept > load_balancer.IDLE_SECONDS
        for cluster in json.loads(envoy_settings.clusters({}, Path()))["resources"]:
            (options,) = cluster["typed_extension_protocol_options"].values()
            idle = options["common_http_protocol_options"]["idle_timeout"]
            assert idle == f"{envoy_settings.UPSTREAM_IDLE_SECONDS}s"

    def test_an_export_may_take_as_long_as_its_reader(self) -> None:
        """100,000 rows at 300 kB/s were cut after a minute."""
        (host,) = json.loads(envoy_settings.routes())["resources"][0]["virtual_hosts"]
        for where in ("cluster", "weighted_clusters"):
            way = [route for route in host["routes"] if where in route.get("route", {})]
            by_path = {
                path: next(route["route"] for route in way if path.startswith(route["match"]["prefix"]))
                for path in ("/v1/exports/invoices", "/v1/invoices")
            }
            assert by_path["/v1/exports/invoices"]["timeout"] == "0s"
            assert by_path["/v1/exports/invoices"]["idle_timeout"] == envoy_settings.EXPORT_IDLE_TIMEOUT
            assert by_path["/v1/invoices"]["timeout"] == envoy_settings.ROUTE_TIMEOUT

    def test_weights_add_up(self) -> None:
        with pytest.raises(ValueError, match="must add up to 100"):
            envoy_settings.weights(60, 60)
