"""Secrets inside property values: `{SIG, "value"}` in memory, `{SIG, "ciphertext"}` on disk.

The plaintext of a ciphertext is the JSON text of the value. A value that did not change at its place keeps its
ciphertext, so that checkpoints do not churn. Source: pulumi `pkg/resource/stack/deployment.go`.
"""

from __future__ import annotations

import json
import math
import struct
from typing import Any

from pulumi_embedded.errors import SecretsError, StateError
from pulumi_embedded.state.secrets import Crypter

SIG = "4dabf18193072939515e22adb298388d"
SECRET_SIG = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - a public signature, not a secret
ASSET_SIG = "c44067f5952c0a294b673a41bacd8c17"
ARCHIVE_SIG = "0def7320c3a5731c473e5ecbe6d01bc7"
RESOURCE_REFERENCE_SIG = "5cf8f73096256a8f31e491e813e4eb8e"
FLOAT_SIG = "8ad145fe-0d11-4827-bfd7-1abcbf086f5c"
BYTE_STRING_SIG = "803fd3297a5875dc03ca845dda5d2a98"
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
MASK = "[secret]"


def is_secret(value: Any) -> bool:
    """Say whether a value, in memory or on disk, is a secret."""
    return isinstance(value, dict) and value.get(SIG) == SECRET_SIG


def compact_json(value: Any) -> str:
    """Return the JSON text that the CLI would make of `value`, keys sorted."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, sort_keys=True, allow_nan=False)


def _open_float(value: dict[str, Any]) -> float:
    try:
        return float(struct.unpack(">d", bytes.fromhex(value["value"]))[0])
    except (KeyError, TypeError, ValueError, struct.error):
        raise StateError("a floating-point value in the state is damaged") from None


class Sealer:
    """Seals (encrypts) values on their way to disk and opens them on their way back.

    One sealer serves one stack for one command: it remembers which ciphertext stood where.
    """

    def __init__(self, crypter: Crypter | None) -> None:
        """Keep the stack's crypter; None for a stack without a secrets provider, whose secrets cannot be written."""
        self._crypter = crypter
        self._known: dict[tuple[str, str], str] = {}

    def seal(self, value: Any, place: str, *, show: bool = False) -> Any:
        """Return `value` as it goes to disk.

        Args:
            value: a property value with readable secrets.
            place: where it stands (URN and path): the same text there keeps its ciphertext.
            show: write `plaintext` instead of `ciphertext` (only `stack export --show-secrets`).

        Raises:
            SecretsError: the value holds a secret and there is no key to encrypt it with.
        """
        if isinstance(value, dict):
            if value.get(SIG) == SECRET_SIG:
                return self._seal_secret(value, place, show=show)
            # Sorted, as the CLI writes maps: the order in which a program names properties is no difference.
            sealed = {key: self.seal(value[key], f"{place}.{key}", show=show) for key in sorted(value)}
            return _with_version(sealed)
        if isinstance(value, list | tuple):
            return [self.seal(item, f"{place}[{index}]", show=show) for index, item in enumerate(value)]
        if isinstance(value, float) and not math.isfinite(value):
            return {SIG: FLOAT_SIG, "value": struct.pack(">d", value).hex()}
        return value

    def _seal_secret(self, value: dict[str, Any], place: str, *, show: bool) -> dict[str, Any]:
        if "value" not in value:
            return value  # already as on disk: an entry that was read and not opened
        text = compact_json(_seal_inside(value["value"]))
        if show:
            return {SIG: SECRET_SIG, "plaintext": text}
        ciphertext = self._known.get((place, text))
        if ciphertext is None:
            if self._crypter is None:
                raise SecretsError("the stack has no secrets provider, so its secrets cannot be written")
            ciphertext = self._crypter.encrypt(text)
            self._known[place, text] = ciphertext
        return {SIG: SECRET_SIG, "ciphertext": ciphertext}

    def open(self, value: Any, place: str) -> Any:
        """Return a value from disk with its secrets readable; `place` as in `seal`.

        Raises:
            SecretsError: a secret cannot be decrypted.
            StateError: a value is damaged.
        """
        if isinstance(value, dict):
            signature = value.get(SIG)
            if signature == SECRET_SIG:
                return self._open_secret(value, place)
            if signature == FLOAT_SIG:
                return _open_float(value)
            opened = {key: self.open(item, f"{place}.{key}") for key, item in value.items()}
            return _without_version(opened)
        if isinstance(value, list):
            return [self.open(item, f"{place}[{index}]") for index, item in enumerate(value)]
        return value

    def _open_secret(self, value: dict[str, Any], place: str) -> dict[str, Any]:
        text = value.get("plaintext")
        ciphertext = value.get("ciphertext")
        if bool(text) == bool(ciphertext):
            raise StateError(f"a secret at {place} is damaged: it has not exactly one of 'ciphertext' and 'plaintext'")
        if not text:
            if self._crypter is None:
                raise SecretsError("the state holds encrypted secrets but names no secrets provider")
            text = self._crypter.decrypt(str(ciphertext))
        try:
            plain = json.loads(text)
        except (ValueError, TypeError, RecursionError):
            raise StateError(f"the secret at {place} decrypts to something that is not JSON") from None
        if ciphertext:
            self._known[place, compact_json(plain)] = str(ciphertext)
        return {SIG: SECRET_SIG, "value": _open_inside(plain)}


def _with_version(value: dict[str, Any]) -> dict[str, Any]:
    """Let a reference to a resource say its package's version, as the CLI's state does where there is none too."""
    if value.get(SIG) == RESOURCE_REFERENCE_SIG:
        value.setdefault("packageVersion", "")
    return value


def _without_version(value: dict[str, Any]) -> dict[str, Any]:
    """Drop a version that says nothing: programs and providers do not send it, and would differ from the state."""
    if value.get(SIG) == RESOURCE_REFERENCE_SIG and not value.get("packageVersion"):
        value.pop("packageVersion", None)
    return value


def _seal_inside(value: Any) -> Any:
    """Write secrets within a secret: marked as secret, not encrypted twice, as the CLI does."""
    if isinstance(value, dict):
        if value.get(SIG) == SECRET_SIG and "value" in value:
            return {SIG: SECRET_SIG, "ciphertext": compact_json(_seal_inside(value["value"]))}
        return _with_version({key: _seal_inside(item) for key, item in value.items()})
    if isinstance(value, list | tuple):
        return [_seal_inside(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return {SIG: FLOAT_SIG, "value": struct.pack(">d", value).hex()}
    return value


def _open_inside(value: Any) -> Any:
    if isinstance(value, dict):
        if value.get(SIG) == SECRET_SIG and isinstance(value.get("ciphertext"), str):
            return {SIG: SECRET_SIG, "value": _open_inside(json.loads(value["ciphertext"]))}
        if value.get(SIG) == FLOAT_SIG:
            return _open_float(value)
        return _without_version({key: _open_inside(item) for key, item in value.items()})
    if isinstance(value, list):
        return [_open_inside(item) for item in value]
    return value


def mask(value: Any) -> Any:
    """Return `value` with every secret, readable or sealed, replaced by `[secret]`."""
    if isinstance(value, dict):
        if value.get(SIG) == SECRET_SIG:
            return MASK
        return {key: mask(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [mask(item) for item in value]
    return value


def reveal(value: Any) -> Any:
    """Return `value` with every readable secret replaced by its plain value."""
    if isinstance(value, dict):
        if value.get(SIG) == SECRET_SIG:
            return reveal(value.get("value"))
        return {key: reveal(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [reveal(item) for item in value]
    return value
