"""LNbits as the yardstick: its own environment, PostgreSQL, its fake wallet. Never part of this project's environment.

python3 -m venv /tmp/lnbits && /tmp/lnbits/bin/pip install lnbits==1.6.2 "bitstring<5"
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx

from tests.app import servers

VERSION = "1.6.2"
HOW_TO_INSTALL = (
    "LNbits is not installed, so nothing was compared: make an environment of its own with `python3 -m venv "
    f"/tmp/lnbits && /tmp/lnbits/bin/pip install lnbits=={VERSION} 'bitstring<5'` and pass --lnbits /tmp/lnbits."
)
START_SECONDS = 180


@dataclass(frozen=True)
class Lnbits:
    """A running LNbits with a wallet."""

    url: str
    key: str
    process: subprocess.Popen[bytes]
    version: str


def _packages(environment: Path) -> Path:
    return next(iter(environment.glob("lib/python3*/site-packages")), environment)


def installed_version(environment: Path) -> str | None:
    """The version of LNbits in a virtual environment, None when it has none."""
    found = sorted(_packages(environment).glob("lnbits-*.dist-info"))
    return found[-1].name.removeprefix("lnbits-").removesuffix(".dist-info") if found else None


class _Price(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b'{"price": 65000.0}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        return


@contextmanager
def _prices() -> Iterator[str]:
    """An exchange on loopback. LNbits notes every payment's value in dollars, by a price that it keeps for a minute;
    where no exchange answers it asks all of them again for each payment, and its timeouts would be measured."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Price)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/price"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def running(environment: Path, postgres: servers.PostgresServer, folder: Path) -> Iterator[Lnbits]:
    """LNbits on PostgreSQL with the fake wallet, one process, no rate limit, its log on disk.

    Raises:
        RuntimeError: it does not start; the message has the end of its log.
    """
    postgres.execute("CREATE DATABASE lnbits OWNER payments_owner")
    with _prices() as price_url:
        yield from _running(environment, postgres, folder, price_url)


def _running(environment: Path, postgres: servers.PostgresServer, folder: Path, price_url: str) -> Iterator[Lnbits]:
    exchange = {"name": "loopback", "api_url": price_url, "path": "$.price", "exclude_to": [], "ticker_conversion": []}
    port = servers.free_port()
    log = folder / "lnbits.log"
    settings = {
        "HOME": str(folder),
        "LNBITS_DATA_FOLDER": str(folder / "data"),
        "LNBITS_EXTENSIONS_PATH": str(folder),
        "LNBITS_DATABASE_URL": postgres.url("payments_owner", "lnbits").replace("postgresql://", "postgres://"),
        "LNBITS_BACKEND_WALLET_CLASS": "FakeWallet",
        "LNBITS_ADMIN_UI": "false",
        "LNBITS_RATE_LIMIT_NO": "1000000",
        "LNBITS_EXTENSIONS_DEFAULT_INSTALL": "",
        "LNBITS_PRICE_AGGREGATOR_ENABLED": "false",
        "LNBITS_EXCHANGE_RATE_PROVIDERS": json.dumps([exchange]),
        "FAKE_WALLET_SECRET": "railyard",
        "AUTH_ALLOWED_METHODS": '["user-id-only", "username-password"]',
        "DEBUG": "false",
        "PATH": f"{environment}/bin:{os.environ['PATH']}",
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(environment / "bin" / "lnbits"), "--port", str(port), "--host", "127.0.0.1"],
            cwd=_packages(environment),  # it looks for its static files beside itself
            env=settings,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        key = _wallet_key(url, process, log)
        yield Lnbits(url, key, process, installed_version(environment) or "unknown")
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        # Its server may be a process of its own, which outlives the one that was started.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wallet_key(url: str, process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + START_SECONDS
    said = ""
    while time.monotonic() < deadline and process.poll() is None:
        try:
            answer = httpx.post(f"{url}/api/v1/account", json={"name": "bench"}, timeout=20)
            if answer.status_code < 300:
                return str(answer.json()["inkey"])
            said = f"{answer.status_code} {answer.text[:200]}"
        except (httpx.HTTPError, json.JSONDecodeError, KeyError) as error:
            said = repr(error)
        time.sleep(0.5)
    raise RuntimeError(f"LNbits does not give a wallet ({said}): {log.read_text(errors='replace')[-1500:]}")
