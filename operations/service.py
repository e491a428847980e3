"""A client of the payment service's HTTP API, as an ordinary caller uses it."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from operations.errors import OperationError
from operations.files import write_private

TIMEOUT_SECONDS = 30.0
# Whose money Railyard's own payments are, and that of keys made for nobody in particular.
USER = "railyard"
POLL_SECONDS = 0.1


class RefusedError(OperationError):
    """The service answered with an error.

    Attributes:
        status: the HTTP status.
        code: the service's own code, such as "UNAUTHORIZED".
    """

    def __init__(self, what: str, response: httpx.Response) -> None:
        body = _json(response)
        self.status = response.status_code
        self.code = str(body.get("code", ""))
        said = str(body.get("error") or response.text[:200].strip() or "nothing")
        request_id = body.get("requestId") or response.headers.get("x-request-id")
        super().__init__(
            f"the service refused {what}: {said} ({self.status} {self.code or response.reason_phrase}"
            + (f", request {request_id})." if request_id else ").")
        )


def _json(response: httpx.Response) -> dict[str, Any]:
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


class PaymentService:
    """The service at `url`; `key` is sent with every request once it is known.

    Raises (all methods):
        RefusedError: the service answered with an error.
        OperationError: it did not answer.
    """

    def __init__(self, url: str, key: str = "") -> None:
        # The service is on this machine: a proxy that the surroundings name is never meant.
        self._http = httpx.Client(base_url=url, timeout=TIMEOUT_SECONDS, trust_env=False)
        self.url = url
        self.key = key

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def get(self, path: str) -> dict[str, Any]:
        return self._call("GET", path, None)

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """POST with a fresh Idempotency-Key: each call is one intent."""
        return self._call("POST", path, body)

    def create_key(
        self, admin_key: str, *, name: str, user: str, environment: str, permissions: list[str], unlimited: bool
    ) -> dict[str, Any]:
        """A new API key, with its secret, which is told this once; what it is paid is the money of `user`."""
        body: dict[str, Any] = {"name": name, "userId": user, "environment": environment, "permissions": permissions}
        if unlimited:
            body["unlimited"] = True
        return self._call("POST", "/api-keys", body, key=admin_key)

    def wait_for(
        self, what: str, look: Callable[[], dict[str, Any]], done: Callable[[dict[str, Any]], bool], seconds: float
    ) -> dict[str, Any]:
        """Look again and again until it is done.

        Raises:
            OperationError: it was not within `seconds`.
        """
        deadline = time.monotonic() + seconds
        while True:
            found = look()
            if done(found):
                return found
            if time.monotonic() > deadline:
                raise OperationError(
                    f"{what} is still {found.get('status', 'unfinished')!r} after {seconds:.0f} s: "
                    "see ./railyard logs worker-blue."
                )
            time.sleep(POLL_SECONDS)

    def _call(self, method: str, path: str, body: dict[str, Any] | None, *, key: str = "") -> dict[str, Any]:
        headers = {"x-api-key": key or self.key} if key or self.key else {}
        if method == "POST":
            headers["Idempotency-Key"] = str(uuid.uuid4())
        try:
            response = self._http.request(method, path, json=body, headers=headers)
        except httpx.TimeoutException:
            raise OperationError(
                f"{self.url}{path} gave no answer within {TIMEOUT_SECONDS:.0f} s: see ./railyard status."
            ) from None
        except httpx.TransportError as reason:
            raise OperationError(
                f"the service at {self.url} cannot be reached ({reason}): run ./railyard status, then ./railyard up."
            ) from None
        if response.is_error:
            raise RefusedError(f"{method} {path}", response)
        return _json(response)


def signed_in(service: PaymentService, admin_key: str, key_file: Path) -> PaymentService:
    """Give `service` the API key that Railyard's own payments use, made once and kept in `key_file` (0600)."""
    if key_file.exists():
        service.key = key_file.read_text(encoding="utf-8").strip()
        try:
            service.get("/v1/ledger")
        except RefusedError as refused:
            if refused.status not in (401, 403):
                raise
        else:
            return service
    made = service.create_key(
        admin_key, name="railyard", user=USER, environment="test", permissions=["read", "write"], unlimited=False
    )
    service.key = str(made["key"])
    write_private(key_file, service.key)
    return service
