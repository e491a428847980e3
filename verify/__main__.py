"""`python -m verify [--junit FILE]`: the stack's outputs on standard input, findings on standard output.

Exits 0 when nothing blocks, 1 when something does, 2 when there is no stack to look at. Changes nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
from pathlib import Path

import pytest

from findings.junit import junit
from findings.terminal import terminal
from verify.report import Report
from verify.stack import DeployedStack, OutputsError

SUITE = Path(__file__).parent / "suite"


class Deployed:
    """Hands the stack to the checks."""

    def __init__(self, stack: DeployedStack) -> None:
        self._stack = stack

    @pytest.fixture(scope="session")
    def stack(self) -> DeployedStack:
        return self._stack


def run(stack: DeployedStack) -> tuple[Report, str]:
    """Run the suite against `stack`; return what was found and what pytest printed."""
    report, printed = Report(), io.StringIO()
    # The suite has settings of its own: the project's are for the project's tests.
    arguments = [str(SUITE), f"--rootdir={SUITE}", "-c", str(SUITE / "pytest.ini"), "-q"]
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        code = pytest.main(arguments, plugins=[report, Deployed(stack)])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        raise RuntimeError(f"The suite could not run: {printed.getvalue().strip()}")
    return report, printed.getvalue()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m verify", description=__doc__)
    parser.add_argument("--junit", type=Path, metavar="FILE", help="also write the result as JUnit XML")
    arguments = parser.parse_args()
    try:
        stack = DeployedStack.from_outputs(sys.stdin.read())
    except OutputsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    report, _ = run(stack)
    sys.stdout.write(f"{len(report.checked)} checks. {terminal(report.findings)}")
    if arguments.junit:
        arguments.junit.write_text(junit(report.findings, suite="verify", checked=report.checked))
    return 1 if any(finding.blocks for finding in report.findings) else 0


if __name__ == "__main__":
    sys.exit(main())
