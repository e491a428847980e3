"""`./railyard` makes its environment once, makes good what was killed half-way, and says in a sentence what it lacks.

The launcher under test is the real one, in a small checkout whose only requirement is a wheel made here.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from tests.operations.conftest import wait_until

ROOT = Path(__file__).parents[2]
ECHO = 'import os, sys, one\nprint(one.__version__, *sys.argv[1:], "in", os.getcwd())\n'


def wheel(folder: Path, name: str, version: str) -> str:
    """Make a wheel of one module; return its requirement with its hash."""
    path = folder / f"{name}-{version}-py3-none-any.whl"
    metadata = f"{name}-{version}.dist-info"
    members = {
        f"{name}.py": f"__version__ = {version!r}\n",
        f"{metadata}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{metadata}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{metadata}/RECORD": "",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for member, content in members.items():
            # Without the time of day the same wheel has the same hash.
            archive.writestr(zipfile.ZipInfo(member), content)
    return f"{name}=={version} --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


class SmallCheckout:
    """A checkout with the real launcher and nothing else."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "check out"
        self.wheels = folder / "wheels"
        self.wheels.mkdir(parents=True)
        (self.root / "operations").mkdir(parents=True)
        (self.root / "operations" / "__main__.py").write_text(ECHO)
        shutil.copy2(ROOT / "railyard", self.root / "railyard")
        self.require(wheel(self.wheels, "one", "1.0"))
        (self.root / "requirements-dev.txt").write_text(wheel(self.wheels, "two", "1.0"))
        (self.root / "requirements-cloud.txt").write_text(wheel(self.wheels, "three", "0.5"))

    def require(self, requirement: str) -> None:
        (self.root / "requirements.txt").write_text(requirement)

    @property
    def venv(self) -> Path:
        return self.root / ".venv"

    def start(self, *arguments: str, **changed: str) -> subprocess.Popen[str]:
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("PIP_", "PYTHON", "VIRTUAL_ENV"))}
        environment |= {
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.wheels),
            "HOME": str(self.root.parent),
            **changed,
        }
        return subprocess.Popen(
            [sys.executable, str(self.root / "railyard"), *arguments],
            cwd="/", env=environment, stdin=subprocess.DEVNULL, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def run(self, *arguments: str, **changed: str) -> tuple[int, str, str]:
        process = self.start(*arguments, **changed)
        out, err = process.communicate(timeout=120)
        return process.returncode, out, err


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> SmallCheckout:
    """A checkout whose environment was made by one run."""
    checkout = SmallCheckout(tmp_path_factory.mktemp("launcher"))
    code, out, err = checkout.run("status")
    assert (code, out) == (0, "1.0 status in /\n")
    assert re.fullmatch(r"Making \.venv, 1 packages \.\.\.\nMaking \.venv, 1 packages: \d+ s\n", err)
    return checkout


@pytest.fixture
def checkout(made: SmallCheckout, tmp_path: Path) -> SmallCheckout:
    """A copy of it, to spoil."""
    copy = SmallCheckout(tmp_path)
    shutil.copytree(made.venv, copy.venv, symlinks=True)
    return copy


def test_a_made_environment_is_used_at_once_and_silently(made: SmallCheckout) -> None:
    started = time.monotonic()
    assert made.run("status", "--json") == (0, "1.0 status --json in /\n", "")
    assert time.monotonic() - started < 2


def test_nothing_is_written_outside_the_checkout(made: SmallCheckout) -> None:
    assert sorted(path.name for path in made.root.parent.iterdir()) == ["check out", "wheels"]


def test_what_the_surroundings_import_is_kept_out(made: SmallCheckout, tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text("__version__ = 'theirs'\n")
    assert made.run(PYTHONPATH=str(tmp_path))[1] == "1.0 in /\n"


def test_a_moved_checkout_finds_its_own_rooms(checkout: SmallCheckout) -> None:
    (checkout.root / "operations" / "__main__.py").write_text("import operations; print(operations.__path__[0])\n")
    (checkout.root / "operations" / "__init__.py").touch()
    assert checkout.run()[1] == f"{checkout.root / 'operations'}\n"


def test_changed_requirements_are_installed(checkout: SmallCheckout) -> None:
    checkout.require(wheel(checkout.wheels, "one", "2.0"))
    code, out, err = checkout.run()
    assert (code, out) == (0, "2.0 in /\n")
    assert err.startswith("Making .venv")
    assert checkout.run()[2] == ""


def test_the_tests_bring_their_own_requirements(checkout: SmallCheckout) -> None:
    code, _, err = checkout.run("test")
    assert code == 0
    assert err.startswith("Adding what the tests need")
    assert list(checkout.venv.glob("lib/*/site-packages/two.py"))
    assert checkout.run("test")[2] == ""


@pytest.mark.parametrize("arguments", [("up", "staging", "--emulated"), ("pulumi", "preview", "--stack=prod-rollback")])
def test_a_clouds_stack_brings_its_own_requirements(checkout: SmallCheckout, arguments: tuple[str, ...]) -> None:
    code, _, err = checkout.run(*arguments)
    assert code == 0
    assert err.startswith("Adding what a cloud's stacks need, 1 packages")
    assert list(checkout.venv.glob("lib/*/site-packages/three.py"))
    assert (checkout.venv / "railyard-cloud.stamp").exists()
    assert checkout.run(*arguments)[2] == ""


@pytest.mark.parametrize("arguments", [("up",), ("up", "local"), ("up", "staging", "--help"), ("logs", "web-blue")])
def test_a_stack_on_this_machine_brings_none_of_them(made: SmallCheckout, arguments: tuple[str, ...]) -> None:
    assert made.run(*arguments)[2] == ""
    assert not list(made.venv.glob("lib/*/site-packages/three.py"))


def test_what_the_tests_need_holds_what_a_clouds_stack_needs(checkout: SmallCheckout) -> None:
    checkout.run("test")
    assert checkout.run("up", "staging", "--emulated")[2] == ""


def test_an_environment_killed_half_way_is_made_anew(checkout: SmallCheckout) -> None:
    # As a kill -9 between unpacking and the stamp leaves it: a package that pip believes whole, and is not.
    (checkout.venv / "railyard.unfinished").touch()
    next(checkout.venv.glob("lib/*/site-packages/one.py")).unlink()
    code, out, err = checkout.run()
    assert (code, out) == (0, "1.0 in /\n")
    assert "Making .venv" in err


@pytest.mark.parametrize(
    "reached",
    [
        "railyard.unfinished",
        "bin/python",
        "lib/*/site-packages/pip/__init__.py",
        "railyard-install.log",
        "lib/*/site-packages/one.py",
    ],
)
def test_a_kill_at_any_moment_is_made_good(checkout: SmallCheckout, reached: str) -> None:
    shutil.rmtree(checkout.venv)
    process = checkout.start()
    wait_until(lambda: checkout.venv.exists() and any(checkout.venv.glob(reached)), reached)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert checkout.run()[:2] == (0, "1.0 in /\n")


def test_two_at_once_make_it_once(checkout: SmallCheckout) -> None:
    shutil.rmtree(checkout.venv)
    both = [checkout.start(), checkout.start()]
    said = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert [out for out, _ in said] == ["1.0 in /\n"] * 2
    assert sum("Making .venv, 1 packages ..." in err for _, err in said) == 1
    assert sum("Another ./railyard is making .venv" in err for _, err in said) == 1


def test_a_python_that_went_away_is_replaced(checkout: SmallCheckout) -> None:
    python = checkout.venv / "bin" / "python3"
    python.unlink(missing_ok=True)
    (checkout.venv / "bin" / "python").unlink()
    (checkout.venv / "bin" / "python").symlink_to("/nowhere/python3")
    assert checkout.run()[:2] == (0, "1.0 in /\n")


def test_a_package_with_another_hash_is_refused(checkout: SmallCheckout) -> None:
    wheel(checkout.wheels, "one", "3.0")
    checkout.require("one==3.0 --hash=sha256:" + "0" * 64 + "\n")
    code, out, err = checkout.run()
    assert (code, out) == (1, "")
    assert "railyard: a package differs from the one that is pinned" in err
    assert err.count("railyard:") == 1


def test_a_failed_download_leaves_the_old_environment_whole(checkout: SmallCheckout) -> None:
    had = (checkout.root / "requirements.txt").read_text()
    checkout.require("three==1.0 --hash=sha256:" + "0" * 64 + "\n")
    code, _, err = checkout.run()
    assert code == 1
    assert (
        "railyard: the Python packages could not be installed: ERROR: No matching distribution found for three" in err
    )
    checkout.require(had)
    assert checkout.run() == (0, "1.0 in /\n", "")


def test_an_index_out_of_reach_is_one_sentence(checkout: SmallCheckout) -> None:
    checkout.require("three==1.0 --hash=sha256:" + "0" * 64 + "\n")
    code, _, err = checkout.run(PIP_NO_INDEX="0", PIP_INDEX_URL="http://127.0.0.1:9/simple", PIP_RETRIES="0")
    assert code == 1
    assert "railyard: the Python package index cannot be reached" in err


def run_launcher(code: str, *, path: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run code with the launcher's functions at hand, as `L`."""
    prelude = (
        "import sys, importlib.machinery as m, importlib.util as u; sys.dont_write_bytecode = True\n"
        f"L = u.module_from_spec(u.spec_from_loader('L', m.SourceFileLoader('L', {str(ROOT / 'railyard')!r})))\n"
        "L.__spec__.loader.exec_module(L)\n"
    )
    return subprocess.run(
        [sys.executable, "-c", prelude + code],
        env={**os.environ, "PATH": os.environ["PATH"] if path is None else path},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def fake_python(folder: Path, name: str, *, works: bool) -> Path:
    program = folder / name
    program.write_text(f"#!/bin/sh\n{'echo ' + str(program) if works else 'exit 127'}\n")
    program.chmod(0o755)
    return program


def test_an_old_python_goes_on_with_a_newer_one_on_path(tmp_path: Path) -> None:
    fake_python(tmp_path, "python3.12", works=False)
    newer = fake_python(tmp_path, "python3.11", works=True)
    code = "L.sys.version_info = (3, 9, 1); L.go_on_with = lambda p: (print(p), sys.exit(7)); L.choose_python()"
    ran = run_launcher(code, path=f"{tmp_path}:/usr/bin:/bin")
    assert (ran.returncode, ran.stdout.strip()) == (7, str(newer))


def test_an_old_python_alone_is_one_sentence(tmp_path: Path) -> None:
    ran = run_launcher("L.sys.version_info = (3, 9, 1); L.choose_python()", path=str(tmp_path))
    assert ran.returncode == 1
    assert ran.stderr.startswith("railyard: Railyard needs Python 3.11 or newer and ")
    assert len(ran.stderr.splitlines()) == 1


def test_a_python_without_bundled_postgres_needs_one_on_path(tmp_path: Path) -> None:
    code = "L.sys.version_info = (3, 14, 0); L.choose_python(); print('stays')"
    assert "install PostgreSQL 15 or newer" in run_launcher(code, path=str(tmp_path)).stderr
    for name, said in (("postgres", "postgres (PostgreSQL) 16.4"), ("initdb", "initdb")):
        (tmp_path / name).write_text(f"#!/bin/sh\necho '{said}'\n")
        (tmp_path / name).chmod(0o755)
    assert run_launcher(code, path=str(tmp_path)).stdout == "stays\n"


def test_a_full_disk_is_one_sentence_before_anything_is_made(checkout: SmallCheckout) -> None:
    shutil.rmtree(checkout.venv)
    launcher = (checkout.root / "railyard").read_text()
    (checkout.root / "railyard").write_text(launcher.replace("NEEDED_BYTES = 900000000", "NEEDED_BYTES = 10**18"))
    code, _, err = checkout.run()
    assert code == 1
    assert "less than 1000000000000 MB free" in err
    # What is missing for all of the command is asked for at once.
    (checkout.root / "railyard").write_text(launcher.replace("CLOUD = 700000000", "CLOUD = 10**18"))
    code, _, err = checkout.run("up", "staging", "--emulated")
    assert code == 1
    assert "less than 1000000000900 MB free" in err
    assert not checkout.venv.exists()


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "no disk space"),
        ("NewConnectionError('<urllib3...>: [Errno -3] Temporary failure in name resolution')", "cannot be reached"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE", "differs from the one"),
        ("ERROR: [Errno 13] Permission denied: '/x/.venv/lib'", "run as the owner"),
        ("ERROR: Package 'x' requires a different Python\nmore words", "ERROR: Package 'x' requires"),
    ],
)
def test_what_pip_says_comes_to_one_sentence(said: str, sentence: str) -> None:
    ran = run_launcher(f"print(L.why_not_installed({said!r}))")
    assert sentence in ran.stdout
    assert len(ran.stdout.splitlines()) == 1


def test_the_launcher_is_readable_by_an_old_python() -> None:
    import ast

    ast.parse((ROOT / "railyard").read_text(), feature_version=(3, 5))
