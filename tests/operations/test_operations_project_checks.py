"""`./railyard test` fails when anything fails, and ends with pytest's own closing line."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from operations import project_checks
from operations.checkout import ROOT
from operations.project_checks import run_checks, run_tests

GOOD, BAD = ("-c", "print('well')"), ("-c", "import sys; print('line 3 is wrong'); sys.exit(1)")


def test_only_what_fails_is_quoted(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(project_checks, "CHECKS", (("style", GOOD), ("types", BAD)))
    assert run_checks() == ["types"]
    printed = capfd.readouterr().out
    assert "✓ style" in printed
    assert "well" not in printed
    assert "✗ types" in printed
    assert "line 3 is wrong" in printed


def test_each_check_is_a_tool_of_this_environment() -> None:
    for _, arguments in project_checks.CHECKS:
        module = arguments[1] if arguments[0] == "-m" else "importlinter"
        assert str(__import__(module).__file__).startswith(sys.prefix)


def test_pytest_has_the_last_word_and_its_exit_code(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    good = tmp_path / "test_good.py"
    good.write_text("import pytest\ndef test_it(): pass\n@pytest.mark.full\ndef test_slow(): assert False\n")
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path)
    quick = ["-p", "no:cacheprovider", str(good)]
    assert run_tests(quick, full=False) == 0
    assert "1 passed, 1 deselected" in capfd.readouterr().out.strip().splitlines()[-1]
    assert run_tests(quick, full=True) == 1
    assert "1 failed, 1 passed" in capfd.readouterr().out.strip().splitlines()[-1]
