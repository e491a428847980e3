"""The cluster's programs, built once from Go modules and kept in a cache folder.

A build from empty caches is about 10 minutes of processor time and 0.5 GB on disk; it runs at low priority. Every
program is moved into the cache whole, so that a build that was broken off is gone on with.
"""

from __future__ import annotations

import fcntl
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

KUBERNETES, ETCD, KWOK = "v1.34.0", "v3.6.5", "v0.8.0"
LEAST_GO = (1, 26)
"""What kwok's module asks for."""
STAGES = ("kustomize/stage/node/fast", "kustomize/stage/node/heartbeat-with-lease", "kustomize/stage/pod/fast")
_STAMP = "k8s.io/component-base/version"
_ETCD_MAIN = """\
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() { etcdmain.Main(os.Args) }
"""


class BuildError(Exception):
    """The cluster's programs cannot be made here; the message is a sentence that says why and what to do."""


@dataclass(frozen=True)
class Module:
    """A Go module that programs are built from.

    Attributes:
        path, version: of the module.
        programs: package by name of the program.
        flags: for the linker.
        staging: modules that it takes from its own tree are required at this version instead.
    """

    path: str
    version: str
    programs: Mapping[str, str]
    flags: str = "-s -w"
    staging: str = ""


MODULES = (
    Module("go.etcd.io/etcd/server/v3", ETCD, {"etcd": "."}),
    Module(
        "k8s.io/kubernetes",
        KUBERNETES,
        {
            name: f"k8s.io/kubernetes/cmd/{name}"
            for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
        },
        f"-s -w -X {_STAMP}.gitVersion={KUBERNETES} -X {_STAMP}.gitMajor=1 -X {_STAMP}.gitMinor=34",
        staging="v0.34.0",
    ),
    Module("sigs.k8s.io/kwok", KWOK, {"kwok": "sigs.k8s.io/kwok/cmd/kwok"}),
)
PROGRAMS = tuple(name for module in MODULES for name in module.programs)


def cached(cache: Path) -> Path:
    """The folder of this version's programs in a cache."""
    return cache / f"kubernetes-{KUBERNETES}-{platform.system().lower()}-{platform.machine()}"


def missing(cache: Path) -> list[str]:
    """Programs that are not built yet."""
    folder = cached(cache)
    lacking = [name for name in PROGRAMS if not os.access(folder / name, os.X_OK)]
    return lacking if (folder / "stages.yaml").is_file() else [*lacking, "stages.yaml"]


def go_problem(find: str | None = None) -> str:
    """Why Go here cannot build the cluster, as one sentence; "" when it can.

    Args:
        find: path of the program `go`; looked for on PATH when it is None.
    """
    go = find or shutil.which("go")
    wanted = ".".join(map(str, LEAST_GO))
    if not go:
        return f"the emulated Kubernetes is built with Go, which is not on PATH: install Go {wanted} or newer."
    try:
        told = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, timeout=60, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return f"{go} does not tell its version: install Go {wanted} or newer."
    found = re.match(r"go(\d+)\.(\d+)", told.strip())
    if found is None or (int(found[1]), int(found[2])) < LEAST_GO:
        return f"the emulated Kubernetes needs Go {wanted} or newer, and {go} is {told.strip()}: install a newer one."
    return ""


def build(cache: Path, tell: str = "") -> Path:
    """Build what is missing; returns the folder of the programs.

    Args:
        tell: path of the log; `build.log` in the folder when empty.

    Raises:
        BuildError: Go is missing or the build failed.
    """
    folder = cached(cache)
    if not missing(cache):
        return folder
    problem = go_problem()
    if problem:
        raise BuildError(problem)
    folder.mkdir(parents=True, exist_ok=True)
    log = Path(tell) if tell else folder / "build.log"
    with _alone(folder / "build.lock"), log.open("a", encoding="utf-8") as output:
        for module in MODULES:
            lacking = [name for name in module.programs if not os.access(folder / name, os.X_OK)]
            stages = module.path.endswith("/kwok") and not (folder / "stages.yaml").is_file()
            if lacking or stages:
                _build(module, lacking, folder, output.fileno(), log)
    return folder


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Two builds at once would do the same work twice."""
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _build(module: Module, programs: list[str], folder: Path, output: int, log: Path) -> None:
    work = folder / "build" / module.path.replace("/", "-")
    work.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "GOFLAGS": "-mod=mod", "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOWORK": "off"}

    def go(*arguments: str) -> str:
        command = ["nice", "-n", "10", "go", *arguments]
        ran = subprocess.run(
            command, cwd=work, env=environment, check=False, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=output,
        )  # fmt: skip
        if ran.returncode != 0:
            raise BuildError(f"`go {' '.join(arguments[:2])}` failed for {module.path}; {log} says why.")
        return ran.stdout

    lines = [f"module railyard.local/{module.path.rsplit('/', 1)[-1]}", "go 1.24.0", ""]
    lines += [f"require {module.path} {module.version}", ""]
    (work / "go.mod").write_text("\n".join(lines), encoding="utf-8")
    if module.staging:
        file = go("list", "-m", "-f", "{{.GoMod}}", module.path).strip()
        own = re.findall(r"^\s*(k8s\.io/\S+) => \./staging/", Path(file).read_text(encoding="utf-8"), re.MULTILINE)
        lines += [f"replace {name} => {name} {module.staging}" for name in sorted(set(own))]
        (work / "go.mod").write_text("\n".join([*lines, ""]), encoding="utf-8")
    if "." in module.programs.values():
        (work / "main.go").write_text(_ETCD_MAIN, encoding="utf-8")
    else:
        # Without the version it would take the newest, which does not go with the replacements.
        go("get", "-tool", *(f"{package}@{module.version}" for package in module.programs.values()))
    for name in programs:
        go("build", "-trimpath", "-ldflags", module.flags, "-o", str(work / name), module.programs[name])
        (work / name).replace(folder / name)
    if module.path.endswith("/kwok"):
        _keep_stages(Path(go("list", "-m", "-f", "{{.Dir}}", module.path).strip()), folder)


def _keep_stages(module: Path, folder: Path) -> None:
    """kwok's stages, by which nodes and pods go from one phase to the next, as one file."""
    texts = [
        file.read_text(encoding="utf-8")
        for stage in STAGES
        for file in sorted((module / stage).glob("*.yaml"))
        if file.name != "kustomization.yaml"
    ]
    partial = folder / "stages.yaml.part"
    partial.write_text("\n---\n".join(texts), encoding="utf-8")
    partial.replace(folder / "stages.yaml")
