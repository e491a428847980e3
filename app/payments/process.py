"""The processes: builds the core for a role and runs granian embedded, until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import signal
import socket
import sys

import structlog
from granian.constants import Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server as EmbeddedServer

from payments import logs
from payments.api_keys.service import KeyRing
from payments.clock import Clock
from payments.core import Core
from payments.database import Database
from payments.limits.limiter import Limiter
from payments.rail_registry import Role, build_rails
from payments.settings import Command, Settings, load
from payments.tokens.verifier import TokenVerifier
from payments.web.application import create_application
from payments.web.gate import AsgiApplication
from payments.worker import process as worker_process
from payments.worker.queue import CONNECTIONS

BACKLOG = 1024
# An idle connection is kept for longer than whatever stands before this keeps it (the load balancer of AWS: 60 s; the
# router of a local stack: 20 s). Whoever closes first must be the one who sends requests: otherwise now and then one is
# sent into a connection that has just been closed, and its client is told 502 or 503.
KEEP_ALIVE_SECONDS = 75
_HTTP1 = HTTP1Settings(header_read_timeout=KEEP_ALIVE_SECONDS * 1000)
# Objects made and not yet freed, before the collector looks at the newest of them (700 by default).
GARBAGE_THRESHOLD = 10_000
_PR_SET_PDEATHSIG = 1
_log = structlog.get_logger(__name__)


class ListenError(Exception):
    """The address cannot be listened on; the message is one sentence."""


def build_core(settings: Settings, role: Role) -> Core:
    """The core of a role. Opens nothing yet."""
    assert settings.database_url is not None
    assert settings.redis_url is not None
    clock = Clock()
    # The worker's job queue has connections of its own, and one that listens.
    size = settings.database_pool_size if role is Role.WEB else max(2, settings.database_pool_size - CONNECTIONS - 1)
    database = Database(
        settings.database_url.get_secret_value(),
        size=size,
        timeout_seconds=settings.database_pool_timeout_seconds,
        name=f"{role.value}-{settings.slot}",
    )
    return Core(
        settings=settings,
        database=database,
        limiter=Limiter(
            settings.redis_url.get_secret_value(),
            window_seconds=settings.rate_limit_window_seconds,
            instances=settings.expected_instances * settings.workers,
        ),
        rails=build_rails(settings, role),
        clock=clock,
        key_ring=KeyRing(database, settings, clock) if role is Role.WEB else None,
        tokens=TokenVerifier(settings, clock) if role is Role.WEB else None,
    )


def _check_port(host: str, port: int) -> None:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ListenError(
                f"Cannot listen on {host}:{port}: {error.strerror}. Choose another address, or end what uses it."
            ) from None


def _spare_collections() -> None:
    """Let the garbage collector look at what requests leave behind only, and less often.

    What was made at the start (routes, models, SQL) is never garbage, yet a full collection walks all of it: some
    100 ms in which no request is answered.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD, 10, 10)


async def _run(application: AsgiApplication, host: str, port: int) -> None:
    _spare_collections()
    server = EmbeddedServer(
        application,
        address=host,
        port=port,
        interface=Interfaces.ASGI,
        websockets=False,
        backlog=BACKLOG,
        http1_settings=_HTTP1,
        log_enabled=False,
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.stop)
    await server.serve()


def _say_start(settings: Settings, port: int) -> None:
    _log.info("starting", host=settings.host, port=port)
    if unused := settings.unused():
        _log.warning("settings are given that this release does not read", variables=unused)


def serve(settings: Settings) -> None:
    """The web role. One process, or WORKERS processes under a parent.

    Raises:
        ListenError: the port is taken.
    """
    _check_port(settings.host, settings.port)
    if settings.workers > 1:
        _serve_several(settings)
        return
    logs.configure(settings, role=Role.WEB)
    _say_start(settings, settings.port)
    asyncio.run(_run(create_application(build_core(settings, Role.WEB)), settings.host, settings.port))
    _log.info("stopped")


def application_of_child() -> AsgiApplication:
    """The application in one of several web processes; it ends with its parent."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    settings = load(Command.SERVE)
    logs.configure(settings, role=Role.WEB)
    application = create_application(build_core(settings, Role.WEB))
    _spare_collections()
    return application


def _serve_several(settings: Settings) -> None:
    from granian import Granian  # the parent alone needs it

    Granian(
        "payments.process:application_of_child",
        address=settings.host,
        port=settings.port,
        interface=Interfaces.ASGI,
        workers=settings.workers,
        factory=True,
        websockets=False,
        backlog=BACKLOG,
        http1_settings=_HTTP1,
        log_enabled=False,
        respawn_failed_workers=True,
    ).serve()


def work(settings: Settings) -> None:
    """The worker role.

    Raises:
        ListenError: the port of its health is taken.
    """
    _check_port(settings.host, settings.worker_port)
    logs.configure(settings, role=Role.WORKER)
    _say_start(settings, settings.worker_port)
    core = build_core(settings, Role.WORKER)
    assert settings.database_url is not None
    worker = worker_process.Worker(core, settings.database_url.get_secret_value())
    application = worker_process.create_application(worker, core)
    asyncio.run(_run(application, settings.host, settings.worker_port))
    _log.info("stopped")
