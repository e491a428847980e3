"""Whether the database takes all connections that the tasks may open: pool x tasks x deployment %, standby included.

The limit of a database that is given is a setting. RDS's is its own formula for PostgreSQL,
LEAST(DBInstanceClassMemory / 9531392, 5000). DBInstanceClassMemory is the class's memory less what RDS keeps for
itself; a 4 GiB class was reported with 413 (facts.md 2c, trap 10), so a tenth is taken off.
"""

from __future__ import annotations

import math

from components.settings.cloud import CloudSettings
from components.settings.given import GivenSettings
from components.settings.problems import Problem, problem
from components.settings.service import ServiceSettings

BYTES_A_CONNECTION = 9_531_392
MOST_CONNECTIONS = 5_000
KEPT_BY_RDS = 0.1
# Superuser's and RDS's own slots, the migration, an exporter, and a person with psql.
RESERVED_CONNECTIONS = 15

# Memory of the general, memory-optimised and burstable classes in GiB by size; db.t4g.micro and small are too small.
_GENERAL = {"large": 8, "xlarge": 16, "2xlarge": 32, "4xlarge": 64, "8xlarge": 128, "12xlarge": 192, "16xlarge": 256}
_MEMORY = {"large": 16, "xlarge": 32, "2xlarge": 64, "4xlarge": 128, "8xlarge": 256, "12xlarge": 384, "16xlarge": 512}
_BURSTABLE = {"medium": 4, "large": 8, "xlarge": 16, "2xlarge": 32}
CLASS_MEMORY_GIB: dict[str, int] = {
    f"db.{family}.{size}": memory
    for families, sizes in (
        (("t3", "t4g"), _BURSTABLE),
        (("m5", "m6g", "m6i", "m7g", "m7i", "m8g"), _GENERAL),
        (("r5", "r6g", "r6i", "r7g", "r7i", "r8g"), _MEMORY),
    )
    for family in families
    for size, memory in sizes.items()
}


def connection_limit(instance_class: str) -> int:
    """How many connections an RDS PostgreSQL instance of this class takes.

    Raises:
        KeyError: the class is not in `CLASS_MEMORY_GIB`.
    """
    memory_bytes = CLASS_MEMORY_GIB[instance_class] * 2**30 * (1 - KEPT_BY_RDS)
    return min(MOST_CONNECTIONS, int(memory_bytes / BYTES_A_CONNECTION))


def most_connections(service: ServiceSettings) -> int:
    """The most connections the tasks open at once: every task of the main stack during a deployment, and as many of
    the activated standby as of the main stack."""
    tasks = service.max_tasks + service.worker_tasks
    main = math.ceil(tasks * service.deployment_maximum_percent / 100)
    standby = max(service.standby_tasks, service.max_tasks) + service.worker_tasks
    return (main + standby) * service.database_pool_size


def problems_of_pools(service: ServiceSettings, cloud: CloudSettings, given: GivenSettings) -> list[Problem]:
    """Whether the pools fit, and the tasks' counts each other."""
    problems = []
    if service.min_tasks > service.max_tasks:
        problems.append(
            problem("minTasks", f"is {service.min_tasks}, more than railyard:maxTasks, which is {service.max_tasks}")
        )
    is_given = "database" in given.given_parts
    if not is_given and cloud.database_instance_class not in CLASS_MEMORY_GIB:
        known = ", ".join(sorted({name.rsplit(".", 1)[0] for name in CLASS_MEMORY_GIB}))
        return [
            *problems,
            problem(
                "databaseInstanceClass",
                f"is {cloud.database_instance_class!r}, whose memory is not known; the families are {known}, "
                "from medium (db.t) or large on",
                "db.m7g.large",
            ),
        ]
    if is_given:
        limit = given.database_max_connections
        whose, larger = "the given database", "raise the server's max_connections and railyard:databaseMaxConnections"
    else:
        limit = connection_limit(cloud.database_instance_class)
        whose, larger = cloud.database_instance_class, "choose a larger railyard:databaseInstanceClass"
    limit -= RESERVED_CONNECTIONS
    wanted = most_connections(service)
    if wanted > limit:
        problems.append(
            Problem(
                "railyard:databasePoolSize",
                f"is {service.database_pool_size}, so that up to {wanted} connections are opened "
                f"(({service.max_tasks} web + {service.worker_tasks} worker tasks) x "
                f"{service.deployment_maximum_percent} % of a deployment, and the standby as large), while "
                f"{whose} has {limit} for tasks",
                "Lower railyard:databasePoolSize, railyard:maxTasks, railyard:workerTasks or "
                f"railyard:deploymentMaximumPercent, or {larger}.",
            )
        )
    return problems
