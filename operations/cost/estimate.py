"""A month of a stack, line by line: what a component has of something, and what it comes to.

The quantities are those the components make from the settings; a test holds them against what the program declares.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from components.settings import Settings
from operations.cost.prices import Prices, price_of

ZONES = 3
ENDPOINT_SERVICES = 6
KEYS = 5
SIGNING_SECRETS = 4
"""Three signing keys and the invoices' secret."""
DATABASE_LOGINS, CACHE_TOKEN = 3, 1
MASTER_SECRET = 1
ALARMS = 72
"""66 that the program declares, and two for each of the three scaling policies, which autoscaling makes."""
FUNCTION_ALARMS, DATABASE_ALARMS, CACHE_ALARMS = 3, 8, 3
"""On Kubernetes, where Prometheus watches the service: of functions, and of database, cache and what rotates their
secrets; neither of the two that is given."""
DASHBOARDS = 2
FIREWALLS = 1
FIREWALL_RULES = 6
THOUSAND = 1000


@dataclass(frozen=True)
class Line:
    """What one thing costs a month.

    Attributes:
        component: as network, database, cache.
        what: is paid for, with its count.
        micro_dollars: a month of it.
        assumed: whether the quantity is a guess about use.
    """

    component: str
    what: str
    micro_dollars: int
    assumed: bool = False


