"""The payment service on Fargate (`railyard:aws:Service`), one release:

- a cluster that is watched (Container Insights);
- a task definition a role, by image digest: `web`, `worker`, which alone has the wallets' secrets, and `migrate`;
- the web service: ECS-native rollout (canary, linear or rolling), with alarms that roll it back; at least 3 tasks;
- the worker service, rolling, with the circuit breaker and the same alarms;
- tasks without a public address, on a read-only root file system, as a user that is not root.

The migration is a task of its own: `railyard release` runs it before the services take the new release.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pulumi
import pulumi_aws as aws

from components.arguments import ArgumentError
from components.aws.checks import check_between, check_matches, check_not_empty
from components.aws.container import DIGEST, ContainerArgs, container_definition
from components.settings.service import FARGATE_MEMORY
from components.tags import check_tags

Variables = Mapping[str, pulumi.Input[str]]
# What signs: the web role must not have it (design section 4, rule 11), and refuses to start when it does.
WALLET_SECRETS = ("LND_PAY_MACAROON", "SOLANA_FEE_PAYER", "TON_MASTER_KEY", "STELLAR_SIGNING_KEY")


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """How a release takes over the traffic.

    Attributes:
        strategy: CANARY moves `percent`, waits, then the rest; LINEAR moves `percent` a step; ROLLING replaces tasks.
        percent: of the traffic, in the first move or each.
        bake_minutes: between moves; and after the last, during which the old release still stands for a way back.
        target_group_arn, alternate_target_group_arn: the two groups of the load balancer.
        production_rule_arn, test_rule_arn: the listener's rules whose weights ECS moves.
        role_arn: lets ECS work on the load balancer.
        alarm_names: that roll the release back.
    """

    strategy: Literal["CANARY", "LINEAR", "ROLLING"] = "CANARY"
    percent: float = 10
    bake_minutes: int = 10
    target_group_arn: pulumi.Input[str]
    alternate_target_group_arn: pulumi.Input[str]
    production_rule_arn: pulumi.Input[str]
    test_rule_arn: pulumi.Input[str]
    role_arn: pulumi.Input[str]
    alarm_names: Sequence[str]

    def __post_init__(self) -> None:
        if not self.alarm_names:
            raise ArgumentError("Traffic", "alarm_names", "is empty", "Name the alarms that roll a release back.")
        if not 1 <= self.percent <= 50:
            raise ArgumentError("Traffic", "percent", f"is {self.percent}", "Give 1 to 50; the guides begin with 5.")
        if not 1 <= self.bake_minutes <= 1440:
            raise ArgumentError("Traffic", "bake_minutes", f"is {self.bake_minutes}", "Give 1 to 1440 minutes.")


@dataclass(frozen=True, kw_only=True)
class ServiceArgs:
    """Arguments of `Service`.

    Attributes:
        image: repository and digest.
        release: id of the release, which it writes into its jobs and lines.
        region: of the stack.
        subnet_ids: private subnets, in at least two zones.
        security_group_id: of the tasks.
        execution_role_arn: pulls the image, reads the secrets, writes the lines.
        web_role_arn, worker_role_arn: what each role's code may do in AWS.
        environment: plain variables of every role; `web_environment` and `worker_environment` those of one.
        web_secrets, worker_secrets, migrate_secrets: variable -> ARN (or `<arn>:<key>::`) in Secrets Manager.
        log_groups: names by role: web, worker, migrate.
        traffic: how a release takes over.
        cpu_units, memory_mib: of a task, a pair that Fargate has.
        minimum_web_tasks, worker_tasks: how many run at the start; autoscaling decides later.
        web_port, worker_port: that they listen on.
        maximum_percent: tasks that may run during a deployment, of the wanted ones; the pools are counted with it.
        grace_seconds: during which a new task may fail the load balancer's health check.
        wait: whether `pulumi up` waits until the rollout ended.
        tags: of every resource; tasks carry them too.
    """

    image: pulumi.Input[str]
    release: str
    region: str
    subnet_ids: Sequence[pulumi.Input[str]]
    security_group_id: pulumi.Input[str]
    execution_role_arn: pulumi.Input[str]
    web_role_arn: pulumi.Input[str]
    worker_role_arn: pulumi.Input[str]
    environment: Variables
    web_environment: Variables
    worker_environment: Variables
    web_secrets: Variables
    worker_secrets: Variables
    migrate_secrets: Variables
    log_groups: Mapping[str, pulumi.Input[str]]
    traffic: Traffic
    cpu_units: int = 2048
    memory_mib: int = 4096
    minimum_web_tasks: int = 3
    worker_tasks: int = 2
    web_port: int = 3001
    worker_port: int = 3002
    maximum_percent: int = 200
    grace_seconds: int = 60
    wait: bool = True
    tags: Mapping[str, str]

    def __post_init__(self) -> None:
        name = type(self).__name__
        check_tags(name, self.tags)
        check_matches(self, "image", DIGEST, "an image by digest", "Give <repository>@sha256:<64 hex digits>.")
        check_between(self, "minimum_web_tasks", 2, 100, "Give 3: one task alone goes down with its zone.")
        check_between(self, "maximum_percent", 101, 200, "Give 200; above 100, so that the new run beside the old.")
        check_between(self, "worker_tasks", 1, 20, "Give 2.")
        check_not_empty(self, "execution_role_arn", "Give the ARN of the role that starts tasks.")
        if len(self.subnet_ids) < 2:
            raise ArgumentError(
                name, "subnet_ids", f"has {len(self.subnet_ids)}", "Give a private subnet of each zone."
            )
        memory = FARGATE_MEMORY.get(self.cpu_units)
        if memory is None:
            sizes = ", ".join(map(str, FARGATE_MEMORY))
            raise ArgumentError(
                name, "cpu_units", f"is {self.cpu_units}, which Fargate has not", f"Give one of {sizes}."
            )
        if self.memory_mib not in memory:
            what = f"is {self.memory_mib}, which Fargate does not pair with {self.cpu_units} CPU units"
            raise ArgumentError(
                name, "memory_mib", what, f"Give {memory[0]} to {memory[-1]} in steps of {memory.step}."
            )
        held = [secret for secret in WALLET_SECRETS if secret in self.web_secrets or secret in self.migrate_secrets]
        if held:
            what = f"has {', '.join(held)}, which signs"
            fix = "Give what signs to the worker alone, in worker_secrets."
            raise ArgumentError(type(self).__name__, "web_secrets", what, fix)


class Service(pulumi.ComponentResource):
    """The running release.

    Attributes:
        cluster_arn, cluster_name: of the cluster.
        web_name, worker_name: of the services; `running_web_name` is known when the service exists.
        task_definition_arns: by role: web, worker, migrate.
    """

    def __init__(self, name: str, args: ServiceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("railyard:aws:Service", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        # Plain, so that alarms and dashboards can name them before they are.
        self.cluster_name, self.web_name, self.worker_name = cluster_and_services(name)
        cluster = aws.ecs.Cluster(
            f"{name}-cluster",
            name=self.cluster_name,
            settings=[{"name": "containerInsights", "value": "enhanced"}],
            tags=args.tags,
            opts=self._child,
        )
        self.cluster_arn: pulumi.Output[str] = cluster.arn
        definitions = self._definitions()
        self.task_definition_arns = {role: definition.arn for role, definition in definitions.items()}
        # Known when the service is: what scales it has to wait for it.
        self.running_web_name: pulumi.Output[str] = self._run_web(definitions["web"].arn).name
        self._run_worker(definitions["worker"].arn)
        self.register_outputs({"clusterArn": self.cluster_arn, "taskDefinitionArns": self.task_definition_arns})

    def _definitions(self) -> dict[str, aws.ecs.TaskDefinition]:
        args = self._args
        web = {**args.environment, **args.web_environment, "PORT": str(args.web_port)}
        worker = {**args.environment, **args.worker_environment, "WORKER_PORT": str(args.worker_port)}
        return {
            "web": self._definition(
                self._container("web", ["serve"], web, args.web_secrets, args.web_port, "PORT"), args.web_role_arn
            ),
            "worker": self._definition(
                self._container("worker", ["work"], worker, args.worker_secrets, args.worker_port, "WORKER_PORT"),
                args.worker_role_arn,
            ),
            # Its code calls nothing in AWS: no task role.
            "migrate": self._definition(
                self._container("migrate", ["migrate"], args.environment, args.migrate_secrets), None
            ),
        }

    def _container(
        self,
        role: str,
        command: Sequence[str],
        environment: Variables,
        secrets: Variables,
        port: int | None = None,
        port_variable: str = "PORT",
    ) -> ContainerArgs:
        args = self._args
        return ContainerArgs(
            name=role,
            command=command,
            image=args.image,
            environment={**environment, "HOST": "0.0.0.0", "RELEASE": args.release},  # noqa: S104
            secrets=secrets,
            log_group=args.log_groups[role],
            region=args.region,
            port=port,
            port_variable=port_variable,
            cpu=args.cpu_units,
            memory_mib=args.memory_mib,
        )

    def _definition(self, container: ContainerArgs, role_arn: pulumi.Input[str] | None) -> aws.ecs.TaskDefinition:
        args = self._args
        return aws.ecs.TaskDefinition(
            f"{self._name}-{container.name}",
            family=f"{self._name}-{container.name}",
            requires_compatibilities=["FARGATE"],
            network_mode="awsvpc",
            cpu=str(args.cpu_units),
            memory=str(args.memory_mib),
            execution_role_arn=args.execution_role_arn,
            task_role_arn=role_arn,
            runtime_platform={"operating_system_family": "LINUX", "cpu_architecture": "X86_64"},
            container_definitions=pulumi.Output.json_dumps([container_definition(container)]),
            # Lives as long as the task: the root file system is read-only.
            volumes=[{"name": "scratch"}],
            # A rollback needs the revision before.
            skip_destroy=True,
            tags=args.tags,
            opts=self._child,
        )

    def _run_web(self, definition_arn: pulumi.Input[str]) -> aws.ecs.Service:
        args, traffic = self._args, self._args.traffic
        balancer: dict[str, Any] = {
            "container_name": "web",
            "container_port": args.web_port,
            "target_group_arn": traffic.target_group_arn,
        }
        if traffic.strategy != "ROLLING":
            balancer["advanced_configuration"] = {
                "alternate_target_group_arn": traffic.alternate_target_group_arn,
                "production_listener_rule": traffic.production_rule_arn,
                "test_listener_rule": traffic.test_rule_arn,
                "role_arn": traffic.role_arn,
            }
        return self._service(
            "web",
            self.web_name,
            definition_arn,
            args.minimum_web_tasks,
            deployment_configuration=deployment(traffic),
            load_balancers=[balancer],
            health_check_grace_period_seconds=args.grace_seconds,
        )

    def _run_worker(self, definition_arn: pulumi.Input[str]) -> None:
        self._service(
            "worker",
            self.worker_name,
            definition_arn,
            self._args.worker_tasks,
            deployment_configuration={
                "strategy": "ROLLING",
                "bake_time_in_minutes": str(self._args.traffic.bake_minutes),
            },
        )

    def _service(
        self, role: str, service_name: str, definition_arn: pulumi.Input[str], count: int, **more: Any
    ) -> aws.ecs.Service:
        args = self._args
        return aws.ecs.Service(
            f"{self._name}-{role}-service",
            name=service_name,
            cluster=self.cluster_arn,
            task_definition=definition_arn,
            desired_count=count,
            launch_type="FARGATE",
            # LATEST is what ECS makes of it; the number is what a scanner can compare.
            platform_version="LATEST",
            network_configuration={
                "subnets": list(args.subnet_ids),
                "security_groups": [args.security_group_id],
                "assign_public_ip": False,
            },
            deployment_minimum_healthy_percent=100,
            deployment_maximum_percent=args.maximum_percent,
            deployment_circuit_breaker={"enable": True, "rollback": True},
            alarms={"alarm_names": list(args.traffic.alarm_names), "enable": True, "rollback": True},
            availability_zone_rebalancing="ENABLED",
            enable_execute_command=False,
            enable_ecs_managed_tags=True,
            propagate_tags="SERVICE",
            wait_for_steady_state=args.wait,
            sigint_rollback=args.wait,
            tags=args.tags,
            # Autoscaling owns the count after the start.
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["desiredCount"]),
            **more,
        )


def cluster_and_services(name: str) -> tuple[str, str, str]:
    """Names of the cluster, the web service and the worker service of `Service(name)`."""
    return name, f"{name}-web", f"{name}-worker"


def deployment(traffic: Traffic) -> dict[str, Any]:
    """The deployment configuration as ECS takes it: minutes are strings, percents numbers."""
    bake = str(traffic.bake_minutes)
    configuration: dict[str, Any] = {"strategy": traffic.strategy, "bake_time_in_minutes": bake}
    if traffic.strategy == "CANARY":
        configuration["canary_configuration"] = {
            "canary_percent": traffic.percent,
            "canary_bake_time_in_minutes": bake,
        }
    elif traffic.strategy == "LINEAR":
        configuration["linear_configuration"] = {
            "step_percent": traffic.percent,
            "step_bake_time_in_minutes": bake,
        }
    return configuration
