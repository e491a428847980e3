"""An emulated stack: its folder, its copy of the settings, and its workspace, apart from the real stack of that name.

The engine works in a folder of links to the program, beside which lies the copy of the settings: so neither the real
settings file nor the real backend is ever opened by it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from components.settings import NAMESPACE, Settings, SettingsError
from components.settings.secrets import GIVEN_URLS
from operations.checkout import ROOT, State
from operations.emulated.account import Account, without_own_account
from operations.emulated.cluster import EmulatedCluster
from operations.emulated.provider_processes import Running, providers
from operations.engine_errors import with_our_commands
from operations.engines import ensure_passphrase
from operations.errors import OperationError
from operations.files import write_private
from operations.settings_file import read_settings, set_generated
from operations.stacks import CLOUD, Opened, opened

# What belongs to the real stack's own secrets provider.
_SECRETS_OF_THE_REAL_ONE = ("secretsprovider", "encryptedkey", "encryptionsalt")
# What the stand-ins for the URLs of a given database and cache are made from.
_OF_GIVEN = tuple(f"{NAMESPACE}:{key}" for key in ("platform", "database", "databasePort", "cache", "cachePort"))
_GIVEN_URLS = frozenset(f"{NAMESPACE}:{value.key}" for values in GIVEN_URLS.values() for value in values)
LINKS = ("Pulumi.yaml", "__main__.py", ".venv")
PACKAGES = ("aws", "docker", "kubernetes", "random")


@dataclass(frozen=True)
class EmulatedStack:
    """One emulated stack of this checkout.

    Attributes:
        name: as the real one's, staging or prod.
        state: a state folder of its own, within the checkout's.
    """

    name: str
    state: State

    @classmethod
    def of_this_checkout(cls, name: str) -> EmulatedStack:
        """The emulated stack of this name.

        Raises:
            OperationError: only a stack in a cloud can be emulated, and only one with settings.
        """
        if name not in CLOUD:
            raise OperationError(
                f"--emulated is for the stacks {' and '.join(CLOUD)}; {name} is not one of them.", exit_code=2
            )
        return cls(name, State(State.of_this_checkout().folder / "emulated" / name))

    @property
    def project(self) -> Path:
        """Where the engine works: links to the program, and the copy of the settings."""
        return self.state.folder / "project"

    @property
    def settings(self) -> Path:
        return self.project / f"Pulumi.{self.name}.yaml"

    @property
    def account(self) -> Account:
        return Account(self.state.folder / "account")

    @property
    def cluster(self) -> EmulatedCluster:
        return EmulatedCluster(self.state.folder / "cluster")

    def exists(self) -> bool:
        return self.state.has_checkpoint(self.name)

    def make(self) -> None:
        """Make the folders, the links and the passphrase."""
        State.of_this_checkout().make()
        self.state.folder.parent.mkdir(exist_ok=True)
        self.state.make()
        self.project.mkdir(exist_ok=True)
        for name in LINKS:
            link = self.project / name
            if not link.is_symlink() or link.readlink() != ROOT / name:
                link.unlink(missing_ok=True)
                link.symlink_to(ROOT / name)
        if not self.exists():
            ensure_passphrase(self.state)
        elif not self.state.passphrase.exists():
            raise OperationError(
                f"{self.state.passphrase} is gone, and without it nobody can read the emulated stack's secrets: "
                f"remove {self.state.folder} to begin anew."
            )

    def copy_settings(self) -> Settings:
        """Take over the real stack's plain settings as they are now; secrets stay those of the copy.

        Raises:
            OperationError: there are none, or they are wrong.
        """
        real = read_settings(ROOT / self.settings.name)
        if not real:
            raise OperationError(f"{self.settings.name} is not there: nothing says what the stack {self.name} is.")
        mine = read_settings(self.settings)
        plain = {key: value for key, value in (real.get("config") or {}).items() if not is_secure(value)}
        copied = mine.get("config") or {}
        secret = {key: value for key, value in copied.items() if is_secure(value)}
        # As text: an engine that stores a secret may write numbers anew as text.
        if any(str(plain.get(key)) != str(copied.get(key)) for key in _OF_GIVEN):
            secret = {key: value for key, value in secret.items() if key not in _GIVEN_URLS}
        copy: dict[str, Any] = {name: value for name, value in real.items() if name not in _SECRETS_OF_THE_REAL_ONE}
        if "encryptionsalt" in mine:
            copy["encryptionsalt"] = mine["encryptionsalt"]
        copy["config"] = {**plain, **secret}
        write_private(self.settings, yaml.safe_dump(copy, sort_keys=False))
        return self._checked(copy["config"])

    def _checked(self, config: dict[str, Any]) -> Settings:
        try:
            settings = Settings.from_file(config)
        except SettingsError as error:
            raise OperationError(with_our_commands(str(error))) from None
        if settings.platform == "local":
            raise OperationError(f"{self.settings.name} says platform local, which is not emulated: it runs for real.")
        return settings

    def generate_missing(self, there: Opened, settings: Settings, doing: Callable[[str], None]) -> int:
        """Make a worthless stand-in for every secret that others issue to the real stack; returns how many."""
        config = read_settings(self.settings).get("config") or {}
        missing = [value for value in settings.generated if f"{NAMESPACE}:{value.key}" not in config]
        for value in missing:
            doing(value.description)
            set_generated(there, value)
        return len(missing)

    @contextmanager
    def at_work(self, endpoint: str, cluster: str = "") -> Iterator[tuple[Opened, Running]]:
        """The stack's workspace, and its providers, which start meanwhile.

        Args:
            endpoint: URL of the emulated account.
            cluster: URL of the emulated Kubernetes; "" for a stack that has none.
        """
        isolate()
        endpoints = dict.fromkeys(PACKAGES, "") | {"aws": endpoint}
        variables = {}
        if cluster:
            endpoints["kubernetes"] = cluster
            variables["KUBECONFIG"] = str(self.cluster.kubeconfig)
        else:
            endpoints.pop("kubernetes")
        with providers(endpoints, self.state.folder / "logs", variables) as running:
            yield opened(self.name, self.state, folder=self.project), running

    def opened(self) -> Opened:
        """The stack's workspace for commands that need no provider."""
        isolate()
        return opened(self.name, self.state, folder=self.project)


def is_secure(value: object) -> bool:
    """Whether a value of a settings file is encrypted."""
    return isinstance(value, dict) and set(value) == {"secure"}


def isolate() -> None:
    """Take the person's own account out of this process's environment, which engine and program inherit."""
    kept = without_own_account(os.environ)
    for name in set(os.environ) - set(kept):
        del os.environ[name]
    os.environ.update(kept)
