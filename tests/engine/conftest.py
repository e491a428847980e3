"""The engine's tests. `--engine=embedded|cli` chooses which engine the conformance programs run under."""

from __future__ import annotations

import os

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option; RAILYARD_TEST_ENGINE says the same where this file is read too late for options."""
    parser.addoption(
        "--engine",
        choices=("embedded", "cli"),
        default=os.environ.get("RAILYARD_TEST_ENGINE", "embedded"),
        help="the engine that conformance programs run under; cli is the `pulumi` on PATH",
    )


@pytest.fixture(scope="session")
def engine_name(request: pytest.FixtureRequest) -> str:
    """The engine under test."""
    default = os.environ.get("RAILYARD_TEST_ENGINE", "embedded")
    return str(request.config.getoption("--engine", default))
