"""Secrets of the passphrase provider, byte for byte as the Pulumi CLI makes them.

AES-256-GCM under a key from PBKDF2-SHA256 (1,000,000 rounds, 8-byte salt); a value is `v1:<nonce>:<ciphertext>` and the
provider's state `v1:<salt>:<the word "pulumi", encrypted>`. Source: pulumi `pkg/secrets/passphrase/manager.go`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from pulumi_embedded.errors import SecretsError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_ROUNDS = 1_000_000
_KEY_BYTES = 32
_SALT_BYTES = 8
_NONCE_BYTES = 12
_PROOF = "pulumi"

PASSPHRASE_ENV = "PULUMI_CONFIG_PASSPHRASE"  # noqa: S105 - the name of a variable
PASSPHRASE_FILE_ENV = "PULUMI_CONFIG_PASSPHRASE_FILE"  # noqa: S105 - likewise


class Crypter(Protocol):
    """Turns a secret's text into its ciphertext and back."""

    @property
    def state(self) -> str:
        """The provider's state: what `encryptionsalt` and `secrets_providers.state.salt` hold."""
        ...

    def encrypt(self, plaintext: str) -> str:
        """Return the ciphertext of `plaintext`, a fresh one at each call."""
        ...

    def decrypt(self, ciphertext: str) -> str:
        """Return the plaintext.

        Raises:
            SecretsError: the passphrase is wrong or missing, or the value is damaged.
        """
        ...


def read_passphrase(environment: dict[str, str] | None = None, prompt: Callable[[], str] | None = None) -> str:
    """Return the passphrase from the environment, its file, or the person (`prompt`, only where there is a terminal).

    Raises:
        SecretsError: there is none.
    """
    env = os.environ if environment is None else environment
    if PASSPHRASE_ENV in env:
        return env[PASSPHRASE_ENV]
    path = env.get(PASSPHRASE_FILE_ENV)
    if path:
        try:
            with open(path, encoding="utf-8") as file:  # noqa: PTH123 - pathlib costs start-up time
                return file.read(1 << 16).strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SecretsError(f"unable to read {PASSPHRASE_FILE_ENV} '{path}': {_reason(error)}") from None
    if prompt is not None:
        return prompt()
    raise SecretsError(f"passphrase must be set with {PASSPHRASE_ENV} or {PASSPHRASE_FILE_ENV} environment variables")


def _reason(error: Exception) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)


def _cipher(passphrase: str, salt: bytes) -> AESGCM:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(hashlib.pbkdf2_hmac("sha256", passphrase.encode(), salt, _ROUNDS, _KEY_BYTES))


def _seal(cipher: AESGCM, plaintext: str) -> str:
    nonce = os.urandom(_NONCE_BYTES)
    sealed = cipher.encrypt(nonce, plaintext.encode(), None)
    return f"v1:{base64.b64encode(nonce).decode()}:{base64.b64encode(sealed).decode()}"


def _open(cipher: AESGCM, value: str) -> str | None:
    """Return the plaintext, or None when the key is not the one that sealed it."""
    from cryptography.exceptions import InvalidTag

    parts = value.split(":")
    if len(parts) != 3 or parts[0] != "v1":
        raise SecretsError(
            "a secret in the state or settings is damaged: it is not of the form v1:<nonce>:<ciphertext>"
        )
    try:
        nonce, sealed = (base64.b64decode(part, validate=True) for part in parts[1:])
    except binascii.Error:
        raise SecretsError("a secret in the state or settings is damaged: it is not base64") from None
    if len(nonce) != _NONCE_BYTES:
        raise SecretsError("a secret in the state or settings is damaged: its nonce has a wrong size")
    try:
        return cipher.decrypt(nonce, sealed, None).decode()
    except (InvalidTag, UnicodeDecodeError):
        return None


class PassphraseCrypter:
    """A crypter whose key is derived at first use, so that commands that need no secret don't pay for it."""

    def __init__(self, state: str, passphrase: Callable[[], str]) -> None:
        """Keep the provider's `state` and where the passphrase comes from; neither is looked at yet."""
        self._state = state
        self._passphrase = passphrase
        self._cipher: AESGCM | None = None

    @property
    def state(self) -> str:
        """See `Crypter.state`."""
        return self._state

    @classmethod
    def create(cls, passphrase: str) -> PassphraseCrypter:
        """Return a crypter with a new salt."""
        salt = os.urandom(_SALT_BYTES)
        cipher = _cipher(passphrase, salt)
        crypter = cls(f"v1:{base64.b64encode(salt).decode()}:{_seal(cipher, _PROOF)}", lambda: passphrase)
        crypter._cipher = cipher
        return crypter

    def unlock(self) -> None:
        """Derive the key and check the passphrase against the state's proof.

        Raises:
            SecretsError: the passphrase is missing or not the one of this stack, or the state is damaged.
        """
        if self._cipher is not None:
            return
        parts = self._state.split(":", 2)
        if len(parts) != 3 or parts[0] != "v1":
            raise SecretsError("the stack's encryption salt is damaged: it is not of the form v1:<salt>:<proof>")
        try:
            salt = base64.b64decode(parts[1], validate=True)
        except binascii.Error:
            raise SecretsError("the stack's encryption salt is damaged: it is not base64") from None
        cipher = _cipher(self._passphrase(), salt)
        if _open(cipher, parts[2]) != _PROOF:
            raise SecretsError(
                f"incorrect passphrase, please set {PASSPHRASE_ENV} to the correct passphrase "
                f"or set {PASSPHRASE_FILE_ENV} to a file containing the passphrase"
            )
        self._cipher = cipher

    def encrypt(self, plaintext: str) -> str:
        """See `Crypter.encrypt`."""
        self.unlock()
        assert self._cipher is not None
        return _seal(self._cipher, plaintext)

    def decrypt(self, ciphertext: str) -> str:
        """See `Crypter.decrypt`."""
        self.unlock()
        assert self._cipher is not None
        plaintext = _open(self._cipher, ciphertext)
        if plaintext is None:
            raise SecretsError("a secret cannot be decrypted: it was encrypted under another stack's key or is damaged")
        return plaintext
