"""Which Python runs a project: what its runtime options say, or one sentence about why none does."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pulumi_embedded.deploy.interpreter import resolve_interpreter
from pulumi_embedded.errors import EngineError


def _environment(folder: Path) -> Path:
    python = folder / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    return python


def test_without_options_it_is_the_one_of_the_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless PULUMI_PYTHON_CMD names another."""
    monkeypatch.delenv("PULUMI_PYTHON_CMD", raising=False)
    assert resolve_interpreter(tmp_path, {}).path == sys.executable
    monkeypatch.setenv("PULUMI_PYTHON_CMD", sys.executable)
    assert resolve_interpreter(tmp_path, {"toolchain": "pip"}).path == sys.executable
    monkeypatch.setenv("PULUMI_PYTHON_CMD", "no-such-python")
    with pytest.raises(EngineError, match="no-such-python"):
        resolve_interpreter(tmp_path, {})


@pytest.mark.parametrize("toolchain", ["pip", "uv", "poetry"])
def test_a_virtual_environment_is_used_with_its_variables(tmp_path: Path, toolchain: str) -> None:
    """A folder relative to the project, whatever made it."""
    python = _environment(tmp_path / "env")
    found = resolve_interpreter(tmp_path, {"toolchain": toolchain, "virtualenv": "env"})
    assert found.path == str(python)
    assert found.environment["VIRTUAL_ENV"] == str(tmp_path / "env")
    assert found.environment["PATH"].startswith(str(python.parent))


def test_uv_keeps_its_environment_where_it_always_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`.venv`, or where UV_PROJECT_ENVIRONMENT says."""
    monkeypatch.delenv("UV_PROJECT_ENVIRONMENT", raising=False)
    default, other = _environment(tmp_path / ".venv"), _environment(tmp_path / "other")
    assert resolve_interpreter(tmp_path, {"toolchain": "uv"}).path == str(default)
    monkeypatch.setenv("UV_PROJECT_ENVIRONMENT", "other")
    assert resolve_interpreter(tmp_path, {"toolchain": "uv"}).path == str(other)


def test_poetry_is_asked_where_it_keeps_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a poetry on PATH it is said so."""
    python = _environment(tmp_path / "cache" / "env")
    tools = tmp_path / "tools"
    tools.mkdir()
    monkeypatch.setenv("PATH", str(tools))
    with pytest.raises(EngineError, match="poetry environment"):
        resolve_interpreter(tmp_path, {"toolchain": "poetry"})
    (tools / "poetry").write_text(f'#!/bin/sh\necho "{tmp_path}/cache/env"\n')
    (tools / "poetry").chmod(0o755)
    assert resolve_interpreter(tmp_path, {"toolchain": "poetry"}).path == str(python)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"toolchain": "conda"}, "unknown python toolchain 'conda'"),
        ({"virtualenv": "nowhere"}, "names 'nowhere', which does not exist; make it with"),
        ({"virtualenv": "."}, "is not a virtual environment"),
    ],
)
def test_what_cannot_be_used_is_told_in_one_sentence(tmp_path: Path, options: dict[str, str], sentence: str) -> None:
    """With the way to mend it."""
    with pytest.raises(EngineError, match=sentence):
        resolve_interpreter(tmp_path, options)
