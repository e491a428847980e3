"""The migration: run as a program of its own, read back from the database, its last words told."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from components.local.errors import LocalPlatformError
from components.local.migration import MigrationProvider


def inputs(stack: Path, program: str) -> dict[str, Any]:
    return {
        "stackFolder": str(stack),
        "command": [sys.executable, "-c", program],
        "directory": "/",
        "environment": {"PLAIN": "value"},
        "ownerUrlFile": str(stack / "missing"),
        "fingerprint": "1",
        "database": "1",
        "log": str(stack / "logs" / "migrate.log"),
        "applied": True,
    }


def test_one_that_stops_is_told_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(LocalPlatformError, match="The migration stopped; its log ends: 'relation exists'"):
        MigrationProvider().make(inputs(tmp_path, "raise SystemExit('relation exists')"))


def test_success_is_believed_only_when_the_database_has_a_revision(tmp_path: Path) -> None:
    with pytest.raises(LocalPlatformError, match="ended well but left no revision"):
        MigrationProvider().make(inputs(tmp_path, "print('done')"))


def test_it_sees_its_plain_variables_and_none_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "planted")
    with pytest.raises(LocalPlatformError):
        MigrationProvider().make(inputs(tmp_path, "import os; print(dict(os.environ))"))
    said = (tmp_path / "logs" / "migrate.log").read_text()
    assert "'PLAIN': 'value'" in said
    assert "planted" not in said


def test_a_database_that_cannot_be_asked_leaves_the_record_as_it_is(tmp_path: Path) -> None:
    recorded = {**inputs(tmp_path, ""), "revision": "0007"}
    assert MigrationProvider().observe("schema", recorded) == recorded
