"""Every requirement of the Paykit and MSTY guides that is the service's is met by a test that exists, or says where."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
KINDS = {"app", "rail", "data", "config", "secret", "metric"}


def _yaml(name: str) -> Any:
    return yaml.safe_load((ROOT / "docs" / name).read_text())


def _tests_in(path: Path) -> set[str]:
    return {
        node.name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    }


def test_every_requirement_has_its_line() -> None:
    wanted = {
        entry["id"]
        for entry in _yaml("requirements.yaml")
        if entry["id"].startswith(("pk-", "ms-")) and entry["kind"] in KINDS
    }
    assert set(_yaml("traceability.yaml")) == wanted


def test_every_test_that_is_named_exists() -> None:
    lines = _yaml("traceability.yaml")
    assert all(len({"tests", "elsewhere", "unmet"} & set(line)) == 1 for line in lines.values())
    named = {test for line in lines.values() for test in line.get("tests", ())}
    files = {test.partition("::")[0] for test in named}
    there = {f"{name}::{test}" for name in files if (ROOT / name).is_file() for test in _tests_in(ROOT / name)}
    assert named - there == set()
