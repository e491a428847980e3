"""The price table beside this file, read and checked; money is whole micro-dollars."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from operations.errors import OperationError

TABLE = Path(__file__).with_name("prices.yaml")
MICRO = 1_000_000


@dataclass(frozen=True)
class Prices:
    """Prices of us-east-1 in micro-dollars, and how other regions compare.

    Attributes:
        recorded: the day they were written down, YYYY-MM-DD.
        source: where they are from.
        hours: in a month.
        hourly, monthly, each: by what is paid for: an hour of it, a month of it, one of it.
        database_classes, cache_nodes, nodes: an hour of one instance.
        assumed: quantities that depend on use.
        regions: the multiple of a region, in thousandths.
    """

    recorded: str
    source: str
    hours: int
    hourly: Mapping[str, int]
    monthly: Mapping[str, int]
    each: Mapping[str, int]
    database_classes: Mapping[str, int]
    cache_nodes: Mapping[str, int]
    nodes: Mapping[str, int]
    assumed: Mapping[str, int]
    regions: Mapping[str, int]

    def multiple(self, region: str) -> int:
        """What a region costs, in thousandths of us-east-1; of an unknown one the highest there is."""
        return self.regions.get(region, max(self.regions.values()))


def _micro(table: Mapping[str, Any], scale: int = MICRO) -> dict[str, int]:
    return {key: int(Decimal(str(value)) * scale) for key, value in table.items()}


@cache
def read_prices(path: Path = TABLE) -> Prices:
    """The price table."""
    content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    priced = ("hourly", "monthly", "each", "database_classes", "cache_nodes", "nodes")
    return Prices(
        recorded=str(content["recorded"]),
        source=str(content["source"]),
        hours=int(content["hours_a_month"]),
        assumed={key: int(value) for key, value in content["assumed"].items()},
        regions=_micro(content["regions"], 1000),
        **{name: _micro(content[name]) for name in priced},
    )


def price_of(table: Mapping[str, int], name: str, setting: str) -> int:
    """The price of a class or node type.

    Raises:
        OperationError: it is not in the table.
    """
    if name not in table:
        known = ", ".join(sorted(table))
        raise OperationError(
            f"{setting} is {name}, which has no price in operations/cost/prices.yaml: add it there, or use one of "
            f"{known}."
        )
    return table[name]
