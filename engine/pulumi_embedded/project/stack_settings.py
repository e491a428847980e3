"""Pulumi.<stack>.yaml: a stack's configuration and the salt of its secrets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pulumi_embedded.errors import ConfigError, UnsupportedError
from pulumi_embedded.project import config as values
from pulumi_embedded.project.document import SettingsDocument
from pulumi_embedded.project.settings import Project, matches_type


class StackSettings:
    """One stack's settings file; it need not exist until something is saved."""

    def __init__(self, path: Path, document: SettingsDocument | None, project: str) -> None:
        """Check the file's data; keys without a namespace are the project's.

        Raises:
            ConfigError: `config` is not a mapping, or a key in it is malformed.
            UnsupportedError: it uses an environment of Pulumi ESC.
        """
        self.path = path
        self._document = document or SettingsDocument(path, "")
        data = self._document.data
        if data.get("environment"):
            raise UnsupportedError(f"'environment' in {path.name} (Pulumi ESC)")
        raw = data.get("config")
        if raw is not None and not isinstance(raw, dict):
            raise ConfigError(f"{path}: 'config' has to be a mapping of keys to values")
        self._spelling: dict[str, str] = {}
        self.config: dict[str, Any] = {}
        for key, value in (raw or {}).items():
            try:
                full = values.parse_key(str(key), project)
            except ConfigError as error:
                raise ConfigError(f"{path}: {error}") from None
            self._spelling[full] = key
            self.config[full] = values.parse_value(value)

    @classmethod
    def read(cls, path: Path, project: str) -> StackSettings:
        """Read the file at `path`, empty settings when there is none.

        Args:
            path: the file.
            project: the name of the stack's project, the namespace of keys that have none.

        Raises:
            ConfigError, UnsupportedError: as `__init__`.
        """
        return cls(path, SettingsDocument.read(path), project)

    @property
    def exists(self) -> bool:
        """True when the file is there."""
        return self.path.is_file()

    def text(self, key: str) -> str:
        """Return one of the file's own entries (`encryptionsalt`, `secretsprovider`, `encryptedkey`) or ""."""
        value = self._document.data.get(key)
        if value is not None and not isinstance(value, str):
            raise ConfigError(f"{self.path}: '{key}' has to be a text")
        return value or ""

    def set_text(self, key: str, value: str) -> None:
        """Set one of the file's own entries, or remove it when `value` is empty."""
        if value:
            self._document.set((), key, value)
        else:
            self._document.remove((), key)

    def set_config(self, key: str, value: Any, *, path: bool = False, coerced: bool = True) -> None:
        """Set a configuration value; arguments as of `config.set_value`."""
        root = values.set_value(self.config, key, value, path=path, coerced=coerced)
        self._document.set(("config",), self._spelling.get(root, root), values.dump_value(self.config[root]))
        self._spelling.setdefault(root, root)

    def remove_config(self, key: str, *, path: bool = False) -> None:
        """Remove a configuration value, if it is there."""
        root = values.remove(self.config, key, path=path)
        spelling = self._spelling.get(root, root)
        if root in self.config:
            self._document.set(("config",), spelling, values.dump_value(self.config[root]))
        else:
            self._document.remove(("config",), spelling)

    def replace_config(self, config: dict[str, Any]) -> None:
        """Make `config` the whole configuration."""
        for key in [key for key in self.config if key not in config]:
            self.remove_config(key)
        for key, value in config.items():
            if self.config.get(key) != value or key not in self.config:
                self.set_config(key, value)

    def save(self) -> None:
        """Write the file."""
        self._document.save()


def merge_project_config(
    project: Project, stack: str, config: dict[str, Any], decrypt: values.Decrypt | None
) -> dict[str, Any]:
    """Return a stack's configuration with the project's defaults and values under it.

    Args:
        project: what is declared.
        stack: the stack's name, for messages.
        config: the stack's own values; left as they are.
        decrypt: given before an update, when missing keys and wrong types are errors; None while only listing.

    Raises:
        ConfigError: a required key is missing or a value is of the wrong type.
    """
    merged = json.loads(json.dumps({key: values.dump_value(value) for key, value in config.items()}))
    result = {key: values.parse_value(value) for key, value in merged.items()}
    missing = []
    for declared, entry in sorted(project.config.items()):
        key = values.parse_key(declared, project.name)
        found, _ = values.get(result, key, path=True)
        if found:
            continue
        value = entry.default if entry.default is not None else entry.value
        if value is not None:
            text = ("true" if value else "false") if isinstance(value, bool) else value
            values.set_value(result, key, str(text) if isinstance(text, int | str) else text, path=True)
        elif key.startswith(f"{project.name}:"):
            missing.append(declared)
    if decrypt is None:
        return result
    if missing:
        quoted = [f"'{key}'" for key in missing]
        listed = quoted[0] if len(quoted) == 1 else ", ".join(quoted[:-1]) + f" and {quoted[-1]}"
        raise ConfigError(
            f"Stack '{stack}' is missing configuration value{'s' if len(missing) > 1 else ''} {listed}; set it with "
            f"`pulumi config set {missing[0]} <value> --stack {stack}`"
        )
    _check_types(project, stack, result, decrypt)
    return result


def _check_types(project: Project, stack: str, config: dict[str, Any], decrypt: values.Decrypt) -> None:
    for declared, entry in sorted(project.config.items()):
        if not entry.type:
            continue
        _, value = values.get(config, values.parse_key(declared, project.name), path=True)
        if entry.secret and not values.is_secure(value):
            raise ConfigError(
                f"Stack '{stack}' with configuration key '{declared}' must be encrypted as it's secret; set it with "
                f"`pulumi config set --secret {declared}`"
            )
        if not matches_type(entry.type, entry.items, values.decrypt_value(value, decrypt)):
            raise ConfigError(
                f"Stack '{stack}' with configuration key '{declared}' must be of type '{entry.type_name}'"
            )
