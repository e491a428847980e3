"""The API's errors: small classes with the sentence, the guides' code and the HTTP status. They document it, too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, Field

ErrorCode = Literal[
    "INVALID_INPUT",
    "UNAUTHORIZED",
    "FORBIDDEN",
    "NOT_FOUND",
    "CONFLICT",
    "PAYMENT_FAILED",
    "RATE_LIMITED",
    "SERVICE_UNAVAILABLE",
    "SERVER_ERROR",
]


class ErrorBody(BaseModel):
    """The body of every answer that is not 2xx."""

    error: str = Field(description="One sentence for people: what happened and what to do.")
    code: ErrorCode
    details: Any | None = Field(None, description="What exactly is wrong, for programs.")
    requestId: str | None = Field(None, description="Also in the header X-Request-Id; quote it to support.")  # noqa: N815


class ApiError(Exception):
    """An error that the caller is told about.

    Args:
        sentence: for people; never holds a secret.
        details: for programs; JSON.
        headers: of the answer, Retry-After for example.
    """

    status: ClassVar[int] = 500
    code: ClassVar[ErrorCode] = "SERVER_ERROR"

    def __init__(self, sentence: str, *, details: Any | None = None, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.details = details
        self.headers = dict(headers or {})


class InvalidInput(ApiError):  # noqa: N818
    """The request breaks a rule of the API."""

    status = 400
    code = "INVALID_INPUT"


class BodyTooLarge(InvalidInput):
    """The request's body is above the limit of its route."""

    status = 413


class RequestTimeout(InvalidInput):
    """The request's body did not come in time."""

    status = 408


class Unauthorized(ApiError):  # noqa: N818
    """No credential, or one that is not (or no longer) valid."""

    status = 401
    code = "UNAUTHORIZED"


class Forbidden(ApiError):  # noqa: N818
    """The credential is valid and may not do this."""

    status = 403
    code = "FORBIDDEN"


class NotFound(ApiError):  # noqa: N818
    """No such object, or not the caller's."""

    status = 404
    code = "NOT_FOUND"


class MethodNotAllowed(InvalidInput):
    """The route exists, but not for this method."""

    status = 405


class Conflict(ApiError):  # noqa: N818
    """The request contradicts what exists: another body under the same key, a request that is still running."""

    status = 409
    code = "CONFLICT"


class PaymentFailed(ApiError):  # noqa: N818
    """The rail or the ledger finally refuses this payment."""

    status = 402
    code = "PAYMENT_FAILED"


class RateLimited(ApiError):  # noqa: N818
    """Too many requests; Retry-After says when."""

    status = 429
    code = "RATE_LIMITED"


class ServiceUnavailable(ApiError):  # noqa: N818
    """Something the request needs does not answer; nothing was done, or the answer will be found by asking again."""

    status = 503
    code = "SERVICE_UNAVAILABLE"


class ServerError(ApiError):
    """A mistake of ours."""


def documented(*errors: type[ApiError]) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI responses of these errors, for a route's `responses`."""
    responses: dict[int | str, dict[str, Any]] = {}
    for error in errors:
        meaning = (error.__doc__ or "").strip().splitlines()[0]
        known = responses.get(error.status)
        responses[error.status] = {
            "model": ErrorBody,
            "description": f"{known['description']} {meaning}" if known else meaning,
        }
    return responses
