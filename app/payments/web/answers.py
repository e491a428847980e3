"""Stored answers on the wire: the bytes as they were stored, so that a replay is byte-equal."""

from __future__ import annotations

from fastapi import Request, Response

from payments.idempotency.schemas import Answer


def send(request: Request, answer: Answer) -> Response:
    """`answer` as a response; the limits' headers are of this request, not of the stored one."""
    headers = {**answer.headers, **getattr(request.state, "rate_limit_headers", {})}
    return Response(answer.body, answer.status, headers, media_type="application/json")
