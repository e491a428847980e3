"""Settings of a stack in AWS, on the platforms `ecs` and `kubernetes`: place, owner, network, database, cache."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Literal

from pydantic import BeforeValidator

from components.settings.model import CLOUD, Model, setting, whole_number
from components.settings.problems import Problem, problem

# Regions whose zones open to every account do not begin with a, b, c (AWS, "Regions and Availability Zones").
_ZONE_LETTERS = {"ap-northeast-1": "acd", "ca-central-1": "abd", "ap-northeast-2": "abc"}
CIDR = r"^(\d{1,3}\.){3}\d{1,3}/\d{1,2}$"
# 0.5 GiB each (facts.md 2c, trap 11).
TOO_SMALL_NODES = ("cache.t1.micro", "cache.t2.micro", "cache.t3.micro", "cache.t4g.micro")
TAG_VALUE = r"^[A-Za-z0-9 _.:/=+@-]{1,256}$"


class CloudSettings(Model):
    """What both platforms in AWS read."""

    environment: Literal["staging", "production"] = setting(
        "staging", "What the service calls itself: staging or production; production forbids what is for trying."
    )
    region: str = setting(
        "",
        "The AWS region everything is made in; the key is aws:region, which the provider reads too.",
        platforms=CLOUD,
        required=True,
        wanted="a region like eu-central-1",
        pattern=r"^[a-z]{2}(-[a-z]+)+-\d$",
    )
    availability_zones: tuple[str, ...] = setting(
        (),
        "Names of the three availability zones; when it is empty, those of the region that every account has.",
        platforms=CLOUD,
    )
    account_id: str = setting(
        "",
        "The AWS account, twelve digits; name it in aws:allowedAccountIds too, so that no other is ever changed.",
        platforms=CLOUD,
        required=True,
        wanted="twelve digits",
        pattern=r"^\d{12}$",
    )
    owner: str = setting(
        "",
        "Team or person that answers for the stack; a tag on every resource.",
        platforms=CLOUD,
        required=True,
        wanted="1 to 256 letters, digits, spaces and _.:/=+-@",
        pattern=TAG_VALUE,
    )
    cost_center: str = setting(
        "",
        "Whom the bill goes to; a tag on every resource.",
        platforms=CLOUD,
        required=True,
        wanted="1 to 256 letters, digits, spaces and _.:/=+-@",
        pattern=TAG_VALUE,
    )
    vpc_cidr: str = setting(
        "10.40.0.0/16",
        "Address range of the VPC, a /16 that no peer of it uses.",
        platforms=CLOUD,
        wanted="a range like 10.40.0.0/16",
        pattern=r"^(\d{1,3}\.){2}0\.0/16$",
    )
    nat_gateways: Literal["per-zone", "single"] = setting(
        "per-zone",
        "NAT gateways: per-zone, which survives the loss of a zone, or single, which costs a third.",
        platforms=CLOUD,
    )
    lnd_cidrs: tuple[str, ...] = setting(
        (),
        "Where LND is, as address ranges: tasks may leave the VPC for them on LND's port, and elsewhere on 443 alone.",
        platforms=CLOUD,
    )
    database_version: str = setting(
        "16.15",
        "Version of RDS PostgreSQL: 16 and a minor that RDS still makes, 16.11 or later; with 16 alone RDS upgrades "
        "the minor by itself.",
        platforms=CLOUD,
        wanted="16.11 or a later minor of 16, or 16",
        pattern=r"^16(\.(1[1-9]|[2-9]\d))?$",
    )
    database_instance_class: str = setting(
        "db.t4g.large",
        "RDS instance class; its memory bounds the connections, which the pools are checked against.",
        platforms=CLOUD,
    )
    database_storage_gb: int = setting(100, "Storage of the database in GiB.", platforms=CLOUD, ge=100, le=65_536)
    database_max_storage_gb: int = setting(
        500, "Up to where RDS enlarges the storage by itself, in GiB.", platforms=CLOUD, ge=101, le=65_536
    )
    database_backup_days: int = setting(
        7, "How many days the database can be restored to any second of.", platforms=CLOUD, ge=7, le=35
    )
    deletion_protection: bool = setting(
        True,
        "Refuse to delete or replace the database and what else cannot be made again; set it to false and run up "
        "before down.",
        platforms=CLOUD,
    )
    cache_node_type: str = setting(
        "cache.t4g.small",
        "ElastiCache node type, of at least 1 GB memory.",
        platforms=CLOUD,
        wanted="a node type like cache.t4g.small",
        pattern=r"^cache\.[a-z0-9-]+\.[a-z0-9]+$",
    )
    cache_replicas: int = setting(
        1, "Replicas of the Redis node, each in another zone; the first is promoted.", platforms=CLOUD, ge=1, le=5
    )
    secret_administrators: tuple[str, ...] = setting(
        (),
        "ARNs of the IAM roles and users that may do everything with the stack's secrets, which nobody else may touch "
        "but the roles that use one: the role that deploys, the one that verifies, and people's for an incident. When "
        "it is empty, whoever deploys is the only one, and a deployment by another is refused by AWS.",
        platforms=CLOUD,
    )
    secret_rotation_days: int = setting(
        30,
        "Days between rotations of the database's logins, the Redis AUTH token and the service's signing keys.",
        platforms=CLOUD,
        ge=1,
        le=365,
    )
    issued_secret_rotation_days: int = setting(
        90,
        "Days after which a credential that others issue must be a new one, or an alarm is sent.",
        platforms=CLOUD,
        ge=1,
        le=365,
    )
    log_retention_days: Annotated[Literal[30, 60, 90, 120, 150, 180, 365, 400], BeforeValidator(whole_number)] = (
        setting(30, "Days that log groups keep their lines; audit records are kept apart, for years.", platforms=CLOUD)
    )
    retained_images: int = setting(
        30, "How many images of the service the registry keeps.", platforms=CLOUD, ge=10, le=1_000
    )

    @property
    def zones(self) -> tuple[str, ...]:
        """Names of the three availability zones."""
        if self.availability_zones:
            return self.availability_zones
        return tuple(self.region + letter for letter in _ZONE_LETTERS.get(self.region, "abc"))


def is_narrow_range(cidr: str) -> bool:
    """Whether it is an IPv4 range of /16 or narrower, with no bit set outside its prefix."""
    try:
        return ipaddress.IPv4Network(cidr).prefixlen >= 16
    except ValueError:
        return False


def problems_of_cloud(settings: CloudSettings) -> list[Problem]:
    """What is wrong between the account's settings that are each right."""
    problems = []
    zones = settings.availability_zones
    if zones and (len(set(zones)) != 3 or not all(zone.startswith(settings.region) for zone in zones)):
        problems.append(
            Problem(
                "railyard:availabilityZones",
                f"is {list(zones)}, and must be three different zones of {settings.region or 'the region'}",
                "Remove it with `pulumi config rm railyard:availabilityZones`, or name three.",
            )
        )
    for arn in settings.secret_administrators if settings.account_id else ():
        if not re.fullmatch(rf"arn:aws:iam::{settings.account_id}:(role|user)/[\w+=,.@/-]+", arn):
            what = f"has {arn!r}, which is no ARN of an IAM role or user of the account {settings.account_id}"
            fix = (
                f"Give the exact ARN, as arn:aws:iam::{settings.account_id}:role/railyard-deployer: no session's, no *."
            )
            problems.append(Problem("railyard:secretAdministrators", what, fix))
    if settings.cache_node_type in TOO_SMALL_NODES:
        what = f"is {settings.cache_node_type!r}, which has less than 1 GB memory"
        problems.append(problem("cacheNodeType", what, "cache.t4g.small"))
    if settings.database_max_storage_gb <= settings.database_storage_gb:
        problems.append(
            problem(
                "databaseMaxStorageGb",
                f"is {settings.database_max_storage_gb}, and must be more than railyard:databaseStorageGb, which is "
                f"{settings.database_storage_gb}",
            )
        )
    return problems
