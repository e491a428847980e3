"""Whether a server answers: by TCP, HTTP or HTTPS on the loopback address."""

from __future__ import annotations

import http.client
import socket
import ssl
from dataclasses import dataclass
from typing import Literal, cast

PROBE_TIMEOUT_SECONDS = 2.0
Kind = Literal["tcp", "http", "https"]


@dataclass(frozen=True)
class ReadyCheck:
    """How to see that a process is ready.

    Attributes:
        kind: "tcp": it accepts a connection; "http"/"https": it answers GET `path` with a status below 400.
        address: "127.0.0.1:<port>".
        path: of the request, with its slash; "" for tcp.
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
            return self._status(host, int(port)) < 400
        except (OSError, http.client.HTTPException):
            return False

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
