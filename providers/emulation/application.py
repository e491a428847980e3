"""The server's outer layer: our operations by their service and name, everything else to moto.

Requests are read and answers written by the API's own model, with moto's parsers and serialisers, so that any client
takes them.
"""

from __future__ import annotations

import io
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import parse_qs, unquote

from providers.emulation.operation import Call, Operation, Records, RefusalError

Table = Mapping[str, Mapping[str, Operation]]
"""boto3's name of a service -> name of the operation, as `CreateBackupSelection` -> what it does."""
RESET = "/moto-api/reset"
# The name in a request's signature, where it is not boto3's name of the service.
_SIGNED = {"monitoring": "cloudwatch"}
_SCOPE = re.compile(r"Credential=[^/]+/\d{8}/([^/]+)/([^/]+)/aws4_request")


class Extended:
    """A WSGI application.

    Args:
        inner: moto's.
        table: our operations.
        account: number of the emulated account.
    """

    def __init__(self, inner: Any, table: Table, account: str) -> None:
        self._inner, self._table, self._account = inner, table, account
        self._lock = threading.Lock()
        self._shelves: dict[tuple[str, str], dict[str, Records]] = {}
        self._routes = {
            service: [(_method(service, name), _path(service, name), name) for name in operations]
            for service, operations in table.items()
        }

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if environ.get("PATH_INFO") == RESET:
            self._shelves.clear()
        scope = _SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
        region, signed = scope.groups() if scope is not None else ("", "")
        service = _SIGNED.get(signed, signed)
        if service not in self._table:
            return self._inner(environ, start)  # type: ignore[no-any-return]
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        name, within_path = self._operation(service, environ, body)
        if name is None:
            return self._inner(environ, start)  # type: ignore[no-any-return]
        status, headers, answer = self._answer(service, region, name, environ, within_path)
        start(f"{status} {'OK' if status < 400 else 'Refused'}", headers)
        return [answer]

    def _operation(self, service: str, environ: dict[str, Any], body: bytes) -> tuple[str | None, dict[str, str]]:
        target = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
        if target:
            return (target if target in self._table[service] else None), {}
        if environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded"):
            action = parse_qs(body.decode()).get("Action", [""])[0]
            return (action if action in self._table[service] else None), {}
        for method, path, name in self._routes[service]:
            found = path.fullmatch(environ["PATH_INFO"])
            if method == environ["REQUEST_METHOD"] and found is not None:
                return name, {key: unquote(value) for key, value in found.groupdict().items()}
        return None, {}

    def _answer(
        self, service: str, region: str, name: str, environ: dict[str, Any], within_path: dict[str, str]
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        from moto.core.exceptions import ServiceException
        from moto.core.parse import PROTOCOL_PARSERS
        from moto.core.request import determine_request_protocol
        from moto.core.responses import get_serializer_class
        from moto.core.utils import get_service_model
        from werkzeug.wrappers import Request

        model = get_service_model(service)
        operation = model.operation_model(name)
        request = Request(environ)
        protocol = determine_request_protocol(model, request.content_type)
        given = PROTOCOL_PARSERS[protocol](operation).parse(
            {
                "method": request.method,
                "values": request.values,
                "headers": request.headers,
                "body": request.data,
                "url_path": request.path,
                "url_params": within_path,
            }
        )
        call = Call(service, region, self._account, given, self._shelves.setdefault((service, region), {}))
        result: Any
        try:
            with self._lock:
                result = self._table[service][name](call)
        except RefusalError as refused:
            result = _as_motos(service, refused.code, refused.message)
        except ServiceException as refused:
            result = refused
        said = get_serializer_class(model.service_name, protocol)(operation_model=operation).serialize(result)
        answer = said["body"] if isinstance(said["body"], bytes) else str(said["body"]).encode()
        headers = [(str(key), str(value)) for key, value in dict(said["headers"]).items()]
        return int(said["status_code"]), headers, answer


def _as_motos(service: str, code: str, message: str) -> Exception:
    """As moto's own exception; it finds the API's model of an error by the module that the class is of."""
    from moto.core.exceptions import ServiceException

    kind = type(code, (ServiceException,), {"__module__": f"moto.{service}.exceptions"})
    made: Exception = kind(code, message)
    return made


def _http(service: str, name: str) -> dict[str, Any]:
    from moto.core.utils import get_service_model

    return dict(get_service_model(service).operation_model(name).http)


def _method(service: str, name: str) -> str:
    return str(_http(service, name).get("method", "POST"))


def _path(service: str, name: str) -> re.Pattern[str]:
    """The operation's path: `/backup/plans/{BackupPlanId}/selections/` with a group for each name in it."""
    uri = str(_http(service, name).get("requestUri", "/")).partition("?")[0]
    parts = re.split(r"\{(\w+)\+?\}", uri.rstrip("/"))
    pattern = "".join(f"(?P<{part}>[^/]+)" if i % 2 else re.escape(part) for i, part in enumerate(parts))
    return re.compile(pattern + "/?")
