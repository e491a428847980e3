"""What every test shares: the slow lanes run when they are asked for, and generated schedules can be replayed."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--full`, and what the generated schedules of tests/app listen to."""
    group = parser.getgroup("railyard")
    group.addoption("--full", action="store_true", help="Run the slow lanes (mark `full`), too.")
    group.addoption("--schedules", type=int, help="How many schedules a full lane of tests/app tries.")
    group.addoption("--schedule-seed", type=int, default=1, help="The seed that they begin with; printed as they run.")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the slow lanes out, unless `--full` or `-m` asks for them: naming their file does not."""
    if config.getoption("--full") or "full" in config.getoption("markexpr", ""):
        return
    slow = [item for item in items if item.get_closest_marker("full")]
    if slow:
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if item not in slow]
