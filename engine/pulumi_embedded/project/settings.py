"""Pulumi.yaml: the project's name, its runtime, its plugins and the configuration it declares."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pulumi_embedded.errors import ConfigError, UnsupportedError, UsageError
from pulumi_embedded.project.document import SettingsDocument
from pulumi_embedded.version import CLI_VERSION

EXTENSIONS = (".json", ".yaml", ".yml")
"""In the order in which the CLI looks for them."""

_NAME = re.compile(r"^[A-Za-z0-9_.-]{1,100}$")
_TYPES = {"string", "integer", "boolean", "object", "array"}


@dataclass(frozen=True)
class ConfigDeclaration:
    """One entry of the project's `config`: `type` (with `items` for arrays), a `default` or a `value`, `secret`."""

    type: str = ""
    items: dict[str, Any] | None = None
    default: Any = None
    value: Any = None
    secret: bool = False

    @property
    def type_name(self) -> str:
        """The type as a message names it, `array<string>`."""
        return _type_name(self.type, self.items)


def _type_name(name: str, items: dict[str, Any] | None) -> str:
    return f"array<{_type_name(str(items.get('type', '')), items.get('items'))}>" if items else name


def matches_type(name: str, items: dict[str, Any] | None, value: Any) -> bool:
    """Say whether a value is of a declared type, as the CLI judges it."""
    if name == "string":
        return isinstance(value, str)
    if name == "integer":
        if isinstance(value, str):
            return re.fullmatch(r"[-+]?[0-9]+", value) is not None
        return not isinstance(value, bool) and isinstance(value, int | float) and value == int(value)
    if name == "boolean":
        return isinstance(value, bool) or value in ("true", "false")
    if name == "object":
        return isinstance(value, dict)
    if not isinstance(value, list) or items is None:
        return False
    return all(matches_type(str(items.get("type", "")), items.get("items"), item) for item in value)


@dataclass(frozen=True)
class Project:
    """A project as Pulumi.yaml declares it; `path` is that file."""

    path: Path
    name: str
    runtime: str
    runtime_options: dict[str, Any] = field(default_factory=dict)
    main: str = ""
    description: str = ""
    config: dict[str, ConfigDeclaration] = field(default_factory=dict)
    stack_config_folder: str = ""
    backend_url: str = ""
    always_refresh: bool = False
    providers: list[dict[str, str]] = field(default_factory=list)

    @property
    def root(self) -> Path:
        """The folder of Pulumi.yaml."""
        return self.path.parent

    def stack_settings_path(self, stack: str) -> Path:
        """Return where a stack's settings stand (they may not exist)."""
        return self.root / self.stack_config_folder / f"Pulumi.{stack}{self.path.suffix}"


def find_project(start: Path) -> Path | None:
    """Return the Pulumi.yaml of `start` or the nearest folder above it."""
    for folder in (start, *start.parents):
        for extension in EXTENSIONS:
            candidate = folder / f"Pulumi{extension}"
            if candidate.is_file():
                return candidate
    return None


def read_project(start: Path) -> Project:
    """Read the project of a folder.

    Raises:
        UsageError: there is none.
        ConfigError: it is malformed.
    """
    path = find_project(start)
    if path is None:
        raise UsageError(
            f"no Pulumi.yaml project file found (searching upwards from {start}); run this command in a project's "
            "folder or name that folder with --cwd"
        )
    document = SettingsDocument.read(path)
    assert document is not None, "find_project saw the file"
    return parse_project(path, document.data)


def parse_project(path: Path, data: dict[str, Any]) -> Project:
    """Check the data of a Pulumi.yaml.

    Raises:
        ConfigError: something in it is wrong; the message says what and where.
        UnsupportedError: it asks for a CLI newer than the contract this engine keeps.
    """
    name = data.get("name")
    if not isinstance(name, str) or not name:
        raise ConfigError(f"{path}: project is missing a non-empty string 'name' attribute")
    if not _NAME.match(name):
        raise ConfigError(
            f"{path}: '{name[:100]}' is not a project name (letters, digits, hyphens, underscores, periods)"
        )
    runtime, options = _runtime(path, data.get("runtime"))
    declared: Any = data.get("config")
    folder = _text(path, data, "stackConfigDir")
    if isinstance(declared, str):
        if folder:
            raise ConfigError(f"{path}: use either config or stackConfigDir to name the folder of stack settings")
        declared, folder = None, declared
    _check_required_version(path, data.get("requiredPulumiVersion"))
    return Project(
        path=path,
        name=name,
        runtime=runtime,
        runtime_options=options,
        main=_text(path, data, "main"),
        description=_text(path, data, "description"),
        config=_declarations(path, name, declared),
        stack_config_folder=folder,
        backend_url=_text(path, _mapping(path, data, "backend"), "url"),
        always_refresh=_mapping(path, data, "options").get("refresh") == "always",
        providers=_providers(path, _mapping(path, data, "plugins")),
    )


def _text(path: Path, data: dict[str, Any], key: str) -> str:
    value = data.get(key)
    if value is not None and not isinstance(value, str):
        raise ConfigError(f"{path}: '{key}' has to be a text")
    return value or ""


