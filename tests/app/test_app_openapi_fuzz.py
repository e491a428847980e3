"""The API keeps what its OpenAPI document says, whatever it is sent, on every route, with and without a key.

Schemathesis makes requests from the document, good and bad ones, and holds every answer against it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import httpx
import psycopg
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from hypothesis.errors import Unsatisfiable
from schemathesis import APIOperation, Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.app.conftest import SECRETS, RedisServer, TestDatabase
from tests.app.serving import web_process

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
# A switch that was thrown makes the others answer 503, as it should: their turn comes last, and they are put back.
Operation = APIOperation[Any, Any, Any, Any]
LAST = "/v1/switches/{name}"


@dataclass(frozen=True)
class Service:
    url: str
    key: str
    database: TestDatabase
    log: Path


@pytest.fixture
def service(database: TestDatabase, redis_server: RedisServer, tmp_path: Path) -> Iterator[Service]:
    environment = {
        "APP_ENV": "local",
        "DATABASE_URL": database.app_url,
        "REDIS_URL": redis_server.url,
        "LOG_LEVEL": "warning",
        "PUBLIC_RATE_LIMIT": "1000000",
        "CREATE_INVOICE_RATE_LIMIT": "1000000",
        **{name.upper(): value for name, value in SECRETS.items()},
    }
    log = tmp_path / "web.log"
    with web_process(environment, log) as (url, _):
        body = {"name": "t", "userId": "alice", "environment": "test", "permissions": ["read", "write", "admin"]}
        made = httpx.post(
            f"{url}/api-keys",
            json={**body, "unlimited": True},
            headers={"x-api-key": SECRETS["bootstrap_admin_key"]},
            timeout=60,
        )
        assert made.status_code == 201, made.text
        yield Service(url, made.json()["key"], database, log)


def _operations(service: Service) -> list[Operation]:
    schema = schemathesis.openapi.from_url(f"{service.url}/openapi.json", wait_for_schema=60)
    found = [operation for result in schema.get_all_operations() if (operation := cast(Any, result).ok()) is not None]
    return sorted(found, key=lambda operation: operation.path == LAST)


def _try(service: Service, operation: Operation, *, key: str | None, mode: GenerationMode, examples: int) -> list[str]:
    """What was wrong with the answers of one operation."""
    headers = {"x-api-key": key} if key else {}

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def holds(case: Case[Any]) -> None:
        for name in ("x-api-key", "authorization"):
            case.headers.pop(name, None)
        case.headers.update(headers)
        case.call_and_validate(base_url=service.url, checks=CHECKS, timeout=60)

    try:
        seeded(20261125)(holds)() if examples < 20 else holds()
    except Unsatisfiable:
        assert mode is GenerationMode.NEGATIVE, operation.label  # nothing in it could be wrong
    except (FailureGroup, AssertionError, ExceptionGroup) as error:
        inner = getattr(error, "exceptions", [error])
        return [f"{operation.label} ({mode.value}, key: {key is not None}): {one}" for one in inner]
    return []


def _fuzz(service: Service, examples: int) -> None:
    operations = _operations(service)
    assert len(operations) > 30, "every route is in the document"
    wrong: list[str] = []
    for operation in operations:
        for key in (service.key, None):
            for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                wrong += _try(service, operation, key=key, mode=mode, examples=examples)
        if operation.path == LAST:
            with psycopg.connect(service.database.owner_url, autocommit=True) as connection:
                connection.execute("DELETE FROM payments.switches")
    errors = [line for line in service.log.read_text().splitlines() if '"level":"error"' in line]
    assert wrong == [], "\n\n".join(wrong)
    assert errors == [], errors[:5]


def test_every_route_keeps_its_word(service: Service) -> None:
    _fuzz(service, examples=4)


@pytest.mark.full
def test_every_route_keeps_its_word_at_length(service: Service) -> None:
    _fuzz(service, examples=150)
