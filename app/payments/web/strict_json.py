"""JSON bodies read strictly: UTF-8, application/json, no duplicate keys, no NaN, nothing after the value."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, NoReturn

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from payments.errors import ApiError, InvalidInput


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidInput(f"The JSON body has the key {twice!r} twice in one object.")
    return found


def _no_constant(name: str) -> NoReturn:
    raise InvalidInput(f"The JSON body has {name}, which is no JSON number.")


def _has_nul(value: Any) -> bool:
    """Whether there is a text with a NUL in it: PostgreSQL stores none."""
    if isinstance(value, dict):
        return any(_has_nul(key) or _has_nul(inner) for key, inner in value.items())
    if isinstance(value, list):
        return any(_has_nul(inner) for inner in value)
    return isinstance(value, str) and "\0" in value


def parse(raw: bytes) -> Any:
    """The value of a JSON text.

    Raises:
        InvalidInput: it is not strict JSON.
    """
    try:
        text = raw.decode("utf-8")
        value = json.loads(text, object_pairs_hook=_without_duplicates, parse_constant=_no_constant)
        if "\\u0000" in text and _has_nul(value):
            raise InvalidInput("The JSON body has a NUL character, which no text here may have.")
        return value
    except UnicodeDecodeError:
        raise InvalidInput("The body is not UTF-8.") from None
    except json.JSONDecodeError as error:
        raise InvalidInput(f"The body is not JSON: {error.msg} at character {error.pos}.") from None
    except (RecursionError, ValueError):
        # ValueError: an integer with more digits than Python converts.
        raise InvalidInput("The JSON body is nested too deeply or has a number that is too long.") from None


class StrictRequest(Request):
    """A request whose JSON is read by `parse`."""

    async def json(self) -> Any:
        """The body as JSON."""
        kind = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise InvalidInput("The body must be JSON: send the header Content-Type: application/json.")
        return parse(await self.body())


def explain(error: RequestValidationError) -> InvalidInput:
    """FastAPI's findings as one sentence and details without the values that were sent."""
    return explain_findings(error.errors())


def explain_findings(errors: Sequence[Any]) -> InvalidInput:
    """Pydantic's findings as one sentence and details without the values that were sent."""
    findings = [
        {"field": ".".join(str(part) for part in found["loc"] if part != "body") or "body", "problem": found["msg"]}
        for found in errors
    ]
    first = findings[0]
    more = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
    return InvalidInput(f"{first['field']}: {first['problem']}{more}.", details=findings)


class StrictRoute(APIRoute):
    """A route that reads JSON strictly and reports every problem in the API's error format."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler with a strict request."""
        inner = super().get_route_handler()
        admissions = [admit for found in self.dependant.dependencies if (admit := getattr(found.call, "admit", None))]

        async def handle(request: Request) -> Response:
            try:
                strict = StrictRequest(request.scope, request.receive)
                # FastAPI reads the body before it asks who sends it. A stranger's is not even read here.
                for admit in admissions:
                    strict.state.admitted = await admit(strict)
                return await inner(strict)
            except RequestValidationError as error:
                raise explain(error) from None
            except HTTPException as error:
                # FastAPI wraps what reading the body raised into a 400 of its own.
                if isinstance(error.__cause__, ApiError):
                    raise error.__cause__ from None
                raise

        return handle
