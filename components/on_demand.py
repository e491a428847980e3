"""Loads a resource of a provider's SDK when the program names it, not with all the others of its service.

`pulumi_aws.ec2` imports 200 modules, of which a stack needs a dozen: over half of what a plan's imports take. Here a
service's package is a folder in which a name is looked up when it is asked for: `Vpc` and `VpcArgs` are in `vpc.py`,
`get_policy_document` is in the file of that name, arguments' blocks are in `_inputs.py`. Whatever is not found so is
looked up as the SDK does it, in the whole of the package.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

SDKS = ("pulumi_aws", "pulumi_kubernetes")
_INPUTS = "_inputs"
# What an SDK adds to a resource's name for what comes with it, in the same file.
_ENDINGS = ("", "args", "argsdict", "result", "output")


class _Package(ModuleType):
    """A service's package; its parts are its attributes once they were asked for."""

    def __setattr__(self, name: str, value: object) -> None:
        # Importing a file makes it an attribute; where it holds a function of its own name, that is what is meant.
        if isinstance(value, ModuleType):
            value = vars(value).get(name, value)
        super().__setattr__(name, value)

    def __getattr__(self, name: str) -> Any:
        loader = self.__spec__.loader if self.__spec__ else None
        assert isinstance(loader, _Loader)
        return loader.look_up(self, name)


class _Loader(SourceFileLoader):
    """Loads a package without its parts."""

    def exec_module(self, module: ModuleType) -> None:
        folder = Path(self.path).parent
        self._parts = {entry.stem.replace("_", "").lower(): entry.stem for entry in folder.iterdir()}
        self._whole = False
        module.__class__ = _Package

    def look_up(self, package: ModuleType, name: str) -> Any:
        """What the package has under a name.

        Raises:
            AttributeError: nothing.
        """
        if name.startswith("__") and name != "__all__":
            raise AttributeError(f"module {package.__name__!r} has no attribute {name!r}")
        for part in self._candidates(name):
            module = importlib.import_module(f"{package.__name__}.{part}")
            if part == name or name in vars(module):
                setattr(package, name, vars(module).get(name, module))
                return vars(package)[name]
        if not self._whole:
            self._whole = True
            super().exec_module(package)
        if name in vars(package):
            return vars(package)[name]
        raise AttributeError(f"module {package.__name__!r} has no attribute {name!r}")

    def _candidates(self, name: str) -> Iterator[str]:
        """The parts that may have it, the likeliest first."""
        key = name.replace("_", "").lower()
        for ending in _ENDINGS:
            part = self._parts.get(key.removesuffix(ending)) if key.endswith(ending) else None
            if part is not None and part not in ("__init__", "__pycache__"):
                yield part
        if "inputs" in self._parts and name.endswith(("Args", "ArgsDict")):
            yield _INPUTS


class _Finder(MetaPathFinder):
    """Finds the packages within the SDKs."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if path is None or fullname.partition(".")[0] not in SDKS:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None or not spec.submodule_search_locations or not isinstance(spec.loader, SourceFileLoader):
            return spec
        spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec


def load_on_demand() -> None:
    """From now on, for the SDKs that are not imported yet."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
