"""The code of a Lambda function as an archive: source files by name and nothing else, so its hash is the source's."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import pulumi

from components.arguments import ArgumentError

FUNCTIONS = Path(__file__).resolve().parent / "functions"


def function_code(folder: str, packages: Sequence[str] = ()) -> pulumi.AssetArchive:
    """The archive of a folder of `functions/`, with Python packages of this environment beside it.

    Args:
        folder: as `rotation`; its handler is `rotation.handler.handle`.
        packages: names of modules in pure Python, as pinned in requirements-cloud.txt.

    Raises:
        ArgumentError: a package is not installed.
    """
    files = {f"{folder}/{path.name}": path for path in _sources(FUNCTIONS / folder)}
    for package in packages:
        root = _location(package)
        if root.is_file():
            files[root.name] = root
        else:
            files |= {str(path.relative_to(root.parent)): path for path in _sources(root)}
    return pulumi.AssetArchive({name: pulumi.FileAsset(str(path)) for name, path in sorted(files.items())})


def _sources(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*.py") if "tests" not in path.parts)


def _location(package: str) -> Path:
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        fix = "Install it with `pip install -r requirements-cloud.txt`."
        raise ArgumentError("function_code", "packages", f"has {package}, which is not installed", fix)
    origin = Path(found.origin)
    return origin.parent if origin.name == "__init__.py" else origin
