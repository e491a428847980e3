"""Rotation functions against an emulated Secrets Manager, a real PostgreSQL and a real Redis, step by step."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pg8000.native
import psycopg
import pytest
from moto import mock_aws

from components.aws.functions.rotation import handler
from components.aws.functions.rotation.database_login import DatabaseLogin, database_url
from components.aws.functions.rotation.issued import NEXT, Issued
from components.aws.functions.rotation.redis_token import RedisToken
from components.aws.functions.rotation.signing_key import SigningKey
from components.aws.functions.rotation.steps import Rotation, RotationError, Strategy, Value
from payments.migrations.running import migrate
from tests.app.servers import PostgresServer, RedisServer, postgres, redis
from tests.components.aws.declaring import REGION

STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")
TRUST = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}}]}


class Vault:
    """An emulated Secrets Manager, and rotations as it starts them."""

    def __init__(self) -> None:
        role = boto3.client("iam").create_role(RoleName="rotation", AssumeRolePolicyDocument=json.dumps(TRUST))
        code = {"ZipFile": b"never run"}
        made = boto3.client("lambda").create_function(
            FunctionName="rotation", Runtime="python3.13", Role=role["Role"]["Arn"], Handler="x.y", Code=code
        )
        self.function_arn = made["FunctionArn"]
        self.client: Any = boto3.client("secretsmanager")
        self._tokens = self._secrets = 0

    def secret(self, value: Value) -> str:
        self._secrets += 1
        return str(self.client.create_secret(Name=f"it/{self._secrets}", SecretString=json.dumps(value))["ARN"])

    def start(self, arn: str) -> str:
        """Begin a rotation; returns its token."""
        self._tokens += 1
        token = f"{self._tokens:08d}-0000-4000-8000-000000000000"
        self.client.rotate_secret(
            SecretId=arn,
            RotationLambdaARN=self.function_arn,
            RotationRules={"AutomaticallyAfterDays": 30},
            ClientRequestToken=token,
        )
        return token

    def rotate(self, arn: str, strategy: Strategy) -> None:
        token = self.start(arn)
        for step in STEPS:
            # A step may be called again at any time.
            Rotation(self.client, strategy).run(step, arn, token)
            Rotation(self.client, strategy).run(step, arn, token)

    def value(self, arn: str, stage: str = "AWSCURRENT") -> Value:
        answer = self.client.get_secret_value(SecretId=arn, VersionStage=stage)
        return dict(json.loads(answer["SecretString"]))


@pytest.fixture
def vault(monkeypatch: pytest.MonkeyPatch) -> Iterator[Vault]:
    for name, value in (("AWS_ACCESS_KEY_ID", "x"), ("AWS_SECRET_ACCESS_KEY", "x"), ("AWS_DEFAULT_REGION", REGION)):
        monkeypatch.setenv(name, value)
    with mock_aws(config={"lambda": {"use_docker": False}}):
        yield Vault()


class TestSigningKeys:
    def test_the_current_one_becomes_the_previous_one(self, vault: Vault) -> None:
        arn = vault.secret({"current": "a" * 64, "previous": "b" * 64, "version": "1", "prefix": ""})
        vault.rotate(arn, SigningKey())
        first = vault.value(arn)
        vault.rotate(arn, SigningKey())
        second = vault.value(arn)
        assert (first["previous"], second["previous"]) == ("a" * 64, first["current"])
        assert (first["version"], second["version"]) == ("2", "3")
        assert len({first["current"], second["current"], "a" * 64}) == 3
        assert vault.value(arn, "AWSPREVIOUS") == first

    def test_a_key_keeps_its_prefix(self, vault: Vault) -> None:
        arn = vault.secret({"current": "sk_bootstrap_" + "a" * 64, "previous": "", "prefix": "sk_bootstrap_"})
        vault.rotate(arn, SigningKey())
        assert vault.value(arn)["current"].startswith("sk_bootstrap_")

    def test_a_key_that_did_not_change_does_not_pass(self, vault: Vault) -> None:
        arn = vault.secret({"current": "a" * 64, "previous": "b" * 64})
        with pytest.raises(RotationError, match="is not 64 new hexadecimal digits"):
            vault.rotate(arn, SigningKey(lambda: "a" * 64))
        assert vault.value(arn)["current"] == "a" * 64

    def test_the_handler_reads_its_kind(self, vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("KIND", "signing-key")
        arn = vault.secret({"current": "a" * 64, "previous": "b" * 64})
        token = vault.start(arn)
        for step in STEPS:
            handler.handle({"Step": step, "SecretId": arn, "ClientRequestToken": token}, None)
        assert vault.value(arn)["previous"] == "a" * 64

    def test_what_secrets_manager_did_not_start_is_refused(self, vault: Vault) -> None:
        arn = vault.secret({"current": "a" * 64})
        with pytest.raises(RotationError, match="is not switched on"):
            Rotation(vault.client, SigningKey()).run("createSecret", arn, "00000000-0000-4000-8000-000000000000")
        token = vault.start(arn)
        with pytest.raises(RotationError, match="has no version"):
            Rotation(vault.client, SigningKey()).run("createSecret", arn, "00000000-0000-4000-8000-000000000000")
        with pytest.raises(RotationError, match="is no step"):
            Rotation(vault.client, SigningKey()).run("dropSecret", arn, token)

    def test_a_kind_that_is_none_is_refused(self, vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("KIND", "anything")
        with pytest.raises(RotationError, match="KIND is 'anything'"):
            handler.handle({"Step": "createSecret", "SecretId": "it", "ClientRequestToken": "x"}, None)


class TestIssued:
    def test_what_a_person_staged_is_handed_out(self, vault: Vault) -> None:
        arn = vault.secret({"value": "old"})
        new = json.dumps({"value": "new"})
        vault.client.put_secret_value(SecretId=arn, SecretString=new, VersionStages=[NEXT])
        vault.rotate(arn, Issued(vault.client))
        assert (vault.value(arn), vault.value(arn, "AWSPREVIOUS")) == ({"value": "new"}, {"value": "old"})

    def test_nothing_staged_fails_the_rotation_and_changes_nothing(self, vault: Vault) -> None:
        arn = vault.secret({"value": "old"})
        with pytest.raises(RotationError, match=r"No new value of .* is staged: get one from its issuer"):
            vault.rotate(arn, Issued(vault.client))
        assert vault.value(arn) == {"value": "old"}

    @pytest.mark.parametrize("staged", [{"value": "old"}, {"value": " "}, {"secret": "new"}])
    def test_what_is_no_new_credential_is_refused(self, vault: Vault, staged: Value) -> None:
        arn = vault.secret({"value": "old"})
        vault.client.put_secret_value(SecretId=arn, SecretString=json.dumps(staged), VersionStages=[NEXT])
        with pytest.raises(RotationError, match=r"get a new one|must be the JSON object"):
            vault.rotate(arn, Issued(vault.client))
        assert vault.value(arn) == {"value": "old"}


@contextmanager
def _plain_session(value: Value) -> Iterator[Any]:
    """As the handler's, without TLS, which this PostgreSQL has not."""
    connection = pg8000.native.Connection(
        value["username"],
        host=value["host"],
        port=int(value["port"]),
        database=value["dbname"],
        password=value["password"],
    )
    try:
        yield handler._Session(connection)
    finally:
        connection.close()


