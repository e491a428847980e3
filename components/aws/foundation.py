"""What a stack needs in an account on whatever the service itself runs (`railyard:aws:Foundation`), from its settings:

- keys, network, security groups;
- database and cache, with the cache's first AUTH token, but for one that is given by URL (on Kubernetes);
- the image registry.

`stack_secrets` makes the secrets on top, which need to know who is told when a rotation fails; `guard_secrets` keeps
everybody from them but those who use them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_random as random

from components.arguments import ArgumentError
from components.aws.cache import Cache, CacheArgs
from components.aws.database import Database, DatabaseArgs
from components.aws.keys import Keys, KeysArgs
from components.aws.network import Network, NetworkArgs
from components.aws.registry import Registry, RegistryArgs
from components.aws.secret_policies import GuardedSecret, SecretPolicies, SecretPoliciesArgs, service_linked_role
from components.aws.secrets import CacheToken, DatabaseLogins, StackSecrets, StackSecretsArgs
from components.aws.security_groups import STORES, SecurityGroups, SecurityGroupsArgs
from components.settings import Secrets, Settings
from components.tags import check_tags


@dataclass(frozen=True, kw_only=True)
class FoundationArgs:
    """Arguments of `Foundation`.

    Attributes:
        settings: of a stack in a cloud.
        tags: the required tags.
    """

    settings: Settings
    tags: Mapping[str, str]

    def __post_init__(self) -> None:
        if self.settings.platform == "local":
            fix = "Use settings of the platform ecs or kubernetes."
            raise ArgumentError("FoundationArgs", "settings", "are of the local platform", fix)
        check_tags("FoundationArgs", self.tags)


class Foundation(pulumi.ComponentResource):
    """The parts, as components: `keys`, `network`, `security_groups`, `database`, `cache`, `registry`.

    `own_database` and `own_cache` are None where the settings give one by URL; `database` and `cache` are for those who
    know that they are there.
    """

    def __init__(self, name: str, args: FoundationArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("railyard:aws:Foundation", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        settings, tags = args.settings, args.tags
        self.keys = Keys(
            f"{name}-keys",
            KeysArgs(account_id=settings.account_id, region=settings.region, tags=tags),
            self._child,
        )
        self.network = self._network()
        self.security_groups = self._security_groups()
        self.own_database = None if "database" in settings.given_parts else self._database()
        self.own_cache = None if "cache" in settings.given_parts else self._cache()
        self.registry = Registry(
            f"{name}-registry",
            RegistryArgs(
                repository=name,
                kms_key_arn=self.keys.operations_key_arn,
                retained_images=settings.retained_images,
                delete_with_images=not settings.deletion_protection,
                tags=tags,
            ),
            self._child,
        )
        stores = {"databaseAddress": self.own_database, "cacheAddress": self.own_cache}
        addresses = {key: store.address for key, store in stores.items() if store}
        self.register_outputs({"vpcId": self.network.vpc_id, **addresses})

    @property
    def database(self) -> Database:
        """The stack's own."""
        assert self.own_database is not None, "a database that is given is none of the stack's parts"
        return self.own_database

    @property
    def cache(self) -> Cache:
        """The stack's own."""
        assert self.own_cache is not None, "a cache that is given is none of the stack's parts"
        return self.own_cache

    def _network(self) -> Network:
        settings = self._args.settings
        return Network(
            f"{self._name}-network",
            NetworkArgs(
                account_id=settings.account_id,
                region=settings.region,
                zones=settings.zones,
                cidr=settings.vpc_cidr,
                nat_gateway_a_zone=settings.nat_gateways == "per-zone",
                log_key_arn=self.keys.operations_key_arn,
                flow_log_retention_days=settings.log_retention_days,
                tags=self._args.tags,
            ),
            self._child,
        )

    def _security_groups(self) -> SecurityGroups:
        address = self._args.settings.lnd_address
        return SecurityGroups(
            f"{self._name}-groups",
            SecurityGroupsArgs(
                vpc_id=self.network.vpc_id,
                lnd_cidrs=self._args.settings.lnd_cidrs if address else (),
                lnd_port=address[1] if address else 8080,
                stores=tuple(store for store in STORES if store not in self._args.settings.given_parts),
                tags=self._args.tags,
            ),
            self._child,
        )

    def _database(self) -> Database:
        settings = self._args.settings
        return Database(
            f"{self._name}-database",
            DatabaseArgs(
                account_id=settings.account_id,
                identifier=f"{self._name}-database",
                subnet_ids=self.network.data_subnet_ids,
                security_group_id=self.security_groups.database_id,
                kms_key_arn=self.keys.data_key_arn,
                log_key_arn=self.keys.operations_key_arn,
                version=settings.database_version,
                instance_class=settings.database_instance_class,
                storage_gb=settings.database_storage_gb,
                max_storage_gb=settings.database_max_storage_gb,
                backup_days=settings.database_backup_days,
                deletion_protection=settings.deletion_protection,
                log_retention_days=settings.log_retention_days,
                tags=self._args.tags,
            ),
            self._child,
        )

    def _cache(self) -> Cache:
        settings = self._args.settings
        token = random.RandomBytes(f"{self._name}-redis-token", length=32, opts=self._child)
        self._first_token = pulumi.Output.secret(token.hex)
        return Cache(
            f"{self._name}-cache",
            CacheArgs(
                replication_group_id=f"{self._name}-cache",
                subnet_ids=self.network.data_subnet_ids,
                security_group_id=self.security_groups.cache_id,
                kms_key_arn=self.keys.data_key_arn,
                log_key_arn=self.keys.operations_key_arn,
                auth_token=self._first_token,
                node_type=settings.cache_node_type,
                replicas=settings.cache_replicas,
                log_retention_days=settings.log_retention_days,
                tags=self._args.tags,
            ),
            self._child,
        )

    def stack_secrets(
        self, name: str, issued: Secrets, alarm_topic_arns: Sequence[pulumi.Input[str]], parent: pulumi.Resource
    ) -> StackSecrets:
        """The stack's secrets and their rotation.

        Args:
            name: of the component, and before the slash of each secret's name.
            issued: what others issued, from the config.
            alarm_topic_arns: who is told when a rotation fails.
            parent: the component they are part of.
        """
        settings = self._args.settings
        return StackSecrets(
            name,
            StackSecretsArgs(
                account_id=settings.account_id,
                region=settings.region,
                secret_key_arn=self.keys.secret_key_arn,
                data_key_arn=self.keys.data_key_arn,
                log_key_arn=self.keys.operations_key_arn,
                issued=settings.generated,
                issued_values={key: issued[key] for key in issued.names()},
                database=self._logins(),
                cache=self._cache_token(),
                function_subnet_ids=self.network.private_subnet_ids,
                function_security_group_id=self.security_groups.function_id,
                rotation_days=settings.secret_rotation_days,
                issued_rotation_days=settings.issued_secret_rotation_days,
                recovery_days=30 if settings.deletion_protection else 0,
                alarm_topic_arns=alarm_topic_arns,
                log_retention_days=settings.log_retention_days,
                tags=self._args.tags,
            ),
            pulumi.ResourceOptions(parent=parent),
        )

    def _logins(self) -> DatabaseLogins | None:
        if self.own_database is None:
            return None
        return DatabaseLogins(
            address=self.own_database.address,
            port=self.own_database.port,
            name=self.own_database.database_name,
            master_secret_arn=self.own_database.master_secret_arn,
        )

    def _cache_token(self) -> CacheToken | None:
        if self.own_cache is None:
            return None
        return CacheToken(
            address=self.own_cache.address,
            port=self.own_cache.port,
            replication_group_id=self.own_cache.replication_group_id,
            first=self._first_token,
        )

    def guard_secrets(
        self,
        name: str,
        secrets: StackSecrets,
        injector_arn: pulumi.Input[str],
        readers: Mapping[str, Sequence[pulumi.Input[str]]],
        parent: pulumi.Resource,
    ) -> SecretPolicies:
        """The policies of all the stack's secrets.

        Args:
            name: of the component.
            secrets: of the stack.
            injector_arn: the role that reads what the service is given.
            readers: others' ARNs, by short name of the secret.
            parent: the component they are part of.
        """
        settings, injected = self._args.settings, secrets.injected()
        guarded = {
            key: GuardedSecret(
                arn=arn,
                readers=[
                    secrets.rotation_role_arns[key],
                    *([injector_arn] if key in injected else []),
                    *readers.get(key, []),
                ],
            )
            for key, arn in secrets.arns.items()
        }
        if secrets.master_reader_arn is not None:
            guarded["master"] = GuardedSecret(
                arn=self.database.master_secret_arn,
                readers=[service_linked_role(settings.account_id), secrets.master_reader_arn],
            )
        return SecretPolicies(
            name,
            SecretPoliciesArgs(secrets=guarded, administrators=settings.secret_administrators),
            pulumi.ResourceOptions(parent=parent),
        )
