"""Settings of a database and a cache that somebody else runs, on the platform `kubernetes` alone.

Their URLs are secrets that others issued (`secrets.GIVEN_URLS`); what has to be known without reading those is here:
addresses, ports, connections.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from components.settings.cloud import CloudSettings, is_narrow_range
from components.settings.model import Model, setting
from components.settings.problems import Problem, namespaced
from components.settings.secrets import GIVEN_URLS, Generated, GivenPart

KUBERNETES = ("kubernetes",)
GIVEN = "given"
TLS_MODES = ("require", "verify-ca", "verify-full")
# What each part has to be told when it is given, and what says how the stack makes its own.
_OF_GIVEN: dict[GivenPart, tuple[str, ...]] = {
    "database": ("database_cidrs", "database_port", "database_max_connections"),
    "cache": ("cache_cidrs", "cache_port"),
}
_OF_OWN: dict[GivenPart, tuple[str, ...]] = {
    "database": (
        "database_version",
        "database_instance_class",
        "database_storage_gb",
        "database_max_storage_gb",
        "database_backup_days",
    ),
    "cache": ("cache_node_type", "cache_replicas"),
}


class GivenSettings(Model):
    """Which of database and cache is given by URL, and where it is."""

    database: Literal["rds", "given"] = setting(
        "rds",
        "Whose the database is: rds, the stack's own; given, one that somebody else runs, at the secrets "
        "railyard:databaseUrl and railyard:databaseOwnerUrl.",
        platforms=KUBERNETES,
    )
    database_cidrs: tuple[str, ...] = setting(
        (), "Where a given database is, as address ranges: pods reach it there alone.", platforms=KUBERNETES
    )
    database_port: int = setting(
        5432, "TCP port of a given database, as in its URLs.", platforms=KUBERNETES, ge=1, le=65_535
    )
    database_max_connections: int = setting(
        100,
        "max_connections of a given database, which the pools are checked against; of RDS the instance class says it.",
        platforms=KUBERNETES,
        ge=20,
        le=100_000,
    )
    cache: Literal["elasticache", "given"] = setting(
        "elasticache",
        "Whose the cache is: elasticache, the stack's own; given, one that somebody else runs, at the secret "
        "railyard:redisUrl.",
        platforms=KUBERNETES,
    )
    cache_cidrs: tuple[str, ...] = setting(
        (), "Where a given cache is, as address ranges: pods reach it there alone.", platforms=KUBERNETES
    )
    cache_port: int = setting(6379, "TCP port of a given cache, as in its URL.", platforms=KUBERNETES, ge=1, le=65_535)

    @property
    def given_parts(self) -> dict[GivenPart, int]:
        """Those of database and cache that the stack does not make, with their TCP ports."""
        parts: dict[GivenPart, int] = {}
        if self.database == GIVEN:
            parts["database"] = self.database_port
        if self.cache == GIVEN:
            parts["cache"] = self.cache_port
        return parts


def problems_of_given(given: GivenSettings, cloud: CloudSettings) -> list[Problem]:
    """What contradicts whose database and cache are, a line each."""
    problems = []
    cidrs: dict[GivenPart, tuple[str, ...]] = {"database": given.database_cidrs, "cache": given.cache_cidrs}
    said: dict[GivenPart, str] = {"database": given.database, "cache": given.cache}
    for part, own in said.items():
        is_given = part in given.given_parts
        settings, names = (cloud, _OF_OWN[part]) if is_given else (given, _OF_GIVEN[part])
        whose = "the stack makes" if is_given else "is given"
        for name in names:
            field = type(settings).model_fields[name]
            if getattr(settings, name) != field.default:
                key = namespaced(field.alias or name)
                what = f"is of a {part} that {whose}, and railyard:{part} is {own!r}"
                problems.append(Problem(key, what, f"Remove it with `pulumi config rm {key}`."))
        if not is_given:
            continue
        key = namespaced(f"{part}Cidrs")
        fix = f"Name the {part}'s addresses with `pulumi config set --path '{key}[0]' <address>/32`."
        if not cidrs[part]:
            problems.append(Problem(key, f"is missing, and pods reach a given {part} at no address without", fix))
        problems += [
            Problem(key, f"has {cidr!r}, which is no address range from /16 to /32", fix)
            for cidr in cidrs[part]
            if not is_narrow_range(cidr)
        ]
    return problems


def problems_of_urls(given: GivenSettings, platform: str, urls: Mapping[str, str]) -> list[Problem]:
    """What is wrong with the URLs of given parts. What is said never contains a value.

    Args:
        given: whose database and cache are.
        platform: of the stack.
        urls: by config key, those that are set; a missing one is told with the other secrets.
    """
    problems: list[Problem] = []
    for part, values in GIVEN_URLS.items():
        for value in values:
            url = urls.get(value.key, "")
            if part not in given.given_parts:
                problems += [_unwanted(value, part, platform)] if url else []
            elif url and (what := _wrong(part, url, given.given_parts[part])):
                fix = f"Store another with `pulumi config set --secret railyard:{value.key}`."
                problems.append(Problem(namespaced(value.key), f"({value.description}) {what}", fix))
    if not problems and "database" in given.given_parts:
        problems += _one_role_for_both(urls)
    return problems


def _unwanted(value: Generated, part: GivenPart, platform: str) -> Problem:
    key, remove = namespaced(value.key), f"`pulumi config rm railyard:{value.key}`"
    if platform not in KUBERNETES:
        what = f"is set, and a {part} is given on the platform kubernetes alone; railyard:platform is {platform!r}"
        return Problem(key, what, f"Remove it with {remove}.")
    what = f"is set, and railyard:{part} is not 'given'"
    return Problem(key, what, f"Use it with `pulumi config set railyard:{part} given`, or remove it with {remove}.")


def _wrong(part: GivenPart, url: str, port: int) -> str:
    """What is wrong with a URL; "" when nothing is."""
    try:
        parts = urlsplit(url)
        found = parts.port
    except ValueError:
        return "is no URL"
    checks: dict[GivenPart, Callable[[SplitResult], str]] = {"database": _wrong_database, "cache": _wrong_cache}
    wrong = checks[part](parts)
    default = 5432 if part == "database" else 6379
    if not wrong and (default if found is None else found) != port:
        return f"has another port than railyard:{part}Port, which is {port}"
    return wrong


def _wrong_database(parts: SplitResult) -> str:
    if parts.scheme != "postgresql":
        return "does not begin with postgresql://"
    if not (parts.username and parts.password and parts.hostname and parts.path.strip("/")):
        return "lacks a part of postgresql://<user>:<password>@<host>:<port>/<database>"
    # libpq takes the last of several, and these may name a host that is not the URL's.
    query = parse_qs(parts.query, keep_blank_values=True)
    if len(query.get("sslmode", [])) != 1 or query["sslmode"][0] not in TLS_MODES:
        return f"does not ask for TLS with one sslmode of {', '.join(TLS_MODES)}"
    if {"host", "hostaddr", "port"} & set(query):
        return "names a host or a port after its ?, where it counts instead of the one before"
    return ""


def _wrong_cache(parts: SplitResult) -> str:
    if parts.scheme != "rediss":
        return "does not begin with rediss://, which is Redis over TLS"
    if not (parts.password and parts.hostname):
        return "lacks a part of rediss://<user>:<password>@<host>:<port>/<database>; the user may be empty"
    if parts.path.strip("/") and not parts.path.strip("/").isdecimal():
        return "has a database that is no number"
    return ""


def _one_role_for_both(urls: Mapping[str, str]) -> list[Problem]:
    """The service's login must not be the one that may change the schema, and the ledger's past with it."""
    keys = ("databaseUrl", "databaseOwnerUrl")
    service, owner = (unquote(urlsplit(urls.get(key, "")).username or "") for key in keys)
    if not service or service != owner:
        return []
    what = "logs in as the role of railyard:databaseOwnerUrl, which may change what is written"
    fix = "Store a URL of payments_app with `pulumi config set --secret railyard:databaseUrl`."
    return [Problem(namespaced("databaseUrl"), what, fix)]
