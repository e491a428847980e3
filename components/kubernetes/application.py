"""The service in a cluster (`railyard:kubernetes:Application`): every family of this folder, composed.

What the cluster has to have before: a CNI that enforces network policies, metrics-server, the controllers of the
Gateway API, the External Secrets and the Prometheus operator, cert-manager, and an adapter that serves the external
metric `payments_pending` (docs/kubernetes.md has the rule).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi

from components.kubernetes.gateway import Gateway, GatewayArgs
from components.kubernetes.identity import Identity, IdentityArgs
from components.kubernetes.maintenance import Maintenance, MaintenanceArgs, Runs
from components.kubernetes.migration import Migration, MigrationArgs
from components.kubernetes.monitoring import Monitoring, MonitoringArgs
from components.kubernetes.names import ARCHIVE, pinned_image
from components.kubernetes.namespace import Namespace, NamespaceArgs
from components.kubernetes.network_policy import Destination, NetworkPolicies, NetworkPoliciesArgs
from components.kubernetes.pods import LND_FOLDER, Resources
from components.kubernetes.scaling import Scaling, ScalingArgs
from components.kubernetes.secrets import Secrets, SecretsArgs, Value
from components.kubernetes.service import Service, ServiceArgs, Worker, WorkloadArgs

Variables = Mapping[str, pulumi.Input[str]]


@dataclass(frozen=True, kw_only=True)
class ApplicationArgs:
    """Arguments of `Application`.

    Attributes:
        namespace: name of the stack's own namespace.
        stack: name of the stack.
        image: of the service, by digest.
        release: id of the release.
        region: of the Secrets Manager that the secrets are in.
        environment: plain variables of every role; `web_environment` and `worker_environment` those of one.
        web_secrets, worker_secrets, migration_secrets: where each secret variable comes from.
        lnd_certificate: LND's certificate; None when the rail is off.
        database, cache: where they are.
        lightning: LND's REST port; None when the rail is off.
        hostname: of the service.
        gateway_class, gateway_namespace: of the cluster's gateway controller, and where its proxies run.
        certificate_issuer: ClusterIssuer of cert-manager.
        scraper_namespace: where Prometheus runs.
        operator_labels: labels by which the Prometheus operator chooses monitors and rules.
        secret_role_arn: AWS role that reads the secrets; web_role_arn and worker_role_arn those of the roles' code;
            auditor_role_arn that of the job that reads the audit archive.
        archive_store: URL of the audit archive; "" where there is none.
        minimum, maximum: pods of web; worker_replicas: pods of the worker.
        resources: bounds of a pod.
        runbook_url: where runbooks are.
        expected_gas_price: fee of a TON transfer above which an alert fires, in nanotons; None where it is not paid in.
    """

    namespace: str
    stack: str
    image: pulumi.Input[str]
    release: str
    region: str
    environment: Variables
    web_environment: Variables = field(default_factory=dict)
    worker_environment: Variables = field(default_factory=dict)
    web_secrets: Mapping[str, Value]
    worker_secrets: Mapping[str, Value]
    migration_secrets: Mapping[str, Value]
    lnd_certificate: Value | None = None
    database: Destination
    cache: Destination
    lightning: Destination | None = None
    hostname: str
    gateway_class: str = "eg"
    gateway_namespace: str = "envoy-gateway-system"
    certificate_issuer: str = "letsencrypt"
    scraper_namespace: str = "monitoring"
    operator_labels: Mapping[str, str] = field(default_factory=lambda: {"release": "kube-prometheus-stack"})
    secret_role_arn: pulumi.Input[str] = ""
    web_role_arn: pulumi.Input[str] = ""
    worker_role_arn: pulumi.Input[str] = ""
    auditor_role_arn: pulumi.Input[str] = ""
    archive_store: pulumi.Input[str] = ""
    minimum: int = 3
    maximum: int = 10
    worker_replicas: int = 2
    resources: Resources = field(default_factory=Resources)
    runbook_url: str = ""
    expected_gas_price: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "image", pinned_image("ApplicationArgs", "image", self.image))


class Application(pulumi.ComponentResource):
    """Attributes: `url`, and the families: `service`, `worker`, `migration`, `secrets`, ..."""

    def __init__(self, name: str, args: ApplicationArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("railyard:kubernetes:Application", name, None, opts)
        self._name, self._args = name, args
        child = self._child = pulumi.ResourceOptions(parent=self)
        self.namespace = Namespace(f"{name}-space", NamespaceArgs(name=args.namespace), child)
        self._space = self.namespace.name
        roles = {
            "secrets": args.secret_role_arn,
            "web": args.web_role_arn,
            "worker": args.worker_role_arn,
            "auditor": args.auditor_role_arn,
        }
        self.identity = Identity(
            f"{name}-identity",
            IdentityArgs(namespace=self._space, role_arns={key: arn for key, arn in roles.items() if arn}),
            child,
        )
        # A pod that starts before its policy could talk to anybody.
        self.policies = NetworkPolicies(f"{name}-network", self._network(), child)
        self.secrets = self._secrets()
        self.migration = self._migration()
        self.service, self.worker = self._roles()
        after = pulumi.ResourceOptions(parent=self, depends_on=[self.service, self.worker])
        self.scaling = Scaling(
            f"{name}-scaling",
            ScalingArgs(namespace=self._space, minimum=args.minimum, maximum=args.maximum),
            after,
        )
        self.gateway = self._gateway()
        self.monitoring = Monitoring(
            f"{name}-monitoring",
            MonitoringArgs(
                namespace=self._space,
                stack=args.stack,
                operator_labels=args.operator_labels,
                runbook_url=args.runbook_url,
                expected_gas_price=args.expected_gas_price,
            ),
            child,
        )
        self.maintenance = self._maintenance()
        self.url = self.gateway.url
        self.register_outputs({"url": self.url, "namespace": self._space})

    def _network(self) -> NetworkPoliciesArgs:
        args = self._args
        return NetworkPoliciesArgs(
            namespace=self._space,
            database=args.database,
            cache=args.cache,
            lightning=args.lightning,
            gateway_namespace=args.gateway_namespace,
            scraper_namespace=args.scraper_namespace,
            archive=bool(self._archive()),
        )

    def _secrets(self) -> Secrets:
        args = self._args
        return Secrets(
            f"{self._name}-secrets",
            SecretsArgs(
                namespace=self._space,
                service_account=self.identity.names["secrets"],
                region=args.region,
                web=args.web_secrets,
                worker=args.worker_secrets,
                migration=args.migration_secrets,
                lnd_certificate=args.lnd_certificate,
            ),
            self._child,
        )

    def _environment(self, more: Variables) -> dict[str, pulumi.Input[str]]:
        args = self._args
        found: dict[str, pulumi.Input[str]] = {
            # The guides ask for it by name (x4-k8s-env-node); APP_ENV, which staging sets, goes before it.
            "NODE_ENV": "production",
            "HOST": "0.0.0.0",  # noqa: S104 - a pod's own network
            "RELEASE": args.release,
            "ENABLE_METRICS": "true",
            **args.environment,
            **more,
        }
        if args.lnd_certificate:
            found["LND_TLS_CERT_PATH"] = f"{LND_FOLDER}/tls.cert"
        return found

    def _alone(self) -> dict[str, pulumi.Input[str]]:
        """Variables of what talks to the database alone: no rail's, which would ask for the rail's secrets."""
        return {"NODE_ENV": "production", "RELEASE": self._args.release}

    def _migration(self) -> Migration:
        args = self._args
        return Migration(
            f"{self._name}-migration",
            MigrationArgs(
                namespace=self._space,
                image=args.image,
                release=args.release,
                service_account=self.identity.names["migration"],
                secret=self.secrets.names.migration,
                environment=self._alone(),
            ),
            pulumi.ResourceOptions(parent=self, depends_on=[self.policies, self.secrets]),
        )

    def _roles(self) -> tuple[Service, Worker]:
        args, secrets = self._args, self.secrets.names
        after = pulumi.ResourceOptions(parent=self, depends_on=[self.migration, self.policies, self.secrets])
        service = Service(
            f"{self._name}-web",
            ServiceArgs(
                namespace=self._space,
                image=args.image,
                release=args.release,
                service_account=self.identity.names["web"],
                secret=secrets.web,
                environment=self._environment({**args.web_environment, "PORT": "3001"}),
                lnd_certificate_secret=secrets.lnd_certificate,
                replicas=args.minimum,
                resources=args.resources,
            ),
            after,
        )
        worker = Worker(
            f"{self._name}-worker",
            WorkloadArgs(
                namespace=self._space,
                image=args.image,
                release=args.release,
                service_account=self.identity.names["worker"],
                secret=secrets.worker,
                environment=self._environment({**args.worker_environment, **self._archive(), "WORKER_PORT": "3002"}),
                lnd_certificate_secret=secrets.lnd_certificate,
                replicas=args.worker_replicas,
                resources=args.resources,
            ),
            after,
        )
        return service, worker

    def _gateway(self) -> Gateway:
        args = self._args
        return Gateway(
            f"{self._name}-gateway",
            GatewayArgs(
                namespace=self._space,
                gateway_class=args.gateway_class,
                hostname=args.hostname,
                certificate_issuer=args.certificate_issuer,
                service=self.service.name,
            ),
            self._child,
        )

    def _maintenance(self) -> Maintenance:
        args, names, secrets = self._args, self.identity.names, self.secrets.names
        return Maintenance(
            f"{self._name}-maintenance",
            MaintenanceArgs(
                namespace=self._space,
                image=args.image,
                logins={
                    "app": Runs(service_account=names["web"], secret=secrets.web),
                    "owner": Runs(service_account=names["migration"], secret=secrets.migration),
                },
                archive=Runs(
                    service_account=names["auditor"], secret=secrets.web, app=ARCHIVE, environment=self._archive()
                )
                if self._archive()
                else None,
                environment=self._alone(),
            ),
            pulumi.ResourceOptions(parent=self, depends_on=[self.migration, self.policies]),
        )

    def _archive(self) -> dict[str, pulumi.Input[str]]:
        store = self._args.archive_store
        return {} if isinstance(store, str) and not store else {"AUDIT_ARCHIVE_STORE": store}
