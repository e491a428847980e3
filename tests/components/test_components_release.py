"""The release id changes when the service does, and only then."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.release import release_id


@pytest.fixture
def app(tmp_path: Path) -> Path:
    (tmp_path / "payments").mkdir()
    (tmp_path / "payments" / "main.py").write_text("a")
    (tmp_path / "Dockerfile").write_text("FROM x")
    return tmp_path


def test_it_is_twelve_hexadecimal_digits_and_stable(app: Path) -> None:
    first = release_id(app)
    assert len(first) == 12
    assert int(first, 16) >= 0
    assert release_id(app) == first


@pytest.mark.parametrize("path", ["payments/main.py", "payments/new.py", "Dockerfile"])
def test_a_changed_or_added_source_changes_it(app: Path, path: str) -> None:
    before = release_id(app)
    (app / path).write_text("changed")
    assert release_id(app) != before


def test_a_renamed_source_changes_it(app: Path) -> None:
    before = release_id(app)
    (app / "payments" / "main.py").rename(app / "payments" / "other.py")
    assert release_id(app) != before


@pytest.mark.parametrize(
    "path",
    [
        "payments/__pycache__/main.cpython-311.pyc",
        "tests/test_a.py",
        ".coverage",
        "payments.egg-info/PKG-INFO",
        "a.py~",
    ],
)
def test_caches_tests_and_leftovers_do_not(app: Path, path: str) -> None:
    before = release_id(app)
    (app / path).parent.mkdir(parents=True, exist_ok=True)
    (app / path).write_text("noise")
    assert release_id(app) == before
