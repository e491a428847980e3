"""Settings of the running service in a cloud, on ECS and on Kubernetes alike: size, count, pools, names."""

from __future__ import annotations

from collections.abc import Mapping

from components.settings.model import CLOUD, Model, setting
from components.settings.problems import Problem, problem

FARGATE_MEMORY: Mapping[int, range] = {
    512: range(1024, 4097, 1024),
    1024: range(2048, 8193, 1024),
    2048: range(4096, 16385, 1024),
    4096: range(8192, 30721, 1024),
    8192: range(16384, 61441, 4096),
    16384: range(32768, 122881, 8192),
}
"""Fargate's sizes (CPU units -> memory in MiB); others are refused by ECS only when the task is started."""
HOST_NAME = r"^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}$"


class ServiceSettings(Model):
    """Size and count of the service, and under which names it is reached."""

    service_cpu_units: int = setting(2048, "CPU of a task in units of 1/1024 vCPU.", platforms=CLOUD, ge=256, le=16_384)
    service_memory_mib: int = setting(4096, "Memory of a task in MiB.", platforms=CLOUD, ge=512, le=122_880)
    min_tasks: int = setting(
        3, "The fewest web tasks that run; one alone goes down with its zone.", platforms=CLOUD, ge=2, le=10
    )
    max_tasks: int = setting(10, "The most web tasks that run.", platforms=CLOUD, ge=2, le=10)
    worker_tasks: int = setting(2, "How many worker tasks run.", platforms=CLOUD, ge=1, le=20)
    deployment_maximum_percent: int = setting(
        200,
        "How many tasks may run during a deployment, in percent of the wanted ones.",
        platforms=CLOUD,
        ge=100,
        le=200,
    )
    standby_tasks: int = setting(
        1,
        "Web tasks of the rollback stack while it stands by; when it is activated it takes the main stack's count.",
        platforms=CLOUD,
        ge=0,
        le=100,
    )
    database_pool_size: int = setting(20, "Database connections that a task may hold.", platforms=CLOUD, ge=1, le=200)
    database_pool_timeout_seconds: int = setting(
        30, "How long a request waits for a database connection, in seconds.", platforms=CLOUD, ge=1, le=120
    )
    domain_name: str = setting(
        "",
        "Host name of the API, as pay.example.com.",
        platforms=CLOUD,
        required=True,
        wanted="a host name in lower case",
        pattern=HOST_NAME,
    )
    hosted_zone_name: str = setting(
        "",
        "Name of the Route 53 zone that the host names are in, as example.com.",
        platforms=CLOUD,
        required=True,
        wanted="a host name in lower case",
        pattern=HOST_NAME,
    )
    hosted_zone_id: str = setting(
        "",
        "Id of that zone where it exists; when it is empty, the stack makes the zone.",
        platforms=CLOUD,
        wanted="an id like Z0123456789ABCDEFGHIJ",
        pattern=r"^Z[A-Z0-9]{5,31}$",
    )
    dashboard_domain_name: str = setting(
        "",
        "Host name of the dashboard, which CloudFront serves, as dashboard.pay.example.com.",
        platforms=CLOUD,
        required=True,
        wanted="a host name in lower case",
        pattern=HOST_NAME,
    )
    requests_per_five_minutes: int = setting(
        3_000,
        "Requests of one address in five minutes above which the firewall blocks it; under NAT many share one.",
        platforms=CLOUD,
        ge=100,
        le=2_000_000_000,
    )
    public_rate_limit: int = setting(1_000, "Requests of one address without a key in a minute.", platforms=CLOUD, ge=1)
    auth_rate_limit: int = setting(2_000, "Requests of one key in a minute.", platforms=CLOUD, ge=1)
    verify_rate_limit: int = setting(
        500, "Verifications and settlements of one key in a minute.", platforms=CLOUD, ge=1
    )


def problems_of_size(settings: ServiceSettings) -> list[Problem]:
    """Sizes that Fargate has not."""
    cpu, memory = settings.service_cpu_units, settings.service_memory_mib
    sizes = FARGATE_MEMORY.get(cpu)
    if sizes is None:
        what = f"is {cpu}, and Fargate has {', '.join(map(str, FARGATE_MEMORY))}"
        return [problem("serviceCpuUnits", what, "2048")]
    if memory not in sizes:
        what = f"is {memory}, and with {cpu} CPU units Fargate has {sizes[0]} to {sizes[-1]} in steps of {sizes.step}"
        return [problem("serviceMemoryMib", what, str(sizes[0]))]
    return []


def problems_of_names(settings: ServiceSettings) -> list[Problem]:
    """Host names that the zone cannot hold."""
    zone = settings.hosted_zone_name
    names = (("domainName", settings.domain_name), ("dashboardDomainName", settings.dashboard_domain_name))
    return [
        problem(key, f"is {name!r}, which is no name in the zone {zone}", f"pay.{zone}")
        for key, name in names
        if name and zone and name != zone and not name.endswith(f".{zone}")
    ]
