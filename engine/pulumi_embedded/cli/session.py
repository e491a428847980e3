"""A stack opened for one command: its state, its settings file, and the key to its secrets."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

from pulumi_embedded.backend.journal import set_aside
from pulumi_embedded.backend.layout import Checkpoint, Layout, StackName, format_time
from pulumi_embedded.backend.recovery import CurrentState, fold_to_disk, read_current
from pulumi_embedded.cli.context import Context
from pulumi_embedded.errors import CancelledError, SecretsError, StateError, UnsupportedError, UsageError
from pulumi_embedded.project.stack_settings import StackSettings
from pulumi_embedded.state.deployment import (
    PASSPHRASE_PROVIDER,
    Deployment,
    Operation,
    new_manifest,
    open_states,
    seal_states,
    verify_integrity,
)
from pulumi_embedded.state.resource import ResourceState
from pulumi_embedded.state.sealing import Sealer
from pulumi_embedded.state.secrets import PassphraseCrypter, read_passphrase


def check_provider(provider: str) -> None:
    """Refuse every secrets provider but the passphrase one.

    Raises:
        UnsupportedError: it is another.
    """
    if provider not in ("", "default", PASSPHRASE_PROVIDER):
        raise UnsupportedError(f"the secrets provider '{provider.partition('://')[0]}'")


def ask_hidden(question: str) -> str:
    """Ask the person at the terminal without showing the answer.

    Raises:
        CancelledError: nobody answers (end of input).
    """
    import getpass

    try:
        return getpass.getpass(question)
    except EOFError:
        raise CancelledError("nobody answered, so nothing was done") from None


def ask_passphrase(context: Context, prompt: str, *, twice: bool = False) -> Callable[[], str] | None:
    """Return a prompt for the passphrase, None where nobody can answer."""
    if not context.interactive:
        return None

    def ask() -> str:
        hint = "\n    (set PULUMI_CONFIG_PASSPHRASE or PULUMI_CONFIG_PASSPHRASE_FILE to remember)"
        while True:
            first = ask_hidden(f"{prompt}{hint}: ")
            if not twice or first == ask_hidden("Re-enter your passphrase to confirm: "):
                return first
            context.note("error: passphrases do not match")

    return ask


class Session:
    """One stack in one command. Everything is read when first asked for."""

    def __init__(self, context: Context, name: StackName) -> None:
        """Keep what to open."""
        self.context = context
        self.name = name

    @property
    def layout(self) -> Layout:
        """The backend's files."""
        return self.context.layout

    @cached_property
    def current(self) -> CurrentState:
        """The state, an interrupted update's journal folded in memory."""
        return read_current(self.layout, self.name)

    def fold(self, *, backup: bool = True) -> int:
        """Write a journal that was left into the checkpoint; the lock is held. Return how many entries it had."""
        self.forget()
        self.current = fold_to_disk(self.layout, self.name, backup=backup)
        return self.current.folded

    def forget(self) -> None:
        """Read the state anew when it is next asked for."""
        self.__dict__.pop("current", None)
        self.forget_states()

    def start_anew(self) -> None:
        """Go on as if the stack were empty: its damaged state is about to be replaced."""
        self.forget()
        journal = self.layout.journal_path(self.name)
        if journal.exists():
            set_aside(journal, "foreign")
        self.current = CurrentState(Checkpoint(self.layout.checkpoint_path(self.name), "", None), Deployment(), 0)

    def forget_states(self) -> None:
        """Open the resources anew when they are next asked for."""
        self.__dict__.pop("states", None)

    @cached_property
    def settings_path(self) -> Path:
        """Where the stack's settings stand."""
        given = self.context.flags.text("config-file")
        if given:
            return (self.context.folder / given).absolute()
        return self.context.project.stack_settings_path(self.name.stack)

    @cached_property
    def settings(self) -> StackSettings:
        """The stack's settings file."""
        given = self.context.flags.text("config-file")
        if given and not self.settings_path.is_file():
            raise UsageError(f"the file of --config-file, {given}, does not exist")
        return StackSettings.read(self.settings_path, self.name.project)

    def _state_salt(self) -> str:
        providers = self.current.deployment.secrets_providers
        if not providers:
            return ""
        check_provider(str(providers.get("type", "")))
        state = providers.get("state")
        salt = state.get("salt") if isinstance(state, dict) else None
        if not isinstance(salt, str):
            raise StateError(f"the state of stack '{self.name.stack}' has a secrets provider without a salt")
        return salt

    def crypter_of(self, salt: str) -> PassphraseCrypter:
        """Return the key to what was encrypted under another salt, with the passphrase of this invocation."""
        prompt = ask_passphrase(
            self.context, f"Enter your passphrase to unlock config/secrets for stack {self.name.stack}"
        )
        return PassphraseCrypter(salt, lambda: read_passphrase(prompt=prompt))

    @cached_property
    def state_crypter(self) -> PassphraseCrypter | None:
        """The key of the secrets in the state, None when the state names no provider."""
        salt = self._state_salt()
        return self.crypter_of(salt) if salt else None

    @cached_property
    def crypter(self) -> PassphraseCrypter:
        """The key of the stack's settings; a new stack's salt is made and saved here."""
        check_provider(self.settings.text("secretsprovider"))
        salt = self.settings.text("encryptionsalt") or self._state_salt()
        if salt:
            state = self.state_crypter
            crypter = state if state is not None and state.state == salt else self.crypter_of(salt)
        else:
            prompt = ask_passphrase(self.context, "Enter your passphrase to protect config/secrets", twice=True)
            crypter = PassphraseCrypter.create(read_passphrase(prompt=prompt))
        if self.settings.text("encryptionsalt") != crypter.state:
            self.settings.set_text("encryptionsalt", crypter.state)
            self.settings.save()
        return crypter

    @cached_property
    def sealer(self) -> Sealer:
        """Seals and opens the secrets of the state."""
        return Sealer(self.state_crypter)

    @cached_property
    def states(self) -> tuple[list[ResourceState], list[Operation]]:
        """The resources and pending operations, secrets readable."""
        return open_states(self.current.deployment, self.sealer)

    def adopt_provider(self) -> None:
        """Give a state without a secrets provider that of the stack's settings, before something is written."""
        if self._state_salt():
            return
        crypter = self.crypter
        deployment = self.current.deployment
        deployment.secrets_providers = provider_block(crypter.state)
        if not deployment.manifest:
            deployment.manifest = new_manifest(format_time(self.context.now_ns()))
        self.layout.write(self.name, deployment)
        self.forget()
        self.state_crypter = crypter
        self.sealer = Sealer(crypter)

    def check_integrity(self) -> None:
        """Refuse a state whose resources contradict each other.

        Raises:
            StateError: it does; the message says how to mend it.
        """
        if self.context.flags.on("disable-integrity-checking") or os.environ.get("PULUMI_DISABLE_INTEGRITY_CHECKING"):
            return
        deployment = self.current.deployment
        try:
            verify_integrity(deployment)
        except StateError as error:
            raise StateError(
                f"snapshot integrity failure of stack '{self.name.stack}': {error}; mend it with `pulumi state repair`"
            ) from None

    def sealed(self, states: list[ResourceState], pending: list[Operation]) -> Deployment:
        """Return a deployment of these resources as it goes to disk."""
        return seal_states(self.current.deployment, states, pending, self.sealer, format_time(self.context.now_ns()))

    def replace_raw(self, resources: list[dict[str, Any]], pending: list[dict[str, Any]]) -> Deployment:
        """Return a deployment of resources that are still as on disk (for edits that need no passphrase)."""
        base = self.current.deployment
        return Deployment(
            manifest=new_manifest(format_time(self.context.now_ns())),
            resources=resources,
            pending_operations=pending,
            secrets_providers=base.secrets_providers,
            metadata=base.metadata,
            extra=base.extra,
        )

    def decrypt(self, ciphertext: str) -> str:
        """Return the plain text of a configuration secret.

        Raises:
            SecretsError: it cannot be decrypted.
        """
        if not self.settings.text("encryptionsalt") and not self._state_salt():
            raise SecretsError(f"{self.settings_path} holds a secret but no encryptionsalt to decrypt it with")
        return self.crypter.decrypt(ciphertext)


def provider_block(salt: str) -> dict[str, Any]:
    """Return the `secrets_providers` object of a deployment."""
    return {"type": PASSPHRASE_PROVIDER, "state": {"salt": salt}}


def open_session(context: Context, text: str = "") -> Session:
    """Return the chosen stack, opened."""
    return Session(context, context.stack_name(text))
