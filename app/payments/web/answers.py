"""Keys and stored answers on the wire: the bytes as they were stored, so that a replay is byte-equal."""

from __future__ import annotations

from typing import Annotated

from fastapi import Header, Request, Response

from payments.api_keys.schemas import Caller
from payments.errors import InvalidInput
from payments.idempotency.schemas import Answer, IdempotencyKey
from payments.idempotency.service import key_of_request
from payments.web.callers import core_of

# What `key_of_request` takes; a header's value neither begins nor ends with a space.
_KEY = {"minLength": 1, "maxLength": 255, "pattern": "^[!-~]([ -~]*[!-~])?$"}
_MEANING = (
    "1 to 255 characters. When the same request is sent again with it, nothing happens twice and the stored answer is "
    "replayed, for 30 days."
)
IdempotencyHeader = Annotated[
    str | None, Header(alias="Idempotency-Key", description=_MEANING, json_schema_extra={**_KEY})
]
# Where money leaves. The endpoint itself refuses a request without one, in a sentence that says what to do.
RequiredIdempotencyHeader = Annotated[
    str | None, Header(alias="Idempotency-Key", description=_MEANING, json_schema_extra={**_KEY, "x-required": True})
]


async def key_of(request: Request, caller: Caller, header: str | None, *, required: bool = False) -> IdempotencyKey:
    """The request's Idempotency-Key; it belongs to the caller and the route's template. Path parameters count as body.

    Raises:
        InvalidInput: missing though required, malformed, or sent more than once.
    """
    if len(request.headers.getlist("idempotency-key")) > 1:
        raise InvalidInput("The header Idempotency-Key was sent more than once: send one.")
    template = getattr(request.scope.get("route"), "path", request.scope["path"])
    parameters = "".join(f"{name}={value}\n" for name, value in sorted(request.path_params.items()))
    return key_of_request(
        caller=caller,
        route=f"{request.method} {template}",
        header=header,
        raw_body=parameters.encode() + await request.body(),
        clock=core_of(request).clock,
        required=required,
    )


def send(request: Request, answer: Answer) -> Response:
    """`answer` as a response; the limits' headers are of this request, not of the stored one."""
    headers = {**answer.headers, **getattr(request.state, "rate_limit_headers", {})}
    return Response(answer.body, answer.status, headers, media_type="application/json")
