"""A database and a cache given by URL: every mistake has its line and its cure, all at once, and no URL is shown."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pulumi.runtime.config import set_all_config

from components.settings import Settings, SettingsError, generated_for
from components.settings.secrets import GIVEN_URLS
from operations.settings_file import GENERATORS
from tests.components.test_settings_of_clouds import committed

APP = "postgresql://payments_app:planted@db.example.com/payments?sslmode=require"
OWNER = "postgresql://payments_owner:planted@db.example.com:5432/payments?sslmode=verify-full&sslrootcert=system"
REDIS = "rediss://:planted@cache.example.com:6379/0"
URLS = {"databaseUrl": APP, "databaseOwnerUrl": OWNER, "redisUrl": REDIS}
DATABASE = {
    "database": "given",
    "databaseCidrs": ["10.70.1.5/32"],
    "databaseMaxConnections": 400,
    "databaseInstanceClass": None,
}
CACHE = {"cache": "given", "cacheCidrs": ["10.70.3.0/24"]}
ALL: dict[str, Any] = {"platform": "kubernetes", **DATABASE, **CACHE, **URLS}


@pytest.fixture(autouse=True)
def no_config(event_loop_of_its_own: None) -> Any:
    yield
    set_all_config({}, [])


def read(changes: dict[str, Any], plain: tuple[str, ...] = ()) -> Settings:
    """Read staging's settings with changes as the program does; a None removes a key, `plain` are not encrypted."""
    values = {**committed("staging"), **{f"railyard:{key}": value for key, value in changes.items()}}
    rails = generated_for("kubernetes", Settings.from_mapping(committed("staging")).rails)
    values |= {f"railyard:{value.key}": f"planted-{value.key}" for value in rails}
    text = {
        key: json.dumps(value) if isinstance(value, list) else str(value)
        for key, value in values.items()
        if value is not None
    }
    names = {value.key for value in rails} | set(URLS)
    set_all_config(text, [key for key in text if key.partition(":")[2] in names - set(plain)])
    return Settings.from_pulumi()[0]


def said(changes: dict[str, Any], plain: tuple[str, ...] = ()) -> dict[str, str]:
    with pytest.raises(SettingsError) as caught:
        read(changes, plain)
    assert "planted" not in str(caught.value)
    assert "example.com" not in str(caught.value)
    lines = {problem.key.removeprefix("railyard:"): str(problem) for problem in caught.value.problems}
    assert len(lines) == len(caught.value.problems), "a key has two lines"
    return lines


def test_both_are_taken_and_their_urls_are_asked_for() -> None:
    settings = read(ALL)
    assert settings.given_parts == {"database": 5432, "cache": 6379}
    assert {value.key for value in settings.generated} >= set(URLS)


def test_the_default_asks_for_none() -> None:
    settings = read({"platform": "kubernetes"})
    assert (settings.given_parts, settings.database, settings.cache) == ({}, "rds", "elasticache")
    assert not {value.key for value in settings.generated} & set(URLS)


def test_an_emulated_stacks_stand_ins_are_taken_with_ports_of_its_own() -> None:
    values = generated_for("kubernetes", (), {"database": 6432, "cache": 6380})
    made = {value.key: GENERATORS[value.kind](value) for value in values if value.key in URLS}
    assert set(made) == set(URLS)
    read({**ALL, **made, "databasePort": 6432, "cachePort": 6380})


def test_all_that_contradicts_is_said_at_once() -> None:
    lines = said(
        {
            **ALL,
            "databaseInstanceClass": "db.m7g.large",
            "databaseStorageGb": 200,
            "databaseMaxStorageGb": 600,
            "databaseBackupDays": 14,
            "databaseVersion": "16",
            "cacheNodeType": "cache.m7g.large",
            "cacheReplicas": 2,
            "databaseCidrs": None,
            "cacheCidrs": ["0.0.0.0/0"],
            "databaseUrl": None,
            "redisUrl": "redis://:planted@cache.example.com:6379/0",
        }
    )
    assert set(lines) == {
        "databaseInstanceClass",
        "databaseStorageGb",
        "databaseMaxStorageGb",
        "databaseBackupDays",
        "databaseVersion",
        "cacheNodeType",
        "cacheReplicas",
        "databaseCidrs",
        "cacheCidrs",
        "databaseUrl",
        "redisUrl",
    }
    assert lines["databaseInstanceClass"] == (
        "railyard:databaseInstanceClass is of a database that the stack makes, and railyard:database is 'given'. "
        "Remove it with `pulumi config rm railyard:databaseInstanceClass`."
    )
    assert "is missing. Set it with `pulumi config set --secret railyard:databaseUrl`" in lines["databaseUrl"]
    assert "at no address without" in lines["databaseCidrs"]
    assert "has '0.0.0.0/0', which is no address range from /16 to /32" in lines["cacheCidrs"]


