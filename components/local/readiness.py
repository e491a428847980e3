"""Whether a server answers on the loopback address: by TCP, HTTP, HTTPS or PostgreSQL's protocol."""

from __future__ import annotations

import http.client
import socket
import ssl
from dataclasses import dataclass
from typing import Literal, cast

PROBE_TIMEOUT_SECONDS = 2.0
Kind = Literal["tcp", "http", "https", "postgres"]
# Length, protocol 3.0, and whom we would be; a server that serves answers with what it wants as a proof.
_STARTUP_BODY = b"\x00\x03\x00\x00user\0postgres\0database\0postgres\0\0"
POSTGRES_STARTUP = (len(_STARTUP_BODY) + 4).to_bytes(4, "big") + _STARTUP_BODY
POSTGRES_AUTHENTICATION = b"R"


@dataclass(frozen=True)
class ReadyCheck:
    """How to see that a process is ready.

    Attributes:
        kind: "tcp": it accepts a connection; "http": it answers GET `path` with a status below 400; "https": below
            500, since without a credential a server may well refuse and yet be ready;
            "postgres": it asks for a password, which PostgreSQL does once it has recovered, not when it first listens.
        address: "127.0.0.1:<port>".
        path: of the request, with its slash; "" for the others.
    """

    kind: Kind
    address: str
    path: str = ""

    @classmethod
    def from_properties(cls, properties: dict[str, str]) -> ReadyCheck:
        """The check as it stands in a resource's properties."""
        return cls(cast(Kind, properties["kind"]), properties["address"], properties.get("path", ""))

    def passes(self) -> bool:
        """One try, within `PROBE_TIMEOUT_SECONDS`."""
        host, port = self.address.rsplit(":", 1)
        try:
            if self.kind == "tcp":
                socket.create_connection((host, int(port)), timeout=PROBE_TIMEOUT_SECONDS).close()
                return True
            if self.kind == "postgres":
                return self._first_byte(host, int(port)) == POSTGRES_AUTHENTICATION
            return self._status(host, int(port)) < (400 if self.kind == "http" else 500)
        except (OSError, http.client.HTTPException):
            return False

    def _first_byte(self, host: str, port: int) -> bytes:
        with socket.create_connection((host, port), timeout=PROBE_TIMEOUT_SECONDS) as connection:
            connection.sendall(POSTGRES_STARTUP)
            return connection.recv(1)

    def _status(self, host: str, port: int) -> int:
        if self.kind == "https":
            # Its certificate is its own, and only whether it answers is asked here, nothing is sent that matters.
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                host, port, timeout=PROBE_TIMEOUT_SECONDS, context=context
            )
        else:
            connection = http.client.HTTPConnection(host, port, timeout=PROBE_TIMEOUT_SECONDS)
        try:
            connection.request("GET", self.path)
            return connection.getresponse().status
        finally:
            connection.close()

    def __str__(self) -> str:
        return f"{self.kind}://{self.address}{self.path}"
