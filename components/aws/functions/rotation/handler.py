"""What Lambda calls. The environment variable KIND says which kind of secret the function rotates."""

from __future__ import annotations

import json
import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3

from .database_login import DatabaseLogin
from .issued import Issued
from .redis_token import RedisToken
from .signing_key import SigningKey
from .steps import Rotation, RotationError, Strategy, Value


class _Session:
    """Statements to PostgreSQL, each for itself."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def execute(self, statement: str) -> list[list[Any]]:
        """The rows of a statement."""
        return list(self._connection.run(statement) or [])


@contextmanager
def postgres_session(value: Value) -> Iterator[_Session]:
    """A session over TLS; RDS's own authority is in no system's store, so only the encryption is asked for."""
    import pg8000.native

    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = pg8000.native.Connection(
        value["username"],
        host=value["host"],
        port=int(value["port"]),
        database=value["dbname"],
        password=value["password"],
        ssl_context=context,
        timeout=30,
    )
    try:
        yield _Session(connection)
    finally:
        connection.close()


def _strategy(kind: str, client: Any) -> Strategy:
    match kind:
        case "signing-key":
            return SigningKey()
        case "redis-token":
            return RedisToken(boto3.client("elasticache"))
        case "database-login":
            return DatabaseLogin(lambda: _master(client), postgres_session)
        case "issued":
            return Issued(client)
    raise RotationError(f"KIND is {kind!r}, which this function does not rotate.")


def _master(client: Any) -> Value:
    answer = client.get_secret_value(SecretId=os.environ["MASTER_SECRET_ARN"])
    found = json.loads(answer["SecretString"])
    return {"username": found["username"], "password": found["password"]}


def handle(event: dict[str, str], context: object) -> None:
    """Do the step that Secrets Manager asks for.

    Args:
        event: `Step`, `SecretId` and `ClientRequestToken`.
        context: of Lambda, not used.
    """
    client = boto3.client("secretsmanager")
    strategy = _strategy(os.environ["KIND"], client)
    Rotation(client, strategy).run(event["Step"], event["SecretId"], event["ClientRequestToken"])
