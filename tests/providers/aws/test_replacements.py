"""The table's replace-or-update choices against facts read from the provider's own source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from providers.aws import table
from providers.aws.services.elasticache import goes_back

FACTS: dict[str, dict[str, Any]] = yaml.safe_load(
    (Path(table.__file__).parent / "replacements.yaml").read_text(encoding="utf-8")
)


@pytest.mark.parametrize("type_", FACTS)
def test_the_table_replaces_on_what_the_provider_replaces_on(type_: str) -> None:
    facts, kind = FACTS[type_], table.kinds()[type_]
    assert set(kind.replaces_on) == {*facts["replaces"], *facts.get("newer", [])}
    assert (kind.replaces_when is not None) == ("when" in facts)


@pytest.mark.parametrize(
    ("old", "new", "replaced"),
    [
        ({"engine": "redis", "engineVersion": "7.1"}, {"engine": "valkey", "engineVersion": "7.2"}, ()),
        ({"engine": "valkey"}, {"engine": "redis"}, ("engine",)),
        ({"engine": "redis", "engineVersion": "7.1"}, {"engine": "redis", "engineVersion": "6.2"}, ("engineVersion",)),
        ({"engineVersion": "6.2"}, {"engineVersion": "7.1"}, ()),
        ({"engineVersion": "7.1"}, {"engineVersion": "7.x"}, ()),
        ({}, {"engineVersion": "7.1"}, ()),
    ],
)
def test_a_cache_goes_back_only_by_a_new_one(
    old: dict[str, str], new: dict[str, str], replaced: tuple[str, ...]
) -> None:
    assert goes_back(old, new) == replaced
