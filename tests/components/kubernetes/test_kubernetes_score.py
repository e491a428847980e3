"""kube-score, a public linter of manifests, finds nothing critical in what the application declares."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.components.kubernetes.declaring import application, declared, mutated

pytestmark = pytest.mark.full
MODULE = "github.com/zegl/kube-score"
VERSION = "v1.20.0"
CRITICAL = 1
"""Grade of a critical finding; 5 is a warning, 10 is fine."""


@pytest.fixture(scope="session")
def kube_score(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The program: from PATH, else built from its Go module."""
    found = shutil.which("kube-score")
    if found:
        return found
    if not shutil.which("go"):
        pytest.skip("kube-score is not on PATH, and Go, with which it would be built, is not either")
    folder = tmp_path_factory.mktemp("kube-score")
    environment = {**os.environ, "GOBIN": str(folder), "CGO_ENABLED": "0", "GOFLAGS": "-trimpath"}
    command = ["nice", "-n", "10", "go", "install", f"{MODULE}/cmd/kube-score@{VERSION}"]
    ran = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr[-2000:]
    return str(folder / "kube-score")


def _criticals(program: str, objects: list[dict[str, Any]], file: Path) -> set[str]:
    file.write_text("\n---\n".join(yaml.safe_dump(it) for it in objects), encoding="utf-8")
    ran = subprocess.run(
        [program, "score", str(file), "--output-format", "json"], capture_output=True, text=True, check=False
    )
    return {
        f"{scored['object_name']}: {check['check']['name']}"
        for scored in json.loads(ran.stdout)
        for check in scored["checks"]
        if not check["skipped"] and check["grade"] <= CRITICAL
    }


def test_nothing_critical_is_found(kube_score: str, tmp_path: Path) -> None:
    objects = declared(application()).objects
    assert _criticals(kube_score, objects, tmp_path / "all.yaml") == set()


def test_a_mutant_is_found(kube_score: str, tmp_path: Path) -> None:
    with mutated("pods.py", '"readOnlyRootFilesystem": True', '"readOnlyRootFilesystem": False') as package:
        objects = declared(application(package)).objects
    found = _criticals(kube_score, objects, tmp_path / "all.yaml")
    assert any("Container Security Context ReadOnlyRootFilesystem" in it for it in found)
