"""Secrets of the service, synchronised by the External Secrets operator (`railyard:kubernetes:Secrets`):

- a SecretStore that reads AWS Secrets Manager as the account `payments-secrets`;
- an ExternalSecret each for web, worker and migration, so that no pod has a secret that its role does not need;
- one for LND's certificate, which is a file.

No value passes through Pulumi: what is written here are names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi
from pulumi_kubernetes.apiextensions import CustomResource

from components.arguments import ArgumentError
from components.kubernetes.names import APPLICATION, MIGRATION, WORKER, Manifest, metadata

WEB_SECRET = "402pay-secrets"  # noqa: S105 (the guides' name of the object, x4-k8s-secret-ref)
WORKER_SECRET = "402pay-worker-secrets"  # noqa: S105
MIGRATION_SECRET = "402pay-migration-secrets"  # noqa: S105
LND_CERTIFICATE_SECRET = "402pay-lnd-certificate"  # noqa: S105
STORE = "payments"
API = "external-secrets.io/v1"

WALLET_VARIABLES = frozenset(
    {
        "LND_PAY_MACAROON",
        "LND_PAY_MACAROON_PATH",
        "ONCHAIN_WALLET_KEY",
        "SOLANA_FEE_PAYER",
        "STELLAR_SIGNING_KEY",
        "TON_MASTER_KEY",
    }
)
"""What can move money: for the worker's signer alone (design section 4, rule 11)."""
OWNER_VARIABLES = frozenset({"DATABASE_OWNER_URL"})
"""What can change the schema: for the migration alone."""


@dataclass(frozen=True, kw_only=True)
class Remote:
    """Where a value is in the remote store.

    Attributes:
        key: name or ARN of the remote secret.
        property: field of the remote secret when that is JSON; the whole value when empty.
    """

    key: pulumi.Input[str]
    property: pulumi.Input[str] = ""

    def reference(self) -> Manifest:
        """As `remoteRef`."""
        found: Manifest = {"key": self.key, "conversionStrategy": "Default", "decodingStrategy": "None"}
        if not isinstance(self.property, str) or self.property:
            found["property"] = self.property
        return {**found, "metadataPolicy": "None"}


@dataclass(frozen=True, kw_only=True)
class Composed:
    """A value composed by the operator, so that its secret part never reaches a plan or a state.

    Attributes:
        template: text with `{{ .name }}` for each part; plain parts, such as a host, are written into it.
        parts: remote values by name.
    """

    template: pulumi.Input[str]
    parts: Mapping[str, Remote]

    def __post_init__(self) -> None:
        if not self.parts:
            raise ArgumentError("Composed", "parts", "is empty", "Name the remote values that the template takes.")


Value = Remote | Composed


@dataclass(frozen=True, kw_only=True)
class SecretsArgs:
    """Arguments of `Secrets`.

    Attributes:
        namespace: of the stack.
        service_account: name of the account whose AWS role may read the secrets.
        region: AWS region of Secrets Manager.
        web, worker, migration: values by variable.
        lnd_certificate: LND's `tls.cert` in PEM; None when the Lightning rail is off.
        refresh_minutes: how soon a rotated value is in the cluster.
    """

    namespace: pulumi.Input[str]
    service_account: pulumi.Input[str]
    region: pulumi.Input[str]
    web: Mapping[str, Value]
    worker: Mapping[str, Value]
    migration: Mapping[str, Value]
    lnd_certificate: Value | None = None
    refresh_minutes: int = 5

    def __post_init__(self) -> None:
        for role, values in (("web", self.web), ("migration", self.migration)):
            for variable in sorted(WALLET_VARIABLES & set(values)):
                raise ArgumentError(
                    "SecretsArgs", role, f"has {variable}, which can move money", "Give it to the worker alone."
                )
        for role, values in (("web", self.web), ("worker", self.worker)):
            for variable in sorted(OWNER_VARIABLES & set(values)):
                raise ArgumentError(
                    "SecretsArgs", role, f"has {variable}, which can change the schema", "Give it to migration alone."
                )
        for role, values in (("web", self.web), ("worker", self.worker), ("migration", self.migration)):
            if not values:
                raise ArgumentError("SecretsArgs", role, "is empty", "It needs at least the URL of the database.")
        if not 1 <= self.refresh_minutes <= 60:
            raise ArgumentError(
                "SecretsArgs",
                "refresh_minutes",
                f"is {self.refresh_minutes} and must be 1 to 60",
                "A rotated secret has to arrive while the one before still works.",
            )


@dataclass(frozen=True, kw_only=True)
class SecretNames:
    """Names of the Secrets the operator makes."""

    web: str = WEB_SECRET
    worker: str = WORKER_SECRET
    migration: str = MIGRATION_SECRET
    lnd_certificate: str = field(default="")


class Secrets(pulumi.ComponentResource):
    """Attributes: `names`, and `objects`, which a workload depends on."""

    def __init__(self, name: str, args: SecretsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("railyard:kubernetes:Secrets", name, None, opts)
        self._name, self._args = name, args
        self.store = CustomResource(
            f"{name}-store",
            api_version=API,
            kind="SecretStore",
            metadata=metadata(STORE, args.namespace, "railyard"),
            spec={
                "provider": {
                    "aws": {
                        "service": "SecretsManager",
                        "region": args.region,
                        "auth": {"jwt": {"serviceAccountRef": {"name": args.service_account}}},
                    }
                }
            },
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.objects = [
            self._external("web", WEB_SECRET, APPLICATION, args.web),
            self._external("worker", WORKER_SECRET, WORKER, args.worker),
            self._external("migration", MIGRATION_SECRET, MIGRATION, args.migration),
        ]
        if args.lnd_certificate is not None:
            self.objects.append(
                self._external(
                    "lnd-certificate", LND_CERTIFICATE_SECRET, "railyard", {"tls.cert": args.lnd_certificate}
                )
            )
        self.names = SecretNames(lnd_certificate=LND_CERTIFICATE_SECRET if args.lnd_certificate else "")
        self.register_outputs({"store": STORE})

    def _external(self, role: str, secret: str, app: str, values: Mapping[str, Value]) -> CustomResource:
        data: list[Manifest] = []
        template: Manifest = {}
        for variable, value in sorted(values.items()):
            if isinstance(value, Remote):
                data.append({"secretKey": variable, "remoteRef": value.reference()})
                template[variable] = f'{{{{ index . "{variable}" }}}}'
                continue
            template[variable] = value.template
            data += [{"secretKey": part, "remoteRef": remote.reference()} for part, remote in value.parts.items()]
        parts = {entry["secretKey"]: entry for entry in data}
        return CustomResource(
            f"{self._name}-{role}",
            api_version=API,
            kind="ExternalSecret",
            metadata=metadata(secret, self._args.namespace, app),
            spec={
                "refreshInterval": f"{self._args.refresh_minutes}m0s",
                "secretStoreRef": {"name": STORE, "kind": "SecretStore"},
                "target": {
                    "name": secret,
                    "creationPolicy": "Owner",
                    # A remote secret that vanished must not take the running service's with it.
                    "deletionPolicy": "Retain",
                    "template": {"engineVersion": "v2", "mergePolicy": "Replace", "data": template},
                },
                "data": [parts[key] for key in sorted(parts)],
            },
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self.store]),
        )
