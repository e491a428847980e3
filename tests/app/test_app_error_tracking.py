"""Errors go to Sentry if SENTRY_DSN is set, redacted as the log is; without it nothing is loaded and nothing leaves."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from payments.settings_of_safety import dsn_problem

ROOT = Path(__file__).resolve().parents[2]
PLANTED = "planted-" + "0123456789abcdef" * 3
PROGRAM = """
import logging, sys, structlog
from payments import logs
from payments.settings import Settings
more = {"SENTRY_DSN": sys.argv[2]} if sys.argv[2:] else {}
logs.configure(Settings(API_KEY_PEPPER=sys.argv[1], RELEASE="r1", **more), role="worker")
log = structlog.get_logger()
log.info("only information", secret_word=sys.argv[1])
log.error("the rail differs", rail="lnd", found=f"pepper {sys.argv[1]}", macaroon="abcdef0123456789")
try:
    raise ValueError(sys.argv[1])
except ValueError:
    log.exception("it broke")
logging.getLogger("of.a.library").error("a library says %s", sys.argv[1])
print("loaded" if "sentry_sdk" in sys.modules else "not loaded")
"""


@contextmanager
def _sentry() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Something that takes envelopes; its DSN, and the events that came."""
    events: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            # An envelope: its header, then each item's header and payload, a line each.
            lines = [json.loads(line) for line in body.splitlines() if line]
            events.extend(
                event for item, event in zip(lines[1::2], lines[2::2], strict=True) if item["type"] == "event"
            )
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://abc123@127.0.0.1:{server.server_port}/7", events
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _run(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "app")},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout + done.stderr


def test_errors_are_sent_redacted_and_nothing_else() -> None:
    with _sentry() as (dsn, events):
        printed = _run(PLANTED, dsn)
    assert "not loaded" not in printed
    by_message = {event["message"]: event for event in events}
    assert by_message.keys() == {"the rail differs", "it broke", "a library says [redacted]"}
    differs = by_message["the rail differs"]
    assert (differs["level"], differs["release"], differs["tags"]["rail"], differs["tags"]["role"]) == (
        "error",
        "r1",
        "lnd",
        "worker",
    )
    assert differs["extra"]["found"] == "pepper [redacted]"
    assert differs["extra"]["macaroon"] == "[redacted]"
    assert "ValueError: [redacted]" in by_message["it broke"]["extra"]["exception"]
    sent = json.dumps(events)
    assert PLANTED not in sent
    assert os.uname().nodename not in {event.get("server_name") for event in events}


def test_without_a_dsn_the_sdk_is_not_loaded() -> None:
    assert "not loaded" in _run(PLANTED)


@pytest.mark.parametrize(
    "dsn", ["nonsense", "http://key@sentry.example/1", "https://sentry.example/1", "https://k@s.example/x"]
)
def test_a_wrong_dsn_gets_one_sentence_that_does_not_show_it(dsn: str) -> None:
    problem = dsn_problem(dsn)
    assert problem is not None
    assert dsn not in problem
    assert dsn_problem("https://key@o1.ingest.sentry.example/42") is None
