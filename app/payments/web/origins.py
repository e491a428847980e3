"""Which web pages may send requests: those of ALLOWED_ORIGINS. A request that a browser sends from elsewhere is
refused on the server (ms-auth-origin-check), not only hidden from the page, and told in the log
(x4-log-cors-blocks)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, cast

import structlog
from starlette.middleware.cors import CORSMiddleware

from payments.errors import Forbidden
from payments.web.gate import AsgiApplication, Receive, Scope, Send

HEADERS = (
    "authorization",
    "content-type",
    "idempotency-key",
    "x-api-key",
    "x-request-id",
    "payment-signature",
    "api-version",
)
EXPOSED_HEADERS = (
    "api-version",
    "x-request-id",
    "retry-after",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
)
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_log = structlog.get_logger("payments.http")


class Origins:
    """Lets requests without an Origin pass (they come from no page), and those of listed origins."""

    def __init__(self, inner: AsgiApplication, allowed: Collection[str]) -> None:
        self._allowed = frozenset(origin.encode() for origin in allowed)
        self._inner = inner
        if allowed:
            self._inner = cast(
                AsgiApplication,
                CORSMiddleware(
                    cast(Any, inner),
                    allow_origins=list(allowed),
                    allow_methods=list(METHODS),
                    allow_headers=list(HEADERS),
                    expose_headers=list(EXPOSED_HEADERS),
                    max_age=600,
                ),
            )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            for name, value in scope["headers"]:
                if name == b"origin" and value not in self._allowed:
                    origin = value[:200].decode("latin-1")
                    _log.warning("CORS request blocked", tag="[CORS]", origin=origin, path=scope["path"])
                    raise Forbidden(
                        "Requests from this origin are not accepted: add it to ALLOWED_ORIGINS if it is ours."
                    )
        await self._inner(scope, receive, send)
