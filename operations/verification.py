"""Runs the post-deploy suite, `python -m verify`, as a process of its own with the stack's outputs on its stdin."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass

from operations.checkout import ROOT, State
from operations.errors import OperationError
from operations.outputs import Outputs

TIMEOUT_SECONDS = 60


@dataclass(frozen=True)
class Verification:
    """What the suite found.

    Attributes:
        passed: whether nothing blocks.
        summary: how many checks, and how many findings.
        findings: the findings, two lines each; "" for none.
    """

    passed: bool
    summary: str
    findings: str


def verify(outputs: Outputs, state: State) -> Verification:
    """Check a running stack; the result also goes to `<state>/reports/verify.xml` as JUnit.

    Raises:
        OperationError: the suite itself could not run.
    """
    state.reports.mkdir(parents=True, exist_ok=True)
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "verify", "--junit", str(state.reports / "verify.xml")],
            input=outputs.as_json(),
            capture_output=True,
            text=True,
            cwd=ROOT,
            env={**os.environ, "RAILYARD_STATE": str(state.folder)},
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise OperationError(
            f"the verification did not end within {TIMEOUT_SECONDS} s: see ./railyard status."
        ) from None
    return read_verdict(done.returncode, done.stdout, done.stderr)


def read_verdict(code: int, stdout: str, stderr: str) -> Verification:
    """What the suite's exit code and words mean: "N checks. No findings.", or findings and a line that counts them.

    Raises:
        OperationError: the suite itself could not run.
    """
    counted = re.match(r"(\d+ checks)\. (.*)", stdout, re.DOTALL)
    if code not in (0, 1) or not counted:
        said = (stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise OperationError(f"the verification could not run: {said}")
    *findings, last = counted[2].strip().splitlines()
    return Verification(code == 0, f"{counted[1]}, {last[:1].lower()}{last[1:].rstrip('.')}", "\n".join(findings))
