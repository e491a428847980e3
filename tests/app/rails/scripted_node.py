"""A scripted LND node, for what a healthy one never does: broken connections, lost answers, wrong certificates."""

import asyncio
import datetime as dt
import ipaddress
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Answer = Callable[[web.Request, dict[str, Any]], Awaitable[web.StreamResponse]]


def write_certificate(folder: Path) -> None:
    """`tls.cert` and `tls.key` as LND lays them: self-signed, EC."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "scripted")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "tls.cert").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "tls.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


@dataclass
class Call:
    """One request that the node saw."""

    method: str
    path: str
    query: dict[str, str]
    body: dict[str, Any]
    macaroon: str


@dataclass
class ScriptedNode:
    """Answers by the table `answers` (method and path prefix, the longest wins); keeps every call."""

    folder: Path
    port: int = 0
    answers: dict[tuple[str, str], Answer] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    _runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def certificate(self) -> Path:
        return self.folder / "tls.cert"

    async def start(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "tls.cert", self.folder / "tls.key")
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=context)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def on(self, method: str, prefix: str, answer: Answer) -> None:
        self.answers[method, prefix] = answer

    def seen(self, method: str, prefix: str) -> list[Call]:
        return [call for call in self.calls if call.method == method and call.path.startswith(prefix)]

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        body = orjson.loads(raw) if raw else {}
        macaroon = request.headers.get("Grpc-Metadata-macaroon", "")
        self.calls.append(Call(request.method, request.path, dict(request.query), body, macaroon))
        fitting = [key for key in self.answers if key[0] == request.method and request.path.startswith(key[1])]
        if not fitting:
            return error(404, 5, "Not Found")
        return await self.answers[max(fitting, key=lambda key: len(key[1]))](request, body)


def error(status: int, code: int, message: str) -> web.Response:
    return web.json_response({"code": code, "message": message, "details": []}, status=status)


def says(value: dict[str, Any]) -> Answer:
    """Always this JSON object."""

    async def answer(_request: web.Request, _body: dict[str, Any]) -> web.StreamResponse:
        return web.json_response(value)

    return answer


def fails(status: int, code: int, message: str) -> Answer:
    """Always this error, in LND's form."""

    async def answer(_request: web.Request, _body: dict[str, Any]) -> web.StreamResponse:
        return error(status, code, message)

    return answer


def streams(*results: dict[str, Any], then_hang: bool = False) -> Answer:
    """These results as LND's stream, then the end, or silence."""

    async def answer(request: web.Request, _body: dict[str, Any]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        for result in results:
            await response.write(orjson.dumps({"result": result}) + b"\n")
        if then_hang:
            await asyncio.sleep(3600)
        return response

    return answer


def hangs() -> Answer:
    """Takes the request and never answers."""

    async def answer(_request: web.Request, _body: dict[str, Any]) -> web.StreamResponse:
        await asyncio.sleep(3600)
        raise AssertionError("unreachable")

    return answer


def breaks() -> Answer:
    """Takes the request and cuts the connection."""

    async def answer(request: web.Request, _body: dict[str, Any]) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    return answer


@dataclass
class Scripts:
    """The answers above, for tests to pick from."""

    says: Callable[..., Answer] = says
    fails: Callable[..., Answer] = fails
    streams: Callable[..., Answer] = streams
    hangs: Callable[..., Answer] = hangs
    breaks: Callable[..., Answer] = breaks
    write_certificate: Callable[[Path], None] = write_certificate