@pytest.mark.parametrize(
    ("key", "url", "what"),
    [
        ("databaseUrl", "mysql://a:planted@db.example.com/payments?sslmode=require", "does not begin with postgresql"),
        ("databaseUrl", "postgresql://a:planted@db.example.com/payments", "does not ask for TLS"),
        ("databaseUrl", "postgresql://a:planted@db.example.com/payments?sslmode=prefer", "does not ask for TLS"),
        ("databaseUrl", f"{APP}&sslmode=disable", "does not ask for TLS"),
        ("databaseUrl", f"{APP}&host=127.0.0.1", "names a host or a port after its ?"),
        ("databaseUrl", "postgresql://planted@db.example.com/payments?sslmode=require", "lacks a part of"),
        ("databaseUrl", "postgresql://a:planted@db.example.com?sslmode=require", "lacks a part of"),
        ("databaseUrl", "postgresql://a:planted@db.example.com:6432/p?sslmode=require", "has another port than"),
        ("databaseUrl", "postgresql://a:planted@db.example.com:planted/p?sslmode=require", "is no URL"),
        ("databaseUrl", "postgresql://a:planted@[db.example.com/p?sslmode=require", "is no URL"),
        ("databaseUrl", OWNER, "logs in as the role of railyard:databaseOwnerUrl"),
        ("databaseOwnerUrl", "planted", "does not begin with postgresql://"),
        ("redisUrl", "redis://:planted@cache.example.com:6379/0", "does not begin with rediss://"),
        ("redisUrl", "rediss://planted.example.com", "lacks a part of rediss://"),
        ("redisUrl", "rediss://:planted@cache.example.com:6380/0", "has another port than railyard:cachePort"),
        ("redisUrl", "rediss://:planted@cache.example.com/planted", "has a database that is no number"),
    ],
)
def test_a_url_that_cannot_be_used_is_told_and_not_shown(key: str, url: str, what: str) -> None:
    lines = said({**ALL, key: url})
    assert set(lines) == {key}
    assert what in lines[key]
    assert f"with `pulumi config set --secret railyard:{key}`." in lines[key]


def test_a_url_in_plain_text_is_refused() -> None:
    assert "is stored in plain text" in said(ALL, plain=("redisUrl",))["redisUrl"]
    values = {f"railyard:{key}": value for key, value in URLS.items()}
    with pytest.raises(SettingsError) as caught:
        Settings.from_file({**committed("staging"), **values})
    assert {problem.key for problem in caught.value.problems} == set(values)
    assert "planted" not in str(caught.value)


def test_urls_and_places_without_given_are_said_each() -> None:
    unused = {"databaseCidrs": ["10.70.1.5/32"], "databaseMaxConnections": 400, "cachePort": 6380}
    lines = said({"platform": "kubernetes", **unused, **URLS})
    assert set(lines) == set(unused) | set(URLS)
    assert lines["redisUrl"].endswith(
        "is set, and railyard:cache is not 'given'. Use it with `pulumi config set railyard:cache given`, or remove it "
        "with `pulumi config rm railyard:redisUrl`."
    )
    assert "is of a database that is given, and railyard:database is 'rds'" in lines["databaseCidrs"]


@pytest.mark.parametrize("platform", ["ecs", "local"])
def test_other_platforms_refuse_each_key_by_name(platform: str) -> None:
    given = {key: value for key, value in {**DATABASE, **CACHE}.items() if value is not None}
    values = {**given, **URLS, "platform": platform}
    lines = said(values)
    assert set(values) - {"platform"} <= set(lines)
    assert f"is a setting of platform kubernetes, and railyard:platform is '{platform}'" in lines["database"]
    assert "a cache is given on the platform kubernetes alone" in lines["redisUrl"]
    assert all("pulumi config rm railyard:" in lines[key] for key in values if key != "platform")


def test_the_pools_are_bounded_by_the_connections_that_are_named() -> None:
    line = said({**ALL, "databaseMaxConnections": None})["databasePoolSize"]
    assert "up to 300 connections" in line
    assert "the given database has 85 for tasks" in line
    assert "raise the server's max_connections and railyard:databaseMaxConnections" in line


@pytest.mark.parametrize(("key", "value"), [("database", "aurora"), ("cache", "rds"), ("databasePort", 0)])
def test_a_value_that_is_none_of_the_keys_is_refused(key: str, value: Any) -> None:
    assert "must be" in said({**ALL, key: value})[key]


def test_the_keys_are_those_that_the_service_reads() -> None:
    found = {value.variable: value.roles for values in GIVEN_URLS.values() for value in values}
    assert found == {
        "DATABASE_URL": ("web", "worker"),
        "DATABASE_OWNER_URL": ("migrate",),
        "REDIS_URL": ("web", "worker"),
    }
