"""The secrets of a stack in AWS (`railyard:aws:StackSecrets`), in Secrets Manager under the customer's key, rotated:

- signing keys: of session tokens, the pepper of API keys, the bootstrap admin key, made here;
- the logins of the database's three roles, and the Redis AUTH token, as URLs the service takes;
- the secret of invoices' preimages, which a person rotates while no payment is under way;
- the credentials that others issue, each in a secret of its own; the URLs of a given database and cache are among them.

A role of the service gets references (`<ARN>:<JSON key>::`), by `web_variables`, `worker_variables` and
`migrate_variables`; no value of a secret is in a task definition.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws
import pulumi_random as random

from components.arguments import ArgumentError
from components.aws.policy_documents import allow
from components.aws.rotation import Kind, RotationFunction, RotationFunctionArgs
from components.settings import Generated
from components.settings.secrets import GIVEN_URLS, GivenPart
from components.tags import check_tags, named

DATABASE_ROLES = ("owner", "app", "reader")
SIGNING_KEYS = ("jwt", "api-key-pepper", "bootstrap-admin-key")


@dataclass(frozen=True, kw_only=True)
class DatabaseLogins:
    """Where the logins log in that are made and rotated here.

    Attributes:
        address, port, name: of the database.
        master_secret_arn: the database's master, as RDS keeps it; makes the roles.
    """

    address: pulumi.Input[str]
    port: int
    name: str
    master_secret_arn: pulumi.Input[str]


@dataclass(frozen=True, kw_only=True)
class CacheToken:
    """What the AUTH token opens that is rotated here.

    Attributes:
        address, port, replication_group_id: of the cache.
        first: the token the cache was made with.
    """

    address: pulumi.Input[str]
    port: int
    replication_group_id: pulumi.Input[str]
    first: pulumi.Input[str]


@dataclass(frozen=True, kw_only=True)
class StackSecretsArgs:
    """Arguments of `StackSecrets`.

    Attributes:
        account_id, region: where they are.
        secret_key_arn: the customer's key they are encrypted with.
        data_key_arn: the key of the database's master secret.
        log_key_arn: the key of the functions' log groups.
        issued: which credentials others issue, and to which roles each goes.
        issued_values: their values by config key, as secret outputs.
        database, cache: the stack's own; None for one that is given, whose URLs are among `issued`.
        function_subnet_ids, function_security_group_id: where functions that reach database and cache run.
        rotation_days, issued_rotation_days: between rotations of ours, and of what others issue.
        recovery_days: how long a deleted secret can be brought back, 7 to 30; 0 for a stack that is only tried.
        alarm_topic_arns: who is told when a rotation fails.
        log_retention_days: of the functions' log groups.
        tags: the required tags, and more.
    """

    account_id: str
    region: str
    secret_key_arn: pulumi.Input[str]
    data_key_arn: pulumi.Input[str]
    log_key_arn: pulumi.Input[str]
    issued: Sequence[Generated]
    issued_values: Mapping[str, pulumi.Input[str]]
    database: DatabaseLogins | None
    cache: CacheToken | None
    function_subnet_ids: Sequence[pulumi.Input[str]]
    function_security_group_id: pulumi.Input[str]
    rotation_days: int = 30
    issued_rotation_days: int = 90
    recovery_days: int = 30
    alarm_topic_arns: Sequence[pulumi.Input[str]] = ()
    log_retention_days: int = 90
    tags: Mapping[str, str]

    def __post_init__(self) -> None:
        missing = [value.key for value in self.issued if value.key not in self.issued_values]
        if missing:
            fix = "Give a value of each that `issued` names."
            raise ArgumentError("StackSecretsArgs", "issued_values", f"misses {', '.join(missing)}", fix)
        keys = {value.key for value in self.issued}
        parts: dict[GivenPart, object] = {"database": self.database, "cache": self.cache}
        for part, own in parts.items():
            if bool(own) == keys.issuperset(value.key for value in GIVEN_URLS[part]):
                fix = "Give either the stack's own, or its URLs in `issued`."
                raise ArgumentError("StackSecretsArgs", part, "is both the stack's own and given, or neither", fix)
        if self.recovery_days != 0 and not 7 <= self.recovery_days <= 30:
            fix = "Use 7 to 30 days, or 0 for a stack that is only tried."
            raise ArgumentError("StackSecretsArgs", "recovery_days", f"is {self.recovery_days}", fix)
        check_tags("StackSecretsArgs", self.tags)


class StackSecrets(pulumi.ComponentResource):
    """The secrets.

    Attributes:
        arns: of all, by short name.
        rotation_role_arns: of the function that rotates each, by short name.
        master_reader_arn: of the one that reads the database's master secret; None when the database is given.
        injected_arns: of those that some role of the service is given, which alone the service's platform may read.
        web_variables, worker_variables, migrate_variables: references by the variables of each role.
    """

    def __init__(self, name: str, args: StackSecretsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("railyard:aws:StackSecrets", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        self.arns: dict[str, pulumi.Output[str]] = {}
        self.rotation_role_arns: dict[str, pulumi.Output[str]] = {}
        self._injected: set[str] = set()
        self._signing_keys()
        if args.cache:
            self._redis(args.cache)
        if args.database:
            self._database_logins(args.database)
        self._issued()
        self._rotate()
        self.master_reader_arn = self.rotation_role_arns.get("database-owner")
        self.web_variables = self._shared() | self._signing() | self._issued_to("web")
        self.worker_variables = self._shared() | self._issued_to("worker")
        self.migrate_variables = self._migrating() | self._issued_to("migrate")
        self.injected_arns = [arn for key, arn in self.arns.items() if key in self._injected]
        self.register_outputs({"arns": self.arns})

    def _secret(self, key: str, description: str, value: Mapping[str, Any], *, ours: bool = True) -> None:
        """A secret with its first value; later ones are its rotation's when it is `ours`."""
        secret = aws.secretsmanager.Secret(
            f"{self._name}-{key}",
            name=f"{self._name}/{key}",
            description=description,
            kms_key_id=self._args.secret_key_arn,
            recovery_window_in_days=self._args.recovery_days,
            tags=named(self._args.tags, f"{self._name}/{key}"),
            opts=self._child,
        )
        aws.secretsmanager.SecretVersion(
            f"{self._name}-{key}",
            secret_id=secret.id,
            secret_string=pulumi.Output.json_dumps(dict(value)),
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["secretString"] if ours else []),
        )
        self.arns[key] = secret.arn

    def _random(self, key: str) -> pulumi.Output[str]:
        """64 random hexadecimal digits, made once."""
        made = random.RandomBytes(f"{self._name}-{key}", length=32, opts=self._child)
        return pulumi.Output.secret(made.hex)

    def _signing_keys(self) -> None:
        uses = ("Signs session tokens", "Pepper of the digests of API keys", "Makes the first API keys")
        for key, use in zip(SIGNING_KEYS, uses, strict=True):
            prefix = "sk_bootstrap_" if key == "bootstrap-admin-key" else ""
            current = pulumi.Output.concat(prefix, self._random(key))
            previous = pulumi.Output.concat(prefix, self._random(f"{key}-before"))
            value = {"current": current, "previous": previous, "version": "1", "prefix": prefix}
            self._secret(key, use, value)
        invoices = {"value": self._random("invoice-secret")}
        self._secret("invoice-secret", "Derives the preimages of Lightning invoices", invoices)

    def _redis(self, cache: CacheToken) -> None:
        value = {
            "token": cache.first,
            "host": cache.address,
            "port": str(cache.port),
            "replication_group_id": cache.replication_group_id,
            "url": pulumi.Output.format("rediss://:{0}@{1}:{2}/0", cache.first, cache.address, cache.port),
        }
        self._secret("redis", "AUTH token of Redis, and the URL with it", value)

    def _database_logins(self, database: DatabaseLogins) -> None:
        """The first values log in nowhere: the first rotation, at once, makes the roles and the real passwords."""
        for role in DATABASE_ROLES:
            username, password = f"payments_{role}_b", self._random(f"database-{role}")
            place = pulumi.Output.format("{0}:{1}/{2}", database.address, database.port, database.name)
            value = {
                "role": f"payments_{role}",
                "username": username,
                "password": password,
                "host": database.address,
                "port": str(database.port),
                "dbname": database.name,
                "url": pulumi.Output.format("postgresql://{0}:{1}@{2}?sslmode=require", username, password, place),
            }
            self._secret(f"database-{role}", f"Login of the role payments_{role}", value)

    def _issued(self) -> None:
        for value in self._args.issued:
            given = self._args.issued_values[value.key]
            # Setting the config key anew is a rotation too.
            self._secret(kebab(value.key), value.description, {"value": given}, ours=False)

    def _rotate(self) -> None:
        args = self._args
        others = ["invoice-secret", *(kebab(value.key) for value in args.issued)]
        self._function(Kind.SIGNING_KEY, SIGNING_KEYS, args.rotation_days)
        if args.cache:
            self._rotate_token(args.cache)
        if args.database:
            self._rotate_logins(args.database)
        self._function(Kind.ISSUED, others, args.issued_rotation_days)

    def _rotate_token(self, cache: CacheToken) -> None:
        args = self._args
        group = pulumi.Output.format(
            "arn:aws:elasticache:{0}:{1}:replicationgroup:{2}", args.region, args.account_id, cache.replication_group_id
        )
        set_token = allow(
            "SetToken", ["elasticache:ModifyReplicationGroup", "elasticache:DescribeReplicationGroups"], [group]
        )
        self._function(Kind.REDIS_TOKEN, ["redis"], args.rotation_days, statements=[set_token], **self._inside())

    def _rotate_logins(self, database: DatabaseLogins) -> None:
        args = self._args
        use_master = [
            allow("ReadMaster", ["secretsmanager:GetSecretValue"], [database.master_secret_arn]),
            allow("DecryptMaster", ["kms:Decrypt"], [args.data_key_arn]),
        ]
        self._function(
            Kind.DATABASE_LOGIN,
            [f"database-{role}" for role in DATABASE_ROLES],
            args.rotation_days,
            rotate_immediately=True,
            statements=use_master,
            environment={"MASTER_SECRET_ARN": database.master_secret_arn},
            **self._inside(),
        )

    def _inside(self) -> dict[str, Any]:
        """Where a function runs that reaches the database or the cache."""
        return {
            "subnet_ids": self._args.function_subnet_ids,
            "security_group_id": self._args.function_security_group_id,
        }

    def _function(self, kind: Kind, keys: Sequence[str], days: int, **more: Any) -> None:
        args = self._args
        function = RotationFunction(
            f"{self._name}-{kind.value}",
            RotationFunctionArgs(
                kind=kind,
                account_id=args.account_id,
                secrets={key: self.arns[key] for key in keys},
                secret_key_arn=args.secret_key_arn,
                log_key_arn=args.log_key_arn,
                rotation_days=days,
                alarm_topic_arns=args.alarm_topic_arns,
                log_retention_days=args.log_retention_days,
                tags=args.tags,
                **more,
            ),
            self._child,
        )
        self.rotation_role_arns.update(dict.fromkeys(keys, function.role_arn))

    def injected(self) -> set[str]:
        """Short names of the secrets that some role of the service is given."""
        return set(self._injected)

    def _reference(self, key: str, json_key: str) -> pulumi.Output[str]:
        self._injected.add(key)
        return pulumi.Output.concat(self.arns[key], f":{json_key}::")

    def _shared(self) -> dict[str, pulumi.Output[str]]:
        own = {"DATABASE_URL": "database-app"} if self._args.database else {}
        own |= {"REDIS_URL": "redis"} if self._args.cache else {}
        return {
            **{variable: self._reference(key, "url") for variable, key in own.items()},
            "INVOICE_SECRET": self._reference("invoice-secret", "value"),
            "API_KEY_PEPPER": self._reference("api-key-pepper", "current"),
            "API_KEY_PEPPER_PREVIOUS": self._reference("api-key-pepper", "previous"),
            "API_KEY_PEPPER_VERSION": self._reference("api-key-pepper", "version"),
        }

    def _migrating(self) -> dict[str, pulumi.Output[str]]:
        return {"DATABASE_OWNER_URL": self._reference("database-owner", "url")} if self._args.database else {}

    def _signing(self) -> dict[str, pulumi.Output[str]]:
        return {
            "JWT_SECRET": self._reference("jwt", "current"),
            "JWT_SECRET_PREVIOUS": self._reference("jwt", "previous"),
            "BOOTSTRAP_ADMIN_KEY": self._reference("bootstrap-admin-key", "current"),
        }

    def _issued_to(self, role: str) -> dict[str, pulumi.Output[str]]:
        issued = (value for value in self._args.issued if role in value.roles)
        return {value.variable: self._reference(kebab(value.key), "value") for value in issued}


def kebab(key: str) -> str:
    """A config key as it stands in the name of a secret: lndPayMacaroon -> lnd-pay-macaroon."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", key).lower()