def _mapping(path: Path, data: dict[str, Any], key: str) -> dict[str, Any]:
    value = data.get(key)
    if value is not None and not isinstance(value, dict):
        raise ConfigError(f"{path}: '{key}' has to be a mapping")
    return value or {}


def _runtime(path: Path, runtime: Any) -> tuple[str, dict[str, Any]]:
    if isinstance(runtime, str) and runtime:
        return runtime, {}
    if isinstance(runtime, dict) and isinstance(runtime.get("name"), str):
        options = runtime.get("options") or {}
        if isinstance(options, dict):
            return runtime["name"], options
    if runtime is None:
        return "", {}
    raise ConfigError(f"{path}: runtime section must be a string or an object with name and options attributes")


def _providers(path: Path, plugins: dict[str, Any]) -> list[dict[str, str]]:
    for kind in ("languages", "analyzers"):
        if plugins.get(kind):
            raise UnsupportedError(f"plugins.{kind} of {path.name}")
    found = plugins.get("providers") or []
    if not isinstance(found, list):
        raise ConfigError(f"{path}: plugins.providers has to be a list")
    for entry in found:
        if not isinstance(entry, dict) or any(
            not isinstance(entry.get(key), str) or not entry[key] for key in ("name", "path")
        ):
            raise ConfigError(f"{path}: each of plugins.providers needs a name and a path, which are texts")
    return [{key: str(value) for key, value in entry.items()} for entry in found]


def _declarations(path: Path, project: str, declared: Any) -> dict[str, ConfigDeclaration]:
    if declared is None:
        return {}
    if not isinstance(declared, dict):
        raise ConfigError(f"{path}: 'config' has to be a mapping")
    return {key: _declaration(path, project, key, entry) for key, entry in declared.items()}


def _declaration(path: Path, project: str, key: str, entry: Any) -> ConfigDeclaration:
    own = ":" not in key or key.startswith(f"{project}:")
    if not isinstance(entry, dict):
        return ConfigDeclaration(default=entry) if own else ConfigDeclaration(value=entry)
    unknown = set(entry) - {"type", "items", "default", "value", "secret", "description"}
    if unknown:
        raise ConfigError(f"{path}: config key '{key}' has unknown attributes: {', '.join(sorted(unknown))}")
    declaration = ConfigDeclaration(
        type=str(entry.get("type") or ""),
        items=entry.get("items"),
        default=entry.get("default"),
        value=entry.get("value"),
        secret=bool(entry.get("secret")),
    )
    if declaration.default is not None and declaration.value is not None:
        raise ConfigError(f"{path}: project config '{key}' cannot have both a 'default' and 'value' attribute")
    if not own:
        if declaration.type:
            raise ConfigError(f"{path}: config key '{key}' is not of this project and should not define a type")
        if declaration.default is not None:
            raise ConfigError(f"{path}: config key '{key}' is not of this project: give it a 'value', not a 'default'")
        if declaration.value is None:
            raise ConfigError(f"{path}: config key '{key}' is namespaced and must provide an attribute 'value'")
        return declaration
    if declaration.type and declaration.type not in _TYPES:
        raise ConfigError(f"{path}: config key '{key}' has an unknown type '{declaration.type}'")
    if declaration.type == "array" and not isinstance(declaration.items, dict):
        raise ConfigError(
            f"{path}: the configuration key '{key}' declares an array but does not specify the underlying type via "
            "the 'items' attribute"
        )
    default = declaration.default
    if declaration.type and default is not None and not matches_type(declaration.type, declaration.items, default):
        raise ConfigError(
            f"{path}: the default value specified for configuration key '{key}' is not of the expected type "
            f"'{declaration.type_name}'"
        )
    return declaration


def _version(text: str) -> tuple[int, int, int]:
    found = re.match(r"v?(\d+)(?:\.(\d+))?(?:\.(\d+))?", text)
    if not found:
        raise ValueError(text)
    return int(found[1]), int(found[2] or 0), int(found[3] or 0)


def _check_required_version(path: Path, required: Any) -> None:
    """Check `requiredPulumiVersion`: alternatives by `||`, in each comparisons that all have to hold."""
    if not required:
        return
    own = _version(CLI_VERSION)
    compare = {
        ">=": lambda other: own >= other,
        "<=": lambda other: own <= other,
        ">": lambda other: own > other,
        "<": lambda other: own < other,
        "!=": lambda other: own != other,
        "!": lambda other: own != other,
        "=": lambda other: own == other,
        "==": lambda other: own == other,
        "": lambda other: own == other,
    }
    try:
        for alternative in str(required).split("||"):
            parts = re.findall(r"([<>=!]*)\s*(v?[0-9][^\s]*)", alternative)
            if parts and all(compare[operator](_version(version)) for operator, version in parts):
                return
    except (ValueError, KeyError):
        raise ConfigError(f"{path}: requiredPulumiVersion '{required}' is not a version range") from None
    raise UnsupportedError(f"Pulumi {required}, which {path.name} requires (it keeps the contract of v{CLI_VERSION})")
