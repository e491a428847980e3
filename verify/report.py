"""Turns the suite's failures into findings. A check is a pytest test that says with `check` what its failure means."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TypeVar

import pytest

from findings.finding import Finding, Severity

Test = TypeVar("Test", bound=Callable[..., None])


def check(
    *, severity: Severity, fix: str, requirements: tuple[str, ...] = (), reference: str = ""
) -> Callable[[Test], Test]:
    """Mark a test as a check.

    Args:
        severity: of a failure.
        fix: what to do about a failure.
        requirements: ids in docs/requirements.yaml that it enforces.
        reference: clause of a standard.
    """
    return pytest.mark.check(severity=severity, fix=fix, requirements=requirements, reference=reference)


class Report:
    """A pytest plugin that collects findings and the names of the checks that ran."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.checked: list[str] = []

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if report.when == "call":
            self.checked.append(_rule(item))
        if call.excinfo is not None and not report.skipped:
            self.findings.append(_finding(item, call.excinfo.value))
        return report


def _rule(item: pytest.Item) -> str:
    name: str = getattr(item, "originalname", None) or item.name
    return name.removeprefix("test_").replace("_", "-")


def _finding(item: pytest.Item, failure: BaseException) -> Finding:
    marker = item.get_closest_marker("check")
    if marker is None:
        raise AssertionError(f"{item.name} is in the suite and is no check.")
    parameters = item.callspec.id if hasattr(item, "callspec") else ""
    said = str(failure).splitlines() or [type(failure).__name__]
    return Finding(
        rule=_rule(item),
        severity=marker.kwargs["severity"],
        message=said[0],
        fix=marker.kwargs["fix"],
        resource=parameters,
        requirements=marker.kwargs["requirements"],
        reference=marker.kwargs["reference"],
    )
