"""The short way for hot routes: found by a table, parameters resolved by a plan made once, no framework in between.

A route is declared and documented as any other. If its parameters are only those that a plan can resolve (the request,
a JSON body, a caller, the Idempotency-Key header), `Switch` answers it itself and passes everything else on. Measured
on create-invoice: FastAPI's routing and dependency solving took half of the web process' time for a request.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from fastapi import FastAPI, Request, Response
from fastapi.params import Depends, Header
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError

from payments.web.callers import Admission
from payments.web.error_answers import told
from payments.web.gate import AsgiApplication, Receive, Scope, Send
from payments.web.strict_json import StrictRequest, StrictRoute, explain_findings

Resolver = Callable[[StrictRequest], Awaitable[Any]]


async def _the_request(request: StrictRequest) -> Request:
    return request


def _body(model: type[BaseModel]) -> Resolver:
    async def resolve(request: StrictRequest) -> BaseModel:
        try:
            return model.model_validate(await request.json())
        except ValidationError as error:
            raise explain_findings(error.errors(include_input=False, include_url=False)) from None

    return resolve


def _header(name: str) -> Resolver:
    async def resolve(request: StrictRequest) -> str | None:
        return request.headers.get(name)

    return resolve


def _resolver(name: str, annotation: Any) -> Resolver | None:
    """How the parameter is resolved; None when a plan cannot."""
    if annotation is Request:
        return _the_request
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _body(annotation)
    if get_origin(annotation) is Annotated:
        mark = get_args(annotation)[1]
        if isinstance(mark, Depends) and isinstance(mark.dependency, Admission):
            return mark.dependency.admit
        if isinstance(mark, Header):
            return _header(mark.alias or name.replace("_", "-"))
    return None


def _plan(route: APIRoute) -> list[tuple[str, Resolver]] | None:
    """Resolvers by parameter, callers first: a stranger's body is not even read."""
    hints = get_type_hints(route.endpoint, include_extras=True)
    plan = []
    for name in inspect.signature(route.endpoint).parameters:
        resolver = _resolver(name, hints[name])
        if resolver is None:
            return None
        plan.append((name, resolver))
    return sorted(plan, key=lambda pair: not isinstance(getattr(pair[1], "__self__", None), Admission))


class _Direct:
    """A route with its plan."""

    def __init__(self, route: APIRoute, plan: list[tuple[str, Resolver]], application: FastAPI) -> None:
        self._route = route
        self._plan = plan
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["route"] = self._route
        scope["app"] = self._application
        scope["path_params"] = {}
        try:
            request = StrictRequest(scope, receive)
            values = {name: await resolve(request) for name, resolve in self._plan}
            response = await self._route.endpoint(**values)
        except Exception as error:
            status, headers, body = told(error, scope["state"]["request_id"], scope["path"])
            response = Response(body, status, headers)
        await response(scope, receive, send)


class Switch:
    """Answers the routes it has a plan for and passes the rest to the application."""

    def __init__(self, application: FastAPI, routes: Iterable[APIRoute]) -> None:
        self._application: AsgiApplication = application
        self._table: dict[tuple[str, str], _Direct] = {}
        for route in routes:
            if not isinstance(route, StrictRoute) or "{" in route.path or not _answers_by_itself(route):
                continue
            plan = _plan(route)
            if plan is not None:
                for method in route.methods or ():
                    self._table[method, route.path] = _Direct(route, plan, application)

    def __contains__(self, method_and_path: tuple[str, str]) -> bool:
        return method_and_path in self._table

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        direct = self._table.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        await (direct or self._application)(scope, receive, send)


def _answers_by_itself(route: APIRoute) -> bool:
    return get_type_hints(route.endpoint).get("return") is Response
