"""The project's own checks: style, types, who imports whom, and the tests."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from operations.checkout import ROOT

# Arguments of this environment's Python: the scripts beside it name the folder they were installed in, which may have
# moved since; import-linter has nothing but its script.
CHECKS = (
    ("style", ("-m", "ruff", "check", ".")),
    ("format", ("-m", "ruff", "format", "--check", ".")),
    ("types", ("-m", "mypy")),
    ("imports", ("-c", "from importlinter.cli import lint_imports_command as check; check()")),
)


@dataclass
class _Running:
    title: str
    process: subprocess.Popen[str]
    started: float


def run_checks() -> list[str]:
    """Run all checks side by side, print what each says when it fails, and return the titles of those that did."""
    running = [_start(title, arguments) for title, arguments in CHECKS]
    failed = []
    for check in running:
        said, _ = check.process.communicate()
        good = check.process.returncode == 0
        _say(f"{'✓' if good else '✗'} {check.title:<8} {time.monotonic() - check.started:5.1f} s")
        if not good:
            failed.append(check.title)
            _say(said.rstrip())
    return failed


def _start(title: str, arguments: Sequence[str]) -> _Running:
    process = subprocess.Popen(
        [sys.executable, "-P", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
    )
    return _Running(title, process, time.monotonic())


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def run_tests(arguments: Sequence[str], *, full: bool) -> int:
    """Run pytest on the project; its closing line is the last that is printed. Returns its exit code."""
    chosen = ["--full"] if full else []
    return subprocess.run([sys.executable, "-P", "-m", "pytest", *chosen, *arguments], cwd=ROOT, check=False).returncode