class TestDatabaseLogins:
    @pytest.fixture
    def server(self) -> Iterator[PostgresServer]:
        """A PostgreSQL as RDS hands it out: a master that is no superuser, its database, and no role of ours."""
        with postgres() as server:
            for role in ("payments_owner", "payments_app", "payments_reader"):
                server.execute(f"DROP ROLE {role}")
            server.execute("CREATE ROLE payments_master LOGIN CREATEROLE CREATEDB PASSWORD 'master-word'")
            server.execute("CREATE DATABASE payments OWNER payments_master")
            yield server

    def first(self, server: PostgresServer, role: str) -> Value:
        place = {"host": "127.0.0.1", "port": str(server.port), "dbname": "payments"}
        value = {"role": f"payments_{role}", "username": f"payments_{role}_b", "password": "0" * 64, **place}
        return {**value, "url": database_url(value)}

    def logins(self) -> DatabaseLogin:
        return DatabaseLogin(lambda: {"username": "payments_master", "password": "master-word"}, _plain_session)

    def connect(self, value: Value) -> psycopg.Connection[Any]:
        # This PostgreSQL has no TLS; RDS refuses connections without.
        assert value["url"].endswith("?sslmode=require")
        return psycopg.connect(value["url"].replace("?sslmode=require", ""))

    def test_the_first_rotations_make_roles_that_the_service_can_work_with(
        self, vault: Vault, server: PostgresServer
    ) -> None:
        arns = {role: vault.secret({**self.first(server, role)}) for role in ("owner", "app", "reader")}
        for arn in arns.values():
            vault.rotate(arn, self.logins())
        owner = vault.value(arns["owner"])
        migrate(owner["url"].replace("?sslmode=require", ""))
        with self.connect(vault.value(arns["app"])) as connection:
            assert connection.execute("SELECT current_user, session_user").fetchone() == (
                "payments_app",
                "payments_app_a",
            )
            connection.execute("SELECT count(*) FROM payments.invoices")
        with self.connect(owner) as connection, pytest.raises(psycopg.OperationalError):
            psycopg.connect(host="127.0.0.1", port=server.port, dbname="payments", user="payments_app", password="x")
        with self.connect(vault.value(arns["reader"])) as reader, pytest.raises(psycopg.errors.InsufficientPrivilege):
            reader.execute("DELETE FROM payments.invoices")

    def test_the_login_before_works_until_the_rotation_after_the_next(
        self, vault: Vault, server: PostgresServer
    ) -> None:
        arn = vault.secret(self.first(server, "app"))
        vault.rotate(arn, self.logins())
        first = vault.value(arn)
        with self.connect(first) as running:
            vault.rotate(arn, self.logins())
            second = vault.value(arn)
            assert (first["username"], second["username"]) == ("payments_app_a", "payments_app_b")
            # A task that was started before goes on, and opens new connections.
            assert running.execute("SELECT 1").fetchone() == (1,)
            self.connect(first).close()
            self.connect(second).close()
            vault.rotate(arn, self.logins())
        with pytest.raises(psycopg.OperationalError):
            self.connect(first)
        self.connect(second).close()

    def test_a_name_that_is_no_name_is_refused(self, vault: Vault, server: PostgresServer) -> None:
        arn = vault.secret({**self.first(server, "app"), "role": "payments_app; DROP DATABASE payments"})
        with pytest.raises(RotationError, match="is no name of a role"):
            vault.rotate(arn, self.logins())