def estimate(settings: Settings, prices: Prices) -> list[Line]:
    """The lines of a month.

    Args:
        settings: of a stack in a cloud.
        prices: of the price table.

    Raises:
        OperationError: an instance class has no price.
    """
    parts = (
        _network(settings, prices),
        _database(settings, prices),
        _cache(settings, prices),
        _service(settings, prices),
        _front(settings, prices),
        _safety(settings, prices),
        _watching(settings, prices),
    )
    multiple = prices.multiple(settings.region)
    return [
        Line(line.component, line.what, line.micro_dollars * multiple // THOUSAND, line.assumed)
        for part in parts
        for line in part
    ]


def _network(settings: Settings, prices: Prices) -> Iterator[Line]:
    gateways = ZONES if settings.nat_gateways == "per-zone" else 1
    hourly, hours, assumed = prices.hourly, prices.hours, prices.assumed
    yield Line("network", f"{gateways} NAT gateways", gateways * hours * hourly["nat_gateway"])
    addresses = gateways + ZONES
    what = f"{addresses} public addresses (NAT, load balancer)"
    yield Line("network", what, addresses * hours * hourly["public_address"])
    endpoints = ENDPOINT_SERVICES * ZONES
    price = hourly["interface_endpoint_a_zone"]
    yield Line("network", f"{ENDPOINT_SERVICES} endpoints in {ZONES} zones", endpoints * hours * price)
    gigabytes = assumed["nat_gigabytes"]
    yield Line("network", f"{gigabytes} GB through NAT", gigabytes * prices.each["nat_gigabyte"], True)


def _database(settings: Settings, prices: Prices) -> Iterator[Line]:
    if "database" in settings.given_parts:
        yield Line("database", "given, and paid by whoever runs it", 0)
        return
    name = settings.database_instance_class
    hourly = price_of(prices.database_classes, name, "railyard:databaseInstanceClass")
    yield Line("database", f"2 {name} (Multi-AZ)", 2 * prices.hours * hourly)
    gigabytes = settings.database_storage_gb
    what = f"2 x {gigabytes} GB of storage"
    yield Line("database", what, 2 * gigabytes * prices.monthly["database_gigabyte"])
    kept = prices.assumed["backup_gigabytes"]
    price = prices.monthly["database_backup_gigabyte"]
    yield Line("database", f"{kept} GB of backups beyond the storage's size", kept * price, True)


def _cache(settings: Settings, prices: Prices) -> Iterator[Line]:
    if "cache" in settings.given_parts:
        yield Line("cache", "given, and paid by whoever runs it", 0)
        return
    count, name = 1 + settings.cache_replicas, settings.cache_node_type
    hourly = price_of(prices.cache_nodes, name, "railyard:cacheNodeType")
    yield Line("cache", f"{count} {name}", count * prices.hours * hourly)


def _service(settings: Settings, prices: Prices) -> Iterator[Line]:
    if settings.platform == "kubernetes":
        if not settings.existing_cluster:
            node = settings.node_instance_types[0]
            hourly = price_of(prices.nodes, node, "railyard:nodeInstanceTypes")
            yield Line("service", "EKS control plane", prices.hours * prices.hourly["eks_cluster"])
            yield Line("service", f"{settings.min_nodes} nodes {node}", settings.min_nodes * prices.hours * hourly)
        return
    cpu, memory = settings.service_cpu_units, settings.service_memory_mib
    task = (cpu * prices.hourly["fargate_vcpu"] + memory * prices.hourly["fargate_gigabyte"]) // 1024
    size = f"of {cpu / 1024:g} vCPU and {memory / 1024:g} GB"
    for what, count in (
        ("web", settings.min_tasks),
        ("worker", settings.worker_tasks),
        ("standby", settings.standby_tasks),
    ):
        yield Line("service", f"{count} {what} tasks {size}", count * prices.hours * task)
    more = settings.max_tasks - settings.min_tasks
    if more > 0:
        what = f"up to {more} more web tasks under load: none assumed"
        yield Line("service", what, 0, True)


def _front(settings: Settings, prices: Prices) -> Iterator[Line]:
    hourly, monthly, assumed, each = prices.hourly, prices.monthly, prices.assumed, prices.each
    in_cluster = settings.platform == "kubernetes"
    # In a cluster it is the gateway controller's, not the stack's.
    yield Line("front", "load balancer", prices.hours * hourly["load_balancer"], in_cluster)
    units = assumed["load_balancer_units"]
    yield Line("front", f"{units} capacity units", units * prices.hours * hourly["load_balancer_unit"], True)
    if in_cluster:
        return
    firewall = FIREWALLS * monthly["firewall"] + FIREWALL_RULES * monthly["firewall_rule"]
    yield Line("front", f"a firewall with {FIREWALL_RULES} rules", firewall)
    requests = assumed["firewall_million_requests"]
    price = each["firewall_million_requests"]
    yield Line("front", f"{requests} million requests inspected", requests * price, True)
    gigabytes = assumed["cdn_gigabytes"]
    yield Line("front", f"{gigabytes} GB of the dashboard's files", gigabytes * each["cdn_gigabyte"], True)
    yield Line("front", "1 hosted zone", monthly["hosted_zone"])


def _safety(settings: Settings, prices: Prices) -> Iterator[Line]:
    monthly, assumed = prices.monthly, prices.assumed
    yield Line("safety", f"{KEYS} keys", KEYS * monthly["key"])
    own = {"database": DATABASE_LOGINS + MASTER_SECRET, "cache": CACHE_TOKEN}
    secrets = SIGNING_SECRETS + len(settings.generated)
    secrets += sum(count for part, count in own.items() if part not in settings.given_parts)
    yield Line("safety", f"{secrets} secrets", secrets * monthly["secret"])
    archive, images = assumed["archive_gigabytes"], assumed["image_gigabytes"]
    yield Line("safety", f"{archive} GB of archive", archive * monthly["archive_gigabyte"], True)
    yield Line("safety", f"{images} GB of images", images * monthly["image_gigabyte"], True)


def _watching(settings: Settings, prices: Prices) -> Iterator[Line]:
    monthly, assumed = prices.monthly, prices.assumed
    of_stores = {"database": DATABASE_ALARMS, "cache": CACHE_ALARMS}
    own = sum(count for part, count in of_stores.items() if part not in settings.given_parts)
    alarms = FUNCTION_ALARMS + own if settings.platform == "kubernetes" else ALARMS
    yield Line("watching", f"{alarms} alarms", alarms * monthly["alarm"])
    if settings.platform != "kubernetes":
        yield Line("watching", f"{DASHBOARDS} dashboards", DASHBOARDS * monthly["dashboard"])
        metrics = assumed["custom_metrics"]
        yield Line("watching", f"{metrics} metrics of our own", metrics * monthly["custom_metric"], True)
    gigabytes = assumed["log_gigabytes"]
    yield Line("watching", f"{gigabytes} GB of logs", gigabytes * prices.each["log_gigabyte"], True)