class ElastiCache:
    """What ElastiCache does with a token, on a real Redis: the new one beside the last, older ones end."""

    def __init__(self, server: RedisServer) -> None:
        self._server, self._tokens, self.calls = server, [server.password], 0
        self.status = ["modifying", "available"]

    def describe_replication_groups(self, ReplicationGroupId: str) -> Value:  # noqa: N803
        status = self.status.pop(0) if len(self.status) > 1 else self.status[0]
        return {"ReplicationGroups": [{"Status": status}]}

    def modify_replication_group(
        self,
        ReplicationGroupId: str,  # noqa: N803
        AuthToken: str,  # noqa: N803
        AuthTokenUpdateStrategy: str,  # noqa: N803
        ApplyImmediately: bool,  # noqa: N803
    ) -> None:
        assert (AuthTokenUpdateStrategy, ApplyImmediately) == ("ROTATE", True)
        self.calls += 1
        with socket.create_connection(("127.0.0.1", self._server.port)) as link:
            rules = [f">{AuthToken}", *(f"<{token}" for token in self._tokens[:-1])]
            link.sendall(f"AUTH {self._tokens[-1]}\r\nACL SETUSER default {' '.join(rules)}\r\n".encode())
            replies = b""
            while replies.count(b"\r\n") < 2:
                replies += link.recv(256)
        assert replies == b"+OK\r\n+OK\r\n"
        self._tokens = [self._tokens[-1], AuthToken]


def _plain(host: str, port: int) -> socket.socket:
    return socket.create_connection((host, port), timeout=10)


def _opens(server: RedisServer, token: str) -> bool:
    with _plain("127.0.0.1", server.port) as link:
        link.sendall(f"AUTH {token}\r\n".encode())
        return link.recv(256).startswith(b"+OK")


class TestRedisToken:
    @pytest.fixture
    def server(self) -> Iterator[RedisServer]:
        with redis() as server:
            yield server

    def test_the_token_before_opens_redis_until_the_next_rotation(self, vault: Vault, server: RedisServer) -> None:
        place = {"host": "127.0.0.1", "port": str(server.port), "replication_group_id": "pay402-prod"}
        arn = vault.secret({"token": server.password, "url": "", **place})
        service, slept = ElastiCache(server), list[float]()
        strategy = RedisToken(service, _plain, slept.append)
        vault.rotate(arn, strategy)
        first = vault.value(arn)
        assert first["url"] == f"rediss://:{first['token']}@127.0.0.1:{server.port}/0"
        assert _opens(server, server.password)
        assert _opens(server, first["token"])
        assert (service.calls, slept) == (1, [10])
        vault.rotate(arn, strategy)
        assert not _opens(server, server.password)
        assert _opens(server, first["token"])
        assert _opens(server, vault.value(arn)["token"])

    def test_a_token_that_redis_refuses_is_not_handed_out(self, vault: Vault, server: RedisServer) -> None:
        place = {"host": "127.0.0.1", "port": str(server.port), "replication_group_id": "pay402-prod"}
        arn = vault.secret({"token": server.password, "url": "", **place})
        service: Any = ElastiCache(server)
        service.modify_replication_group = _ignored
        with pytest.raises(RotationError, match="refuses the new AUTH token"):
            vault.rotate(arn, RedisToken(service, _plain, lambda _: None))
        assert vault.value(arn)["token"] == server.password

    def test_a_group_that_stays_busy_ends_the_rotation(self) -> None:
        service: Any = ElastiCache(RedisServer(0, None, "x"))  # type: ignore[arg-type]
        service.status = ["modifying"]
        now = iter(range(0, 10_000, 100))
        strategy = RedisToken(service, _plain, lambda _: None, lambda: next(now))
        with pytest.raises(RotationError, match="is modifying since 720 s"):
            strategy.apply({}, {"replication_group_id": "pay402-prod"})


def _ignored(**_: Any) -> None:
    pass


def test_the_archive_has_the_source_and_its_driver_and_nothing_else() -> None:
    from components.aws.lambda_code import function_code
    from components.aws.rotation import PACKAGES, Kind

    names: Callable[..., set[str]] = lambda *packages: set(function_code("rotation", *packages).assets)  # noqa: E731
    alone = names()
    assert {"rotation/__init__.py", "rotation/handler.py", "rotation/steps.py"} <= alone
    assert all(name.startswith("rotation/") and name.endswith(".py") for name in alone)
    assert {"pg8000/native.py", "scramp/__init__.py", "six.py"} <= names(PACKAGES[Kind.DATABASE_LOGIN])
